"""From FLAME's metres to where the head truly sits in the generated volume.

Two steps: a fixed placement (scale and shift, as the public SynthForge scripts place the mesh),
then a small learned map, 3-hidden-3, the paper's alignment MLP (arXiv:2406.07840, section 3).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# Generator units per metre, from Next3D's orthographic scale (5 per half plane).
UNITS_PER_METRE = 2.5
_OFFSET_FLAME = (0.0, -0.01, -0.01)
_OFFSET_GEN = (0.0, 0.0, math.sqrt(2) / 10)

# The affine map that the published fixMapMLP01.pth comes to, for Next3D.
PUBLISHED_A = (
    (1.01956, 0.00574, -0.01967),
    (-0.01988, 0.96937, -0.00984),
    (0.00716, 0.07973, 0.98803),
)
PUBLISHED_B = (0.00115, 0.04870, -0.01416)


def place_in_generator(points_flame: Tensor) -> Tensor:
    """[..., 3] metres -> [..., 3] generator world, before alignment."""
    return (points_flame + points_flame.new_tensor(_OFFSET_FLAME)) * UNITS_PER_METRE + (
        points_flame.new_tensor(_OFFSET_GEN)
    )


def apply_affine(A: Tensor, b: Tensor, points: Tensor) -> Tensor:
    """A @ x + b for points [..., 3], A [3, 3], b [3], with batch-independent rounding."""
    x, y, z = points.unbind(-1)
    return x[..., None] * A[:, 0] + y[..., None] * A[:, 1] + z[..., None] * A[:, 2] + b


class AlignmentMLP(nn.Module):
    """3-hidden-3. Without a nonlinearity it is one affine map. Starts as the identity."""

    def __init__(self, hidden: int = 4) -> None:
        super().__init__()
        self.inner = nn.Linear(3, hidden)
        self.outer = nn.Linear(hidden, 3)
        with torch.no_grad():
            for layer in (self.inner, self.outer):
                layer.weight.copy_(torch.eye(*layer.weight.shape))
                layer.bias.zero_()

    def as_affine(self) -> tuple[Tensor, Tensor]:
        """A [3, 3] and b [3] with forward(x) = A @ x + b."""
        A = self.outer.weight @ self.inner.weight
        return A, self.outer.weight @ self.inner.bias + self.outer.bias

    @classmethod
    def from_affine(cls, A: Tensor, b: Tensor) -> AlignmentMLP:
        mlp = cls()
        with torch.no_grad():
            mlp.inner.weight[:3] = A
            mlp.inner.bias[:3] = b
            mlp.outer.weight[:, 3:] = 0
        return mlp

    def forward(self, points_gen: Tensor) -> Tensor:
        """[..., 3] placed points -> [..., 3] where they sit in the generated volume."""
        A, b = self.as_affine()
        return apply_affine(A, b, points_gen)


def published_alignment() -> AlignmentMLP:
    """The published map for Next3D."""
    return AlignmentMLP.from_affine(torch.tensor(PUBLISHED_A), torch.tensor(PUBLISHED_B))
