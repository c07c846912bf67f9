"""SHA-256 of each file of a folder's samples, as `sha256sum -c` reads them.

manifests/000000-000999.sha256: what a run knows of those numbers, at most a thousand. Each run
writes lists of its own part, so that runs that share a folder need no locks. Where lists overlap, a
file is whole if one of them has its digest: another CPU may have drawn it again.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import ANNOTATIONS, MANIFESTS, sample_name, sample_path
from synthforge.dataset.sample import read_file
from synthforge.labels import CORE
from synthforge.plan import inside
from synthforge.whole_files import write_whole

# Samples a list, at most: a run that stops while it writes them has lost little.
_BLOCK = 1000
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([a-z0-9_]+/\d{6,19}\.(?:png|json))", re.ASCII)
_NAME = re.compile(r"(\d{6,19})-(\d{6,19})\.sha256", re.ASCII)
# Of eight folders and long names it has under a MB.
_MOST_BYTES = 16 * 2**20
_THREADS = 2

# File of a sample, relative to the dataset's folder -> digests in hexadecimal, one is its own.
Digests = dict[str, set[str]]


class Manifests:
    """The lists of a dataset's folder, read block by block.

    faults: what is wrong with them, a line for each, as far as they were read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[str] = []
        self._lists = sorted(_lists(root))
        self._last: tuple[int, Digests] | None = None

    def __bool__(self) -> bool:
        return bool(self._lists)

    def of(self, index: int) -> Digests:
        """Digests of the files of a sample and of those in its block. Ascending calls are quick."""
        block = index // _BLOCK
        if self._last is None or self._last[0] != block:
            self._last = (block, self._read(range(block * _BLOCK, (block + 1) * _BLOCK)))
        return self._last[1]

    def ranges(self) -> list[range]:
        """Numbers that the lists are of; samples that were given up are among them."""
        return [range(start, stop) for start, stop, _ in self._lists]

    def _read(self, block: range) -> Digests:
        digests: Digests = defaultdict(set)
        for start, stop, path in self._lists:
            if start >= block.stop or stop <= block.start:
                continue
            try:
                with open(path, "rb") as file:
                    lines = file.read(_MOST_BYTES).decode("ascii", "replace").splitlines()
            except OSError as error:
                self.faults.append(f"{MANIFESTS}/{path.name}: {error.strerror or error}")
                continue
            for number, line in enumerate(lines, 1):
                match = _LINE.fullmatch(line)
                if match:
                    digests[match[2]].add(match[1])
                else:
                    self.faults.append(f"{MANIFESTS}/{path.name}: line {number} is no digest")
                    break
        return digests


def file_name(folder: str, index: int) -> str:
    """Of a sample's file, relative to the dataset's folder."""
    return sample_path(Path(), folder, index).as_posix()


def write_manifests(
    root: Path,
    folders: Sequence[str],
    indices: range,
    complete: NDArray[np.int64],
    known: NDArray[np.int64],
) -> None:
    """Write the lists of the samples `indices`, those of them that are `complete`.

    complete: ascending. known: those that were there before the run, ascending: their digests are
    kept, if a list has them; the others' files are read. Raises OSError as the disk does, and
    DatasetError for a file that cannot be read.
    """
    there = Manifests(root)
    names = (*CORE, *sorted(set(folders) - set(CORE)), ANNOTATIONS)
    with ThreadPoolExecutor(_THREADS) as threads:
        for block in _blocks(indices):
            held = inside(block, complete).tolist()
            if not held:
                continue
            before = set(inside(block, known).tolist())
            listed = there.of(block.start)
            lines = partial(_lines, root, names, listed, before)
            content = "".join(threads.map(lines, held)).encode()
            path = _path(root, block)
            if not path.exists() or path.read_bytes() != content:
                path.parent.mkdir(exist_ok=True)
                write_whole(path, content)
            for start, stop, other in _lists(root):
                if block.start <= start and stop <= block.stop and other != path:
                    other.unlink(missing_ok=True)


def _lines(
    root: Path, folders: Sequence[str], listed: Digests, known: Container[int], index: int
) -> str:
    """Of one sample's files; those that are not listed, or in doubt, are read."""
    lines = []
    for folder in folders:
        name = file_name(folder, index)
        digests = listed.get(name, set()) if index in known else set()
        own = next(iter(digests)) if len(digests) == 1 else digest(root, folder, index)
        lines.append(f"{own}  {name}\n")
    return "".join(lines)


def digest(root: Path, folder: str, index: int) -> str:
    """SHA-256 of a sample's file in hexadecimal. Raises DatasetError if it cannot be read."""
    return hashlib.sha256(read_file(root, folder, index)).hexdigest()


def _blocks(indices: range) -> Iterator[range]:
    """Parts of the indices, cut at multiples of _BLOCK."""
    for start in range(indices.start - indices.start % _BLOCK, indices.stop, _BLOCK):
        yield range(max(start, indices.start), min(start + _BLOCK, indices.stop))


def _path(root: Path, block: range) -> Path:
    return root / MANIFESTS / f"{sample_name(block.start)}-{sample_name(block.stop - 1)}.sha256"


def _lists(root: Path) -> Iterator[tuple[int, int, Path]]:
    """First number, one past the last, and path of each list."""
    folder = root / MANIFESTS
    if not folder.is_dir():
        return
    for path in list(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match:
            yield int(match[1]), int(match[2]) + 1, path
