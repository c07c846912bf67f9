"""Verify a dataset: all of its samples in parallel, a few in memory at a time."""

from __future__ import annotations

import json
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from synthforge.dataset.folder import CARD, sample_path
from synthforge.dataset.ranges import of_numbers
from synthforge.dataset.shards.record import member, shard_file
from synthforge.dataset.target import open_target, read_card
from synthforge.dataset.verify.folder_check import folder_checks
from synthforge.dataset.verify.report import Problem, Report
from synthforge.dataset.verify.sample_check import Checked, Form
from synthforge.dataset.verify.shard_check import shard_checks
from synthforge.landmarks import FLIP
from synthforge.regions import FLIP_PAIRS, REGIONS

# Samples under way for each thread.
_WAITING = 4

# A sample's form and whether it has no faults -> the numbers of those that are so.
Forms = dict[tuple[Form, bool], "array[int]"]
# Takes the samples of a dataset's check, and says how many there are: a bar.
Bar = Callable[[Iterable[Checked], int], Iterable[Checked]]


def verify(root: Path | str, threads: int, bar: Bar = lambda checks, _: checks) -> Report:
    """Check everything of the dataset at `root`, a folder or a URL.

    Raises DatasetError if it is none, or cannot be read at all.
    """
    target = open_target(root)
    card = read_card(target)
    report = Report()
    report.problems += [Problem(f"{CARD}: {what}") for what in _card_faults(card)]
    is_shards = "samples_per_tar" in card
    if is_shards:
        count, checks = shard_checks(target, card, report)
    else:
        count, checks = folder_checks(Path(target.where()), card, report)
    forms: Forms = {}
    for checked in bar(_in_threads(checks, threads), count):
        report.compared += checked.compared
        own = range(checked.index, checked.index + 1)
        for folder, what in checked.faults:
            file = _file(card, folder, checked.index) if folder else ""
            report.problems.append(Problem(f"{file} {what}".strip(), own))
        if checked.form is not None:
            key = (checked.form, not checked.faults)
            forms.setdefault(key, array("q")).append(checked.index)
    _tell_forms(forms, report)
    return report


def _in_threads(checks: Iterator[Callable[[], Checked]], threads: int) -> Iterator[Checked]:
    """What the checks return, in their order."""
    waiting: deque[Future[Checked]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for check in checks:
                waiting.append(pool.submit(check))
                if len(waiting) > threads * _WAITING:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _tell_forms(forms: Forms, report: Report) -> None:
    """All samples have the keys and shapes that most have: others are told. Counts the whole."""
    if not forms:
        return
    usual, _ = max(forms, key=lambda key: (len(forms[key]), key[1]))
    report.whole = len(forms.get((usual, True), ()))
    for (form, _), indices in forms.items():
        if form == usual:
            continue
        named, wanted = dict(form), dict(usual)
        key = next(key for key in wanted | named if named.get(key) != wanted.get(key))
        what = f"{key} is {_shape(named.get(key))}, in most samples {_shape(wanted.get(key))}"
        report.problems += [Problem(what, part) for part in of_numbers(np.array(indices))]


def _shape(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return "not there"
    return str(list(shape)) if shape else "one number"


def _file(card: Mapping[str, Any], folder: str, index: int) -> str:
    if "samples_per_tar" in card:
        name = f"{sample_path(Path(), folder, index).stem}.{member(folder)}"
        return f"{shard_file(index // card['samples_per_tar'])} ({name})"
    return sample_path(Path(), folder, index).as_posix()


def _card_faults(card: Mapping[str, Any]) -> Iterator[str]:
    """Conventions that readers take from dataset.json, and that are this program's."""
    ours = {
        "palette": {region.name: {"id": region.id, "rgb": region.color} for region in REGIONS},
        "flip_pairs": FLIP_PAIRS,
        "landmark_flip": FLIP,
    }
    for key, value in ours.items():
        if card.get(key, value) != json.loads(json.dumps(value)) and key in card:
            yield f"{key} is not the one that the labels are drawn with"
