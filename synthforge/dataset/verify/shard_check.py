"""The files of a dataset of shards: which are there, which should be; a check of each sample."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from synthforge.dataset.folder import ANNOTATIONS, CARD, DatasetError, planned_ranges, told
from synthforge.dataset.ranges import merged, without
from synthforge.dataset.shards.record import (
    INDEX,
    RECORDS,
    SHARDS,
    Record,
    encode_index,
    fingerprint,
    member,
    record_file,
    shard_file,
    unpack,
)
from synthforge.dataset.target import Target
from synthforge.dataset.verify.report import Problem, Report
from synthforge.dataset.verify.sample_check import Checked, Expected, check_sample

_READ_BYTES = 1 << 20
# No sample of ours has so many.
_MOST_BYTES = 256 * 2**20


def shard_checks(
    target: Target, card: Mapping[str, Any], report: Report
) -> tuple[int, Iterator[Callable[[], Checked]]]:
    """How many samples there are, and a check of each, as `folder_checks`.

    Raises DatasetError if the target cannot be read.
    """
    size = card["samples_per_tar"]
    if not isinstance(size, int) or size < 1:
        raise DatasetError(f"{target.where(CARD)}: samples_per_tar is no count; restore it")
    planned = planned_ranges(card)
    with told(f"cannot read {target.where()}", "correct this"):
        shards = dict(_whole(target, fingerprint(card["recipe"], size), size, planned, report))
        covered = [range(record.start, record.stop) for record in shards.values()]
        told_of = [problem.indices for problem in report.problems]
        for part in without(planned, [*covered, *told_of]):
            report.problems.append(Problem("not there", part))
        if planned:
            report.planned = sum(map(len, planned))
        report.given_up = sum(len(record.given_up) for record in shards.values())
        if INDEX not in target.names():
            report.problems.append(Problem(f"{INDEX} is missing: {_UNFINISHED}"))
        elif not report.problems and target.read(INDEX) != encode_index(shards.items()):
            report.problems.append(Problem(f"{INDEX} does not agree with the records"))
    samples = sum(record.samples for record in shards.values())
    return samples, _checks(target, shards, Expected.of(card), report)


_UNFINISHED = "the command that made the dataset has not ended, and goes on when it is run again"


def _whole(
    target: Target, recipe: str, size: int, planned: list[range], report: Report
) -> Iterator[tuple[int, Record]]:
    """Numbers, ascending, and records of shards that have both their files, of the right size."""
    tars = _numbered(target, SHARDS, ".tar", report)
    records = _numbered(target, RECORDS, ".json", report)
    for number in sorted(tars.keys() | records.keys()):
        held = range(number * size, (number + 1) * size)
        of_plan = [
            range(max(part.start, held.start), min(part.stop, held.stop)) for part in planned
        ]
        own = next(iter(merged(of_plan)), held)

        def tell(what: str, indices: range = own) -> None:
            report.problems.append(Problem(what, indices))

        if number not in records:
            tell(f"{record_file(number)} is missing: its shard may be unfinished")
            continue
        try:
            record = Record.parse(target.read(record_file(number)))
        except (ValueError, OSError):
            tell(f"{record_file(number)} cannot be read: it is cut short or was changed")
            continue
        found = tars.get(number)
        if found is None:
            tell(f"{shard_file(number)} is missing")
        elif record.recipe != recipe:
            tell(f"{shard_file(number)} was made with other settings than {CARD} says")
        elif record.start not in held or record.stop > held.stop:
            tell(f"{record_file(number)} is of other samples: {record.start} to {record.stop - 1}")
        elif found != record.size_bytes:
            tell(f"{shard_file(number)} has {found} bytes, its record says {record.size_bytes}")
        else:
            yield number, record


def _numbered(target: Target, folder: str, ending: str, report: Report) -> dict[int, int]:
    """Number -> bytes of the files in a folder; tells of files with other names."""
    sizes = {}
    for name, size in target.sizes(folder).items():
        stem = name.removesuffix(ending)
        if name == f"{stem}{ending}" and stem.isascii() and stem.isdecimal() and len(stem) < 19:
            sizes[int(stem)] = size
        else:
            report.problems.append(Problem(f"{folder}/{name} is no shard's file: move it away"))
    return sizes


def _checks(
    target: Target, shards: Mapping[int, Record], expected: Expected, report: Report
) -> Iterator[Callable[[], Checked]]:
    for number, record in shards.items():
        digest = hashlib.sha256()
        lengths = np.diff(record.offsets).tolist()
        try:
            with target.open(shard_file(number)) as file:
                for index, length in zip(record.indices, lengths, strict=True):
                    content = file.read(min(length, _MOST_BYTES))
                    digest.update(content)
                    yield partial(_check, index, content, expected)
                while rest := file.read(_READ_BYTES):
                    digest.update(rest)
            fault = None if digest.hexdigest() == record.sha256 else _CHANGED
        except OSError as error:
            fault = f"cannot be read: {error.strerror or error}"
        if fault:
            indices = range(record.start, record.stop)
            report.problems.append(Problem(f"{shard_file(number)} {fault}", indices))
        else:
            report.compared += 1


_CHANGED = "is not the file that was written: its SHA-256 is not its record's"


def _check(index: int, content: bytes, expected: Expected) -> Checked:
    try:
        found: Mapping[str, bytes] = unpack(index, content)
    except ValueError:
        return Checked(index, (("", "is no part of a tar file of ours"),), None)
    folders = (*expected.folders, ANNOTATIONS)
    return check_sample(
        index, {name: found[member(name)] for name in folders if member(name) in found}, expected
    )
