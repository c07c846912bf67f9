"""Reads back what `write` wrote."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.camera import Camera
from synthforge.dataset.folder import (
    ANNOTATIONS,
    DatasetError,
    read_card,
    sample_path,
)
from synthforge.dataset.sample import read_annotation, read_image, unreadable
from synthforge.dataset.scan import sample_indices
from synthforge.labels import CORE, NUMBERS
from synthforge.regions import BACKGROUND, PALETTE


class Dataset:
    """A dataset folder, also as torch's DataLoader takes it.

    `dataset[i]` is the i-th complete sample, 0 <= i < len(dataset). Its number, which the methods
    take and its files are named by, is `dataset.indices[i]`.

    Raises DatasetError if root holds no dataset; the methods, if a file cannot be read.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.card = read_card(self.root)
        self.folders = (*CORE, *self.card["recipe"].get("extras", ()))

    @cached_property
    def indices(self) -> list[int]:
        """Numbers of the complete samples, ascending."""
        return sample_indices(self.root, self.folders).tolist()

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> dict[str, NDArray[Any]]:
        """All of a sample: its image of each folder, and each value of its annotation.

        Arrays by the names of folders and keys. Images as `image` reads them; in the annotation,
        numbers with a fraction are float32, as they were written, the others int64.
        Raises IndexError beyond the last sample.
        """
        index = self.indices[operator.index(position)]
        images = {folder: self.image(folder, index) for folder in self.folders}
        path, annotation = sample_path(self.root, ANNOTATIONS, index), self.annotation(index)
        return images | {key: _array(annotation, key, path) for key in annotation}

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        return (self[position] for position in range(len(self)))

    def annotation(self, index: int) -> dict[str, Any]:
        """Numbers and nested lists of numbers by name; docs/formats.md has the names."""
        return read_annotation(self.root, index)

    def image(self, folder: str, index: int) -> NDArray[Any]:
        """Stored values: RGB [H, W, 3] or [H, W], uint8 or uint16."""
        return read_image(self.root, folder, index)

    def z_depth(self, index: int) -> NDArray[np.float64]:
        """Depth along the optical axis [H, W] in generator units, from the 8-bit image.

        NaN on the background.
        """
        near, far = self._numbers(index, "depth_range")
        depth = near + self.image("depth", index) / 255 * (far - near)
        seg = self.image("seg", index)
        if seg.shape[:2] != depth.shape:
            raise unreadable(sample_path(self.root, "depth", index), "not of the size of seg")
        depth[(seg == PALETTE[BACKGROUND]).all(-1)] = np.nan
        return depth

    def segmentation_ids(self, index: int) -> NDArray[np.uint8]:
        """Region ids [H, W], told from the colours; 19 is background."""
        seg = self.image("seg", index)
        ids = np.full(seg.shape[:2], len(PALETTE), np.uint8)
        for region_id, color in enumerate(PALETTE):
            ids[(seg == color).all(-1)] = region_id
        if ids.max() == len(PALETTE):
            raise DatasetError(
                f"{sample_path(self.root, 'seg', index)} has colours outside the palette; was it "
                "resized or stored again?"
            )
        return ids

    def keypoints(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """68 points [68, 2] in pixels, centres at +0.5, and whether each is visible [68]."""
        points = self._numbers(index, "2d_kps")
        return points, self._numbers(index, "kps_visible").astype(bool)

    def camera(self, index: int) -> Camera:
        """The sample's camera, as a batch of one."""
        vector = self._numbers(index, "camera_params")
        return Camera.from_vector(torch.from_numpy(vector).float()[None])

    def _numbers(self, index: int, key: str) -> NDArray[np.float64]:
        """A value of the annotation, which must have the shape of its label."""
        shape = NUMBERS[key].shape
        path = sample_path(self.root, ANNOTATIONS, index)
        array = _array(self.annotation(index), key, path).astype(np.float64)
        if array.shape != shape:
            raise unreadable(path, f"{key} is {array.shape}, expected {shape}")
        return array


def _array(annotation: Mapping[str, Any], key: str, path: Path) -> NDArray[Any]:
    """A value of the annotation at `path`: float32 [...] or int64 [...]."""
    try:
        array = np.asarray(annotation[key])
    except KeyError as error:
        raise unreadable(path, f"it has no {key}") from error
    except ValueError as error:
        raise unreadable(path, f"{key} is ragged") from error
    if array.dtype.kind not in "if" or not np.isfinite(array).all():
        raise unreadable(path, f"{key} holds something else than finite numbers")
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
