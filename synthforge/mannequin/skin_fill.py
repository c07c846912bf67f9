"""The skin between the features' rings: points at a spacing that suits the place, and Delaunay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.path import Path
from scipy.sparse import coo_matrix
from scipy.spatial import Delaunay, cKDTree

from synthforge.mannequin import face, skull
from synthforge.mannequin.profiles import MM, Array, arc_length

# Metres of the flat plane per radian of theta: about a head's half breadth.
PLANE_RADIUS = 0.075
_CROWN_POINTS = 8
_LINE_CLEARANCE = 1.3 * MM


def plane(theta: Array, level: Array) -> Array:
    return np.stack([theta * PLANE_RADIUS, level], -1)


def _is_nose(p: Array) -> Array:
    x, y, z = p.T
    return (x < 21 * MM) & (y > -33 * MM) & (y < 28 * MM) & (z > 0)


def _is_brow(p: Array) -> Array:
    x, y, z = p.T
    return (x < 60 * MM) & (y > 27 * MM) & (y < 53 * MM) & (z > 0)


def _is_inner_face(p: Array) -> Array:
    x, y, z = p.T
    return (x < 52 * MM) & (y > -101 * MM) & (y < 56 * MM) & (z > 5 * MM)


def _is_front(p: Array) -> Array:
    _, y, z = p.T
    near_ear = (np.abs(y - 5 * MM) < 45 * MM) & (z > -75 * MM)
    return ((z > -12 * MM) | near_ear) & (y > -125 * MM) & (y < 85 * MM)


def _is_head(p: Array) -> Array:
    return p[:, 1] > -1.0


# Finest first: where, metres between rows, metres along a row.
_ZONES: tuple[tuple[Callable[[Array], Array], float, float], ...] = (
    (_is_nose, 1.75 * MM, 2.4 * MM),
    (_is_brow, 2.7 * MM, 3.1 * MM),
    (_is_inner_face, 3.8 * MM, 4.4 * MM),
    (_is_front, 6.2 * MM, 6.8 * MM),
    (_is_head, 10.8 * MM, 11.8 * MM),
)


def _skin(theta: Array, level: Array) -> Array:
    return face.sculpt(skull.surface(theta, level))


def _staggered_rows(inside: Callable[[Array], Array], between: float, along: float) -> Array:
    """(N, 2) of theta, level: rows of evenly spaced points, every other row shifted by half."""
    crown = skull.crown_level()
    levels = np.arange(between, crown - 0.6 * between, between)
    fine = np.linspace(0, np.pi, 240)
    rows = _skin(np.tile(fine, len(levels)), levels.repeat(len(fine))).reshape(
        len(levels), len(fine), 3
    )
    found = []
    for index, (level, row) in enumerate(zip(levels, rows, strict=True)):
        length = arc_length(row)
        count = max(2, round(length[-1] / along))
        shares = (np.arange(count) + (0.5 if index % 2 else 0.999)) / count
        theta = np.interp(shares[shares < 0.999] * length[-1], length, fine)
        found.append(np.stack([theta, np.full(len(theta), level)], -1))
    points = np.concatenate(found)
    return points[inside(skull.surface(*points.T))]


def _spacing(p: Array) -> Array:
    spacing = np.full(len(p), _ZONES[-1][1])
    for inside, between, _ in _ZONES[-2::-1]:
        spacing = np.where(inside(p), between, spacing)
    return spacing


def _along_level(theta: float) -> Array:
    """Levels of midline points, as far apart as the zones ask."""
    fine = np.linspace(0, skull.crown_level(), 1200)
    p = skull.surface(np.full(len(fine), theta), fine)
    count = np.concatenate([[0.0], np.cumsum(np.diff(fine) / _spacing(p)[1:])])
    even = np.linspace(0, count[-1], round(count[-1]) + 1)
    return np.interp(even, count, fine)[:-1]


def _border(gap: tuple[float, float]) -> Array:
    """Points (N, 2) on the front midline outside `gap` (levels), back midline, base and crown."""
    front = _along_level(0.0)
    front = front[(front < gap[0] - 1.2 * MM) | (front > gap[1] + 1.2 * MM)]
    back = _along_level(np.pi)
    base = np.linspace(0, np.pi, 22)[1:-1]
    crown = np.linspace(0, np.pi, _CROWN_POINTS)
    return np.concatenate(
        [
            np.stack([0 * front, front], -1),
            np.stack([0 * back + np.pi, back], -1),
            np.stack([base, 0 * base], -1),
            np.stack([crown, 0 * crown + skull.crown_level()], -1),
        ]
    )


def fill(holes: list[Array], midline_hole: int, lines: list[Array]) -> tuple[Array, Array]:
    """Mesh the skin round `holes`, rings (n, 2) of theta and level, closed.

    midline_hole: the one that opens on the front midline, its first and last point on it.
    lines: rows of points (n, 2) that edges should follow, where they run free of the holes.
    Returns new points (N, 2) of theta and level, and triangles that count the holes' points
    first, in order, then the new ones. Points at the crown's level are one point of the head.
    """
    fixed = np.concatenate(holes)
    outlines = [Path(plane(*hole.T)) for hole in holes]
    ends = sorted(holes[midline_hole][[0, -1], 1])
    placed = np.concatenate([fixed, _border((ends[0], ends[1]))])
    for line in lines:
        placed = np.concatenate([placed, _clear(line, placed, outlines)])
    border_end = len(placed)
    for inside, between, along in _ZONES:
        candidates = _staggered_rows(inside, between, along)
        free = _clear(candidates, placed, outlines, 0.72 * between)
        placed = np.concatenate([placed, free])
    flat = plane(*placed.T)
    for _ in range(3):
        flat[border_end:] = _neighbour_means(flat)[border_end:]
    triangles = Delaunay(flat).simplices
    center = flat[triangles].mean(1)
    free = ~np.any([outline.contains_points(center) for outline in outlines], axis=0)
    a, b, c = (flat[triangles[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    new = flat[len(fixed) :] / [PLANE_RADIUS, 1.0]
    return new, triangles[free & (np.abs(area) > 1e-9)]


def _clear(
    points: Array, placed: Array, outlines: list[Path], distance: float = _LINE_CLEARANCE
) -> Array:
    """Those of `points` outside all holes and at least `distance` from those placed."""
    flat = plane(*points.T)
    outside = ~np.any([outline.contains_points(flat) for outline in outlines], axis=0)
    points = points[outside]
    apart, _ = cKDTree(_skin(*placed.T)).query(_skin(*points.T))
    return points[apart > distance]


def _neighbour_means(flat: Array) -> Array:
    triangles = Delaunay(flat).simplices
    i, j = triangles[:, [0, 1, 2, 1, 2, 0]].ravel(), triangles[:, [1, 2, 0, 0, 1, 2]].ravel()
    neighbours = coo_matrix((np.ones(len(i)), (i, j)), shape=(len(flat),) * 2).tocsr()
    neighbours.data[:] = 1.0
    return (neighbours @ flat) / neighbours.sum(1).A1[:, None]
