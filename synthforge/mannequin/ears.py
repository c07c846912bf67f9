"""The left ear: relief over a plane that stands off the head. Metres, FLAME frame.

Ear coordinates (u, v): u backwards, v upwards in the ear's plane, from the mouth of the canal.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.interpolate import CubicSpline

from synthforge.mannequin.profiles import MM, Array, arc_length, gauss, smoothstep, unit

POINTS = 28
# Outline, mm: an adult ear is about 62 by 34 (Farkas 1994).
_OUTLINE = np.array(
    [
        (-6.5, -5.5, -2.5, 3.5, 10, 14.5, 19, 23.5, 25, 22, 15, 6, -2, -7, -9, -9.5, -8.5),
        (-12, -20, -26, -28.5, -26, -18.5, -6, 6, 18, 28, 34, 35, 31, 23, 13, 3, -5),
    ]
).T
_CENTER = np.array([6.0, 2.5])
_CANAL = np.array([73.0, 4.0, -49.0]) * MM
# The plane opens backwards by this angle from the head's side, and leans back.
_OPENING = np.radians(21)
_LEAN = np.radians(10)
# Rings from the head to the canal. Fraction of the outline behind the ear and in front of it,
# and the height over the plane (mm) of the part behind it; None: the relief's own height.
_RINGS = (
    (0.62, 1.13, None),
    (0.80, 1.09, -4.5),
    (0.95, 1.05, -2.4),
    (1.00, 1.02, -0.6),
    (0.985, 0.985, None),
    (0.94, 0.94, None),
    (0.88, 0.88, None),
    (0.80, 0.80, None),
    (0.71, 0.71, None),
    (0.61, 0.61, None),
    (0.50, 0.50, None),
    (0.37, 0.37, None),
    (0.20, 0.20, None),
)
_FRONT_LIFT = (0.0, 0.1, 0.3, 0.55, 0.8)


@functools.cache
def _frame() -> Array:
    """Rows: u, v and the plane's normal."""
    u = np.array([np.sin(_OPENING), 0.0, -np.cos(_OPENING)])
    v = np.array([0.15, np.cos(_LEAN), -np.sin(_LEAN)])
    v = unit(v - u * (u @ v))
    return np.stack([u, v, np.cross(v, u) * -1])


@functools.cache
def _outline() -> Array:
    """(28, 2) mm, evenly spaced, counter-clockwise seen from outside the head."""
    knots = np.concatenate([_OUTLINE, _OUTLINE[:1]])
    spline = CubicSpline(np.arange(len(knots)), knots, bc_type="periodic")
    fine = spline(np.linspace(0, len(knots) - 1, 600))
    length = arc_length(fine)
    even = np.linspace(0, length[-1], POINTS, endpoint=False)
    return np.stack([np.interp(even, length, fine[:, k]) for k in range(2)], -1)


def _behind() -> Array:
    """(28,): 1 where the rim stands off the head, 0 where it grows out of the cheek."""
    relative = _outline() - _CENTER
    angle = np.arctan2(relative[:, 1], relative[:, 0])
    return smoothstep(2.55, 1.55, np.abs(angle + 0.12))


def _relief(uv: Array, radius: Array) -> Array:
    """Height over the ear's plane, mm, at (N, 2) mm whose share of the outline is `radius`."""
    u, v = uv.T
    lobe = smoothstep(-13, -20, v)
    helix_grows = np.maximum(smoothstep(-6, 1, u), smoothstep(10, 20, v))
    helix = 3.4 * gauss(radius, 0.94, 0.08) * (1 - lobe) * helix_grows
    scapha = -1.6 * gauss(radius, 0.80, 0.07) * (1 - lobe) * smoothstep(-4, 6, u)
    antihelix = 3.2 * gauss(radius, 0.64, 0.10) * smoothstep(-2, 7, u) * (1 - lobe)
    fossa = -2.2 * gauss(u, 6, 5) * gauss(v, 21, 5)
    concha = -7.5 * np.exp(-((((u - 4.5) / 9.0) ** 2 + ((v + 1) / 11.0) ** 2) ** 1.6))
    crus = 2.2 * gauss(v, 7.0 - 0.2 * u, 2.2) * smoothstep(9, -4, u)
    tragus = 5.5 * gauss(u, -4.5, 3.0) * gauss(v, -1.5, 4.5)
    antitragus = 3.2 * gauss(u, 6.5, 4.0) * gauss(v, -13.0, 3.0)
    plump = 1.6 * lobe * (1 - radius**4)
    return helix + scapha + antihelix + fossa + concha + crus + tragus + antitragus + plump


def lift() -> list[Array]:
    """For each of the first rings (28,): how far its points have left the skin, 0 to 1.

    All of the first ring lies on it; in front, the next ones leave it step by step.
    """
    behind = _behind()
    return [np.zeros(POINTS), *(behind + (1 - behind) * share for share in _FRONT_LIFT)]


def rings() -> list[Array]:
    """13 rings (28, 3), from the attachment to the canal, those in `lift` not yet on the skin."""
    behind = _behind()
    placed = []
    for rear_share, front_share, rear_height in _RINGS:
        share = front_share + (rear_share - front_share) * behind
        uv = _CENTER + (_outline() - _CENTER) * share[:, None]
        relief = _relief(uv, np.minimum(share, 1.0))
        height = relief if rear_height is None else relief + (rear_height - relief) * behind
        u, v, normal = _frame()
        placed.append(_CANAL + (uv[:, :1] * u + uv[:, 1:] * v + height[:, None] * normal) * MM)
    return placed
