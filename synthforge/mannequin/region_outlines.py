"""The lines at which one region of the skin ends and the next begins. Left half, mm.

Where the mesh has edges along them, the borders are as smooth; elsewhere they follow its faces.
"""

from __future__ import annotations

import functools

import numpy as np
from matplotlib.path import Path

from synthforge.mannequin import skull
from synthforge.mannequin.profiles import MM, Array, arc_length, curve

_SPACING = 3.0 * MM
_SKULL_SPACING = 5.0 * MM
# Brow strip: middle line by frontal x, its half height, and where it begins and ends.
_BROW_MIDDLE = curve((9, 16, 26, 36, 45, 56), (41.2, 42.8, 44.8, 45.7, 44.2, 38.8))
_BROW_HALF = curve((9, 16, 30, 42, 56), (2.5, 3.1, 3.0, 2.3, 0.9))
_BROW_ENDS = (10.0 * MM, 55.5 * MM)
# From the front, closed along the midline.
_NOSE = np.array(
    [
        (0, 7, 9.5, 10.5, 13.5, 17.5, 20.2, 18, 12, 5, 0),
        (24, 24, 20, 10, -3, -11, -19, -25, -27.6, -28, -28),
    ]
).T
_EYE_REGION = np.array(
    [(0, 22, 44, 58, 63, 60, 48, 30, 14, 0), (50, 52.5, 52, 45, 31, 17, 6, 2.5, 5, 8)]
).T
# Height by azimuth in degrees: hairline from forehead by temple, sideburn and ear to the nape;
# where the neck begins, from under the chin by the jaw's angle and the ear to the nape.
_HAIRLINE = np.array(
    [
        (0, 16, 30, 42, 50, 58, 68, 76, 84, 88, 106, 114, 122, 150, 180),
        (82, 83, 80, 70, 56, 44, 36, 16, 14, 36, 36, 8, -20, -44, -50),
    ]
).T
_NECK = np.array(
    [
        (0, 14, 30, 45, 60, 74, 84, 94, 106, 116, 124, 150, 180),
        (-97, -96, -91, -83, -71, -56, -44, -30, -22, -24, -26, -46, -52),
    ]
).T
_NECK_BACK_AZIMUTH = np.radians(100)
_BEHIND_EAR = np.radians(106)
# The forehead ends here; below it the eye region is no forehead any more.
BROW_BAND_Y = 37.0 * MM
_BROW_BAND_AZIMUTH = np.radians(66)


def _by_azimuth(table: Array, azimuth: Array) -> Array:
    degrees, height = table.T
    return np.interp(np.degrees(azimuth), degrees, height) * MM


def azimuth(points: Array) -> Array:
    """(N, 3) -> radians from the front, 0 to pi."""
    return np.arctan2(np.abs(points[:, 0]), points[:, 2] - skull.AXIS_Z)


def is_scalp(points: Array) -> Array:
    """Where hair grows, and the bare skin between it and the back of ear and neck: bool (N,)."""
    around_head = azimuth(points)
    return (points[:, 1] > _by_azimuth(_HAIRLINE, around_head)) | (around_head > _BEHIND_EAR)


def is_neck(points: Array) -> Array:
    return points[:, 1] < _by_azimuth(_NECK, azimuth(points))


def is_neck_back(points: Array) -> Array:
    return is_neck(points) & (azimuth(points) > _NECK_BACK_AZIMUTH)


def brow_ridge(x: Array) -> Array:
    """Height of the line on which the brow's landmarks lie: between its middle and upper edge."""
    return _BROW_MIDDLE(x) + 0.6 * _BROW_HALF(x)


def is_brow(x: Array, y: Array) -> Array:
    begin, end = _BROW_ENDS
    return (np.abs(y - _BROW_MIDDLE(x)) < _BROW_HALF(x)) & (x > begin) & (x < end)


def is_nose(x: Array, y: Array) -> Array:
    return _inside(_NOSE, x, y)


def is_eye_region(x: Array, y: Array) -> Array:
    return _inside(_EYE_REGION, x, y)


def _inside(outline: Array, x: Array, y: Array) -> Array:
    closed = np.array([(-5.0, outline[0, 1]), *outline, (-5.0, outline[-1, 1])]) * MM
    return Path(closed).contains_points(np.stack([x, y], -1))


@functools.cache
def on_skull() -> list[Array]:
    """The lines as rows of skull coordinates (N, 2)."""
    x = np.linspace(*_BROW_ENDS, 400)
    upper = np.stack([x, _BROW_MIDDLE(x) + _BROW_HALF(x)], -1)
    lower = np.stack([x, _BROW_MIDDLE(x) - _BROW_HALF(x)], -1)
    brow = np.concatenate([upper, lower[::-1]])
    frontal = [brow, _NOSE * MM, _EYE_REGION * MM]
    lines = [
        np.stack(skull.locate(_even(line, _SPACING), skull.from_front, 0.4), -1) for line in frontal
    ]
    for table in (_HAIRLINE, _NECK):
        degrees, height = table.T
        line = np.stack([np.radians(degrees) * skull.AZIMUTH_RADIUS, height * MM], -1)
        lines.append(_around(line, _SKULL_SPACING)[1:-1])
    band = np.array([[0.0, BROW_BAND_Y], [_BROW_BAND_AZIMUTH * skull.AZIMUTH_RADIUS, BROW_BAND_Y]])
    back = _NECK_BACK_AZIMUTH * skull.AZIMUTH_RADIUS
    return [
        *lines,
        _around(band, _SPACING),
        _around(np.array([[back, -30 * MM], [back, -190 * MM]]), _SKULL_SPACING),
    ]


def _around(line: Array, spacing: float) -> Array:
    """A polyline of azimuth and height -> evenly spaced skull coordinates (N, 2)."""
    return np.stack(skull.locate(_even(line, spacing), skull.around, 1.2), -1)


def _even(line: Array, spacing: float) -> Array:
    """Points (N, 2) along a polyline, evenly spaced, strictly inside the left half."""
    length = arc_length(line)
    at = np.linspace(0, length[-1], round(length[-1] / spacing) + 1)
    points = np.stack([np.interp(at, length, line[:, k]) for k in range(2)], -1)
    return points[points[:, 0] > 0.5 * spacing]
