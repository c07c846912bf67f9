"""What is made of a network's weights alone, kept until they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

# Per weight: addresses and versions of all that it was made of, and what was made, by name.
_kept: WeakIdKeyDictionary = WeakIdKeyDictionary()


def once(sources: tuple[Tensor, ...], name: object, make: Callable[[], Tensor]) -> Tensor:
    """`make()`, which depends on the sources alone. Kept with the first until one changes.

    Not while compiling, and not of inference tensors, which have no version.
    """
    if torch.compiler.is_compiling() or any(t.is_inference() or t.requires_grad for t in sources):
        return make()
    state = [(source.data_ptr(), source._version) for source in sources]
    kept: dict[object, Any] = _kept.setdefault(sources[0], {})
    if name not in kept or kept[name][0] != state:
        with torch.inference_mode(False), torch.no_grad():  # gradients may flow past it later
            kept[name] = state, make()
    return kept[name][1]


def cast(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight in that dtype; kept, where that is another."""
    if weight.dtype == dtype:
        return weight
    return once((weight,), dtype, lambda: weight.to(dtype))


def scaled(weight: Tensor, gain: float, dtype: torch.dtype) -> Tensor:
    """The weight times a gain. Kept in half precision; in float32 that would double its memory."""
    if dtype == weight.dtype:
        return weight * gain
    return once((weight,), (dtype, gain), lambda: (weight * gain).to(dtype))
