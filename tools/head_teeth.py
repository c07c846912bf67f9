"""Teeth and gums: single teeth along an arch, bound to MakeHuman's, which are one smooth band.

Six teeth a side and row, in sizes from dental anatomy (Wheeler's tables). Each row is one sheet
from the gum over the biting edge to the tongue's side, drawn in between teeth; the gums are a
second sheet that ends in scallops before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from anny_source import AnnySource, Array, Ids
from head_mesh import MM, Piece
from scipy.interpolate import PchipInterpolator
from scipy.sparse import csr_matrix, vstack


@dataclass(frozen=True)
class _Row:
    """In mm, from the midline backwards. widths, heights: (6,), of crowns. drop: (6,), how far each
    ends short of the plane of the bite. thickness: (6,), from cheek to tongue.

    arch: frontal x and z of the outer side. edge_y: height of the front teeth's edges. up: 1 where
    the roots lie above.
    """

    group: str
    widths: tuple[float, ...]
    heights: tuple[float, ...]
    drop: tuple[float, ...]
    thickness: tuple[float, ...]
    arch: tuple[tuple[float, ...], tuple[float, ...]]
    edge_y: float
    up: float


_ROWS = {
    "upper": _Row(
        group="helper-upper-teeth",
        widths=(8.6, 6.6, 7.6, 7.0, 6.8, 10.0),
        heights=(10.5, 9.3, 10.2, 8.8, 8.2, 7.5),
        drop=(0.0, 0.7, -0.1, 0.4, 0.5, 0.5),
        thickness=(4.0, 4.0, 5.5, 8.0, 8.5, 10.0),
        arch=((0.0, 9.0, 16.2, 20.2, 23.5, 26.4, 28.0), (46.9, 44.8, 39.2, 32.0, 23.0, 12.5, 3.0)),
        edge_y=-47.1,
        up=1.0,
    ),
    "lower": _Row(
        group="helper-lower-teeth",
        widths=(5.4, 6.0, 7.0, 7.0, 7.2, 11.0),
        heights=(8.8, 9.2, 10.2, 8.6, 8.0, 7.5),
        drop=(0.0, 0.1, -0.3, 0.4, 0.6, 0.6),
        thickness=(3.6, 3.8, 5.2, 7.5, 8.0, 10.0),
        arch=((0.0, 8.2, 13.8, 18.0, 21.8, 25.2, 27.2), (43.6, 41.8, 37.2, 30.6, 21.8, 11.5, 2.0)),
        edge_y=-45.0,
        up=-1.0,
    ),
}
# The plane of the bite rises towards the back.
_RISE = 0.12
# Across a tooth, -1 to 1: where vertices stand between the gaps.
_ACROSS = (-0.78, -0.3, 0.3, 0.78)
# From gum to edge to the tongue's side: share of the crown's height, mm inwards, share of the
# thickness inwards.
_PROFILE = np.array(
    [
        (-0.25, 1.6, 0.00),
        (0.05, 0.9, 0.00),
        (0.35, 0.2, 0.00),
        (0.70, 0.0, 0.00),
        (0.94, 0.2, 0.02),
        (1.00, 0.5, 0.10),
        (0.92, 0.5, 0.45),
        (0.30, 0.0, 1.00),
        (-0.25, 0.0, 1.00),
    ]
)
# The gums: mm beyond the crown's root end, mm inwards, share of the thickness inwards.
_GUMS = np.array([(7.0, 2.2, 0), (3.0, 0.4, 0), (0.9, 0.1, 0), (0.0, 0.6, 0), (0.0, -0.2, 1)])
_GAP_DEPTH, _PAPILLA, _NOTCH, _ROUND = 1.2, 1.7, 0.7, 0.5
# How much the edge of a tooth falls off from its middle: incisors, canine, premolars and molars.
_CUSP = (0.1, 0.2, 1.3, 0.9, 0.7, 0.5)
# Reach of the base mesh's vertices that carry one of these.
_REACH = 9 * MM


def build(source: AnnySource, reference: Array) -> dict[str, Piece]:
    """Sheets by the names of PIECES; reference: (N, 3), the placed neutral adult."""
    found = {}
    for name, row in _ROWS.items():
        teeth, gums = _sheets(row)
        found[f"{name}_teeth"] = _piece(source, reference, row.group, teeth, row.up)
        found[f"{name}_gums"] = _piece(source, reference, row.group, gums, row.up)
    return found


def _sheets(row: _Row) -> tuple[Array, Array]:
    """Places (columns, profile, 3) of teeth and gums of the left half, metres, from the midline."""
    tooth, across = [0], [-1.0]
    for index in range(len(row.widths)):
        tooth += [index] * (len(_ACROSS) + 1)
        across += [*_ACROSS, 1.0]
    index, t = np.array(tooth), np.array(across)
    ends = np.cumsum(row.widths)
    widths, drop = np.array(row.widths), np.array(row.drop)
    length = ends[index] + (t - 1) * widths[index] / 2
    arch, normal = _along(row.arch, length)
    gap = np.abs(t) == 1
    # At a gap both neighbours meet half way.
    smooth = [_blended(values, index, gap) for values in (row.heights, drop, row.thickness, _CUSP)]
    height, short, thickness, cusp = smooth
    edge = row.edge_y + _RISE * (row.arch[1][0] - arch[:, 1])
    fall = cusp * np.abs(t) ** 1.5 + _ROUND * np.abs(t) ** 4 + np.where(gap, _NOTCH, 0)
    edge_y = edge + row.up * (short + fall)
    root_y = edge + row.up * (short + height - _PAPILLA * np.abs(t) ** 3)
    inwards = 0.6 * np.abs(t) ** 3 + np.where(gap, _GAP_DEPTH, 0)
    share, depth, through = _PROFILE.T
    y = root_y[:, None] + (edge_y - root_y)[:, None] * share
    outer = (through < 0.5)[None] * inwards[:, None]
    teeth = _placed(arch, normal, y, depth + through * thickness[:, None] + outer)
    beyond, depth, through = _GUMS.T
    y = root_y[:, None] + row.up * beyond
    swell = (beyond < 3)[None] * 0.4 * inwards[:, None] * (through == 0)
    gums = _placed(arch, normal, y, depth + through * thickness[:, None] + swell)
    return teeth * MM, gums * MM


def _along(arch: tuple[tuple[float, ...], tuple[float, ...]], length: Array) -> tuple[Array, Array]:
    """Places (x, z) at lengths along the arch and the directions outwards, (C, 2)."""
    x, z = np.array(arch)
    both = np.concatenate([-x[:0:-1], x]), np.concatenate([z[:0:-1], z])
    knot = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(both)))])
    knot -= knot[len(x) - 1]
    curve = PchipInterpolator(knot, np.stack(both, -1))
    dense = np.linspace(0, knot[-1], 2000)
    steps = np.linalg.norm(np.diff(curve(dense), axis=0), axis=1)
    at = np.interp(length, np.concatenate([[0], np.cumsum(steps)]), dense)
    tangent = (curve(at + 0.5) - curve(at - 0.5)) / 1.0
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    return curve(at), np.stack([-tangent[:, 1], tangent[:, 0]], -1)


def _blended(values: Array | tuple[float, ...], index: Ids, gap: Array) -> Array:
    each = np.asarray(values, float)
    after = np.minimum(index + 1, len(each) - 1)
    return np.where(gap, (each[index] + each[after]) / 2, each[index])


def _placed(arch: Array, normal: Array, y: Array, inwards: Array) -> Array:
    x, z = (arch[:, None] - inwards[..., None] * normal[:, None]).transpose(2, 0, 1)
    # The midline's column stays on it.
    x[0] = 0.0
    return np.stack([x, y, z], -1)


def _piece(source: AnnySource, reference: Array, group: str, left: Array, up: float) -> Piece:
    """left: (C, P, 3), columns from the midline on, which both halves share."""
    columns, profile, _ = left.shape
    ids = source.vertices_of(group)
    half = _weights(reference[ids], left.reshape(-1, 3))
    at = csr_matrix((half.ravel(), (np.repeat(np.arange(len(half)), len(ids)),
                     np.tile(ids, len(half)))), (len(half), len(reference)))  # fmt: skip
    image = at[:, source.mirrored()]
    vertex = np.arange(columns * profile).reshape(columns, profile)
    # On the midline: the mean of both halves is symmetric.
    at = at.tolil()
    at[vertex[0]] = (at[vertex[0]] + image[vertex[0]]) / 2
    right = vertex + columns * profile - profile
    right[0] = vertex[0]
    triangles = _quads(vertex, up) + [face[::-1] for face in _quads(right, up)]
    share = np.stack(np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, profile),
                     indexing="ij"), -1).reshape(-1, 2)  # fmt: skip
    flat = [share / [2, 1] + [0.5, 0], share[profile:] / [-2, 1] + [0.5, 0]]
    faces = np.array(triangles)
    return Piece(
        map=csr_matrix(vstack([csr_matrix(at), image[profile:]])),
        faces=faces,
        uvs=np.concatenate(flat),
        uv_faces=faces,
        quad=np.full(len(faces), -1),
    )


def _quads(vertex: Ids, up: float) -> list[list[int]]:
    """Triangles of a grid (columns, profile), seen from outside on the left half."""
    found = []
    for c in range(vertex.shape[0] - 1):
        for p in range(vertex.shape[1] - 1):
            ring = [vertex[c, p], vertex[c, p + 1], vertex[c + 1, p + 1], vertex[c + 1, p]]
            if up < 0:
                ring = ring[::-1]
            found += [[ring[0], ring[1], ring[2]], [ring[0], ring[2], ring[3]]]
    return found


def _weights(base: Array, places: Array) -> Array:
    """(P, K): moving least squares, exact for whatever moves the base vertices (K, 3) affinely."""
    offset = base - places[:, None]
    kernel = np.exp(-((offset / _REACH) ** 2).sum(-1) / 2)
    ones = np.concatenate([np.ones((*kernel.shape, 1)), offset / _REACH], -1)
    moment = np.einsum("pk,pki,pkj->pij", kernel, ones, ones)
    first = np.linalg.solve(moment, np.eye(4)[None, :, :1].repeat(len(places), 0))[..., 0]
    found: Array = kernel * np.einsum("pki,pi->pk", ones, first)
    return found
