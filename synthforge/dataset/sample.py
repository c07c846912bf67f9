"""One finished sample: the bytes of its files, and those read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import (
    ANNOTATIONS,
    MOST_JSON_BYTES,
    DatasetError,
    parse_record,
    sample_path,
)
from synthforge.dataset.png import encode_png
from synthforge.labels import IMAGES


@dataclass(frozen=True)
class Sample:
    """One finished sample.

    files: folder -> image, uint8 or uint16, [H, W] or RGB [H, W, 3].
    annotation: flat; every value a number or a fixed-shape array of numbers.
    """

    index: int
    files: Mapping[str, NDArray[Any]]
    annotation: Mapping[str, Any]


def encode_sample(sample: Sample, folders: Sequence[str]) -> dict[str, bytes]:
    """Files of the sample by folder, in that order. Raises ValueError if it lacks one."""
    missing = set(folders) - {*sample.files, ANNOTATIONS}
    if missing:
        raise ValueError(f"sample {sample.index} lacks {', '.join(sorted(missing))}")
    return {
        folder: encode_annotation(sample.annotation)
        if folder == ANNOTATIONS
        else encode_png(sample.files[folder])
        for folder in folders
    }


def encode_annotation(annotation: Mapping[str, Any]) -> bytes:
    """JSON, each float32 as the shortest decimal that reads back as the same float32.

    Raises ValueError for what is no finite number or array of them.
    """
    plain = {key: _plain(value) for key, value in annotation.items()}
    return json.dumps(plain, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    """A number or a nested list of numbers."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"annotations hold numbers only, got {value!r}")
    if array.dtype == bool:
        array = array.astype(int)
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        # The text of each numpy scalar; tolist or an object array would make them doubles first.
        shortest = [float(str(number)) for number in array.flat]
        array = np.array(shortest).reshape(array.shape)
    return array.tolist()


def read_file(root: Path, folder: str, index: int) -> bytes:
    """One file of a sample. Raises DatasetError if it cannot be read."""
    path = sample_path(root, folder, index)
    try:
        with open(path, "rb") as file:
            return file.read(MOST_JSON_BYTES + 1 if folder == ANNOTATIONS else -1)
    except FileNotFoundError:
        raise DatasetError(f"there is no {path}") from None
    except OSError as error:
        raise unreadable(path, cause(error)) from error


def read_annotation(root: Path, index: int) -> dict[str, Any]:
    """A sample's annotation. Raises DatasetError if it cannot be read."""
    content = read_file(root, ANNOTATIONS, index)
    return decode_annotation(content, sample_path(root, ANNOTATIONS, index))


def decode_annotation(content: bytes, path: Path | str) -> dict[str, Any]:
    """An annotation's bytes. Raises DatasetError, which names the file, if they are damaged."""
    try:
        return parse_record(content)
    except ValueError as error:
        raise unreadable(path, cause(error)) from error


def read_image(root: Path, folder: str, index: int) -> NDArray[Any]:
    """A sample's image as it is stored: RGB [H, W, 3] or [H, W], uint8 or uint16.

    Raises DatasetError if it cannot be read, or is of another kind than the folder holds.
    """
    return decode_image(read_file(root, folder, index), folder, sample_path(root, folder, index))


def decode_png(content: bytes) -> NDArray[Any] | None:
    """A PNG file's content as stored: RGB [H, W, 3] or [H, W], uint8 or uint16. None if damaged."""
    try:
        flat = np.frombuffer(content, np.uint8)
        stored = cv2.imdecode(flat, cv2.IMREAD_UNCHANGED) if len(flat) else None
    except cv2.error:
        return None
    if stored is None or stored.shape[2:] != (3,):
        return stored
    return cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)


def decode_image(content: bytes, folder: str, path: Path | str) -> NDArray[Any]:
    """An image's bytes, as `read_image`. Raises DatasetError, which names the file."""
    stored = decode_png(content)
    if stored is None:
        raise unreadable(path, "it is no whole PNG")
    dtype, axes = stored.dtype, stored.ndim
    if folder in IMAGES:
        dtype, axes = np.dtype(IMAGES[folder].dtype), 2 if IMAGES[folder].channels == 1 else 3
    if (stored.dtype, stored.ndim) != (dtype, axes) or stored.shape[2:] not in ((), (3,)):
        raise unreadable(
            path,
            f"it is {stored.dtype} {stored.shape}, expected {dtype} "
            f"{'[H, W]' if axes == 2 else '[H, W, 3]'}",
        )
    return stored


def cause(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it is cut short or was changed"


def unreadable(path: Path | str, why: str) -> DatasetError:
    return DatasetError(
        f"cannot read {path}: {why}; delete it and run the dataset's command again to draw the "
        "sample anew"
    )
