"""Functions whose bits depend on their arguments alone, not on threads, memory layout or CPU.

torch.exp, sin, pow and their like may round otherwise in a vector's last places than in its body,
so their results depend on how threads share a tensor out. Matrix products, convolutions and sums
round by thread, memory alignment and CPU. What stands here is made of operations that IEEE 754
rounds the same everywhere, one at a time: add, multiply, divide, square root. The renderer uses
nothing else; tests/mannequin/test_mannequin_same_bits.py holds the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from flame_pytorch.lbs import fixed_order_sum
from synthforge.mannequin.kernels import filled
from synthforge.mannequin.kernels.arithmetic import exps, sigmoids, sines, turn_points, turn_rows
from synthforge.mannequin.kernels.maps import angles


def exp(x: Tensor) -> Tensor:
    """e^x, to a relative 1e-4 for |x| up to 10; below -80 not quite 0."""
    return _of_each(exps, x)


def sigmoid(x: Tensor) -> Tensor:
    return _of_each(sigmoids, x)


def normal_cdf(x: Tensor) -> Tensor:
    """Standard normal -> uniform in [0, 1], within 1.4e-4 (Bowling et al. 2009)."""
    return sigmoid(x * (1.5976 + 0.07056 * (x * x)))


def sine(x: Tensor) -> Tensor:
    """sin(x), x in radians, within 1e-6 for a few turns."""
    return _of_each(sines, x)


def cosine(x: Tensor) -> Tensor:
    return sine(x + math.pi / 2)


def atan2(y: Tensor, x: Tensor) -> Tensor:
    """Angle of (x, y), radians in [-pi, pi], within 1e-5."""
    return _of_each(angles, y, x)


def _of_each(loop: Callable[..., Any], *tensors: Tensor) -> Tensor:
    """The results of a compiled loop over the numbers of tensors of one shape."""
    flat = [x.float().contiguous().view(-1) for x in tensors]
    return filled(loop, flat[0].shape, *flat).view(tensors[0].shape)


def steps(low: float, high: float, count: int) -> Tensor:
    """float32 [count], evenly from low to high."""
    return torch.arange(count) * ((high - low) / (count - 1)) + low


def mean(x: Tensor, dim: int) -> Tensor:
    return fixed_order_sum(x, dim) / x.shape[dim]


def dot(a: Tensor, b: Tensor, dim: int = -1) -> Tensor:
    """Products of vectors, three numbers along `dim`."""
    (ax, ay, az), (bx, by, bz) = a.unbind(dim), b.unbind(dim)
    return ax * bx + ay * by + az * bz


def length(x: Tensor, dim: int = -1) -> Tensor:
    """Of vectors, three numbers along `dim`."""
    return torch.sqrt(dot(x, x, dim))


def turned(R: Tensor, x: Tensor) -> Tensor:
    """R [3, 3] @ x for points [..., 3]."""
    points = x.contiguous()
    return filled(turn_points, (points.numel() // 3, 3), R, points.view(-1, 3)).view(x.shape)


def product(R: Tensor, x: Tensor) -> Tensor:
    """R [3, 3] @ x [3, ...]."""
    return filled(turn_rows, (3, x[0].numel()), R, x.flatten(1)).view(x.shape)


def weighted_sum(weights: Tensor, values: Tensor) -> Tensor:
    """weights [K, N] and values [K, C] -> [C, N]: values^T @ weights."""
    return torch.stack([fixed_order_sum(weights * v[:, None], 0) for v in values.unbind(1)])
