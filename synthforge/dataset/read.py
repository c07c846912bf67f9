"""Reads back what `write` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.camera import Camera
from synthforge.dataset.write import (
    ANNOTATIONS,
    CORE_FOLDERS,
    DatasetError,
    read_card,
    sample_indices,
    sample_name,
)
from synthforge.regions import BACKGROUND, PALETTE


class Dataset:
    """A dataset folder. Indices are the numbers of its complete samples, ascending."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.card = read_card(self.root)
        extras = self.card["recipe"].get("extras", ())
        self.indices = sample_indices(self.root, (*CORE_FOLDERS, *extras))

    def __len__(self) -> int:
        return len(self.indices)

    def annotation(self, index: int) -> dict[str, Any]:
        """Numbers and nested lists of numbers by name; docs/formats.md tells the names."""
        path = self.root / ANNOTATIONS / f"{sample_name(index)}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _unreadable(path) from error

    def image(self, folder: str, index: int) -> NDArray[Any]:
        """Stored values: RGB [H, W, 3] or [H, W], 8 or 16 bit."""
        path = self.root / folder / f"{sample_name(index)}.png"
        # Not imread, which crashes on paths that are not UTF-8.
        content = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
        stored = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if len(content) else None
        if stored is None:
            raise _unreadable(path)
        return stored if stored.ndim == 2 else cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)

    def z_depth(self, index: int) -> NDArray[np.float64]:
        """Depth along the optical axis [H, W] in generator units, from the 8-bit image.

        NaN on the background.
        """
        near, far = self.annotation(index)["depth_range"]
        depth = near + self.image("depth", index) / 255 * (far - near)
        depth[(self.image("seg", index) == PALETTE[BACKGROUND]).all(-1)] = np.nan
        return depth

    def segmentation_ids(self, index: int) -> NDArray[np.uint8]:
        """Region ids [H, W], told from the colours; 19 is background."""
        seg = self.image("seg", index)
        ids = np.full(seg.shape[:2], len(PALETTE), np.uint8)
        for region_id, color in enumerate(PALETTE):
            ids[(seg == color).all(-1)] = region_id
        if ids.max() == len(PALETTE):
            raise DatasetError(
                f"seg/{sample_name(index)}.png in {self.root} has colours outside the palette; "
                "was it resized or stored anew?"
            )
        return ids

    def keypoints(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """68 points [68, 2] in pixels, centres at +0.5, and whether each is visible [68]."""
        annotation = self.annotation(index)
        return np.array(annotation["2d_kps"]), np.array(annotation["kps_visible"], bool)

    def camera(self, index: int) -> Camera:
        """The sample's camera, as a batch of one."""
        return Camera.from_vector(torch.tensor([self.annotation(index)["camera_params"]]))


def _unreadable(path: Path) -> DatasetError:
    return DatasetError(
        f"cannot read {path}; delete it and run the dataset's command again to draw the sample anew"
    )
