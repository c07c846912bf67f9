"""The renderer's loops, compiled by numba, and how tensors are handed to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def run(loop: Callable[..., Any], *arguments: Any) -> None:
    """Call a compiled loop, with CPU tensors as arrays: what it sets, it sets in place.

    Raises TypeError for a tensor of another type or layout than the loop was compiled for.
    """
    loop(*(a.numpy() if isinstance(a, Tensor) else a for a in arguments))


def filled(loop: Callable[..., Any], shape: tuple[int, ...], *arguments: Any) -> Tensor:
    """A new float32 tensor, 0 before, that `loop` sets: the last of its arguments."""
    result = torch.zeros(shape)
    run(loop, *arguments, result)
    return result
