"""The arrays of a FLAME-shaped head model, as numpy, wherever they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]


@dataclass(frozen=True)
class HeadModel:
    """A linear-blend-skinned head. Metres; x to the subject's left, y up, z out of the face.

    Any vertex count. Joints: root, neck, jaw, left eye, right eye.

    v_template: (V, 3).
    faces: int64 (F, 3), counter-clockwise seen from outside.
    shapedirs: (V, 3, N), n_identity components of identity, then those of expression: FLAME has
        300 and 100.
    posedirs: (V, 3, 36), multiplied by the flattened (R - I) of joints 1-4.
    J_regressor: (5, V), dense.
    parents: int64 (5,), the root's is -1.
    weights: (V, 5), rows sum to 1.
    """

    v_template: FloatArray
    faces: IntArray
    shapedirs: FloatArray
    posedirs: FloatArray
    J_regressor: FloatArray
    parents: IntArray
    weights: FloatArray
    n_identity: int = 300


@dataclass(frozen=True)
class LandmarkEmbedding:
    """68 landmarks as points on triangles.

    static_faces: int64 (51,); static_bary: (51, 3): iBUG 17-67.
    contour_faces: int64 (79, 17); contour_bary: (79, 17, 3): the jaw line, iBUG 0-16, one row per
        degree of the head's yaw relative to the camera: row = yaw for 0..39, 39 - yaw for -1..-39.
    """

    static_faces: IntArray
    static_bary: FloatArray
    contour_faces: IntArray
    contour_bary: FloatArray
