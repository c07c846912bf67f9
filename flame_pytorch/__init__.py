"""A FLAME head-model layer for PyTorch that reads FLAME's files without running them."""

from flame_pytorch.config import FlameConfig, get_config
from flame_pytorch.flame import FLAME
from flame_pytorch.model import HeadModel, LandmarkEmbedding

__all__ = ["FLAME", "FlameConfig", "HeadModel", "LandmarkEmbedding", "get_config"]
