"""Frames and units: from FLAME's metres to the generator's world, and affine maps in between.

docs/conventions.md has the frames; `camera.py` goes on to pixels.
"""

from __future__ import annotations

import math

from torch import Tensor

# Generator units per metre, from Next3D's orthographic scale (5 per half plane).
UNITS_PER_METRE = 2.5
# Metres per step of a 16-bit depth image; 0 is background. Reaches 6.5 m.
DEPTH16_STEP_M = 1e-4
# The fixed placement of the public SynthForge scripts, before the learned alignment.
_OFFSET_FLAME = (0.0, -0.01, -0.01)
_OFFSET_GEN = (0.0, 0.0, math.sqrt(2) / 10)


def place_in_generator(points_flame: Tensor) -> Tensor:
    """[..., 3] metres -> [..., 3] generator world, before alignment."""
    return (points_flame + points_flame.new_tensor(_OFFSET_FLAME)) * UNITS_PER_METRE + (
        points_flame.new_tensor(_OFFSET_GEN)
    )


def apply_affine(A: Tensor, b: Tensor, points: Tensor) -> Tensor:
    """A @ x + b for points [..., N], A [M, N], b [M], with batch-independent rounding."""
    columns = [x[..., None] * A[:, k] for k, x in enumerate(points.unbind(-1))]
    return sum(columns[1:], columns[0]) + b
