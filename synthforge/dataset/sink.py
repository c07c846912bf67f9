"""Where a run's samples go: what a sink is, and the folder's."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.claims import renew
from synthforge.dataset.continuing import check_recipe
from synthforge.dataset.folder import ANNOTATIONS, sample_path, told
from synthforge.dataset.sample import Sample, encode_sample
from synthforge.dataset.scan import is_complete
from synthforge.whole_files import write_together

_THREADS = 2
# Samples that may wait for the disk before the generator waits for them.
_WAITING = 16

# What the file system says where another run took this one's claim for dead, and removed it.
_VANISHED = (errno.ENOENT, errno.ESTALE)
_TRIES = 5


# Takes samples, and the rejected draws before them as rows of rejections.jsonl.
Add = Callable[[Sequence[Sample], Sequence[Mapping[str, Any]]], None]


class Sink(Protocol):
    """Takes samples from one writer. It can be pickled: the writer may be another process."""

    def open(self, indices: range) -> contextlib.AbstractContextManager[Add]:
        """`with sink.open(indices) as add`: add(samples, rejections) for each batch, in any order.

        All that was added is stored when the block has ended. If the block raises, each file is
        whole or absent. `add` and the end of the block raise DatasetError if the disk fails.
        """
        ...

    def stored(self, indices: range) -> NDArray[np.int64]:
        """Those of the indices that need not be drawn again, ascending, after their writer died."""
        ...

    def is_seen(self) -> bool:
        """Whether this machine sees the dataset that the run has opened."""
        ...


class Writer(Protocol):
    """What a run writes through: the folder's or the shards'."""

    recipe: Mapping[str, Any]

    @property
    def has_card(self) -> bool:
        """Whether dataset.json is there."""
        ...

    @property
    def there(self) -> NDArray[np.int64]:
        """Indices that need not be drawn, ascending."""
        ...

    @property
    def given_up(self) -> Sequence[int]:
        """Indices of the run that are `there` without a sample."""
        ...

    def check_room(self, samples: int) -> None:
        """Raises DatasetError unless so many samples can be written, as far as one can tell."""
        ...

    def open(self) -> None:
        """Begin to write. Raises DatasetError."""
        ...

    def close(self) -> None:
        """Remove what is the run's own; `open` makes it again."""
        ...

    @property
    def sink(self) -> Sink: ...

    def log_rejections(self, rejections: Sequence[Mapping[str, Any]]) -> None: ...

    def write_index(self) -> None:
        """Write what lists the samples with their SHA-256. At the end of a run."""
        ...


@dataclass(frozen=True)
class FolderSink:
    """Writes the files of each sample into a dataset's folder.

    folders: of images, in the order in which they are written; the annotation comes last.
    recipe: of the run. claim: where unfinished files go.
    """

    root: Path
    folders: tuple[str, ...]
    recipe: Mapping[str, Any]
    claim: Path

    @contextlib.contextmanager
    def open(self, indices: range) -> Iterator[Add]:
        """See `Sink`. The rejected draws are the run's to log."""
        with in_background(self.write) as write:

            def add(samples: Sequence[Sample], _: Sequence[Mapping[str, Any]]) -> None:
                for sample in samples:
                    write(sample)

            yield add

    def stored(self, indices: range) -> NDArray[np.int64]:
        """See `Sink`."""
        with told(f"cannot read {self.root}", "correct this and run the same command again"):
            there = [index for index in indices if is_complete(self.root, self.folders, index)]
        return np.array(there, np.int64)

    def is_seen(self) -> bool:
        """See `Sink`."""
        return self.claim.exists()

    def write(self, sample: Sample) -> None:
        """Write a sample's files, the annotation last. Raises DatasetError if the disk fails."""
        contents = {
            sample_path(self.root, folder, sample.index): content
            for folder, content in encode_sample(sample, [*self.folders, ANNOTATIONS]).items()
        }
        with cannot_write(self.root):
            for left in reversed(range(_TRIES)):
                try:
                    self.renew_claim()
                    return write_together(contents, self.claim)
                except OSError as error:
                    if error.errno not in _VANISHED or not left:
                        raise

    def renew_claim(self) -> None:
        """Show that the run lives; makes the claim again if another run took it for dead."""
        if renew(self.claim):
            check_recipe(self.root, self.recipe, self.claim)


@contextlib.contextmanager
def in_background(write: Callable[[Sample], None]) -> Iterator[Callable[[Sample], None]]:
    """Calls of the yielded function are calls of `write` in threads, while the next are drawn.

    All have ended when the block has. What one raises is raised by a later call, or at the end.
    """
    writing: set[Future[None]] = set()

    def add(sample: Sample) -> None:
        nonlocal writing
        writing = _finish(writing, _WAITING)
        writing.add(threads.submit(write, sample))

    with ThreadPoolExecutor(_THREADS) as threads:
        yield add
        _finish(writing, 0)


def cannot_write(root: Path | str) -> contextlib.AbstractContextManager[None]:
    """An OSError inside becomes a DatasetError that says how to go on."""
    return told(
        f"cannot write to {root}",
        "what is there is whole: correct this and run the same command again to continue",
    )


def _finish(writing: set[Future[None]], most: int) -> set[Future[None]]:
    """Wait until at most `most` writes are under way; returns those. A failed one raises here."""
    done, left = wait(writing, timeout=0)
    while len(left) > most:
        more, left = wait(left, return_when=FIRST_COMPLETED)
        done |= more
    for write in done:
        write.result()
    return left
