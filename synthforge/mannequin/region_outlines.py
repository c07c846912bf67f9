"""The lines at which one region of the skin ends and the next begins. Left half, mm.

Mesh edges follow them, so that the regions' borders are smooth.
"""

from __future__ import annotations

import functools

import numpy as np
from matplotlib.path import Path

from synthforge.mannequin import skull
from synthforge.mannequin.profiles import MM, Array, curve

_SPACING = 3.0 * MM
_SKULL_SPACING = 7.0 * MM
# Brow strip: middle line by frontal x, its half height, and where it begins and ends.
_BROW_MIDDLE = curve([(9, 40.3), (16, 41.9), (26, 43.8), (36, 44.6), (45, 43.0), (56, 37.8)])
_BROW_HALF = curve([(9, 2.5), (16, 3.1), (30, 3.0), (42, 2.3), (56, 0.9)])
_BROW_ENDS = (10.0 * MM, 55.5 * MM)
# From the front, closed along the midline.
_NOSE = [(0, 24), (7, 24), (9.5, 20), (10.5, 10), (13.5, -3), (17.5, -11), (20.2, -19)] + [
    (18, -25),
    (12, -27.6),
    (5, -28),
    (0, -28),
]
_EYE_REGION = [(0, 49), (22, 51.5), (44, 51), (58, 44), (63, 31), (60, 17), (48, 6), (30, 2.5)] + [
    (14, 5),
    (0, 8),
]
# Height by azimuth in degrees: hairline from forehead by temple, sideburn and ear to the nape;
# where the neck begins, from under the chin by the jaw's angle and the ear to the nape.
_HAIRLINE = [
    (0, 82),
    (16, 83),
    (30, 80),
    (42, 70),
    (50, 56),
    (58, 44),
    (68, 36),
    (76, 16),
    (84, 14),
] + [(88, 36), (106, 36), (114, 8), (122, -20), (150, -44), (180, -50)]
_NECK = [(0, -97), (14, -96), (30, -91), (45, -83), (60, -71), (74, -56), (84, -44), (94, -30)] + [
    (106, -22),
    (116, -24),
    (124, -26),
    (150, -46),
    (180, -52),
]
NECK_BACK_AZIMUTH = np.radians(100)
# Below it, the skin over the brows counts as eye region alone.
BROW_BAND_Y = 37.0 * MM


def _by_azimuth(table: list[tuple[float, float]], azimuth: Array) -> Array:
    degrees, height = np.array(table, float).T
    return np.interp(np.degrees(azimuth), degrees, height) * MM


def azimuth(points: Array) -> Array:
    """(N, 3) -> radians from the front, 0 to pi."""
    return np.arctan2(np.abs(points[:, 0]), points[:, 2] - skull.AXIS_Z)


def is_scalp(points: Array) -> Array:
    """Where hair grows: bool (N,)."""
    return points[:, 1] > _by_azimuth(_HAIRLINE, azimuth(points))


def is_neck(points: Array) -> Array:
    return points[:, 1] < _by_azimuth(_NECK, azimuth(points))


def brow_middle(x: Array) -> Array:
    """Height of the left brow's middle line at frontal x, metres."""
    return _BROW_MIDDLE(x)


def brow_ridge(x: Array) -> Array:
    """Height of the line on which the brow's landmarks lie: between its middle and upper edge."""
    return _BROW_MIDDLE(x) + 0.5 * _BROW_HALF(x)


def is_brow(x: Array, y: Array) -> Array:
    begin, end = _BROW_ENDS
    return (np.abs(y - _BROW_MIDDLE(x)) < _BROW_HALF(x)) & (x > begin) & (x < end)


def is_nose(x: Array, y: Array) -> Array:
    return _inside(_NOSE, x, y)


def is_eye_region(x: Array, y: Array) -> Array:
    return _inside(_EYE_REGION, x, y)


def _inside(outline: list[tuple[float, float]], x: Array, y: Array) -> Array:
    closed = np.array([(-5.0, outline[0][1]), *outline, (-5.0, outline[-1][1])]) * MM
    return Path(closed).contains_points(np.stack([x, y], -1))


@functools.cache
def on_skull() -> list[Array]:
    """The lines as rows of skull coordinates (N, 2)."""
    x = np.linspace(*_BROW_ENDS, 400)
    upper = np.stack([x, _BROW_MIDDLE(x) + _BROW_HALF(x)], -1)
    lower = np.stack([x, _BROW_MIDDLE(x) - _BROW_HALF(x)], -1)
    brow = np.concatenate([upper, lower[::-1]])
    frontal = [brow, np.array(_NOSE) * MM, np.array(_EYE_REGION) * MM]
    lines = [
        np.stack(skull.locate(_even(line, _SPACING), skull.from_front, 0.4), -1) for line in frontal
    ]
    for table in (_HAIRLINE, _NECK):
        degrees, height = np.array(table, float).T
        line = np.stack([np.radians(degrees) * skull.AZIMUTH_RADIUS, height * MM], -1)
        even = _even(line, _SKULL_SPACING)[1:-1]
        theta, level = skull.locate(even, skull.around, 1.2)
        lines.append(np.stack([theta, level], -1))
    return lines


def _even(line: Array, spacing: float) -> Array:
    """Points (N, 2) along a polyline, evenly spaced, strictly inside the left half."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, length[-1], round(length[-1] / spacing) + 1)
    points = np.stack([np.interp(at, length, line[:, k]) for k in range(2)], -1)
    return points[points[:, 0] > 0.5 * spacing]
