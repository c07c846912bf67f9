"""The 68 landmarks as points on triangles."""

from __future__ import annotations

import numpy as np

from flame_pytorch.model import LandmarkEmbedding
from synthforge.landmarks import FLIP
from synthforge.mannequin import face, mouth, region_outlines, skull
from synthforge.mannequin.assembly import Assembly
from synthforge.mannequin.parts import Part
from synthforge.mannequin.profiles import MM, Array

# Points that lie on free skin, seen from the front: left half, mm. iBUG index: (x, y).
_ON_SKIN = {
    27: (0.0, 25.0),
    28: (0.0, 11.0),
    29: (0.0, -3.0),
    30: (0.0, -15.0),
    33: (0.0, -26.5),
    34: (6.5, -26.0),
    35: (13.0, -24.2),
}
# Frontal x of the left brow's points, spread evenly over the strip, mm.
_ON_BROW = {22: 11.8, 23: 23.5, 24: 35.5, 25: 46.5, 26: 54.8}
# Points of the left lid margin: iBUG index to position along the contour.
_ON_LID = {42: 0, 43: 5, 44: 11, 45: 16, 46: 21, 47: 27}
# Points of the lips, left half: iBUG index to frontal x in mm.
_ON_UPPER_BORDER = {51: 0.0, 52: 5.6, 53: 14.5, 54: 25.0}
_ON_LOWER_BORDER = {57: 0.0, 56: 7.5, 55: 15.0}
_ON_UPPER_CONTACT = {62: 0.0, 63: 6.8, 64: 22.5}
_ON_LOWER_CONTACT = {66: 0.0, 65: 6.8}
# The jaw line from the chin (8) to the ear (16): x, y and z in mm.
_JAW_LINE = (
    (0, -93.5, 42),
    (13.0, -92.3, 39),
    (26.0, -87.5, 31),
    (38.5, -78.5, 19),
    (50.0, -66.0, 4),
    (58.5, -50.0, -9),
    (65.0, -31.0, -18),
    (69.5, -10.0, -23),
    (71.0, 12.0, -26),
)
_CONTOUR_ROWS = 40
_CONTOUR_STEPS = 48
_OUTLINE_TOLERANCE = 0.5 * MM
Point = tuple[int, Array]


def embed(assembly: Assembly) -> LandmarkEmbedding:
    on_mesh = _Locator(assembly)
    points: dict[int, Point] = {}
    for index, (x, y) in _ON_SKIN.items():
        points[index] = on_mesh.from_front(x * MM, y * MM)
    for index, x in _ON_BROW.items():
        height = region_outlines.brow_ridge(np.array(x * MM))
        points[index] = on_mesh.from_front(x * MM, float(height))
    for index, place in _ON_LID.items():
        points[index] = on_mesh.vertex(assembly.rings["lid"][place])
    for ring, upper, table in (
        ("lip_border", True, _ON_UPPER_BORDER),
        ("lip_border", False, _ON_LOWER_BORDER),
        ("lip_contact", True, _ON_UPPER_CONTACT),
        ("lip_contact", False, _ON_LOWER_CONTACT),
    ):
        for index, x in table.items():
            points[index] = on_mesh.along_lip(assembly.rings[ring], x * MM, upper)
    for index in list(points):
        points.setdefault(FLIP[index], on_mesh.mirrored(points[index]))
    faces, bary = _table([points[index] for index in range(17, 68)])
    paths = [on_mesh.jaw_path(index) for index in range(len(_JAW_LINE))]
    rows = [_contour(on_mesh, paths, np.radians(degrees)) for degrees in range(_CONTOUR_ROWS)]
    contour = [_table(row) for row in rows]
    for row in rows[1:]:
        contour.append(_table([on_mesh.mirrored(point) for point in row[::-1]]))
    return LandmarkEmbedding(
        static_faces=faces,
        static_bary=bary,
        contour_faces=np.stack([faces for faces, _ in contour]),
        contour_bary=np.stack([bary for _, bary in contour]),
    )


def _table(points: list[Point]) -> tuple[Array, Array]:
    return np.array([face for face, _ in points]), np.stack([bary for _, bary in points])


def _contour(on_mesh: _Locator, paths: list[list[Point]], yaw: float) -> list[Point]:
    """The 17 points, subject's right ear to left ear, of a head turned by `yaw` (radians, >= 0).

    Each point slides from the jaw line towards the face's middle until it lies on the outline.
    """
    left = [_outermost(on_mesh, path, yaw) for path in paths]
    right = [_outermost(on_mesh, path, -yaw) for path in paths[1:]]
    return [on_mesh.mirrored(point) for point in right[::-1]] + left


def _outermost(on_mesh: _Locator, path: list[Point], yaw: float) -> Point:
    """The point of a path that is furthest to the left when the head turns left.

    Or rather the foremost of those that are as good as that: on the very outline a point would
    count as hidden.
    """
    positions = np.stack([on_mesh.position(point) for point in path])
    across = positions[:, 0] * np.cos(yaw) + positions[:, 2] * np.sin(yaw)
    outermost = np.flatnonzero(across > across.max() - _OUTLINE_TOLERANCE)
    return path[int(outermost[-1])]


class _Locator:
    """Finds places on the left half of the skin."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.vertices, self.faces = assembly.vertices, assembly.faces
        half = len(self.faces) // 2
        outer = np.isin(assembly.parts, (Part.SKIN, Part.LIPS, Part.EAR))
        self.left = np.flatnonzero(outer[self.faces[:half]].all(1))
        self.half = half

    def mirrored(self, point: Point) -> Point:
        face, bary = point
        return (face + self.half) % (2 * self.half), bary[::-1]

    def vertex(self, index: int) -> Point:
        face = int(np.flatnonzero((self.faces[: self.half] == index).any(1))[0])
        return face, (self.faces[face] == index).astype(float)

    def from_front(self, x: float, y: float) -> Point:
        """The foremost left face seen from the front at (x, y)."""
        corners = self.vertices[self.faces[self.left]]
        (a, b, c), target = corners[:, :, :2].transpose(1, 0, 2), np.array([x, y])
        area = _cross(b - a, c - a)
        bary = (
            np.stack([_cross(b - target, c - target), _cross(c - target, a - target)], -1)
            / np.where(np.abs(area) < 1e-12, np.inf, area)[:, None]
        )
        bary = np.concatenate([bary, 1 - bary.sum(1, keepdims=True)], 1)
        depth = (bary * corners[:, :, 2]).sum(1)
        hit = (bary >= -1e-6).all(1) & (area > 0)
        best = int(np.where(hit, depth, -np.inf).argmax())
        weights = np.clip(bary[best], 0, 1)
        return int(self.left[best]), weights / weights.sum()

    def nearest(self, target: Array) -> Point:
        """The face whose plane point lies nearest to `target` (3,)."""
        corners = self.vertices[self.faces[self.left]]
        close = np.argsort(((corners.mean(1) - target) ** 2).sum(1))[:12]
        a, b, c = corners[close].transpose(1, 0, 2)
        normal = np.cross(b - a, c - a)
        squared = (normal**2).sum(1)
        w1 = (np.cross(target - a, c - a) * normal).sum(1) / squared
        w2 = (np.cross(b - a, target - a) * normal).sum(1) / squared
        bary = np.clip(np.stack([1 - w1 - w2, w1, w2], -1), 0, 1)
        bary /= bary.sum(1, keepdims=True)
        miss = ((bary[:, :, None] * corners[close]).sum(1) - target) ** 2
        best = int(miss.sum(1).argmin())
        return int(self.left[close[best]]), bary[best]

    def along_lip(self, ring: Array, x: float, upper: bool) -> Point:
        """The point of a lip ring at frontal x, between two of its vertices."""
        ids = ring[: mouth.CORNER + 1] if upper else ring[: mouth.CORNER - 1 : -1]
        across = self.vertices[ids, 0]
        if x >= across[-1]:
            return self.vertex(ids[-1])
        after = int(np.searchsorted(across, x, side="right"))
        before, share = (
            ids[after - 1],
            (x - across[after - 1]) / (across[after] - across[after - 1]),
        )
        has = [(self.faces[: self.half] == i).any(1) for i in (before, ids[after])]
        face = int(np.flatnonzero(has[0] & has[1])[0])
        corner = self.faces[face]
        return face, np.where(corner == before, 1 - share, np.where(corner == ids[after], share, 0))

    def position(self, point: Point) -> Array:
        face, bary = point
        return bary @ self.vertices[self.faces[face]]

    def jaw_path(self, index: int) -> list[Point]:
        """From the jaw line forwards, for jaw point 8 + index."""
        end = np.array(_JAW_LINE[index])[None] * MM
        if index == 0:
            on_midline = np.where(self.vertices[:, 0] == 0, 0.0, np.inf)
            away = ((self.vertices - end) ** 2).sum(1) + on_midline
            return [self.vertex(int(away.argmin()))]
        theta, level = skull.locate(skull.from_side(end), skull.from_side, 1.2)
        angles = np.linspace(theta[0], theta[0] * 0.35, _CONTOUR_STEPS)
        path = face.sculpt(skull.surface(angles, np.full(_CONTOUR_STEPS, level[0])))
        return [self.nearest(point) for point in path]


def _cross(a: Array, b: Array) -> Array:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
