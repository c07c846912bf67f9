"""One step of Catmull-Clark on part of a mesh, and cuts along lines, as maps of base vertices."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from anny_source import AnnySource, Array, Group, Ids
from head_mesh import HeadMesh, Piece
from scipy.sparse import coo_matrix, csr_matrix, vstack

# A cut that passes a vertex within this share of an edge goes through it.
_SNAP = 0.12

Surface = TypeVar("Surface", Piece, HeadMesh)


def subdivided(
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
