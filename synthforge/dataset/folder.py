"""A dataset's folder: its layout, which samples are complete, and its card.

root/images/000000.png  seg/  depth/  annotations/000000.json  dataset.json
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from synthforge.config import ExtraName
from synthforge.errors import UserError

CARD = "dataset.json"
REJECTIONS = "rejections.jsonl"
CONTACT_SHEET = "contact_sheet.png"
CORE_FOLDERS = ("images", "seg", "depth")
ANNOTATIONS = "annotations"
# Holds the claims of the runs that are at work.
PARTIAL = ".partial"
EXTRAS = get_args(ExtraName)
_NAMES = {CARD, REJECTIONS, CONTACT_SHEET, *CORE_FOLDERS, ANNOTATIONS, *EXTRAS}

# How a whole file ends. The last chunk of a PNG has no content, so it is the same in all of them.
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_JSON_END = b"}"
# A network disk takes about a millisecond a file; that many are asked for at once.
_SCAN_THREADS = 16
_SCAN_CHUNK = 256

# A card or an annotation has some 10 kB.
_MOST_JSON_BYTES = 64 * 2**20

_OTHER_FOLDER = "correct this or give another folder"


class DatasetError(UserError, RuntimeError):
    """A folder that cannot be read as a dataset, or cannot take this one, and the way out."""


@contextlib.contextmanager
def told(what: str, way_out: str) -> Iterator[None]:
    """An OSError inside becomes a DatasetError: what failed, why, and the way out."""
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{what}: {error.strerror or error}; {way_out}") from error


def sample_name(index: int) -> str:
    return f"{index:06d}"


def sample_path(root: Path, folder: str, index: int) -> Path:
    suffix = "json" if folder == ANNOTATIONS else "png"
    return root / folder / f"{sample_name(index)}.{suffix}"


def existing(path: Path) -> Path:
    """The path itself, or the nearest parent that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def visible(folder: Path) -> list[Path]:
    """What the folder holds, but for hidden files, which are the system's. Raises OSError."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def check_writable(folder: Path) -> None:
    """Raises DatasetError unless files can be made in the folder."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is a file; move it away or give another --output_dir")
    with (
        told(f"cannot write to {folder}", "correct this or give another --output_dir"),
        tempfile.TemporaryFile(dir=folder),
    ):
        pass


def check_output_dir(root: Path) -> None:
    """Raises DatasetError if root holds anything but a dataset, or a new one cannot be made there.

    A dataset that is there may be complete, and then its disk may be read-only.
    """
    with told(f"cannot read {root}", "give another --output_dir"):
        if (root / CARD).exists():
            return
        check_writable(existing(root))
        if root.exists() and not {path.name for path in visible(root)} <= _NAMES:
            raise DatasetError(
                f"{root} is not empty and holds no {CARD}, so it is not a dataset of ours; "
                "give an empty or new --output_dir"
            )


def read_record(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises OSError, or ValueError if it is anything else."""
    with open(path, "rb") as file:
        content = file.read(_MOST_JSON_BYTES + 1)
    if len(content) > _MOST_JSON_BYTES:
        raise ValueError("too large")
    try:
        record = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError(f"holds a {type(record).__name__}, expected an object")
    return record


def read_card(root: Path) -> dict[str, Any]:
    """dataset.json. Raises DatasetError if it is not there or not whole."""
    path = root / CARD
    try:
        with told(f"cannot read {path}", "give a folder that holds a dataset"):
            card = read_record(path)
        recipe = card["recipe"]
        extras = recipe.get("extras", [])
        if not all(isinstance(name, str) and name.isidentifier() for name in extras):
            raise ValueError("extras are not names of folders")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} cannot be read: it is cut short or was changed; restore it or give "
            "another folder"
        ) from error
    return card


def is_complete(root: Path, folders: Sequence[str], index: int) -> bool:
    """Whether a sample has an annotation and an image in each folder, none of them cut short."""
    return _all_end(_kinds(root, folders), index)


def sample_indices(root: Path, folders: Sequence[str] = CORE_FOLDERS) -> NDArray[np.int64]:
    """Numbers of the samples that are complete, ascending."""
    kinds = _kinds(root, folders)

    def complete(indices: NDArray[np.int64]) -> list[bool]:
        return [_all_end(kinds, index) for index in indices.tolist()]

    with (
        told(f"cannot read the samples in {root}", _OTHER_FOLDER),
        ThreadPoolExecutor(_SCAN_THREADS) as threads,
    ):
        named = functools.reduce(
            np.intersect1d, (_numbered(folder, suffix) for folder, suffix, _ in kinds)
        )
        kept = np.zeros(len(named), bool)
        block = _SCAN_THREADS * _SCAN_CHUNK
        for start in range(0, len(named), block):
            part = named[start : start + block]
            chunks = [part[i : i + _SCAN_CHUNK] for i in range(0, len(part), _SCAN_CHUNK)]
            kept[start : start + block] = [*itertools.chain(*threads.map(complete, chunks))]
        return named[kept]


def _kinds(root: Path, folders: Sequence[str]) -> list[tuple[str, str, bytes]]:
    """Folder, suffix and end of each of a sample's files."""
    kinds = {ANNOTATIONS: (".json", _JSON_END)} | dict.fromkeys(folders, (".png", _PNG_END))
    return [(os.path.join(root, folder, ""), *kind) for folder, kind in kinds.items()]


def _all_end(kinds: Sequence[tuple[str, str, bytes]], index: int) -> bool:
    name = sample_name(index)
    return all(_ends_with(f"{folder}{name}{suffix}", end) for folder, suffix, end in kinds)


def _numbered(folder: str, suffix: str) -> NDArray[np.int64]:
    """Numbers of the samples that have a file in the folder; other files are passed over."""
    if not os.path.exists(folder):
        return np.empty(0, np.int64)
    with told(f"cannot read {folder}", _OTHER_FOLDER), os.scandir(folder) as entries:
        parts = (os.path.splitext(entry.name) for entry in entries)
        numbers = (
            int(stem)
            for stem, ending in parts
            if ending == suffix and stem.isdecimal() and stem == sample_name(int(stem))
        )
        return np.fromiter((number for number in numbers if number < 2**63), np.int64)


def _ends_with(path: str, end: bytes) -> bool:
    """Whether a file is there and ends so. An empty or cut one does not."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return False
    try:
        os.lseek(file, -len(end), os.SEEK_END)
        return os.read(file, len(end)) == end
    except OSError as error:
        if error.errno == errno.EINVAL:  # it is shorter than that
            return False
        raise
    finally:
        os.close(file)
