"""Eyeballs, the lids' margins, and the skin that rides on the globe. Left eye; metres, FLAME."""

from __future__ import annotations

import functools

import numpy as np

from synthforge.mannequin.profiles import MM, Array, gauss, smoothstep, soft_max

# Centre as FLAME's left eye joint; radius of a human globe (Farkas 1994 for the canthi).
CENTER = np.array([31.5, 23.5, 22.8]) * MM
RADIUS = 12.0 * MM
CORNEA_BULGE = 1.0 * MM
INNER_CANTHUS = np.array([16.8, 21.6]) * MM
OUTER_CANTHUS = np.array([44.8, 24.4]) * MM
CONTOUR_POINTS = 32
OUTER_POINT = CONTOUR_POINTS // 2
# Skin of the lids lies this far off the globe; the margin's inner edge almost touches it.
LID_THICKNESS = 1.9 * MM
MARGIN_GAP = 0.35 * MM
UPPER_LID_HEIGHT = 5.3 * MM
LOWER_LID_HEIGHT = 4.7 * MM
# How fast the skin turns from lid to face with distance from the margin.
LID_REACH = 6.0 * MM
# Radius on the globe's flat layout by share of the polar angle: less than 1 enlarges the iris.
_DISC_POWER = 0.6
# Rings round the eye are oval from here on.
_ROUND_MARGIN = 7.0 * MM


def lid_contour(count: int = CONTOUR_POINTS) -> Array:
    """(count, 2) frontal margin: inner canthus, over the top to the outer one, back below."""
    s = np.linspace(0, 1, count // 2 + 1)
    line = INNER_CANTHUS + (OUTER_CANTHUS - INNER_CANTHUS) * s[:, None]
    arch = 4 * s * (1 - s)
    upper, lower = line.copy(), line.copy()
    upper[:, 1] += UPPER_LID_HEIGHT * arch**0.78 * (1 + 0.30 * (0.5 - s))
    lower[:, 1] -= LOWER_LID_HEIGHT * arch**0.85 * (1 - 0.35 * (0.5 - s))
    return np.concatenate([upper, lower[1:-1][::-1]])


def skin_ring(margin: float) -> Array:
    """(32, 2) frontal ring round the lid margin, `margin` metres off: rounder the further."""
    contour = lid_contour()
    middle = (INNER_CANTHUS + OUTER_CANTHUS) / 2
    offset = contour - middle
    grown = offset * (1 + margin / np.linalg.norm(offset, axis=1, keepdims=True))
    turn = np.arctan2(offset[:, 1] * 2.2, offset[:, 0])
    oval = np.stack([15.0 * MM * np.cos(turn), 7.5 * MM * np.sin(turn)], -1)
    oval *= 1 + margin / np.linalg.norm(oval, axis=1, keepdims=True)
    roundness = smoothstep(0, _ROUND_MARGIN, np.array(margin))
    return middle + grown + roundness * (oval - grown)


def lid_heights(x: Array) -> tuple[Array, Array]:
    """Frontal height of the upper and lower margin at each x; equal outside the canthi."""
    contour = lid_contour(200)
    upper, lower = contour[:101], np.concatenate([contour[:1], contour[:99:-1]])
    return np.interp(x, *upper.T), np.interp(x, *lower.T)


def distance_to_margin(x: Array, y: Array) -> Array:
    """Signed frontal distance to the lid margin, negative within the fissure."""
    contour = lid_contour(96)
    offset = np.stack([x, y], -1)[:, None] - contour
    distance = np.sqrt((offset**2).sum(-1).min(1))
    relative = contour - CENTER[:2]
    angles = np.arctan2(relative[:, 1], relative[:, 0])
    order = np.argsort(angles)
    radius = np.interp(
        np.arctan2(y - CENTER[1], x - CENTER[0]),
        angles[order],
        np.linalg.norm(relative, axis=1)[order],
        period=2 * np.pi,
    )
    inside = np.hypot(x - CENTER[0], y - CENTER[1]) < radius
    return np.where(inside, -distance, distance)


def globe_depth(x: Array, y: Array, clearance: float) -> Array:
    """z of the surface `clearance` off the globe, seen from the front.

    Beyond the globe's rim it runs into the plane of the canthi: the inner one lies 4 mm further
    forward than the outer.
    """
    squared = (RADIUS + clearance) ** 2 - (x - CENTER[0]) ** 2 - (y - CENTER[1]) ** 2
    globe = CENTER[2] + np.sqrt(np.maximum(squared, 0))
    across = (x - INNER_CANTHUS[0]) / (OUTER_CANTHUS[0] - INNER_CANTHUS[0])
    canthi = (29.3 - 3.6 * across) * MM + (clearance - LID_THICKNESS)
    return soft_max(globe, canthi, 1.6 * MM)


def drape_lids(points: Array) -> Array:
    """Pull face skin (N, 3) near the left eye onto the globe; carve the orbit and the lid fold."""
    x, y, z = points.T.copy()
    distance = distance_to_margin(x, y)
    on_lid = np.exp(-((np.maximum(distance, 0) / LID_REACH) ** 2))
    z += on_lid * (globe_depth(x, y, LID_THICKNESS) - z)
    upper = smoothstep(20.5 * MM, 25.5 * MM, y)
    z -= 1.0 * MM * gauss(distance, 9.0 * MM, 4.0 * MM) * (0.45 + 0.55 * upper)
    fold = upper * smoothstep(17 * MM, 23 * MM, x) * smoothstep(50 * MM, 45 * MM, x)
    z -= 1.1 * MM * gauss(distance, 4.0 * MM, 1.1 * MM) * fold
    z += 0.7 * MM * gauss(distance, 6.2 * MM, 1.6 * MM) * fold
    return np.stack([x, y, z], -1)


@functools.cache
def margin_rings() -> tuple[Array, Array, Array]:
    """Three rings (32, 3) inside the lid margin: its edge, where it meets the globe, and a hidden
    one within the globe that closes the canthi's corners."""
    contour = lid_contour()
    relative = contour - CENTER[:2]
    edge = CENTER[:2] + relative * 0.985
    touching = CENTER[:2] + relative * 0.955
    hidden_radius = RADIUS - 0.9 * MM
    reach = np.linalg.norm(relative, axis=1, keepdims=True)
    inwards = relative * np.minimum(0.92, 0.97 * hidden_radius / reach)
    hidden = CENTER[:2] + inwards
    squared = hidden_radius**2 - (inwards**2).sum(1)
    return (
        np.c_[edge, globe_depth(edge[:, 0], edge[:, 1], LID_THICKNESS - 0.5 * MM)],
        np.c_[touching, globe_depth(touching[:, 0], touching[:, 1], MARGIN_GAP)],
        np.c_[hidden, CENTER[2] + np.sqrt(squared)],
    )


def eyeball(around: int = 22, rings: int = 12) -> tuple[Array, Array, Array, Array]:
    """The left globe: vertices (V, 3), triangles (F, 3), and their flat layout.

    The layout, (T, 2) in the unit disc and triangles (F, 3) of its points, has the pupil in the
    middle and enlarges what is near it. Rings crowd towards the pupil, whose pole is vertex 0.
    """
    polar = np.linspace(0, 1, rings + 1)[1:-1, None] ** 1.2
    turn = np.linspace(0, 2 * np.pi, around, endpoint=False)[None]
    circle = np.stack([np.cos(turn), np.sin(turn)], -1)
    band = np.concatenate(
        [np.sin(np.pi * polar)[..., None] * circle, np.cos(np.pi * polar)[..., None] + 0 * circle],
        -1,
    )[..., :3]
    vertices = RADIUS * np.concatenate([[[0, 0, 1]], band.reshape(-1, 3), [[0, 0, -1]]])
    from_axis = np.hypot(vertices[:, 0], vertices[:, 1])
    vertices[:, 2] += CORNEA_BULGE * gauss(from_axis, 0, 4.6 * MM) * (vertices[:, 2] > 0)

    step = np.arange(around)
    following = (step + 1) % around
    front = np.stack([0 * step, 1 + step, 1 + following], -1)
    bands = []
    for ring in range(rings - 2):
        a, b = 1 + ring * around, 1 + (ring + 1) * around
        bands.append(np.stack([a + step, b + step, b + following], -1))
        bands.append(np.stack([a + step, b + following, a + following], -1))
    last, pole = 1 + (rings - 2) * around, len(vertices) - 1
    back = np.stack([last + step, 0 * step + pole, last + following], -1)
    triangles = np.concatenate([front, *bands, back])

    # The far pole is spread over the disc's rim, a point for each of its triangles.
    disc = (polar[..., None] ** _DISC_POWER * circle).reshape(-1, 2)
    half_step = np.pi / around
    rim = np.stack([np.cos(turn[0] + half_step), np.sin(turn[0] + half_step)], -1)
    layout = np.concatenate([[[0, 0]], disc, rim])
    layout_back = np.stack([last + step, pole + step, last + following], -1)
    return vertices + CENTER, triangles, layout, np.concatenate([front, *bands, layout_back])
