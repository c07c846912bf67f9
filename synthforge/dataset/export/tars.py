"""WebDataset: tar shards, as `generate --format webdataset` writes them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from synthforge.config import RunConfig
from synthforge.dataset.folder import ANNOTATIONS, CARD, encode_card
from synthforge.dataset.read import Dataset
from synthforge.dataset.shards.record import (
    INDEX,
    RECORDS,
    SHARDS,
    Record,
    encode_index,
    fingerprint,
    in_order,
    pack,
    record_file,
    shard_file,
    tar_end,
)
from synthforge.dataset.shards.write import HUB_CARD, HUB_CARD_TEXT
from synthforge.dataset.stored import StoredSample


def write(dataset: Dataset, samples: Iterator[StoredSample], folder: Path) -> None:
    """See `Format`. The result is itself a dataset, which `Dataset` reads."""
    size = dataset.card.get("samples_per_tar", RunConfig.samples_per_tar)
    card = _card(dataset.card, size)
    for name in (SHARDS, RECORDS):
        (folder / name).mkdir()
    recipe = fingerprint(card["recipe"], size)
    folders = [*in_order(dataset.folders), ANNOTATIONS]
    records = []
    for number, part in itertools.groupby(samples, lambda sample: sample.index // size):
        record = _write_shard(folder / shard_file(number), part, folders, number * size, recipe)
        (folder / record_file(number)).write_bytes(record.encode())
        records.append((number, record))
    (folder / INDEX).write_bytes(encode_index(records))
    (folder / HUB_CARD).write_bytes(HUB_CARD_TEXT.encode())
    (folder / CARD).write_bytes(encode_card(card).encode() + b"\n")


def _card(card: Mapping[str, Any], size: int) -> dict[str, Any]:
    """In the order in which `generate` writes it."""
    made = {"format": "webdataset", "samples_per_tar": size}
    given = {name: value for name, value in card.items() if name not in made}
    versions = [name for name in given if name.endswith("_version")]
    return {name: given.pop(name) for name in versions} | made | given


def _write_shard(
    path: Path, samples: Iterator[StoredSample], folders: list[str], start: int, recipe: str
) -> Record:
    """start: index of the shard's first place. Places without a sample count as given up."""
    digest, offsets, indices = hashlib.sha256(), [0], []
    with open(path, "wb") as file:
        for sample in samples:
            part = pack(sample.index, {name: sample.files[name] for name in folders})
            file.write(part)
            digest.update(part)
            offsets.append(offsets[-1] + len(part))
            indices.append(sample.index)
        end = tar_end(offsets[-1])
        file.write(end)
        digest.update(end)
    given_up = sorted(set(range(start, indices[-1] + 1)) - set(indices))
    return Record(
        start=start,
        stop=indices[-1] + 1,
        samples=len(indices),
        size_bytes=offsets[-1] + len(end),
        sha256=digest.hexdigest(),
        given_up=given_up,
        max_attempts=1 if given_up else 0,
        offsets=offsets,
        recipe=recipe,
    )
