"""Writes a dataset, one whole sample after another.

    root/images/000000.png  seg/  depth/  annotations/000000.json  dataset.json

A file appears under its final name only when it is complete, and a sample's annotation appears
last: a sample is there exactly when its annotation is.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

CARD = "dataset.json"
REJECTIONS = "rejections.jsonl"
CORE_FOLDERS = ("images", "seg", "depth")
ANNOTATIONS = "annotations"
_PARTIAL = ".partial"

# Room that a sample's files are counted with before a run starts; measured means are below.
_BYTES_PER_SAMPLE = 600_000
_BYTES_PER_EXTRA = 400_000


class DatasetError(RuntimeError):
    """The output folder cannot take this dataset; the message says the way out."""


@dataclass(frozen=True)
class Sample:
    """One finished sample.

    files: folder -> image, uint8 or uint16, [H, W] or RGB [H, W, 3].
    annotation: flat; every value a number or a fixed-shape array of numbers.
    """

    index: int
    files: Mapping[str, NDArray[Any]]
    annotation: Mapping[str, Any]


def sample_name(index: int) -> str:
    return f"{index:06d}"


def _existing(path: Path) -> Path:
    """The path itself, or the nearest parent that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def check_output_dir(root: Path) -> None:
    """Raises DatasetError if root cannot be written to or holds something else than a dataset."""
    nearest = _existing(root)
    if not nearest.is_dir():
        raise DatasetError(f"{nearest} is a file; give a folder as --output_dir")
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise DatasetError(
            f"cannot write to {nearest}: {error.strerror}; give another --output_dir"
        ) from error
    if root.exists() and any(root.iterdir()) and not (root / CARD).exists():
        raise DatasetError(
            f"{root} is not empty and holds no {CARD}, so it is not a dataset of ours; "
            "give an empty or new --output_dir"
        )


def sample_indices(root: Path) -> list[int]:
    """Numbers of the complete samples at root, ascending: those with an annotation."""
    return sorted(int(path.stem) for path in (root / ANNOTATIONS).glob("*.json"))


class DatasetWriter:
    """Opens or continues the dataset at `root`. `write` may be called from several threads.

    card: everything of dataset.json. What must agree to continue a dataset is its "recipe".
    Raises DatasetError if root is not writable, holds foreign files, was made by another recipe,
    or has no room for `expected` more samples.
    """

    def __init__(self, root: Path, card: Mapping[str, Any], extras: Sequence[str] = ()) -> None:
        self.root = root
        self.folders = (*CORE_FOLDERS, *extras)
        self._card = dict(card)
        self._logged: set[str] = set()
        check_output_dir(root)
        self._check_recipe()

    def _check_recipe(self) -> None:
        path = self.root / CARD
        if not path.exists():
            return
        try:
            recipe = json.loads(path.read_text(encoding="utf-8"))["recipe"]
            wanted = json.loads(json.dumps(self._card["recipe"]))
            differing = sorted(
                key for key in {*recipe, *wanted} if recipe.get(key) != wanted.get(key)
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(
                f"{path} cannot be read ({error!r}); give another --output_dir"
            ) from error
        if differing:
            raise DatasetError(
                f"{self.root} holds a dataset made with another {', '.join(differing)}; "
                "give another --output_dir, or the same settings to continue it"
            )

    def check_room(self, samples: int) -> None:
        """Raises DatasetError unless the disk has room for that many samples."""
        nearest = _existing(self.root)
        extras = len(self.folders) - len(CORE_FOLDERS)
        needed = samples * (_BYTES_PER_SAMPLE + extras * _BYTES_PER_EXTRA)
        free = shutil.disk_usage(nearest).free
        if free < needed:
            raise DatasetError(
                f"{nearest} has {free / 1e9:.1f} GB free and {samples} images need about "
                f"{needed / 1e9:.1f} GB; give another --output_dir or a smaller --num_images"
            )

    def open(self) -> None:
        """Make the folders and write dataset.json; clears what a killed run left behind."""
        shutil.rmtree(self.root / _PARTIAL, ignore_errors=True)
        for folder in (*self.folders, ANNOTATIONS, _PARTIAL):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self._put({self.root / CARD: json.dumps(self._card, indent=2).encode() + b"\n"})
        log = self.root / REJECTIONS
        if log.exists():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]
            self._logged = set(whole)
            if whole != lines:
                self._put({log: "".join(whole).encode()})

    def close(self) -> None:
        shutil.rmtree(self.root / _PARTIAL, ignore_errors=True)

    def indices(self) -> set[int]:
        """Samples that are there, whole."""
        return set(sample_indices(self.root))

    def write(self, sample: Sample) -> None:
        missing = set(self.folders) - set(sample.files)
        if missing:
            raise ValueError(f"sample {sample.index} lacks {', '.join(sorted(missing))}")
        flat = {key: _plain(value) for key, value in sample.annotation.items()}
        contents = {
            self._path(folder, sample.index, "png"): encode_png(sample.files[folder])
            for folder in self._order
        }
        contents[self._path(ANNOTATIONS, sample.index, "json")] = json.dumps(
            flat, allow_nan=False
        ).encode()
        self._put(contents)

    def log_rejections(self, rejections: Sequence[Mapping[str, Any]]) -> None:
        """Append lines to rejections.jsonl, once each: a continued run draws some again."""
        lines = [json.dumps(rejection) + "\n" for rejection in rejections]
        new = [line for line in lines if line not in self._logged]
        if new:
            self._logged.update(new)
            with open(self.root / REJECTIONS, "a", encoding="utf-8") as log:
                log.writelines(new)

    def _path(self, folder: str, index: int, suffix: str) -> Path:
        return self.root / folder / f"{sample_name(index)}.{suffix}"

    @property
    def _order(self) -> list[str]:
        """Images last: loaders list that folder, and what is listed should have its labels."""
        return sorted(self.folders, key=lambda folder: folder == "images")

    def _put(self, contents: Mapping[Path, bytes]) -> None:
        """Write all files aside, then move them into place in their order."""
        partials = {
            path: self.root / _PARTIAL / f"{path.parent.name}-{path.name}" for path in contents
        }
        try:
            for path, content in contents.items():
                partials[path].write_bytes(content)
            for path, partial in partials.items():
                os.replace(partial, path)
        except OSError as error:
            raise DatasetError(
                f"cannot write to {self.root}: {error.strerror}. Every annotated sample is whole; "
                "mend this and run the same command again to continue"
            ) from error


def encode_png(image: NDArray[Any]) -> bytes:
    """uint8 or uint16, [H, W] or RGB [H, W, 3] -> PNG bytes."""
    if image.dtype not in (np.uint8, np.uint16) or image.ndim not in (2, 3):
        raise ValueError(f"cannot store {image.dtype} {image.shape} as PNG")
    stored = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise ValueError(f"OpenCV could not encode {image.dtype} {image.shape}")
    return encoded.tobytes()


def _plain(value: Any) -> Any:
    """A number or a nested list of numbers; float32 as its shortest decimal."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"annotations hold numbers only, got {value!r}")
    if array.dtype == bool:
        array = array.astype(int)
    if array.dtype == np.float32:
        array = np.vectorize(lambda x: float(str(x)), otypes=[float])(array)
    return array.tolist()
