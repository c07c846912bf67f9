"""A sample as it is stored: the bytes of its files, and the values in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import ANNOTATIONS
from synthforge.dataset.sample import decode_image, unreadable
from synthforge.labels import NUMBERS


@dataclass(frozen=True)
class StoredSample:
    """A sample's files as they are stored, alike in folders and shards.

    index: its number. files: folder -> bytes, PNG files and, as `annotations`, the JSON.
    annotation: its parsed JSON, key -> number or nested list of numbers.
    paths: folder -> where the file is, to name it.
    """

    index: int
    files: Mapping[str, bytes]
    annotation: Mapping[str, Any]
    paths: Mapping[str, Path | str]

    def image(self, folder: str) -> NDArray[Any]:
        """Stored values: RGB [H, W, 3] or [H, W], uint8 or uint16.

        Raises DatasetError, which names the file, if it is damaged.
        """
        return decode_image(self.files[folder], folder, self.paths[folder])

    def array(self, key: str) -> NDArray[Any]:
        """A value of the annotation: float32 [...] if it has a fraction, else int64 [...].

        Raises DatasetError if it is not there, or holds something else than finite numbers.
        """
        return array_of(self.annotation, key, self.paths[ANNOTATIONS])

    def numbers(self, key: str) -> NDArray[np.float64]:
        """A value of the annotation as it is written, in the shape of its label.

        Raises DatasetError as `array` does, and for another shape.
        """
        path = self.paths[ANNOTATIONS]
        numbers = _finite(self.annotation, key, path)
        check_shape(numbers, key, path)
        return numbers.astype(np.float64)


def array_of(annotation: Mapping[str, Any], key: str, path: Path | str) -> NDArray[Any]:
    """A value of the annotation at `path`: float32 [...] if it has a fraction, else int64 [...].

    Raises DatasetError if it is not there, or holds something else than finite numbers.
    """
    array = _finite(annotation, key, path)
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


def check_shape(array: NDArray[Any], key: str, path: Path | str) -> None:
    """Raises DatasetError unless the value of the annotation at `path` has its label's shape."""
    if key in NUMBERS and array.shape != NUMBERS[key].shape:
        raise unreadable(path, f"{key} is {array.shape}, expected {NUMBERS[key].shape}")


def _finite(annotation: Mapping[str, Any], key: str, path: Path | str) -> NDArray[Any]:
    try:
        array = np.asarray(annotation[key])
    except KeyError as error:
        raise unreadable(path, f"it has no {key}") from error
    except ValueError as error:
        raise unreadable(path, f"{key} is ragged") from error
    if array.dtype.kind not in "if" or not np.isfinite(array).all():
        raise unreadable(path, f"{key} holds something else than finite numbers")
    return array
