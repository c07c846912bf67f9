"""The sink that writes tar shards."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import ANNOTATIONS, told
from synthforge.dataset.sample import Sample, encode_sample
from synthforge.dataset.shards.record import (
    Record,
    pack,
    record_file,
    rejected_file,
    shard_file,
    tar_end,
)
from synthforge.dataset.sink import Add, cannot_write, in_background
from synthforge.dataset.target import Target


@dataclass(frozen=True)
class TarSink:
    """Writes each range as a shard.

    folders: of images, in any order. recipe: fingerprint of the dataset's.
    max_attempts: of the run, to be recorded with what was given up.
    """

    target: Target
    folders: tuple[str, ...]
    recipe: str
    shard_size: int
    max_attempts: int

    @contextlib.contextmanager
    def open(self, indices: range) -> Iterator[Add]:
        """See `Sink`. The shard and then its record appear when the block has ended.

        Of the range, which begins a shard and does not leave it, samples that were not added are
        recorded as given up. Whole samples wait in a local file, in the order in which they come.
        """
        number, beyond = divmod(indices.start, self.shard_size)
        if beyond or indices.stop > indices.start + self.shard_size:
            raise ValueError(f"{indices} is no shard of {self.shard_size} samples")
        with contextlib.ExitStack() as stack:
            with cannot_write(self.target.where()):
                self.target.renew()
                spool = stack.enter_context(self.target.spool())
            shard = _Shard(spool)
            rejected: list[Mapping[str, Any]] = []

            def store(sample: Sample) -> None:
                files = encode_sample(sample, [*_in_order(self.folders), ANNOTATIONS])
                with cannot_write(self.target.where()):
                    shard.append(sample.index, pack(sample.index, files))
                    self.target.renew()

            with in_background(store) as add_one:

                def add(samples: Sequence[Sample], rejections: Sequence[Mapping[str, Any]]) -> None:
                    rejected.extend(rejections)
                    for sample in samples:
                        if sample.index not in indices:
                            raise ValueError(f"sample {sample.index} is outside of {indices}")
                        add_one(sample)

                yield add
            with cannot_write(self.target.where()):
                self._finish(number, indices, shard, rejected)

    def stored(self, indices: range) -> NDArray[np.int64]:
        """See `Sink`: all of a shard, with what was given up, or nothing."""
        number = indices.start // self.shard_size
        with told(f"cannot read {self.target.where()}", "run the same command again"):
            try:
                record = Record.parse(self.target.read(record_file(number)))
            except (FileNotFoundError, ValueError):
                return np.empty(0, np.int64)
        is_whole = (record.start, record.stop, record.recipe) == (
            *(indices.start, indices.stop, self.recipe),
        )
        return np.arange(indices.start, indices.stop if is_whole else indices.start)

    def is_seen(self) -> bool:
        """See `Sink`."""
        return self.target.is_seen()

    def _finish(
        self,
        number: int,
        indices: range,
        shard: _Shard,
        rejected: Sequence[Mapping[str, Any]],
    ) -> None:
        digest, offsets = hashlib.sha256(), [0]
        with self.target.replacing(shard_file(number)) as file:
            for part in shard.parts():
                file.write(part)
                digest.update(part)
                offsets.append(offsets[-1] + len(part))
            end = tar_end(offsets[-1])
            file.write(end)
            digest.update(end)
        if rejected:
            rows = sorted(rejected, key=lambda row: (row["index"], row["attempt"]))
            with self.target.replacing(rejected_file(number)) as file:
                file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
        given_up = [index for index in indices if index not in shard.places]
        record = Record(
            start=indices.start,
            stop=indices.stop,
            samples=len(shard.places),
            size_bytes=offsets[-1] + len(end),
            sha256=digest.hexdigest(),
            given_up=given_up,
            max_attempts=self.max_attempts if given_up else 0,
            offsets=offsets,
            recipe=self.recipe,
        )
        with self.target.replacing(record_file(number)) as file:
            file.write(record.encode())


@dataclass
class _Shard:
    """Samples of a shard in a spool file. places: index -> offset and length there."""

    spool: IO[bytes]
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def append(self, index: int, part: bytes) -> None:
        with self.lock:
            self.places[index] = (self.spool.tell(), len(part))
            self.spool.write(part)

    def parts(self) -> Iterator[bytes]:
        """By index."""
        for _, (offset, length) in sorted(self.places.items()):
            self.spool.seek(offset)
            yield self.spool.read(length)


def _in_order(folders: Sequence[str]) -> list[str]:
    """The image, then labels by name: --extras a,b and b,a make the same bytes."""
    return sorted(folders, key=lambda folder: (folder != "images", folder))
