"""The left ear: relief over a plane that stands off the head. Metres, FLAME frame.

Ear coordinates (u, v): u backwards, v upwards in the ear's plane, from the mouth of the canal.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.interpolate import CubicSpline

from synthforge.mannequin.profiles import MM, Array, gauss, smoothstep, unit

POINTS = 30
# Outline, mm: an adult ear is about 62 by 34 (Farkas 1994).
_OUTLINE = (
    [(-6.5, -12), (-5.0, -20), (-1.5, -25.5), (4, -27.5), (9.5, -24), (14, -16)]
    + [(19, -6), (23.5, 6), (25, 18), (22, 28), (15, 34), (6, 35), (-2, 31)]
    + [(-7, 23), (-9, 13), (-9.5, 3), (-8.5, -5)]
)
_CENTER = np.array([6.0, 2.5])
_CANAL = np.array([70.0, 4.0, -49.0]) * MM
# The plane opens backwards by this angle from the head's side, and leans back.
_OPENING = np.radians(24)
_LEAN = np.radians(10)
# Rings from the head to the canal. Fraction of the outline behind the ear and in front of it,
# and the height over the plane (mm) of the part behind it; None: the relief's own height.
_RINGS = (
    (0.62, 1.20, None),
    (0.78, 1.14, -4.5),
    (0.93, 1.08, -2.6),
    (1.00, 1.03, -0.8),
    (1.00, 0.99, None),
    (0.955, 0.955, None),
    (0.90, 0.90, None),
    (0.83, 0.83, None),
    (0.75, 0.75, None),
    (0.66, 0.66, None),
    (0.56, 0.56, None),
    (0.45, 0.45, None),
    (0.33, 0.33, None),
    (0.18, 0.18, None),
)
RING_COUNT = len(_RINGS)


@functools.cache
def _frame() -> Array:
    """Rows: u, v and the plane's normal."""
    u = np.array([np.sin(_OPENING), 0.0, -np.cos(_OPENING)])
    v = np.array([0.10, np.cos(_LEAN), -np.sin(_LEAN)])
    v = unit(v - u * (u @ v))
    return np.stack([u, v, np.cross(v, u) * -1])


@functools.cache
def _outline() -> Array:
    """(30, 2) mm, evenly spaced, counter-clockwise seen from outside the head."""
    knots = np.array([*_OUTLINE, _OUTLINE[0]])
    spline = CubicSpline(np.arange(len(knots)), knots, bc_type="periodic")
    fine = spline(np.linspace(0, len(knots) - 1, 600))
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    even = np.linspace(0, length[-1], POINTS, endpoint=False)
    return np.stack([np.interp(even, length, fine[:, k]) for k in range(2)], -1)


def _behind() -> Array:
    """(30,): 1 where the rim stands off the head, 0 where it grows out of the cheek."""
    relative = _outline() - _CENTER
    angle = np.arctan2(relative[:, 1], relative[:, 0])
    return smoothstep(2.35, 1.75, np.abs(angle + 0.10))


def _relief(uv: Array, radius: Array) -> Array:
    """Height over the ear's plane, mm, at (N, 2) mm whose share of the outline is `radius`."""
    u, v = uv.T
    lobe = smoothstep(-13, -20, v)
    helix = 3.4 * gauss(radius, 0.96, 0.09) * (1 - lobe)
    scapha = -1.6 * gauss(radius, 0.80, 0.07) * (1 - lobe) * smoothstep(-4, 6, u)
    antihelix = 3.2 * gauss(radius, 0.64, 0.10) * smoothstep(-2, 7, u) * (1 - lobe)
    fossa = -2.2 * gauss(u, 6, 5) * gauss(v, 21, 5)
    concha = -9.0 * np.exp(-((((u - 4) / 9.5) ** 2 + ((v + 1) / 11.5) ** 2) ** 2))
    crus = 2.2 * gauss(v, 7.0 - 0.2 * u, 2.2) * smoothstep(9, -4, u)
    tragus = 5.5 * gauss(u, -4.5, 3.0) * gauss(v, -1.5, 4.5)
    antitragus = 3.2 * gauss(u, 6.5, 4.0) * gauss(v, -13.0, 3.0)
    plump = 1.6 * lobe * (1 - radius**4)
    return helix + scapha + antihelix + fossa + concha + crus + tragus + antitragus + plump


def rings() -> list[Array]:
    """14 rings (30, 3), from the attachment to the canal.

    The first lies near the head: put it onto the skin by its (y, z).
    """
    behind = _behind()
    in_front_height = -1.0
    placed = []
    for rear_share, front_share, rear_height in _RINGS:
        share = front_share + (rear_share - front_share) * behind
        uv = _CENTER + (_outline() - _CENTER) * share[:, None]
        relief = _relief(uv, np.minimum(share, 1.0))
        # In front the relief dies away into the cheek.
        relief = relief * np.where(share > 0.9, smoothstep(1.12, 0.9, share), 1.0) + (
            in_front_height * (1 - behind) * smoothstep(0.7, 1.0, share)
        )
        height = relief if rear_height is None else relief + (rear_height - relief) * behind
        u, v, normal = _frame()
        placed.append(_CANAL + (uv[:, :1] * u + uv[:, 1:] * v + height[:, None] * normal) * MM)
    return placed
