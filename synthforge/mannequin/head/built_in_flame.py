"""The built-in head as a FLAME layer."""

from __future__ import annotations

from flame_pytorch import FLAME
from synthforge.config import EXPRESSION_SIZE, SHAPE_SIZE
from synthforge.mannequin.head.baked import baked_head


def built_in_flame() -> FLAME:
    """A layer of its own for each caller, on the CPU, float32: `Module.to` moves it in place."""
    head = baked_head()
    return FLAME.from_arrays(head.model, head.embedding, SHAPE_SIZE, EXPRESSION_SIZE)
