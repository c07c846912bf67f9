"""From FLAME's metres to where the head truly sits in the generated volume.

After the fixed placement of `frames.place_in_generator`, a small learned map, 3-hidden-3: the
paper's alignment MLP (arXiv:2406.07840, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from flame_pytorch.lbs import fixed_order_sum
from synthforge.assets.locate import PRETRAINED, default_folder
from synthforge.config import Activation
from synthforge.errors import UserError
from synthforge.frames import apply_affine

# The affine map that the published fixMapMLP01.pth comes to, for Next3D.
PUBLISHED_A = (
    (1.01956, 0.00574, -0.01967),
    (-0.01988, 0.96937, -0.00984),
    (0.00716, 0.07973, 0.98803),
)
PUBLISHED_B = (0.00115, 0.04870, -0.01416)

MAX_HIDDEN = 4096
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}


class AlignmentError(UserError, ValueError):
    """Weights that cannot be used; the message says why and the way out."""


class AlignmentMLP(nn.Module):
    """3-hidden-3, starting as the identity.

    Without an activation, as published, it is one affine map. With one, the network is what is
    added to each point, since no activated network is the identity.
    """

    def __init__(self, hidden: int = 4, activation: Activation = "none") -> None:
        super().__init__()
        if not 3 <= hidden <= MAX_HIDDEN:
            raise AlignmentError(f"hidden size must lie in 3..{MAX_HIDDEN}, got {hidden}")
        if activation not in get_args(Activation):
            raise AlignmentError(
                f"unknown activation {activation!r:.40}; choose from "
                f"{', '.join(get_args(Activation))}"
            )
        self.hidden = hidden
        self.activation: Activation = activation
        self.inner = nn.Linear(3, hidden)
        self.outer = nn.Linear(hidden, 3)
        with torch.no_grad():
            for layer in (self.inner, self.outer):
                layer.weight.copy_(torch.eye(*layer.weight.shape))
                layer.bias.zero_()
            if activation != "none":
                # Directions spread over the sphere (Fibonacci); equal ones would never part.
                self.inner.weight.copy_(_fibonacci_sphere(hidden))
                self.outer.weight.zero_()

    def as_affine(self) -> tuple[Tensor, Tensor]:
        """A [3, 3] and b [3] with forward(x) = A @ x + b.

        Raises AlignmentError if there is an activation.
        """
        if self.activation != "none":
            raise AlignmentError(f"an alignment with {self.activation} is not an affine map")
        A = fixed_order_sum(self.outer.weight[:, :, None] * self.inner.weight, 1)
        b = fixed_order_sum(self.outer.weight * self.inner.bias, 1) + self.outer.bias
        return A, b

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
        if self.activation == "none":
            A, b = self.as_affine()
            return apply_affine(A, b, points_gen)
        hidden = apply_affine(self.inner.weight, self.inner.bias, points_gen)
        hidden = _ACTIVATIONS[self.activation](hidden)
        return points_gen + apply_affine(self.outer.weight, self.outer.bias, hidden)


def _fibonacci_sphere(count: int) -> Tensor:
    index = torch.arange(count, dtype=torch.float64)
    height = 1 - (2 * index + 1) / count
    angle = index * math.pi * (3 - math.sqrt(5))
    radius = torch.sqrt(1 - height * height)
    return torch.stack([radius * torch.cos(angle), height, radius * torch.sin(angle)], 1).float()


def trained_path(pretrained_dir: Path | None, generator_name: str) -> Path:
    """Where train_alignment_mlp.py puts weights, and generate_synthforge_data.py looks for them.

    pretrained_dir: None for default_folder's.
    """
    folder = pretrained_dir or default_folder(PRETRAINED)
    return folder / f"alignment_{generator_name}.safetensors"


def published_alignment() -> AlignmentMLP:
    """The published map for Next3D."""
    return AlignmentMLP.from_affine(torch.tensor(PUBLISHED_A), torch.tensor(PUBLISHED_B))
