"""Small random heads with FLAME's parameters, for tests."""

from __future__ import annotations

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
