"""A FLAME head-model layer for PyTorch that reads FLAME's files without running them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flame_pytorch.config import FlameConfig, get_config
    from flame_pytorch.flame import FLAME
    from flame_pytorch.model import HeadModel, LandmarkEmbedding

__all__ = ["FLAME", "FlameConfig", "HeadModel", "LandmarkEmbedding", "get_config"]

_HOMES = {
    "FLAME": "flame",
    "FlameConfig": "config",
    "HeadModel": "model",
    "LandmarkEmbedding": "model",
    "get_config": "config",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: torch takes seconds, and errors need none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
