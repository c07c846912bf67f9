"""Where everything lies on the texture, u right and v up. The right half mirrors to 1 - u.

The skin is one chart, cut down the back of the head; the face gets the most of it. Below it lie
islands for mouth cavity (middle), teeth, tongue and eyeballs (left and right).
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.interpolate import PchipInterpolator

from synthforge.mannequin import skull
from synthforge.mannequin.profiles import MM, Array

_SKIN_BOTTOM, _SKIN_TOP = 0.17, 0.995
# The skin's v by height of the front midline (mm): chin to forehead get two thirds.
_HEIGHTS = ((-118.0, 0.09), (-95.0, 0.15), (66.0, 0.84))
_FRONT_SHARE = 0.48
MOUTH_CENTER, MOUTH_RADIUS = np.array([0.5, 0.085]), 0.068
EYEBALL_CENTER, EYEBALL_RADIUS = np.array([0.932, 0.082]), 0.062
UPPER_TEETH_BOX = (0.585, 0.795, 0.090, 0.155)
LOWER_TEETH_BOX = (0.585, 0.795, 0.012, 0.077)
TONGUE_BOX = (0.815, 0.858, 0.012, 0.155)


@functools.cache
def _level_to_v() -> PchipInterpolator:
    levels = skull.level_at_height(np.array([y for y, _ in _HEIGHTS]) * MM)
    return PchipInterpolator(
        [0.0, *levels, skull.crown_level()], [0.0, *(v for _, v in _HEIGHTS), 1.0]
    )


def skin(theta: Array, level: Array) -> Array:
    """Skull surface coordinates (N,), (N,) -> (N, 2)."""
    turn = theta / np.pi
    across = turn + _FRONT_SHARE * np.sin(np.pi * turn) / np.pi
    up = _level_to_v()(level)
    return np.stack([0.5 + 0.498 * across, _SKIN_BOTTOM + (_SKIN_TOP - _SKIN_BOTTOM) * up], -1)


def box(corners: tuple[float, float, float, float], u: Array, v: Array) -> Array:
    """Places in a box (u0, u1, v0, v1) at shares u, v of its sides."""
    u0, u1, v0, v1 = corners
    return np.stack([u0 + (u1 - u0) * u, v0 + (v1 - v0) * v], -1)
