"""Opens or continues a dataset of tar shards: its card, its index and the Hub's card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthforge.config import RunConfig
from synthforge.dataset.continuing import differences
from synthforge.dataset.folder import (
    CARD,
    CONTACT_SHEET,
    DatasetError,
    encode_card,
    told,
    with_planned,
)
from synthforge.dataset.shards.read import mixed
from synthforge.dataset.shards.record import (
    INDEX,
    RECORDS,
    REJECTED,
    SHARDS,
    Record,
    encode_index,
    fingerprint,
    whole_shards,
)
from synthforge.dataset.shards.sink import TarSink
from synthforge.dataset.sink import cannot_write
from synthforge.dataset.target import Target, read_card
from synthforge.dataset.write import bytes_needed
from synthforge.labels import CORE

HUB_CARD = "README.md"
_NAMES = {CARD, CONTACT_SHEET, HUB_CARD, INDEX, SHARDS, RECORDS, REJECTED}
HUB_CARD_TEXT = f"""---
configs:
- config_name: default
  data_files:
  - split: train
    path: {SHARDS}/*.tar
---
Labelled synthetic faces, made with SynthForge. {CARD} holds licence, conventions and settings;
{INDEX} names the shards with their SHA-256.
"""


def check_target(target: Target) -> None:
    """Raises DatasetError if a dataset of shards cannot be made or continued there."""
    with told(f"cannot read {target.where()}", "give another --output_dir"):
        names = target.names()
    if CARD in names:
        return
    target.check_room()
    if names and not (names <= _NAMES and RECORDS in names):
        raise DatasetError(
            f"{target.where()} is not empty and holds no {CARD}, so it is no dataset of shards; "
            "give an empty or new --output_dir"
        )


class ShardWriter:
    """Opens or continues a dataset of shards. A run has one; samples go into its `sink`.

    card: everything of dataset.json. Its "recipe", "format" and "samples_per_tar" must agree to
    continue a dataset. Raises DatasetError if they do not, or shards were made with another recipe.
    """

    def __init__(self, target: Target, card: Mapping[str, Any], run: RunConfig) -> None:
        self.target = target
        self._run = run
        self._card: dict[str, Any] = json.loads(encode_card(card))
        self._settings = _settings(self._card)
        self.recipe = self._card["recipe"]
        self._fingerprint = fingerprint(self.recipe, run.samples_per_tar)
        self._claimed: Target | None = None
        self._has_begun = False
        check_target(target)
        with told(f"cannot read {target.where()}", "give another --output_dir"):
            self.has_card = CARD in target.names()
        if self.has_card:
            self._check_card()
        self._read()

    def _check_card(self) -> None:
        card = read_card(self.target, "give another --output_dir")
        differing = ", ".join(differences(_settings(card), self._settings))
        if differing:
            raise DatasetError(
                f"{self.target.where()} holds a dataset made with another {differing}; give the "
                "same settings to continue it, or another --output_dir"
            )

    def _read(self) -> None:
        """Learn what is there: of the run's own shards, or of all if there is no dataset.json."""
        self.given_up: list[int] = []
        ranges = []
        size, indices = self._run.samples_per_tar, self._run.indices
        own = range(indices.start // size, -(-indices.stop // size))
        for number, record in whole_shards(self.target, own if self.has_card else None):
            if record.recipe != self._fingerprint:
                raise mixed(self.target, number)
            if self._is_done(record):
                ranges.append((record.start, record.stop))
                self.given_up += [i for i in record.given_up if i in self._run.indices]
        self._ranges = ranges

    def _is_done(self, record: Record) -> bool:
        """Whether this run would add nothing. A shard that it would add to is drawn as a whole."""
        stop = min(record.start + self._run.samples_per_tar, self._run.indices.stop)
        may_find = bool(record.given_up) and self._run.max_attempts > record.max_attempts
        return stop < record.stop or (stop == record.stop and not may_find)

    @cached_property
    def there(self) -> NDArray[np.int64]:
        """Indices of the run that need not be drawn, ascending; with those that were given up."""
        ranges = [np.arange(start, stop, dtype=np.int64) for start, stop in self._ranges]
        return np.concatenate([np.empty(0, np.int64), *ranges])

    @property
    def sink(self) -> TarSink:
        """Takes the run's samples, also in another process, while the writer is open."""
        if self._claimed is None:
            raise ValueError("the writer is not open")
        return TarSink(
            self._claimed,
            (*CORE, *self._run.extras),
            self._fingerprint,
            self._run.samples_per_tar,
            self._run.max_attempts,
        )

    def check_room(self, samples: int) -> None:
        """Raises DatasetError unless there is room for so many samples, as far as one can tell."""
        in_a_shard = min(samples, self._run.samples_per_tar)
        kept, spooled = (bytes_needed(n, len(self._run.extras)) for n in (samples, in_a_shard))
        self.target.check_room(kept, spooled)

    def open(self) -> None:
        """Write dataset.json and the Hub's card; clears what killed runs left behind."""
        with cannot_write(self.target.where()):
            self._claimed = self.target.claimed()
            try:
                with self._claimed.alone():
                    if CARD not in self.target.names():
                        self._write(CARD, encode_card(self._card).encode() + b"\n")
                        self._write(HUB_CARD, HUB_CARD_TEXT.encode())
                    self._check_card()  # another run may have begun at the same time
                    self._extend_plan()
                    self._has_begun = True
            except BaseException:
                self.close()
                raise

    def _extend_plan(self) -> None:
        """Tell dataset.json of the samples that this run was asked for."""
        before = read_card(self.target)
        card = with_planned(before | {"planned": self._card.get("planned", [])}, before)
        if card["planned"] != before.get("planned", []):
            self._write(CARD, encode_card(card).encode() + b"\n")

    def close(self) -> None:
        """Remove what is the run's own; `open` makes it again."""
        if self._claimed is not None:
            self._claimed.release()
            self._claimed = None

    def log_rejections(self, rejections: Sequence[Mapping[str, Any]]) -> None:
        """Does nothing: the sink stores them for each shard."""

    def write_index(self) -> None:
        """Write index.json of all shards that are there, also other runs', if it is not so yet.

        And the run's plan once more: on a store another run may have written its card over it.
        """
        listed = None
        with cannot_write(self.target.where()):
            if self._has_begun:
                self._extend_plan()
            while listed != (there := self.target.sizes(RECORDS)):  # other runs may end meanwhile
                listed = there
                content = encode_index(whole_shards(self.target))
                if INDEX not in self.target.names() or self.target.read(INDEX) != content:
                    self._write(INDEX, content)

    def _write(self, name: str, content: bytes) -> None:
        with (self._claimed or self.target).replacing(name) as file:
            file.write(content)


def _settings(card: Mapping[str, Any]) -> dict[str, Any]:
    """What must agree to continue a dataset."""
    formatted = {"format": card.get("format", "folder")}
    if "samples_per_tar" in card:
        formatted["samples_per_tar"] = card["samples_per_tar"]
    return formatted | card["recipe"]
