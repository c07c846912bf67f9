"""Linear blend skinning, as FLAME uses it (Li et al. 2017, section 3; Loper et al. 2015).

A sample must come out bit for bit the same in any batch, on any number of threads and on any CPU.
So there is no matrix product and no torch.sin here, whose rounding depends on such things: sums are
added up in a fixed order, and Rodrigues' factors are polynomials.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Power series of sin(x) / x and (1 - cos(x)) / x^2 in x^2, highest power first. At pi the terms
# left out are under 1e-12.
_SINC = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(12, -1, -1))
_VERSINE = tuple((-1) ** k / math.factorial(2 * k + 2) for k in range(12, -1, -1))


def fixed_order_sum(x: Tensor, dim: int) -> Tensor:
    """x.sum(dim), added up in one order: the second half to the first, until one is left."""
    if x.shape[dim] == 0:
        return x.sum(dim)
    while (count := x.shape[dim]) > 1:
        half = count // 2
        folded = x.narrow(dim, 0, half) + x.narrow(dim, half, half)
        x = folded if count % 2 == 0 else torch.cat([folded, x.narrow(dim, count - 1, 1)], dim)
    return x.squeeze(dim)


def blend(directions: Tensor, coefficients: Tensor) -> Tensor:
    """Offsets [B, N, 3]: the sum of directions [N, 3, K] weighted by coefficients [B, K].

    Fastest where directions lie in memory as [K, N, 3].
    """
    by_component = directions.permute(2, 0, 1)
    return torch.stack(
        [fixed_order_sum(by_component * sample[:, None, None], 0) for sample in coefficients]
    )


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
    x, y, z = _within_half_a_turn(axis_angle).unbind(-1)
    angle_squared = x * x + y * y + z * z
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return (
        identity
        + _polynomial(_SINC, angle_squared)[..., None, None] * cross
        + _polynomial(_VERSINE, angle_squared)[..., None, None] * compose(cross, cross)
    )


def _within_half_a_turn(axis_angle: Tensor) -> Tensor:
    """The same rotations with angles up to pi, where the power series converge fast."""
    x, y, z = axis_angle.unbind(-1)
    squared = x * x + y * y + z * z
    beyond = squared > math.pi**2
    # Where nothing changes the root is not taken: its gradient at zero is infinite.
    angle = torch.sqrt(torch.where(beyond, squared, torch.ones_like(squared)))
    turns = torch.where(beyond, torch.round(angle / (2 * math.pi)), torch.zeros_like(angle))
    return axis_angle * (1 - turns * (2 * math.pi) / angle)[..., None]


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


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
