"""The files of samples in tar shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import ANNOTATIONS, CARD, DatasetError, sample_name
from synthforge.dataset.sample import cause, unreadable
from synthforge.dataset.shards.record import fingerprint, member, shard_file, unpack, whole_shards
from synthforge.dataset.target import Target
from synthforge.labels import CORE


class ShardFiles:
    """See synthforge.dataset.read.Files. A sample is read with one request, shards not at all."""

    def __init__(self, target: Target, card: Mapping[str, Any]) -> None:
        self.target, self.size = target, card["samples_per_tar"]
        if not isinstance(self.size, int) or self.size < 1:
            raise DatasetError(f"{target.where(CARD)} cannot be read: samples_per_tar is no count")
        self.folders = (*CORE, *card["recipe"].get("extras", ()), ANNOTATIONS)
        self._recipe = fingerprint(card["recipe"], self.size)
        self._last: tuple[int, Mapping[str, bytes]] | None = None

    @cached_property
    def _shards(self) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Number -> its samples, ascending, and where they begin and end."""
        shards = {}
        for number, record in whole_shards(self.target):
            if record.recipe != self._recipe:
                raise mixed(self.target, number)
            shards[number] = (
                np.array(record.indices, np.int64),
                np.array(record.offsets, np.int64),
            )
        return shards

    def indices(self) -> list[int]:
        return [index for held, _ in self._shards.values() for index in held.tolist()]

    def holds(self, index: int) -> bool:
        return self._place(index) is not None

    def path(self, folder: str, index: int) -> str:
        shard = self.target.where(shard_file(index // self.size))
        return f"{shard} ({sample_name(index)}.{member(folder)})"

    def read(self, folder: str, index: int) -> bytes:
        last = self._last
        if last is None or last[0] != index:
            place = self._place(index)
            if place is None:
                raise DatasetError(f"{self.target.where()} has no whole sample {index}")
            try:
                content = self.target.read(shard_file(index // self.size), *place)
            except OSError as error:
                raise unreadable(self.path(folder, index), cause(error)) from error
            last = self._last = (index, self._unpack(index, content))
        return last[1][folder]

    def stream(self) -> Iterator[tuple[int, Mapping[str, bytes]]]:
        for number, (indices, offsets) in self._shards.items():
            name = shard_file(number)
            try:
                with self.target.open(name) as file:
                    for index, length in zip(
                        indices.tolist(), np.diff(offsets).tolist(), strict=True
                    ):
                        yield index, self._unpack(index, file.read(length))
            except OSError as error:
                raise unreadable(self.target.where(name), cause(error)) from error

    def _place(self, index: int) -> tuple[int, int] | None:
        """Where the sample begins and ends in its shard."""
        if index // self.size not in self._shards:
            return None
        indices, offsets = self._shards[index // self.size]
        position = int(np.searchsorted(indices, index))
        if position == len(indices) or indices[position] != index:
            return None
        return int(offsets[position]), int(offsets[position + 1])

    def _unpack(self, index: int, content: bytes) -> dict[str, bytes]:
        try:
            files = unpack(index, content)
            return {folder: files[member(folder)] for folder in self.folders}
        except (ValueError, KeyError) as error:
            raise unreadable(self.path(ANNOTATIONS, index), cause(error)) from error


def mixed(target: Target, number: int) -> DatasetError:
    return DatasetError(
        f"{target.where(shard_file(number))} was made with other settings than the rest; "
        "move it away, or give another folder"
    )
