"""Linear blend skinning, as FLAME uses it (Li et al. 2017, section 3; Loper et al. 2015).

Sums that could be matrix products are written elementwise or one sample at a time: the rounding of
a batched product depends on the batch, and a sample must come out bit for bit the same however it
is batched.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Below this squared angle (rad^2) sin and cos give way to their Taylor series: the terms left out
# are under 1e-17, and the gradient at zero is finite.
_TAYLOR_BELOW = 1e-3


def blend(directions: Tensor, coefficients: Tensor) -> Tensor:
    """Offsets [B, N, 3]: the sum of directions [N, 3, K] weighted by coefficients [B, K]."""
    matrix = directions.flatten(0, 1)
    # clone: the bits of a BLAS product depend on the alignment of its operands.
    offsets = [torch.mv(matrix, sample.clone()) for sample in coefficients]
    return torch.stack(offsets).unflatten(1, (-1, 3))


def compose(A: Tensor, B: Tensor) -> Tensor:
    """A @ B for [..., 3, 3] matrices."""
    return (
        A[..., 0:1] * B[..., 0:1, :] + A[..., 1:2] * B[..., 1:2, :] + A[..., 2:3] * B[..., 2:3, :]
    )


def apply(R: Tensor, x: Tensor) -> Tensor:
    """R @ x for matrices [..., 3, 3] and points [..., 3]."""
    return R[..., 0] * x[..., 0:1] + R[..., 1] * x[..., 1:2] + R[..., 2] * x[..., 2:3]


def rotation_matrix(axis_angle: Tensor) -> Tensor:
    """[..., 3] axis times angle, radians -> [..., 3, 3] (Rodrigues). Smooth at zero."""
    x, y, z = axis_angle.unbind(-1)
    angle_squared = x * x + y * y + z * z
    small = angle_squared < _TAYLOR_BELOW
    angle = torch.sqrt(torch.where(small, torch.ones_like(angle_squared), angle_squared))
    half_sin = torch.sin(angle / 2)
    s = torch.where(small, angle_squared, torch.zeros_like(angle_squared))
    sin_over_angle = torch.where(
        small, 1 - s / 6 + s**2 / 120 - s**3 / 5040, torch.sin(angle) / angle
    )
    versine_over_square = torch.where(
        small, 0.5 - s / 24 + s**2 / 720 - s**3 / 40320, 2 * (half_sin / angle) ** 2
    )
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return (
        identity
        + sin_over_angle[..., None, None] * cross
        + versine_over_square[..., None, None] * compose(cross, cross)
    )


def pose_joints(R_local: Tensor, joints: Tensor, parents: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Rotations [B, J, 3, 3] relative to the parents -> world rotations and offsets.

    joints: [B, J, 3], rest positions. parents: each joint's parent comes before it; the root has
    -1. A point x that moves with joint j goes to R[:, j] x + t[:, j]; t is [B, J, 3].
    """
    rotations: list[Tensor] = []
    offsets: list[Tensor] = []
    for joint, parent in enumerate(parents):
        R, position = R_local[:, joint], joints[:, joint]
        if parent >= 0:
            R = compose(rotations[parent], R)
            position = apply(rotations[parent], position) + offsets[parent]
        rotations.append(R)
        offsets.append(position - apply(R, joints[:, joint]))
    return torch.stack(rotations, 1), torch.stack(offsets, 1)


def skin(vertices: Tensor, weights: Tensor, R: Tensor, t: Tensor) -> Tensor:
    """Vertices [B, V, 3] moved by the joints' R [B, J, 3, 3], t [B, J, 3]; weights are [V, J]."""
    moved = torch.zeros_like(vertices)
    for joint, weight in enumerate(weights.unbind(1)):
        moved = moved + weight[:, None] * (apply(R[:, joint, None], vertices) + t[:, joint, None])
    return moved
