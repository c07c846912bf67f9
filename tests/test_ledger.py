"""What a run does with the reports and the deaths of others, without processes."""

from pathlib import Path

import numpy as np
import pytest

from synthforge.batches import Rejection
from synthforge.config import RunConfig
from synthforge.ledger import DEATHS, Ledger, WorkerError
from synthforge.quality import Reject
from synthforge.sampling import SampleId

RUN = RunConfig(Path("set"), 20, batch_size=4, max_attempts=2)


class Stored:
    """A sink that holds these."""

    def __init__(self, *indices):
        self.indices = indices

    def stored(self, wanted):
        return np.array([i for i in self.indices if i in wanted], np.int64)


def ledger_of(*ranges, stored=()):
    """And what it has reported: numbers of samples, and draws that were rejected."""
    told, rejected = [], []

    def report(written, rejections):
        told.append(written)
        rejected.extend(row.id for row in rejections)

    return Ledger(RUN, Stored(*stored), iter(ranges), report), told, rejected


def rejection(index, attempt=0):
    return Rejection(SampleId(0, index, attempt), Reject("no_face", 0.0, 1.0))


def handed_out(ledger):
    drawings = iter(ledger.hand_out, None)
    return [(drawing.indices, drawing.batch_size) for drawing in drawings]


def test_ranges_are_handed_out_in_order_and_once():
    ledger, _, _ = ledger_of(range(0, 5), range(5, 9))
    assert handed_out(ledger) == [(range(0, 5), 4), (range(5, 9), 4)]
    assert ledger.hand_out() is None


def test_reports_are_passed_on():
    ledger, told, rejected = ledger_of(range(8))
    drawing = ledger.hand_out()
    ledger.count(drawing, 3, [rejection(3)])
    assert (told, rejected) == ([3], [SampleId(0, 3)])
    assert drawing.current == 3
    ledger.count(drawing, 0, [rejection(3, 1)])  # the last attempt: it is given up
    assert drawing.current == 4
    ledger.count(drawing, 4, [])
    assert drawing.current == 7
    assert (told, rejected) == ([3, 0, 4], [SampleId(0, 3), SampleId(0, 3, 1)])


def test_what_a_dead_process_left_is_drawn_first_and_one_at_a_time():
    """It had reported two samples; three more of its range were stored, one of another's."""
    ledger, told, _ = ledger_of(range(0, 10), range(10, 20), stored=(0, 1, 2, 5, 6, 12))
    drawing = ledger.hand_out()
    ledger.count(drawing, 2, [])
    ledger.bury(drawing, "killed")
    assert told == [2, 3]
    left = handed_out(ledger)
    assert left[-1] == (range(10, 20), 4)
    assert sorted((part.start, part.stop) for part, _ in left[:-1]) == [(3, 5), (7, 10)]
    assert {batch for _, batch in left[:-1]} == {1}


def test_draws_that_a_dead_process_reported_are_not_reported_again():
    ledger, _, rejected = ledger_of(range(4))
    drawing = ledger.hand_out()
    ledger.count(drawing, 0, [rejection(0), rejection(2)])
    ledger.bury(drawing, "killed")
    again = ledger.hand_out()
    ledger.count(again, 1, [rejection(0), rejection(1)])
    assert rejected == [SampleId(0, 0), SampleId(0, 2), SampleId(0, 1)]


def test_an_index_that_processes_die_of_is_named_and_others_are_not_counted_with_it():
    ledger, _, _ = ledger_of(range(4))
    for index in range(3):  # each is drawn after one death
        drawing = ledger.hand_out()
        assert drawing.indices == range(index, 4)
        ledger.bury(drawing, "killed")
        ledger.sink = Stored(*range(index + 1))
        again = ledger.hand_out()
        ledger.count(again, 1, [])
        ledger.bury(again, "killed")
    ledger, _, _ = ledger_of(range(7, 9))
    for _ in range(DEATHS - 1):
        ledger.bury(ledger.hand_out(), "killed")
    with pytest.raises(WorkerError, match=r"killed\) while they drew image 7; .*start_index 7 "):
        ledger.bury(ledger.hand_out(), "killed")
