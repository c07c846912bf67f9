"""Checks of the generator's inputs."""

from __future__ import annotations

import torch
from torch import Tensor


def check_shape(name: str, tensor: Tensor, shape: tuple[int | None, ...]) -> None:
    """Raises ValueError unless the shape matches; None matches any length."""
    matches = tensor.ndim == len(shape) and all(
        want is None or got == want for got, want in zip(tensor.shape, shape, strict=True)
    )
    if not matches:
        expected = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name} is {tuple(tensor.shape)}, expected ({expected})")


def check_batch(
    name: str, tensor: Tensor, shape: tuple[int | None, ...], device: torch.device
) -> Tensor:
    """The batch in float32.

    Raises ValueError unless it is a non-empty batch of floating-point numbers, of that shape and on
    that device. On CPU they must be finite, too; on a GPU that check would be a host sync.
    """
    check_shape(name, tensor, shape)
    if not len(tensor):
        raise ValueError(f"{name} is an empty batch")
    if not tensor.is_floating_point():
        raise ValueError(f"{name} is {tensor.dtype}, expected torch.float32")
    if tensor.device != device:
        raise ValueError(f"{name} is on {tensor.device}, the generator on {device}")
    if device.type == "cpu" and not tensor.isfinite().all():
        raise ValueError(f"{name} holds values that are not finite")
    return tensor.float()
