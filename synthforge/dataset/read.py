"""Reads back what `write` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.write import (
    ANNOTATIONS,
    CARD,
    DatasetError,
    sample_indices,
    sample_name,
)


class Dataset:
    """A dataset folder. Indices are the numbers of its complete samples, ascending."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            self.card: dict[str, Any] = json.loads((root / CARD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DatasetError(f"{root} holds no readable {CARD}: {error}") from error
        self.indices = sample_indices(root)

    def __len__(self) -> int:
        return len(self.indices)

    def annotation(self, index: int) -> dict[str, Any]:
        path = self.root / ANNOTATIONS / f"{sample_name(index)}.json"
        return json.loads(path.read_text(encoding="utf-8"))

    def image(self, folder: str, index: int) -> NDArray[Any]:
        """Stored values: RGB [H, W, 3] or [H, W], 8 or 16 bit."""
        path = self.root / folder / f"{sample_name(index)}.png"
        stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if stored is None:
            raise DatasetError(f"cannot read {path}")
        return stored if stored.ndim == 2 else cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)

    def z_depth(self, index: int) -> NDArray[np.float64]:
        """Depth along the optical axis [H, W] in generator units, from the 8-bit image."""
        near, far = self.annotation(index)["depth_range"]
        return near + self.image("depth", index) / 255 * (far - near)
