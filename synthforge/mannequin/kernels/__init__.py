"""The renderer's loops, compiled by numba, and how tensors are handed to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def run(loop: Callable[..., Any], *arguments: Any) -> None:
    """Call a compiled loop, with CPU tensors as arrays: what it sets, it sets in place.

    Raises TypeError for a tensor of another type or layout than the loop was compiled for.
    """
    loop(*(a.numpy() if isinstance(a, Tensor) else a for a in arguments))
