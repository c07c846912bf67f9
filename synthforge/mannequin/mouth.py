"""Lips and the cavity behind them, as half rings from the upper midline round the corner to the
lower midline. Left half; metres, FLAME frame."""

from __future__ import annotations

import numpy as np

from synthforge.mannequin.profiles import MM, Array, curve

CENTER = np.array([0.0, -47.8]) * MM
HALF_WIDTH = 25.0 * MM
UPPER_POINTS, LOWER_POINTS = 13, 12
CORNER = UPPER_POINTS - 1
RING_POINTS = UPPER_POINTS + LOWER_POINTS - 1

_UPPER_BORDER = curve(
    (0, 2.6, 5.6, 10, 15, 20, 25), (-41.0, -40.2, -39.6, -41.0, -43.6, -45.7, -47.4)
)
_LOWER_BORDER = curve((0, 6, 11, 16, 20.5, 25), (-57.0, -56.7, -55.6, -53.4, -50.1, -47.4))
_CONTACT = curve((0, 3, 7, 12, 18, 25), (-48.1, -47.8, -47.1, -47.2, -47.5, -47.4))
# Across the vermilion from border (0) to contact (1): how far the upper and lower lip stand
# forward of the straight line between the two, mm.
_VERMILION = (
    (0.14, 0.7, 0.8),
    (0.32, 1.9, 2.3),
    (0.54, 2.9, 3.5),
    (0.76, 3.0, 3.7),
    (0.92, 1.9, 2.3),
    (1.00, 0.0, 0.0),
)
_CONTACT_DEPTH = 1.8 * MM
# The lips' edges overlap by this much each, so that nothing shows between closed lips.
_CONTACT_OVERLAP = 0.12 * MM
# The cavity behind the contact: mm away from it upwards (or downwards), mm back, width.
_CAVITY = (
    (0.4, 2.5, 1.00),
    (2.6, 4.8, 1.03),
    (7.0, 6.5, 1.10),
    (11.5, 11.0, 1.22),
    (13.5, 24.0, 1.32),
    (12.0, 40.0, 1.30),
    (6.0, 53.0, 1.05),
)


def side() -> Array:
    """int (24,): +1 along the upper lip, 0 at the corner, -1 along the lower lip."""
    return np.sign(CORNER - np.arange(RING_POINTS))


def border() -> Array:
    """(24, 2) frontal outline of the vermilion."""
    upper_x = HALF_WIDTH * np.sin(np.linspace(0, np.pi / 2, UPPER_POINTS))
    lower_x = HALF_WIDTH * np.sin(np.linspace(np.pi / 2, 0, LOWER_POINTS))[1:]
    return np.concatenate(
        [np.c_[upper_x, _UPPER_BORDER(upper_x)], np.c_[lower_x, _LOWER_BORDER(lower_x)]]
    )


def contact() -> Array:
    """(24, 2) frontal line on which the lips meet, point for point with `border`."""
    x = border()[:, 0]
    return np.c_[x * 0.972, _CONTACT(x)]


def contact_height(x: Array) -> Array:
    return _CONTACT(np.abs(x))


def _roundness() -> Array:
    """1 at the midline, 0 at the corner."""
    return np.sqrt(np.clip(1 - (border()[:, 0] / HALF_WIDTH) ** 2, 0, 1))


def vermilion_rings(border_z: Array, contact_skin_z: Array) -> list[Array]:
    """Six rings (24, 3) from just inside the border to the contact line.

    border_z: (24,), the skin at the border. contact_skin_z: the unsculpted skin at the contact.
    """
    roundness = _roundness() ** 0.55
    contact_z = contact_skin_z - _CONTACT_DEPTH * (0.05 + 0.95 * roundness)
    rings = []
    for across, upper_mm, lower_mm in _VERMILION:
        xy = border() * (1 - across) + contact() * across
        z = border_z * (1 - across) + contact_z * across
        z = z + np.where(side() > 0, upper_mm, lower_mm) * MM * roundness
        if across == 1.0:
            xy[:, 1] -= side() * _CONTACT_OVERLAP
        rings.append(np.c_[xy, z])
    return rings


def cavity_rings(contact_ring: Array) -> list[Array]:
    """Seven rings (24, 3) from behind the lips to the throat."""
    roundness = _roundness()
    rings = []
    for away, back, width in _CAVITY:
        ring = contact_ring.copy()
        ring[:, 0] *= width
        ring[:, 1] += side() * away * MM * (0.30 + 0.70 * roundness)
        ring[:, 2] -= back * MM * (0.70 + 0.30 * roundness)
        rings.append(ring)
    return rings
