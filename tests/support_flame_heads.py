"""Small random heads with FLAME's parameters, for tests."""

from __future__ import annotations

import dataclasses

import numpy as np

from flame_pytorch import HeadModel, LandmarkEmbedding


def random_head(seed: int = 0, vertices: int = 40, faces: int = 60) -> HeadModel:
    """A soup of triangles about the size of a head; weights sum to 1."""
    rng = np.random.default_rng(seed)
    weights = rng.random((vertices, 5)) ** 3
    J_regressor = rng.random((5, vertices)) * (rng.random((5, vertices)) < 0.3)
    J_regressor[:, 0] += 0.1
    corners = np.argsort(rng.random((faces, vertices)), 1)[:, :3]
    return HeadModel(
        v_template=rng.normal(0, 0.1, (vertices, 3)),
        faces=corners.astype(np.int64),
        shapedirs=rng.normal(0, 0.003, (vertices, 3, 400)),
        posedirs=rng.normal(0, 0.003, (vertices, 3, 36)),
        J_regressor=J_regressor / J_regressor.sum(1, keepdims=True),
        parents=np.array([-1, 0, 1, 1, 1]),
        weights=weights / weights.sum(1, keepdims=True),
    )


def random_embedding(seed: int = 0, faces: int = 60) -> LandmarkEmbedding:
    rng = np.random.default_rng([seed, 1])
    return LandmarkEmbedding(
        static_faces=rng.integers(0, faces, 51),
        static_bary=rng.dirichlet([1, 1, 1], 51),
        contour_faces=rng.integers(0, faces, (79, 17)),
        contour_bary=rng.dirichlet([1, 1, 1], (79, 17)),
    )


def face_landmarks() -> np.ndarray:
    """68 points of a plain symmetric face, (68, 3), metres; x to the subject's left, y up."""
    t = np.linspace(-1, 1, 17)
    jaw = np.stack([0.07 * t, 0.1 * t**2 - 0.095, 0.04 - 0.06 * t**2], 1)
    brow = np.stack([np.linspace(-0.055, -0.012, 5), np.full(5, 0.045), np.full(5, 0.04)], 1)
    ridge = np.stack([np.zeros(4), np.linspace(0.025, -0.015, 4), np.linspace(0.045, 0.067, 4)], 1)
    base = np.stack([np.linspace(-0.013, 0.013, 5), np.full(5, -0.025), np.full(5, 0.055)], 1)
    eye = np.array([[-0.045, 0.023], [-0.036, 0.028], [-0.026, 0.028]])
    eye = np.concatenate([eye, [[-0.017, 0.023], [-0.026, 0.018], [-0.036, 0.018]]])
    eye = np.concatenate([eye, np.full((6, 1), 0.032)], 1)
    mirror = np.array([-1, 1, 1])
    left_eye = (eye * mirror)[[3, 2, 1, 0, 5, 4]]
    lips = [_lip(count, width) for count, width in ((12, 0.025), (8, 0.022))]
    return np.concatenate([jaw, brow, brow[::-1] * mirror, ridge, base, eye, left_eye, *lips])


def _lip(count: int, half_width: float) -> np.ndarray:
    angle = np.pi - np.arange(count) * 2 * np.pi / count
    points = [half_width * np.cos(angle), 0.3 * half_width * np.sin(angle) - 0.048]
    return np.stack([*points, np.full(count, 0.052)], 1)


def face_head() -> tuple[HeadModel, LandmarkEmbedding]:
    """A head of 68 small triangles, each around a landmark of `face_landmarks`."""
    corners = 0.002 * np.array([[0, 1, 0], [-1, -0.5, 0], [1, -0.5, 0]])
    head = random_head(vertices=204, faces=68)
    vertices = (face_landmarks()[:, None] + corners).reshape(-1, 3)
    faces = np.arange(204).reshape(68, 3)
    model = dataclasses.replace(head, v_template=vertices, faces=faces)
    embedding = LandmarkEmbedding(
        static_faces=np.arange(17, 68),
        static_bary=np.full((51, 3), 1 / 3),
        contour_faces=np.tile(np.arange(17), (79, 1)),
        contour_bary=np.full((79, 17, 3), 1 / 3),
    )
    return model, embedding
