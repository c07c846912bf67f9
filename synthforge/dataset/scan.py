"""Which samples of a dataset's folder are complete."""

from __future__ import annotations

import errno
import functools
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import ANNOTATIONS, sample_name, told
from synthforge.labels import CORE
from synthforge.plan import inside

# How a whole file ends. The last chunk of a PNG has no content, so it is the same in all of them.
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_JSON_END = b"}"
# A network disk takes about a millisecond a file; that many are asked for at once.
_SCAN_THREADS = 16
_SCAN_CHUNK = 256

_OTHER_FOLDER = "correct this or give another folder"


def is_complete(root: Path, folders: Sequence[str], index: int) -> bool:
    """Whether a sample has an annotation and an image in each folder, none of them cut short."""
    return _all_end(_kinds(root, folders), index)


def sample_indices(
    root: Path, folders: Sequence[str] = CORE, within: range | None = None
) -> NDArray[np.int64]:
    """Numbers of the samples that are complete, ascending; if asked, only those `within`."""
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
        if within is not None:
            named = inside(within, named)
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
