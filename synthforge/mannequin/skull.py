"""The smooth underlying surface of head and neck, without features.

It is a stack of tilted loops, each given by five points of its left half. Anthropometric means
(Farkas 1994: head length 190 mm, breadth 150, face height 118; faces about average between the
sexes), placed so that the eyes sit where FLAME has them. Coordinates are the FLAME frame.

A point of the surface is (theta, level): theta is 0 at the front midline and pi at the back,
level is metres along the surface from the neck's base to the crown.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.interpolate import CubicSpline

from synthforge.mannequin.profiles import MM, Array

# In mm: front (y, z); front quarter (x, y, z); side (x, y, z); back quarter (x, y, z); back (y, z).
_LOOPS = np.array(
    [
        [-214, 8, 92, -207, -14, 138, -203, -66, 92, -188, -118, -182, -138],  # shoulders
        [-186, -5, 58, -184, -21, 92, -183, -64, 66, -168, -114, -162, -131],
        [-162, -8, 42, -161, -21, 63, -160, -60, 48, -144, -107, -137, -122],
        [-138, -6, 38, -138, -17, 53, -138, -57, 43, -118, -102, -110, -117],  # neck
        [-118, -2, 37, -119, -13, 52.5, -115, -54, 42, -96, -100, -88, -116],
        [-107, 10, 38, -107, -6, 55, -93, -50, 44, -75, -101, -66, -119],  # under the jaw
        [-100, 27, 38, -97, 8, 56, -75, -45, 47, -57, -105, -47, -125],
        [-94.5, 40, 36, -89, 21, 57.5, -60, -39, 51, -41, -109, -31, -131],  # jaw line, menton
        [-86, 46, 39, -77, 29, 62, -46, -36, 55, -26, -112, -17, -135],
        [-73, 47, 43, -64, 33, 65.5, -34, -36, 58, -13, -114, -4, -138],
        [-58, 48.5, 47, -48, 35, 68, -20, -36, 60.5, 0, -115, 8, -140],  # mouth
        [-42, 50, 50, -33, 36, 70, -7, -37, 62.5, 12, -115, 20, -141],
        [-26, 50, 52.5, -17, 36, 71.5, 6, -38, 64, 24, -114.5, 31, -141.5],  # nose base
        [-6, 46.5, 54, 1, 34, 73, 20, -39.5, 65.5, 36, -113, 43, -141],
        [15, 43.2, 54.5, 19, 32.5, 74.5, 34, -41, 66.5, 48, -110, 54, -139.5],  # eyes
        [36, 46.5, 55, 38, 33, 75.5, 50, -42.5, 67, 62, -107, 68, -137.5],  # brows
        [57, 49, 55, 57, 32, 75.5, 67, -43.5, 66, 76, -103.5, 81, -133.5],
        [78, 46.5, 53, 76, 26.5, 73, 83, -44, 62.5, 89, -97.5, 93, -126.5],
        [98, 37.5, 46.5, 95, 15.5, 66, 99, -44.5, 56, 102, -89.5, 104.5, -116.5],
        [115, 20.5, 37, 111.5, 0.5, 54, 113.5, -44.5, 45, 114, -80, 115.5, -102.5],
        [126, -1, 26, 123.5, -14.5, 37.5, 124, -44, 31, 124.5, -68.5, 124.5, -85],
        [131.5, -21, 13.5, 130.5, -29.5, 20, 130.5, -43.5, 16, 130.5, -56.5, 130.5, -65],
        [133, -43, 0, 133, -43, 0, 133, -43, 0, 133, -43, 133, -43],  # crown
    ]
)
_CONTROLS = 8


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


def level_at_height(y: Array | float) -> Array:
    """Level of the front midline at height `y`."""
    return np.interp(y, _control_points()[:, 0, 1], _levels())


def locate(target: Array, axes: tuple[int, int], theta: float) -> tuple[Array, Array]:
    """(theta, level) of the surface points with coordinates `target` (N, 2) along two `axes`.

    Newton's method from angle `theta`: (0, 1) finds points seen from the front, (2, 1) from the
    side.
    """
    step = 1e-5
    angle = np.full(len(target), theta)
    level = level_at_height(target[:, axes.index(1)])
    for _ in range(30):
        here = surface(angle, level)[:, axes]
        by_angle = (surface(angle + step, level)[:, axes] - here) / step
        by_level = (surface(angle, level + step)[:, axes] - here) / step
        miss = target - here
        determinant = by_angle[:, 0] * by_level[:, 1] - by_angle[:, 1] * by_level[:, 0]
        determinant = np.where(np.abs(determinant) < 1e-9, 1e-9, determinant)
        d_angle = (miss[:, 0] * by_level[:, 1] - miss[:, 1] * by_level[:, 0]) / determinant
        d_level = (by_angle[:, 0] * miss[:, 1] - by_angle[:, 1] * miss[:, 0]) / determinant
        angle = np.clip(angle + np.clip(d_angle, -0.15, 0.15), -0.05, np.pi)
        level = np.clip(level + np.clip(d_level, -0.01, 0.01), 0.0, crown_level())
    return angle, level
