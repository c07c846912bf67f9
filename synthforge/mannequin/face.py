"""The features of the face, as relief on the skull's front: nose, cheeks, lips' surround, chin.

All figures in mm, left half, seen from the front. Heights are towards the viewer.
"""

from __future__ import annotations

import numpy as np

from synthforge.mannequin import eyes
from synthforge.mannequin.profiles import MM, Array, curve, gauss, smoothstep, soft_max

# Soft mounds: centre (x, y), radius (x, y), height.
_RELIEF = {
    "brow ridge": (20, 40.5, 16, 7, 0.9),
    "brow tail": (44, 39, 12, 8, 2.2),
    "inner orbit": (15, 32, 7, 7, 1.3),
    "glabella": (0, 37, 11, 9, 1.0),
    "forehead": (22, 68, 20, 16, 0.8),
    "temple": (66, 44, 12, 18, -1.6),
    "cheekbone": (50, 2, 17, 13, 3.0),
    "cheek apple": (34, -9, 16, 15, 3.4),
    "tear trough": (22, 9, 7, 5, -1.2),
    "cheek hollow": (48, -38, 15, 17, -1.4),
    "muzzle": (0, -43, 23, 18, 4.4),
    "beside mouth": (33, -50, 7, 12, 0.8),
    "corner of mouth": (27.0, -47.8, 5.5, 6, -1.1),
    "under lower lip": (0, -64.5, 14, 5, -2.0),
    "chin": (0, -80, 15, 12, 3.4),
    "chin side": (11, -84, 9, 9, 1.0),
    "philtrum": (0, -34, 2.3, 6, -0.9),
    "philtrum column": (4.6, -35, 2.0, 6, 0.6),
    "jaw corner": (54, -52, 12, 14, 1.0),
}

# Height of the nose's ridge above the skull's front, and its half width, by y.
_RIDGE = curve(
    (-31, -28.2, -25.6, -23.5, -21.2, -18.2, -14.5, -10, -4, 4, 12, 19, 25, 33),
    (0, 0.6, 4.2, 11.5, 17.0, 19.6, 19.6, 17.6, 14.6, 10.2, 5.8, 2.4, 0.9, 0),
)
_RIDGE_WIDTH = curve(
    (-30, -25, -21, -16.5, -11, -2, 8, 18, 26, 33),
    (8.0, 6.2, 8.6, 10.4, 9.8, 9.2, 8.8, 9.4, 11.5, 15),
)
# How square the ridge's section is: a round tip, a softer bridge.
_RIDGE_POWER = curve((-30, -20, -14, -4, 10, 30), (2000, 2600, 2800, 2600, 2300, 2000))
_WING_CENTER, _WING_RADIUS, _WING_HEIGHT = (12.0, -19.6), (6.6, 6.4), 10.4

NOSTRIL_CENTER = np.array([7.0, -23.6]) * MM
_NOSTRIL_RADII = np.array([3.3, 1.75]) * MM
_NOSTRIL_TILT = -0.30
NOSTRIL_POINTS = 14


def sculpt(points: Array) -> Array:
    """Add the features to skull points (N, 3) of the left half (x >= 0)."""
    x, y, z = points.T.copy()
    front = smoothstep(-32 * MM, -2 * MM, z)
    relief = np.zeros_like(x)
    for center_x, center_y, radius_x, radius_y, height in _RELIEF.values():
        mound = gauss(x, center_x * MM, radius_x * MM) * gauss(y, center_y * MM, radius_y * MM)
        if center_x:
            # Mirrored mounds meet at the midline without a crease.
            mound += gauss(-x, center_x * MM, radius_x * MM) * gauss(
                y, center_y * MM, radius_y * MM
            )
        relief += height * MM * mound
    relief += nose_height(x, y)
    crease = 30 * MM + (y + 40 * MM) * -0.45
    relief -= (
        0.9
        * MM
        * gauss(x, crease, 4 * MM)
        * smoothstep(-56 * MM, -44 * MM, y)
        * smoothstep(-16 * MM, -28 * MM, y)
    )
    sculpted = np.stack([x, y, z + front * relief], -1)
    near_eye = (x < 75 * MM) & (np.abs(y - eyes.CENTER[1]) < 35 * MM) & (z > 0)
    sculpted[near_eye] = eyes.drape_lids(sculpted[near_eye])
    return sculpted


def nose_height(x: Array, y: Array) -> Array:
    """Relief of ridge, tip and wings."""
    ridge = _RIDGE(y) * np.exp(-((np.abs(x) / _RIDGE_WIDTH(y)) ** _RIDGE_POWER(y)))
    wing_x, wing_y = np.array(_WING_CENTER) * MM
    radius_x, radius_y = np.array(_WING_RADIUS) * MM
    squared = ((x - wing_x) / radius_x) ** 2 + ((y - wing_y) / radius_y) ** 2
    wing = _WING_HEIGHT * MM * np.exp(-(squared**1.35))
    crease = 0.7 * MM * np.exp(-(((np.sqrt(squared) - 1.38) / 0.33) ** 2))
    crease = crease * smoothstep(12 * MM, 17 * MM, x) * smoothstep(-10 * MM, -15 * MM, y)
    tip = 1.0 * MM * gauss(x, 0, 7.0 * MM) * gauss(y, -16 * MM, 6 * MM)
    inside = (y > -40 * MM) & (y < 40 * MM)
    return np.where(inside, soft_max(ridge + tip, wing, 4.0 * MM) - 2.0 * MM - crease, 0.0)


def nostril_contour(scale: float = 1.0, margin: float = 0.0) -> Array:
    """(14, 2) frontal rim of the left nostril, counter-clockwise; `margin` metres wider."""
    turn = np.linspace(0, 2 * np.pi, NOSTRIL_POINTS, endpoint=False)
    rim = np.stack([np.cos(turn), np.sin(turn)], -1) * (_NOSTRIL_RADII * scale + margin)
    c, s = np.cos(_NOSTRIL_TILT), np.sin(_NOSTRIL_TILT)
    return NOSTRIL_CENTER + rim @ np.array([[c, s], [-s, c]])
