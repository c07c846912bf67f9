"""Precision of the generator's convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from synthforge.config import Precision

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raises ValueError for a precision that the device lacks."""
    if device.type != "cuda" and precision in ("fp16", "tf32"):
        raise ValueError(
            f"precision {precision!r} needs a CUDA device, the generator is on {device}; "
            "use 'fp32' or 'bf16'"
        )


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[torch.dtype]:
    """Within, convolutions of feature maps of the given dtype compute in `precision`.

    On CUDA they are deterministic too, as samples have to be the same in every run. cuDNN's other
    flags stay the user's: with autotuning (`benchmark`), two runs may pick other algorithms.

    Raises ValueError for a precision that the device lacks.
    """
    check_precision(precision, device)
    if device.type != "cuda":
        yield DTYPES[precision]
        return
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    try:
        cudnn.allow_tf32, cudnn.deterministic = precision == "tf32", True
        yield DTYPES[precision]
    finally:
        cudnn.allow_tf32, cudnn.deterministic = before
