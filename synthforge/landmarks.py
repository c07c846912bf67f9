"""The 68-point scheme (iBUG 300-W order). Left and right are the subject's."""

from __future__ import annotations

JAW = slice(0, 17)
RIGHT_BROW = slice(17, 22)
LEFT_BROW = slice(22, 27)
NOSE = slice(27, 36)
RIGHT_EYE = slice(36, 42)
LEFT_EYE = slice(42, 48)
OUTER_LIP = slice(48, 60)
INNER_LIP = slice(60, 68)

# Outer eye corners, whose distance normalises landmark errors (NME).
OUTER_EYE_CORNERS = (36, 45)

# FLIP[i] is where point i lands when the image is mirrored.
FLIP = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
)

# Of wflw98, the points of the outline.
WFLW_CONTOUR = 33
# Where wflw98's points are when the image is mirrored.
WFLW_FLIP = (
    *range(32, -1, -1),
    *(46, 45, 44, 43, 42, 50, 49, 48, 47),
    *(37, 36, 35, 34, 33, 41, 40, 39, 38),
    *range(51, 55),
    *range(59, 54, -1),
    *(72, 71, 70, 69, 68, 75, 74, 73),
    *(64, 63, 62, 61, 60, 67, 66, 65),
    *(82, 81, 80, 79, 78, 77, 76, 87, 86, 85, 84, 83),
    *(92, 91, 90, 89, 88, 95, 94, 93),
    *(97, 96),
)
# Of the ten iris points of mediapipe478.
IRIS_FLIP = (5, 8, 7, 6, 9, 0, 3, 2, 1, 4)
