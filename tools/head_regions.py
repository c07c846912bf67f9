"""The labelled regions: the mesh is cut along their outlines, so that borders run smooth.

Outlines are drawn on the left half of the reference head, in mm, and mirrored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from anny_source import AnnySource, Array, Ids
from head_mesh import EYE_GROUPS, MM, PIECES, HeadMesh
from head_subdivision import split
from matplotlib.path import Path
from scipy.interpolate import PchipInterpolator
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from synthforge.regions import FLIP_PAIRS, REGION_ID, REGIONS

# The ring of the base mesh along the vermilion border, the left half from the upper lip's middle
# by the corner to the lower lip's.
LIP_BORDER = (
    466, 7222, 7219, 7216, 7211, 11953, 7207, 7173, 7172, 7184, 10404, 7182, 7183, 10371, 7201,
    7200, 7233, 7239, 7245, 496,
)  # fmt: skip
_LIP_CORNER = 7182
# Near the corner of the mouth, metres from the midline, inwards is sideways.
_CORNER_X = 0.0245
# Base vertices that lie inside the mouth and behind the lids.
_IN_MOUTH, _IN_LEFT_SOCKET, _IN_RIGHT_SOCKET = 605, 7846, 1154
# Middle of the brow and its half height by frontal x.
BROW_MIDDLE = np.array([(10, 18, 28, 38.5, 47, 58.5), (37.7, 39.4, 41.5, 42.6, 41.4, 36.6)])
BROW_HALF = np.array([(10, 18, 31, 44, 58.5), (2.7, 3.5, 3.6, 3.2, 1.2)])
_BROW_ENDS = (12.0, 58.5)
# From the front, closed along the midline.
_NOSE = np.array(
    [
        (0, 7, 9, 10, 12.5, 17, 20, 19.5, 16.5, 12, 5, 0),
        (26, 25, 20, 10, -0.4, -6.9, -12.0, -18.8, -22.5, -24.4, -24.7, -24.7),
    ]
).T
_EYE_REGION = np.array(
    [(0, 22, 44, 58, 63, 60, 48, 30, 14, 0), (50, 52.5, 52, 45, 31, 17, 6, 2.5, 5, 8)]
).T
# Where the lower lip's red ends: below the mesh's own border, at the landmarks. Its corner's height
# beyond.
_LOWER_LIP = np.array(
    [(0, 7.3, 13, 16, 20, 23.5, 25.6), (-55.1, -54.4, -53.2, -52.2, -50.3, -47.8, -45.8)]
)
_LID_CENTER, _LID_RADII = np.array([31.6, 22.0]), np.array([20.6, 13.0])
# Height by azimuth round the head's axis: hairline from forehead by temple, sideburn and ear to
# the nape; where the neck begins, from under the chin by the jaw's angle and the ear to the nape.
_AXIS_Z = -42.0
_HAIRLINE = np.array(
    [
        (0, 16, 30, 42, 50, 58, 68, 76, 84, 88, 106, 114, 122, 150, 180),
        (82, 83, 80, 70, 56, 44, 36, 16, 8, 20, 20, 4, -20, -44, -50),
    ]
).T
_NECK = np.array(
    [
        (0, 14, 30, 45, 60, 74, 84, 94, 106, 116, 124, 150, 180),
        (-87, -86, -81.5, -75.5, -67, -53.5, -42, -29, -21.5, -24, -26, -46, -52),
    ]
).T
_NECK_BACK_AZIMUTH, _BEHIND_EAR = 100.0, 106.0
_BROW_BAND_Y = 34.0
# From the side (z, y): the ear's oval, its tilt in degrees, and the opening of its canal; and how
# far from the midline the skull's side lies at height 0, and by height.
_EAR_CENTER, _EAR_RADII, _EAR_TILT = np.array([-58.5, -1.5]), np.array([19.0, 33.0]), 12.0
_CANAL_CENTER, _CANAL_RADIUS = np.array([-55.0, -4.0]), 9.0
_SKULL_X, _SKULL_SLOPE = 74.0, 0.2
# Share of a region's faces below which a patch of it counts as stray.
_ISLAND = 0.08


@dataclass(frozen=True)
class Regions:
    """The cut mesh, and the region of each of its faces, int64 (F,)."""

    mesh: HeadMesh
    region: Ids


def paint(source: AnnySource, mesh: HeadMesh, reference: Array) -> Regions:
    """reference: (N, 3), the placed neutral adult."""
    inside_mouth = _chart(source, _IN_MOUTH)
    socket = _chart(source, _IN_LEFT_SOCKET) | _chart(source, _IN_RIGHT_SOCKET)
    lips = _lip_quads(source, inside_mouth)
    uncut = inside_mouth | socket | (lips > 0)

    def fields(mesh: HeadMesh) -> tuple[Array, dict[str, Array]]:
        points = mesh.map @ reference / MM
        left = points * np.where(points[:, :1] < 0, [-1.0, 1.0, 1.0], [1.0, 1.0, 1.0])
        return points, {name: field(left) for name, field in _FIELDS.items()}

    for name in _FIELDS:
        points, found = fields(mesh)
        chosen = (mesh.quad >= 0) & ~uncut[mesh.quad]
        if name in _FRONTAL:
            chosen &= points[mesh.faces, 2].mean(1) > _FRONT_Z
        mesh = split(mesh, found[name], chosen, points)
    points, found = fields(mesh)
    inside = {name: height[mesh.faces].mean(1) > 0 for name, height in found.items()}
    center = points[mesh.faces].mean(1)
    front = center[:, 2] > _FRONT_Z
    region = np.full(len(mesh.faces), REGION_ID["face"])

    def put(name: str, where: Array) -> None:
        region[where] = REGION_ID[name]

    put("forehead", inside["brow_band"] & (center[:, 2] > -20))
    put("eye_region", inside["eye_region"] & front)
    put("eye_region+forehead", inside["eye_region"] & inside["brow_band"] & front)
    put("scalp", inside["hairline"] | inside["behind_ear"])
    put("neck", inside["neck"])
    put("neck_back", inside["neck"] & inside["neck_back"])
    put("nose", inside["nose"] & front)
    put("left_eye_region", inside["lids"] & front)
    put("lower_lip", inside["lower_lip"] & front)
    put("left_eyebrow", inside["brow"] & front)
    put("left_ear", inside["ear"])
    on_skin = mesh.quad >= 0
    put("left_eye_region", on_skin & socket[mesh.quad])
    put("upper_lip", on_skin & (lips[mesh.quad] == 1))
    put("lower_lip", on_skin & (lips[mesh.quad] == 2))
    put("inner_mouth", on_skin & inside_mouth[mesh.quad])
    piece = mesh.piece[mesh.faces[:, 0]]
    eyeball = np.isin(piece, [PIECES.index(name) for name in EYE_GROUPS])
    put("inner_mouth", (piece > 0) & ~eyeball)
    put("left_eyeball", eyeball)
    right = center[:, 0] < 0
    for a, b in FLIP_PAIRS:
        left_id, right_id = (a, b) if REGIONS[a].name.startswith("left") else (b, a)
        region[(region == left_id) & right] = right_id
    return Regions(mesh, _without_islands(mesh, region))


def _without_islands(mesh: HeadMesh, region: Ids) -> Ids:
    """Give patches of a region that are small beside the whole of it to what surrounds them."""
    edges = np.sort(np.stack([mesh.faces, np.roll(mesh.faces, -1, 1)], -1), -1).reshape(-1, 2)
    face = np.repeat(np.arange(len(mesh.faces)), 3)
    order = np.lexsort(edges.T)
    same = (edges[order][1:] == edges[order][:-1]).all(1)
    a, b = face[order][:-1][same], face[order][1:][same]
    alike = region[a] == region[b]
    size = len(region)
    graph = coo_matrix((np.ones(alike.sum()), (a[alike], b[alike])), (size, size))
    _, patch = connected_components(graph, directed=False)
    area, whole = np.bincount(patch), np.bincount(region)
    on_skin = mesh.quad >= 0
    small = on_skin & (area[patch] < _ISLAND * whole[region])
    found = region.copy()
    near, other = np.concatenate([a, b]), np.concatenate([b, a])
    for index in np.unique(patch[small]):
        around = other[(patch[near] == index) & (patch[other] != index)]
        if len(around):
            found[patch == index] = np.bincount(region[around]).argmax()
    return found


def _chart(source: AnnySource, vertex: int) -> Array:
    """bool (F,) of the body's faces: the texture's chart that shows a base vertex."""
    body = source.groups["body"]
    at = np.concatenate(
        [np.stack([body.uv_faces[:, 0], body.uv_faces[:, k]], -1) for k in range(4)]
    )
    size = len(source.uvs)
    graph = coo_matrix((np.ones(len(at)), at.T), (size, size))
    _, label = connected_components(graph, directed=False)
    chart = label[body.uv_faces[:, 0]]
    return chart == chart[np.flatnonzero((body.faces == vertex).any(1))[0]]


def _lip_quads(source: AnnySource, inside_mouth: Array) -> Ids:
    """(F,) of the body's faces: 1 on the upper lip, 2 on the lower, 0 elsewhere.

    From each edge of the vermilion border inwards, quad by quad, to the mouth's cavity.
    """
    faces = source.groups["body"].faces
    beside: dict[tuple[int, int], list[int]] = {}
    for index, quad in enumerate(faces.tolist()):
        for k in range(4):
            a, b = quad[k], quad[k - 1]
            beside.setdefault((min(a, b), max(a, b)), []).append(index)
    lips = np.zeros(len(faces), np.int64)
    mirrored = [_mirrored(source, vertex) for vertex in LIP_BORDER]
    for ring in (list(LIP_BORDER), mirrored):
        for k in range(len(ring) - 1):
            upper = k < LIP_BORDER.index(_LIP_CORNER)
            a, b = ring[k], ring[k + 1]
            middle = source.template[[a, b]].mean(0)
            around = beside[min(a, b), max(a, b)]
            # Inwards is towards the line where the lips meet.
            away = [
                abs(source.template[faces[q], 1].mean() - _corner_height(source)) for q in around
            ]
            across = [abs(source.template[faces[q], 0]).mean() for q in around]
            at_corner = abs(middle[0]) > _CORNER_X
            quad = around[int(np.argmin(across if at_corner else away))]
            while not inside_mouth[quad]:
                lips[quad] = 1 if upper else 2
                rest = [vertex for vertex in faces[quad] if vertex not in (a, b)]
                a, b = rest
                (quad,) = (q for q in beside[min(a, b), max(a, b)] if q != quad)
    return lips


def _mirrored(source: AnnySource, vertex: int) -> int:
    image = source.template[vertex] * [-1, 1, 1]
    return int(np.linalg.norm(source.template - image, axis=1).argmin())


def _corner_height(source: AnnySource) -> float:
    return float(source.template[_LIP_CORNER, 1])


def _inside(outline: Array) -> Callable[[Array], Array]:
    """Signed distance (mm, positive inside) of frontal places to a curve along the midline."""
    knot = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1))])
    curve = PchipInterpolator(knot, outline)(np.linspace(0, knot[-1], 400))
    closed = np.array([(-30.0, curve[0, 1]), *curve, (-30.0, curve[-1, 1])])
    beyond = np.linspace(-30.0, 0.0, 60)
    ends = [np.stack([beyond, np.full(60, end)], -1) for end in curve[[0, -1], 1]]
    tree = cKDTree(np.concatenate([curve, *ends]))

    def field(points: Array) -> Array:
        distance = tree.query(points[:, :2])[0]
        return np.where(Path(closed).contains_points(points[:, :2]), distance, -distance)

    return field


def _azimuth(points: Array) -> Array:
    """Degrees from the front, 0 to 180."""
    return np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - _AXIS_Z))


def brow_height(x: Array, across: float) -> Array:
    """Height (mm) of a line along the brow at frontal x (mm): -1 its lower edge, 1 its upper."""
    return PchipInterpolator(*BROW_MIDDLE)(x) + across * PchipInterpolator(*BROW_HALF)(x)


def _brow(points: Array) -> Array:
    x, y, _ = points.T
    half = PchipInterpolator(*BROW_HALF)(x) - np.abs(y - PchipInterpolator(*BROW_MIDDLE)(x))
    return np.minimum(half, np.minimum(x - _BROW_ENDS[0], _BROW_ENDS[1] - x))


def _lids(points: Array) -> Array:
    return 1 - np.linalg.norm((points[:, :2] - _LID_CENTER) / _LID_RADII, axis=1)


def _lower_lip(points: Array) -> Array:
    x, y, _ = points.T
    corner_x, corner_y = _LOWER_LIP[:, -1]
    border = PchipInterpolator(*_LOWER_LIP)(np.minimum(x, corner_x))
    return np.minimum(y - border, corner_y - y)


def _ear(points: Array) -> Array:
    x, y, z = points.T
    side = np.stack([z, y], -1)
    c, s = np.cos(np.radians(_EAR_TILT)), np.sin(np.radians(_EAR_TILT))
    offset = (side - _EAR_CENTER) @ np.array([[c, s], [-s, c]])
    oval = (1 - np.linalg.norm(offset / _EAR_RADII, axis=1)) * _EAR_RADII[0]
    canal = _CANAL_RADIUS - np.linalg.norm(side - _CANAL_CENTER, axis=1)
    off_skull = x - (_SKULL_X + _SKULL_SLOPE * y)
    return np.minimum(oval, np.maximum(off_skull, canal))


_FIELDS: dict[str, Callable[[Array], Array]] = {
    "hairline": lambda p: p[:, 1] - PchipInterpolator(*_HAIRLINE.T)(_azimuth(p)),
    "behind_ear": lambda p: _azimuth(p) - _BEHIND_EAR,
    "neck": lambda p: PchipInterpolator(*_NECK.T)(_azimuth(p)) - p[:, 1],
    "neck_back": lambda p: _azimuth(p) - _NECK_BACK_AZIMUTH,
    "brow_band": lambda p: p[:, 1] - _BROW_BAND_Y,
    "eye_region": _inside(_EYE_REGION),
    "nose": _inside(_NOSE),
    "lids": _lids,
    "brow": _brow,
    "lower_lip": _lower_lip,
    "ear": _ear,
}
_FRONTAL = ("eye_region", "nose", "lids", "brow", "lower_lip")
_FRONT_Z = 2.0
