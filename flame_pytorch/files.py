"""Readers of FLAME's files (in the making)."""

from __future__ import annotations

from flame_pytorch.model import HeadModel, LandmarkEmbedding


class FileFormatError(ValueError):
    """A file is not what it should be."""


def read_head_model(path: str) -> HeadModel:
    raise FileFormatError(path)


def read_landmark_embedding(path: str, contour_path: str | None = None) -> LandmarkEmbedding:
    raise FileFormatError(path)
