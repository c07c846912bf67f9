"""The smooth underlying surface of head and neck, without features.

It is a stack of tilted loops, each given by five points of its left half. Anthropometric means
(Farkas 1994: head length 190 mm, breadth 150, face height 118; faces about average between the
sexes), placed so that the eyes sit where FLAME has them. Coordinates are the FLAME frame.

A point of the surface is (theta, level): theta is 0 at the front midline and pi at the back,
level is metres along the surface from the neck's base to the crown.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicSpline

from synthforge.mannequin.profiles import MM, Array

# In mm: front (y, z); front quarter (x, y, z); side (x, y, z); back quarter (x, y, z); back (y, z).
_LOOPS = np.array(
    [
        [-229, 8, 95, -226, -14, 144, -224, -66, 96, -218, -121, -214, -141],  # shoulders
        [-186, -5, 58, -184, -21, 92, -183, -64, 66, -168, -114, -162, -131],
        [-162, -8, 40, -161, -21, 59, -160, -60, 46, -144, -104, -137, -118],
        [-138, -6, 35, -138, -18, 48.5, -138, -57, 39.5, -118, -97, -110, -111],  # neck
        [-119, -3, 33.5, -119, -16, 47, -115, -55, 39.5, -96, -95, -88, -109],
        [-108, 8, 32.5, -108, -6, 46.5, -93, -52, 43, -75, -96, -66, -112.5],  # under the jaw
        [-101, 26, 29.5, -100, 7, 48, -74.5, -47, 46.5, -57, -101, -47, -120],
        [-95, 40, 32, -90, 22, 52, -59, -39, 51, -41, -107, -31, -128],  # jaw line, menton
        [-86, 46, 36.3, -78.5, 29.5, 55.5, -46, -37, 55, -26, -112, -17, -135],
        [-73, 47, 41.5, -65, 33.5, 59.5, -34, -37, 58, -13, -114, -4, -138],
        [-58, 48.5, 45.5, -49, 35, 64, -20, -37.5, 60.5, 0, -115, 8, -140],  # mouth
        [-42, 49.5, 49.5, -33, 36, 68.5, -7, -38, 62.5, 12, -115, 20, -141],
        [-26, 49.5, 52, -17, 35, 71.5, 6, -38.5, 64, 24, -114.5, 31, -141.5],  # nose base
        [-6, 46, 53, 1, 32.5, 73, 20, -39.5, 65.5, 36, -113, 43, -141],
        [15, 42.3, 53, 19, 29, 74.5, 34, -41, 66.5, 48, -110, 54, -139.5],  # eyes
        [36, 44.3, 53, 38, 27.5, 75.5, 50, -42.5, 67, 62, -107, 68, -137.5],  # brows
        [57, 46.8, 52, 57, 26, 75.5, 67, -43.5, 66, 76, -103.5, 81, -133.5],
        [78, 44.8, 50, 76, 21, 73, 83, -44, 62.5, 89, -97.5, 93, -126.5],
        [98, 36.5, 46, 95, 11, 67, 99, -44.5, 57, 102, -89.5, 104.5, -116.5],
        [115, 20.5, 38, 111.5, -1, 56, 113.5, -44.5, 47, 114, -80, 115.5, -102.5],
        [126, -1, 29, 123.5, -13.5, 42, 124, -44, 34.5, 124.5, -69.5, 124.5, -85],
        [131.5, -21, 17, 130.5, -28, 25, 130.5, -43.5, 20, 130.5, -58, 130.5, -65],
        [133, -43, 0, 133, -43, 0, 133, -43, 0, 133, -43, 133, -43],  # crown
    ]
)
_CONTROLS = 8
# The head's vertical axis, and the radius at which azimuths are measured as lengths.
AXIS_Z = -42 * MM
AZIMUTH_RADIUS = 70 * MM


def _control_points() -> Array:
    """(loops, 8, 3) metres: each loop all the way round, every 45 degrees of theta."""
    front, back = _LOOPS[:, :2], _LOOPS[:, 11:]
    left = _LOOPS[:, 2:11].reshape(-1, 3, 3)
    points = np.zeros((len(_LOOPS), _CONTROLS, 3))
    points[:, 0, 1:] = front
    points[:, 4, 1:] = back
    points[:, 1:4] = left
    points[:, 5:] = left[:, ::-1] * [-1, 1, 1]
    return points * MM


@functools.cache
def _levels() -> Array:
    """Level of each loop: the length travelled along the surface, averaged over theta."""
    points = _control_points()
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(1)
    return np.concatenate([[0.0], np.cumsum(steps)])


@functools.cache
def _loop_spline() -> CubicSpline:
    return CubicSpline(_levels(), _control_points())


@functools.cache
def _angle_spline() -> CubicSpline:
    """theta -> the weight of each of a loop's eight points."""
    angles = np.linspace(0, 2 * np.pi, _CONTROLS + 1)
    weights = np.eye(_CONTROLS)[np.arange(_CONTROLS + 1) % _CONTROLS]
    return CubicSpline(angles, weights, bc_type="periodic")


def crown_level() -> float:
    return float(_levels()[-1])


def surface(theta: Array, level: Array) -> Array:
    """(N,) radians and (N,) metres -> points (N, 3)."""
    weights = _angle_spline()(theta)
    loops = _loop_spline()(np.clip(level, 0.0, crown_level()))
    return (weights[:, :, None] * loops).sum(1)


def level_at_height(y: Array) -> Array:
    """Level of the front midline at height `y`."""
    return np.interp(np.asarray(y), _control_points()[:, 0, 1], _levels())


def from_front(points: Array) -> Array:
    """(N, 3) -> (x, y)."""
    return points[:, :2]


def from_side(points: Array) -> Array:
    """(N, 3) -> (z, y)."""
    return points[:, [2, 1]]


def around(points: Array) -> Array:
    """(N, 3) -> (azimuth, y): how far round the head's vertical axis, 0 in front, in metres."""
    azimuth = np.arctan2(points[:, 0], points[:, 2] - AXIS_Z)
    return np.stack([azimuth * AZIMUTH_RADIUS, points[:, 1]], -1)


def locate(target: Array, view: Callable[[Array], Array], theta: float) -> tuple[Array, Array]:
    """(theta, level) of the surface points that `view` maps to `target` (N, 2), height second.

    Newton's method from angle `theta`.
    """
    step = 1e-5
    angle = np.full(len(target), theta)
    level = level_at_height(target[:, 1])
    for _ in range(20):
        here = view(surface(angle, level))
        by_angle = (view(surface(angle + step, level)) - here) / step
        by_level = (view(surface(angle, level + step)) - here) / step
        miss = target - here
        determinant = by_angle[:, 0] * by_level[:, 1] - by_angle[:, 1] * by_level[:, 0]
        determinant = np.where(np.abs(determinant) < 1e-9, 1e-9, determinant)
        d_angle = (miss[:, 0] * by_level[:, 1] - miss[:, 1] * by_level[:, 0]) / determinant
        d_level = (by_angle[:, 0] * miss[:, 1] - by_angle[:, 1] * miss[:, 0]) / determinant
        angle = np.clip(angle + np.clip(d_angle, -0.15, 0.15), -0.05, np.pi)
        level = np.clip(level + np.clip(d_level, -0.01, 0.01), 0.0, crown_level())
    return angle, level
