"""Reads datasets back, folders and shards alike."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import (
    ANNOTATIONS,
    DatasetError,
    sample_path,
)
from synthforge.dataset.sample import decode_annotation, decode_image, read_file, unreadable
from synthforge.dataset.scan import is_complete, sample_indices
from synthforge.dataset.shards.read import ShardFiles
from synthforge.dataset.stored import StoredSample, array_of, check_shape
from synthforge.dataset.target import open_target, read_card
from synthforge.labels import CORE
from synthforge.regions import BACKGROUND, PALETTE, region_ids

if TYPE_CHECKING:
    from synthforge.camera import Camera


class Files(Protocol):
    """The files of a dataset's samples. Methods raise DatasetError if one cannot be read."""

    def indices(self) -> list[int]:
        """Numbers of the complete samples, ascending."""
        ...

    def holds(self, index: int) -> bool:
        """Whether a sample is complete."""
        ...

    def path(self, folder: str, index: int) -> Path | str:
        """Of a file, to name it."""
        ...

    def read(self, folder: str, index: int) -> bytes: ...

    def stream(self) -> Iterator[tuple[int, Mapping[str, bytes]]]:
        """Each complete sample's number and files by folder, ascending."""
        ...


class FolderFiles:
    """Files in folders of their own; see `Files`."""

    def __init__(self, root: Path, folders: Sequence[str]) -> None:
        self.root, self.folders = root, folders

    def indices(self) -> list[int]:
        return sample_indices(self.root, self.folders).tolist()

    def holds(self, index: int) -> bool:
        return is_complete(self.root, self.folders, index)

    def path(self, folder: str, index: int) -> Path:
        return sample_path(self.root, folder, index)

    def read(self, folder: str, index: int) -> bytes:
        return read_file(self.root, folder, index)

    def stream(self) -> Iterator[tuple[int, Mapping[str, bytes]]]:
        for index in self.indices():
            names = (*self.folders, ANNOTATIONS)
            yield index, {folder: self.read(folder, index) for folder in names}


class Dataset:
    """A dataset, also as torch's DataLoader takes it.

    root: a folder or, for a dataset of shards, also a URL such as s3://bucket/faces.

    `dataset[i]` is the i-th complete sample, 0 <= i < len(dataset). Its number, which the methods
    take and its files are named by, is `dataset.indices[i]`.

    Raises DatasetError if root holds no dataset; the methods, if a file cannot be read.
    """

    def __init__(self, root: str | Path) -> None:
        target = open_target(root)
        self.root = target.where()
        self.card = read_card(target)
        self.folders = (*CORE, *self.card["recipe"].get("extras", ()))
        self._files: Files
        if "samples_per_tar" in self.card:
            self._files = ShardFiles(target, self.card)
        else:
            self._files = FolderFiles(Path(self.root), self.folders)

    @cached_property
    def indices(self) -> list[int]:
        """Numbers of the complete samples, ascending."""
        return self._files.indices()

    def holds(self, index: int) -> bool:
        """Whether the sample of that number is complete."""
        return self._files.holds(index)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> dict[str, NDArray[Any]]:
        """All of a sample: its image of each folder, and each value of its annotation.

        Arrays by the names of folders and keys. Images as `image` reads them; in the annotation,
        numbers with a fraction are float32, as they were written, the others int64.
        Raises IndexError beyond the last sample.
        """
        index = self.indices[operator.index(position)]
        names = (*self.folders, ANNOTATIONS)
        return self._item(index, {folder: self._files.read(folder, index) for folder in names})

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        """All samples, ascending; shards are read from beginning to end."""
        return (self._item(index, files) for index, files in self._files.stream())

    def samples(self, indices: Iterable[int] | None = None) -> Iterator[StoredSample]:
        """Samples with their files' bytes, one at a time in memory.

        indices: numbers of those to read, in that order; all, ascending, if None. Shards are then
        read from beginning to end. Raises DatasetError at the first that cannot be read.
        """
        if indices is not None:
            return (self.sample(index) for index in indices)
        return (self._stored(index, files) for index, files in self._files.stream())

    def sample(self, index: int, folders: Sequence[str] | None = None) -> StoredSample:
        """One sample with its annotation and, of its images, those of `folders`; all if None."""
        names = (*(self.folders if folders is None else folders), ANNOTATIONS)
        return self._stored(index, {name: self._files.read(name, index) for name in names})

    def _stored(self, index: int, files: Mapping[str, bytes]) -> StoredSample:
        paths = {name: self._files.path(name, index) for name in (*self.folders, ANNOTATIONS)}
        annotation = decode_annotation(files[ANNOTATIONS], paths[ANNOTATIONS])
        return StoredSample(index, files, annotation, paths)

    def _item(self, index: int, files: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
        sample = self._stored(index, files)
        images = {folder: sample.image(folder) for folder in self.folders}
        path = sample.paths[ANNOTATIONS]
        return images | {key: array_of(sample.annotation, key, path) for key in sample.annotation}

    def annotation(self, index: int) -> dict[str, Any]:
        """Numbers and nested lists of numbers by name; docs/formats.md has the names."""
        path = self._files.path(ANNOTATIONS, index)
        return decode_annotation(self._files.read(ANNOTATIONS, index), path)

    def image(self, folder: str, index: int) -> NDArray[Any]:
        """Stored values: RGB [H, W, 3] or [H, W], uint8 or uint16."""
        if folder not in self.folders:
            raise DatasetError(
                f"{self.root} has no {folder!r}; choose from {', '.join(self.folders)}"
            )
        content = self._files.read(folder, index)
        return decode_image(content, folder, self._files.path(folder, index))

    def z_depth(self, index: int) -> NDArray[np.float64]:
        """Depth along the optical axis [H, W] in generator units, from the 8-bit image.

        NaN on the background.
        """
        near, far = self._numbers(index, "depth_range")
        depth = near + self.image("depth", index) / 255 * (far - near)
        seg = self.image("seg", index)
        if seg.shape[:2] != depth.shape:
            raise unreadable(self._files.path("depth", index), "not of the size of seg")
        depth[(seg == PALETTE[BACKGROUND]).all(-1)] = np.nan
        return depth

    def segmentation_ids(self, index: int) -> NDArray[np.uint8]:
        """Region ids [H, W], told from the colours; 19 is background."""
        return palette_ids(self.image("seg", index), self._files.path("seg", index))

    def keypoints(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """68 points [68, 2] in pixels, centres at +0.5, and whether each is visible [68]."""
        points = self._numbers(index, "2d_kps")
        return points, self._numbers(index, "kps_visible").astype(bool)

    def camera(self, index: int) -> Camera:
        """The sample's camera, as a batch of one."""
        import torch

        from synthforge.camera import Camera

        vector = self._numbers(index, "camera_params")
        return Camera.from_vector(torch.from_numpy(vector).float()[None])

    def _numbers(self, index: int, key: str) -> NDArray[np.float64]:
        """A value of the annotation, which must have the shape of its label."""
        path = self._files.path(ANNOTATIONS, index)
        array = array_of(self.annotation(index), key, path)
        check_shape(array, key, path)
        return array.astype(np.float64)


def palette_ids(seg: NDArray[np.uint8], path: Path | str) -> NDArray[np.uint8]:
    """Region ids [H, W] of palette colours [H, W, 3]; 19 is background.

    path: of the image, to name it. Raises DatasetError if there are other colours.
    """
    ids = region_ids(seg)
    if ids.max() >= len(PALETTE):
        raise DatasetError(
            f"{path} has colours outside the palette; was it resized or stored again?"
        )
    return ids
