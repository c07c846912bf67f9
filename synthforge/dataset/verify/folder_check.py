"""The files of a dataset's folder: which are there, which should be, and a check of each sample."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.claims import hosts_at_work
from synthforge.dataset.folder import (
    ANNOTATIONS,
    CONTACT_SHEET,
    MANIFESTS,
    PARTIAL,
    REJECTIONS,
    counted,
    parse_record,
    planned_ranges,
    sample_name,
    sample_path,
    told,
)
from synthforge.dataset.manifest import Manifests, file_name
from synthforge.dataset.ranges import of_numbers, without
from synthforge.dataset.verify.png_chunks import png_header
from synthforge.dataset.verify.report import Problem, Report
from synthforge.dataset.verify.sample_check import Checked, Expected, check_sample

# No file of ours has so many.
_MOST_BYTES = 256 * 2**20


def folder_checks(
    root: Path, card: Mapping[str, Any], report: Report
) -> tuple[int, Iterator[Callable[[], Checked]]]:
    """How many samples there are, and a check of each, ascending; they may be called in threads.

    What concerns no sample, or one of which nothing is there, goes into the report at once.
    Raises DatasetError if the folder cannot be read.
    """
    expected = Expected.of(card)
    folders = (*expected.folders, ANNOTATIONS)
    with told(f"cannot read {root}", "correct this"):
        numbers = [_numbers(root, folder, report) for folder in folders]
        there = np.unique(np.concatenate(numbers))
        held = of_numbers(there)
        manifests = Manifests(root)
        planned = planned_ranges(card)
        if planned:
            report.planned = sum(map(len, planned))
        elif held:  # of an older version
            planned = [range(held[0].start, held[-1].stop), *manifests.ranges()]
        _tell_missing(root, list(without(planned, held)), report)
        _check_others(root, report)
        if not manifests:
            report.notes.append(
                f"there are no {MANIFESTS}/, so files that were exchanged or drawn over may not be "
                "found; the command that made the dataset writes them"
            )
    return len(there), _checks(root, there, expected, manifests, report)


def _checks(
    root: Path,
    there: NDArray[np.int64],
    expected: Expected,
    manifests: Manifests,
    report: Report,
) -> Iterator[Callable[[], Checked]]:
    folders = (*expected.folders, ANNOTATIONS)
    for index in map(int, there):
        listed = manifests.of(index)
        names = {folder: file_name(folder, index) for folder in folders}
        digests = {folder: listed[name] for folder, name in names.items() if name in listed}
        yield partial(_check, root, index, expected, digests)
    report.problems += [Problem(line) for line in manifests.faults]


def _check(root: Path, index: int, expected: Expected, digests: Mapping[str, set[str]]) -> Checked:
    folders = (*expected.folders, ANNOTATIONS)
    files = {folder: _content(sample_path(root, folder, index)) for folder in folders}
    return check_sample(index, files, expected, digests)


def _content(path: Path) -> bytes | str:
    """A file's bytes, or why they cannot be read."""
    try:
        if os.path.getsize(path) > _MOST_BYTES:
            return "is too large"
        return path.read_bytes()
    except FileNotFoundError:
        return "is missing"
    except IsADirectoryError:
        return "is a folder"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _numbers(root: Path, folder: str, report: Report) -> NDArray[np.int64]:
    """Numbers of the samples that have an entry in the folder; tells of other files."""
    path = root / folder
    ending = ".json" if folder == ANNOTATIONS else ".png"
    if not path.is_dir():
        report.problems.append(
            Problem(f"{folder} is {'a file' if path.exists() else 'missing'}, expected a folder")
        )
        return np.empty(0, np.int64)
    numbers = []
    with os.scandir(path) as entries:
        for entry in entries:
            stem, found = os.path.splitext(entry.name)
            is_number = found == ending and stem.isascii() and stem.isdecimal()
            if is_number and len(stem) < 19 and stem == sample_name(int(stem)):
                numbers.append(int(stem))
            else:
                report.problems.append(
                    Problem(f"{folder}/{entry.name} is no file of a sample: move it away")
                )
    return np.array(numbers, np.int64)


def _tell_missing(root: Path, missing: list[range], report: Report) -> None:
    rejected = _rejected(root, missing, report)
    given_up = [range(index, index + 1) for index in rejected]
    for part in without(missing, given_up):
        report.problems.append(Problem("not there", part))
    for index, draws in sorted(rejected.items()):
        what = f"not there: it was rejected {counted(draws, 'time')}, see {REJECTIONS}"
        report.problems.append(Problem(what, range(index, index + 1)))


def _rejected(root: Path, missing: list[range], report: Report) -> Counter[int]:
    """Rejected draws of the samples that are missing."""
    draws: Counter[int] = Counter()
    path = root / REJECTIONS
    if not path.exists():
        return draws
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                index = parse_record(line)["index"]
            except (ValueError, KeyError):
                report.problems.append(Problem(f"{REJECTIONS}: line {number} is no whole line"))
                break
            if any(index in part for part in missing):
                draws[index] += 1
    return draws


def _check_others(root: Path, report: Report) -> None:
    hosts = hosts_at_work(root / PARTIAL)
    if hosts:
        report.notes.append(f"a run on {', '.join(sorted(set(hosts)))} is at work here")
    sheet = _content(root / CONTACT_SHEET)
    try:
        if isinstance(sheet, bytes):
            png_header(sheet)
        elif sheet != "is missing":
            raise ValueError(sheet)
    except ValueError as error:
        report.problems.append(Problem(f"{CONTACT_SHEET} {error}: delete it; a run draws it again"))
