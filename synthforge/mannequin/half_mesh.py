"""The left half of the head as it is put together, patch by patch, and its mirroring."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from synthforge.mannequin.profiles import Array


@dataclass
class HalfMesh:
    """Vertices of the left half (x >= 0) with a place each on a flat chart.

    Charts keep orientation: a triangle that runs counter-clockwise on its chart is seen so from
    outside. Every patch may have charts of its own, so a vertex on a seam has several.
    """

    points: list[Array] = field(default_factory=list)
    parts: list[Array] = field(default_factory=list)
    charts: list[Array] = field(default_factory=list)
    triangles: list[Array] = field(default_factory=list)
    chart_triangles: list[Array] = field(default_factory=list)
    vertex_count: int = 0
    chart_count: int = 0

    def add(self, points: Array, part: int) -> Array:
        """New vertices (N, 3) -> their ids."""
        self.points.append(points)
        self.parts.append(np.full(len(points), part))
        self.vertex_count += len(points)
        return np.arange(self.vertex_count - len(points), self.vertex_count)

    def chart(self, places: Array) -> Array:
        """New places (N, 2) on a chart -> their ids."""
        self.charts.append(places)
        self.chart_count += len(places)
        return np.arange(self.chart_count - len(places), self.chart_count)

    def sew(self, triangles: Array, chart_triangles: Array) -> None:
        """Add triangles (F, 3), turned counter-clockwise as their charts say."""
        places = np.concatenate(self.charts)[chart_triangles]
        a, b = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
        backwards = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0
        self.triangles.append(np.where(backwards[:, None], triangles[:, ::-1], triangles))
        self.chart_triangles.append(
            np.where(backwards[:, None], chart_triangles[:, ::-1], chart_triangles)
        )

    def strip(self, first: tuple[Array, Array], second: tuple[Array, Array], closed: bool) -> None:
        """Sew two rows, each (vertex ids, chart ids), of equal length."""
        self.sew(*(_strip(a, b, closed) for a, b in zip(first, second, strict=True)))


def _strip(a: Array, b: Array, closed: bool) -> Array:
    a_next, b_next = np.roll(a, -1), np.roll(b, -1)
    faces = np.stack([np.stack([a, a_next, b_next], -1), np.stack([a, b_next, b], -1)], 1)
    return faces.reshape(-1, 3) if closed else faces[:-1].reshape(-1, 3)
