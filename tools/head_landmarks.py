"""The 68 points as annotators set them (iBUG), as points on triangles of the head.

The 51 inner points are means of base vertices, moved to where annotators set them and dropped onto
the skin. The jaw line is found anew for each degree of yaw: the outline of the face above the
jawbone's lower edge, from the height of the eyes to the chin, as it is seen; on the near side it
ends before the ear.
"""

from __future__ import annotations

import numpy as np
from anny_source import AnnySource, Array, Ids
from head_mesh import MM, HeadMesh
from head_regions import brow_height
from scipy.ndimage import uniform_filter1d

from flame_pytorch.model import LandmarkEmbedding
from synthforge.landmarks import FLIP
from synthforge.regions import REGION_ID

# Left half: iBUG index to base vertices, whose mean it is.
_AT = {
    27: (136,), 28: (135,), 29: (164,), 30: (5054,),
    33: (317,), 34: (7077, 7120), 35: (7121, 7119),
    42: (13363, 13365), 43: (6838,), 44: (6784,), 45: (13376,), 46: (6825,), 47: (6831,),
    51: (466,), 52: (7216,), 53: (7207,), 54: (7182,),
    55: (7233, 7239), 56: (7239, 7245), 57: (496,),
    62: (474,), 63: (7227,), 64: (10400,), 65: (7236, 7242), 66: (493,),
}  # fmt: skip
# How far annotators' points lie from those, mm outwards and up. Measured: where dlib's detector,
# which learned from annotators, puts its points in images of this head, less the same in
# photographs with annotators' points; and where a net that learned from this head puts its points
# in those photographs.
_MOVED = {
    27: (0.0, -2.3), 28: (0.0, -1.7), 29: (0.0, -0.9), 30: (0.0, 2.4),
    33: (0.0, -0.5), 34: (-1.6, 2.4), 35: (-2.6, 3.6),
    42: (-0.5, -0.8), 43: (-1.5, 0.1), 44: (-1.0, 0.2), 45: (-3.0, -1.0), 46: (-1.4, 0.2),
    47: (-2.2, 0.2),
    51: (0.0, -1.4), 52: (-2.0, 0.0), 53: (-3.2, 0.5), 54: (-2.2, -1.7),
    55: (-0.1, -2.7), 56: (-3.0, -2.0), 57: (0.0, -1.5),
    63: (-2.8, 1.0), 64: (-3.4, -2.3), 65: (-1.8, 0.0), 66: (0.0, 0.0),
}  # fmt: skip
# Those that are moved across the skin as it is seen from the front.
_FROM_FRONT = (*range(27, 36), 51, 57, 66)
# The left brow's points: frontal x (mm), and how high between its middle (0) and upper edge (1).
_BROW = {22: (14.0, 0.5), 23: (25.3, 1.0), 24: (37.5, 1.0), 25: (50.0, 1.0), 26: (58.5, 0.0)}
_FACE = ("face", "forehead", "eye_region", "eye_region+forehead", "scalp", "nose")
_ROWS = 40
# Places on a triangle that are tried for the outline, and directions round the face.
_GRID = 6
_DIRECTIONS = 360
_CENTER = np.array([0.0, -25.0, 10.0]) * MM
_TOLERANCE = 0.2 * MM
# The outline's face ends here, before the ear.
_EAR_Z = -38.0 * MM
# Steps of the outline over which its length is smoothed.
_SMOOTH = 7
# Where annotators' points lie from the even ones, measured likewise: degrees of yaw to mm along the
# line, towards the subject's left, and outwards, as seen; subject's right to left.
_JAW_ALONG = {
    0: (0.9, 0.9, 0.9, 1.3, 2.2, 1.6, 1.9, 1.9, 0, -1.9, -1.9, -1.6, -2.2, -1.3, -0.9, -0.9, -0.9),
    14: (-2.2, -1.5, -2.5, -0.8, 0.8, 1.3, 2.5, 3,
         0.8, -1.4, -0.3, -0.8, -1.5, -2.7, -3, -1.8, -2.3),
    24: (-2.1, -3.2, -2.7, -1.6, 0, 1.6, 2.9, 2.4,
         -1.2, -2.7, -2.1, -3.7, -3.7, -4.5, -4.5, -2.5, -3.7),
    34: (-2.7, -4.8, -3.8, -3.2, -1.9, -0.9, 1.3, 1.4,
         -2, -5, -5.5, -6.8, -5.8, -5.3, -4.3, -2.3, -3),
}  # fmt: skip
_JAW_OUT = {
    0: (1, 0.2, -0.5, 1, 0.5, -0.8, -0.7, 1.4, 1.6, 1.4, -0.7, -0.8, 0.5, 1, -0.5, 0.2, 1),
    14: (0.2, -0.6, -0.7, 0.4, -0.8, -2.3, -1, 1.6,
         0.8, 0.8, -1.2, 0, 0.8, 0.2, -0.8, -0.4, 0.5),
    24: (-1.2, -1.6, -1.4, -1.1, -2.4, -3, -0.4, 2.1,
         0.9, 0.4, -0.8, 0.2, 0.6, 0.6, -0.8, 0.3, 0),
    34: (-1.7, -1.9, -0.6, -0.6, -1, -1.4, 0.6, 2.4,
         0.9, 0.8, 0.4, 0.8, 0.4, 0.6, -0.6, 0.4, -0.5),
}  # fmt: skip
# Of the skin this near to such a place, as seen, the foremost counts.
_NEAR = 0.5 * MM
# The jaw line's 8 even steps down to the chin begin so far above the middle of the eyes.
_ABOVE_EYES = 4.0 * MM
_MENTON = 5171
# The jawbone's lower edge lies in a plane through the chin and the angles of the jaw: y at z = 0,
# and how it falls with z.
_EDGE_Y, _EDGE_SLOPE = -71.0 * MM, -0.39


def embed(
    source: AnnySource, mesh: HeadMesh, region: Ids, mirror: Ids, points: Array
) -> LandmarkEmbedding:
    """points: (V, 3), the reference."""
    skin = np.flatnonzero(mesh.quad >= 0)
    front = skin[points[mesh.faces[skin], 2].mean(1) > 0]
    faces: dict[int, int] = {}
    bary: dict[int, Array] = {}
    for index, vertices in _AT.items():
        target = points[mesh.base[list(vertices)]].mean(0)
        target[:2] += np.array(_MOVED.get(index, (0.0, 0.0))) * MM
        if index in _FROM_FRONT:
            faces[index], bary[index] = _from_front(points, mesh.faces, front, target[:2])
        else:
            faces[index], bary[index] = _nearest(points, mesh.faces, skin, target)
    for index, (x, across) in _BROW.items():
        target = np.array([x, float(brow_height(np.array(x), across))]) * MM
        faces[index], bary[index] = _from_front(points, mesh.faces, front, target)
    flipped = _mirrored_faces(mesh.faces, mirror)
    for index in list(faces):
        if FLIP[index] not in faces:
            faces[FLIP[index]] = int(flipped[faces[index]])
            image = mirror[mesh.faces[faces[index]]]
            corner = mesh.faces[faces[FLIP[index]]]
            order = [int(np.flatnonzero(image == vertex)[0]) for vertex in corner]
            bary[FLIP[index]] = bary[index][order]
    outline = _Outline(mesh, region, points)
    rows = [outline.row(np.radians(degrees)) for degrees in range(_ROWS)]
    image = _mirrored_row(rows[0], mesh.faces, mirror, flipped)
    rows[0] = tuple(
        np.concatenate([theirs[:8], ours[8:]]) for theirs, ours in zip(image, rows[0], strict=True)
    )
    for row in list(rows[1:]):
        rows.append(_mirrored_row(row, mesh.faces, mirror, flipped))
    return LandmarkEmbedding(
        static_faces=np.array([faces[index] for index in range(17, 68)]),
        static_bary=np.stack([bary[index] for index in range(17, 68)]),
        contour_faces=np.stack([row[0] for row in rows]),
        contour_bary=np.stack([row[1] for row in rows]),
    )


Row = tuple[Ids, Array]


def _mirrored_row(row: Row, faces: Ids, mirror: Ids, flipped: Ids) -> Row:
    images = flipped[row[0]][::-1]
    bary = np.zeros((17, 3))
    for k, (face, weight) in enumerate(zip(row[0][::-1], row[1][::-1], strict=True)):
        moved = dict(zip(mirror[faces[face]].tolist(), weight.tolist(), strict=True))
        bary[k] = [moved[vertex] for vertex in faces[images[k]].tolist()]
    return images, bary


def _mirrored_faces(faces: Ids, mirror: Ids) -> Ids:
    """(F,), each face's mirror image."""
    ours = np.sort(faces, 1)
    theirs = np.sort(mirror[faces], 1)
    order, other = np.lexsort(ours.T), np.lexsort(theirs.T)
    found = np.empty(len(faces), np.int64)
    found[other] = order
    if (ours[found] != theirs).any():
        raise ValueError("the triangles are not mirrored")
    return found


def _nearest(points: Array, faces: Ids, allowed: Ids, target: Array) -> tuple[int, Array]:
    """The point of the allowed triangles nearest to `target`."""
    corners = points[faces[allowed]]
    close = np.argsort(((corners - target) ** 2).sum(-1).min(1))[:24]
    a, b, c = corners[close].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    squared = (normal**2).sum(1)
    w1 = (np.cross(target - a, c - a) * normal).sum(1) / squared
    w2 = (np.cross(b - a, target - a) * normal).sum(1) / squared
    bary = np.clip(np.stack([1 - w1 - w2, w1, w2], -1), 0, 1)
    bary /= bary.sum(1, keepdims=True)
    miss = ((bary[:, :, None] * corners[close]).sum(1) - target) ** 2
    best = int(miss.sum(1).argmin())
    return int(allowed[close[best]]), bary[best]


def _from_front(points: Array, faces: Ids, allowed: Ids, target: Array) -> tuple[int, Array]:
    """The foremost allowed triangle seen from the front at `target` (2,)."""
    corners = points[faces[allowed]]
    (a, b, c) = corners[:, :, :2].transpose(1, 0, 2)
    area = _cross(b - a, c - a)
    w1 = _cross(target - a, c - a) / np.where(area == 0, np.inf, area)
    w2 = _cross(b - a, target - a) / np.where(area == 0, np.inf, area)
    bary = np.stack([1 - w1 - w2, w1, w2], -1)
    depth = np.where((bary > -1e-9).all(1), (bary * corners[..., 2]).sum(1), -np.inf)
    best = int(depth.argmax())
    return int(allowed[best]), np.clip(bary[best], 0, 1)


def _between(table: dict[int, tuple[float, ...]], at: float) -> Array:
    """A table's rows, interpolated at a key between theirs."""
    columns = zip(*table.values(), strict=True)
    return np.array([np.interp(at, list(table), column) for column in columns])


def _cross(a: Array, b: Array) -> Array:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


class _Outline:
    """The face's outline in a parallel projection, and annotators' points by it."""

    def __init__(self, mesh: HeadMesh, region: Ids, points: Array) -> None:
        ids = [REGION_ID[name] for name in _FACE]
        face = np.isin(region, ids) & (mesh.quad >= 0)
        face &= points[mesh.faces, 2].max(1) > _EAR_Z
        chosen = np.flatnonzero(face)
        steps = np.arange(_GRID + 1)
        grid = np.array([(i, j, _GRID - i - j) for i in steps for j in steps if i + j <= _GRID])
        self.bary = np.tile(grid / _GRID, (len(chosen), 1))
        self.face = np.repeat(chosen, len(grid))
        corners = points[mesh.faces[self.face]]
        self.points = (corners * self.bary[..., None]).sum(1)
        _, y, z = self.points.T
        self.above_edge = (z > _EAR_Z) & (y > _EDGE_Y + _EDGE_SLOPE * z)
        self.eyes_y = points[mesh.base[[13363, 13376]], 1].mean()
        self.menton = points[mesh.base[_MENTON]]

    def row(self, yaw: float) -> Row:
        """The 17 points, subject's right to left, of a head turned to its left by `yaw`."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        seen = (self.points - _CENTER) @ turn.T
        chin = (self.menton - _CENTER) @ turn.T
        angle = np.arctan2(seen[:, 0], -seen[:, 1])
        radius = np.where(self.above_edge, np.hypot(seen[:, 0], seen[:, 1]), 0)
        slot = ((angle + np.pi) / (2 * np.pi) * _DIRECTIONS).astype(int) % _DIRECTIONS
        best = np.full(_DIRECTIONS, -1)
        farthest = np.zeros(_DIRECTIONS)
        np.maximum.at(farthest, slot, radius)
        near = radius > farthest[slot] - _TOLERANCE
        order = np.argsort(seen[:, 2])
        order = order[near[order]]
        best[slot[order]] = order
        line = best[best >= 0]
        line = line[seen[line, 1] < self.eyes_y - _CENTER[1] + _ABOVE_EYES]
        place = uniform_filter1d(seen[line, :2], _SMOOTH, axis=0, mode="nearest")
        middle = int(np.linalg.norm(place - chin[:2], axis=1).argmin())
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(place, axis=0), axis=1))])
        right = np.linspace(0, length[middle], 9)
        left = np.linspace(length[middle], length[-1], 9)
        at = np.concatenate([right, left[1:]])
        even = seen[line[np.abs(length[:, None] - at).argmin(0)], :2]
        tangent = np.gradient(even, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        outwards = tangent @ np.array([[0.0, -1.0], [1.0, 0.0]])
        along, out = (_between(table, np.degrees(yaw)) for table in (_JAW_ALONG, _JAW_OUT))
        moved = even + (along[:, None] * tangent + out[:, None] * outwards) * MM
        picked = []
        for target in moved:
            distance = np.linalg.norm(seen[:, :2] - target, axis=1)
            near = np.flatnonzero(distance < distance.min() + _NEAR)
            picked.append(near[seen[near, 2].argmax()])
        return self.face[picked], self.bary[picked]
