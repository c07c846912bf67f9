"""An alignment MLP that is not the identity, and points to move with it."""

import torch

from synthforge.alignment import AlignmentMLP


def some_points():
    return torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(0))


def trained_mlp():
    mlp = AlignmentMLP()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in mlp.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    return mlp
