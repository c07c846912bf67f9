"""The sink that writes tar shards."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import ANNOTATIONS, told
from synthforge.dataset.sample import Sample, encode_sample
from synthforge.dataset.shards.record import (
    Record,
    in_order,
    pack,
    record_file,
    rejected_file,
    shard_file,
    tar_end,
)
from synthforge.dataset.sink import Add, cannot_write, in_background
from synthforge.dataset.target import Target, Writable


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

        Samples are written, to a store: uploaded, while the next are drawn. Those that come before
        their turn wait in a local file. Of the range, which begins a shard and does not leave it,
        samples that were not added are recorded as given up.
        """
        number, beyond = divmod(indices.start, self.shard_size)
        if beyond or indices.stop > indices.start + self.shard_size:
            raise ValueError(f"{indices} is no shard of {self.shard_size} samples")
        with contextlib.ExitStack() as files:
            with cannot_write(self.target.where()):
                self.target.renew()
                spool = files.enter_context(self.target.spool())
                file = files.enter_context(self.target.replacing(shard_file(number)))
            shard = _Shard(indices, file, spool)
            rejected: list[Mapping[str, Any]] = []

            def store(sample: Sample) -> None:
                contents = encode_sample(sample, [*in_order(self.folders), ANNOTATIONS])
                with cannot_write(self.target.where()):
                    shard.add(sample.index, pack(sample.index, contents))
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
                shard.end()
                files.close()
                self._record(number, shard, rejected)

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

    def _record(self, number: int, shard: _Shard, rejected: Sequence[Mapping[str, Any]]) -> None:
        if rejected:
            rows = sorted(rejected, key=lambda row: (row["index"], row["attempt"]))
            with self.target.replacing(rejected_file(number)) as file:
                file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
        given_up = [index for index in shard.indices if index not in shard.added]
        record = Record(
            start=shard.indices.start,
            stop=shard.indices.stop,
            samples=len(shard.added),
            size_bytes=shard.size,
            sha256=shard.digest.hexdigest(),
            given_up=given_up,
            max_attempts=self.max_attempts if given_up else 0,
            offsets=shard.offsets,
            recipe=self.recipe,
        )
        with self.target.replacing(record_file(number)) as file:
            file.write(record.encode())


class _Shard:
    """A tar file that is written in the order of its samples, while they come in any order.

    file: takes it. spool: where samples wait for their turn.
    """

    def __init__(self, indices: range, file: Writable, spool: IO[bytes]) -> None:
        self.indices = indices
        self.added: set[int] = set()
        self.offsets = [0]
        self.size = 0
        self.digest = hashlib.sha256()
        self._file = file
        self._spool = spool
        self._turn = indices.start
        self._waiting: dict[int, tuple[int, int]] = {}  # index -> offset and length in the spool
        self._lock = threading.Lock()

    def add(self, index: int, part: bytes) -> None:
        with self._lock:
            self.added.add(index)
            if index != self._turn:
                self._waiting[index] = (self._spool.seek(0, os.SEEK_END), len(part))
                self._spool.write(part)
                return
            self._append(index, part)
            while self._turn in self._waiting:
                self._append(self._turn, self._fetch(self._turn))

    def end(self) -> None:
        """Write what waits for samples that never came, and the end."""
        for index in sorted(self._waiting):
            self._append(index, self._fetch(index))
        self._write(tar_end(self.size))

    def _fetch(self, index: int) -> bytes:
        offset, length = self._waiting.pop(index)
        self._spool.seek(offset)
        return self._spool.read(length)

    def _append(self, index: int, part: bytes) -> None:
        self._write(part)
        self.offsets.append(self.size)
        self._turn = index + 1

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self.digest.update(content)
        self.size += len(content)
