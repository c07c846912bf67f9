import itertools
import math

import pytest

from synthforge.alignment_config import AlignmentTrainingConfig
from synthforge.fitting.schedule import Schedule

CONFIG = AlignmentTrainingConfig(lr=0.03, robust_start=0.05, robust_end=0.005)


def values(schedule, epochs):
    return [
        (schedule.learning_rate(CONFIG, epoch), schedule.robust_scale(CONFIG, epoch))
        for epoch in epochs
    ]


def test_values_of_a_run_that_never_stops():
    schedule = Schedule(40)
    rates, scales = zip(*values(schedule, [0, 20, 40]), strict=True)
    assert rates == pytest.approx((0.03, 0.03 * (0.01 + 0.99 / 2), 0.0003))
    # Two thirds of the way to the end, on a logarithmic scale; then it stays.
    assert scales == pytest.approx((0.05, 0.05 * 0.1**0.75, 0.005))
    assert schedule.robust_scale(CONFIG, 80 / 3) == pytest.approx(0.005)
    halfway = schedule.robust_scale(CONFIG, 40 / 3)
    assert halfway == pytest.approx(math.sqrt(0.05 * 0.005))


@pytest.mark.parametrize("done", [0, 1, 10, 39, 40])
@pytest.mark.parametrize("epochs", [41, 60, 400])
def test_more_epochs_go_on_from_where_the_run_stood(done, epochs):
    first = Schedule(40)
    second = first.resumed(done, epochs)
    assert values(second, [done]) == [pytest.approx(row) for row in values(first, [done])]
    whole = values(second, [done + i * (epochs - done) / 50 for i in range(51)])
    for before, after in itertools.pairwise(whole):
        assert after[0] <= before[0] and after[1] <= before[1]
    assert whole[-1] == pytest.approx((0.0003, 0.005))
    third = second.resumed(done + 1, epochs + 10)
    assert values(third, [done + 1]) == [pytest.approx(row) for row in values(second, [done + 1])]


def test_a_run_that_had_ended_keeps_the_final_values():
    for row in values(Schedule(40).resumed(40, 80), [40, 50, 79.9]):
        assert row == pytest.approx((0.0003, 0.005))


def test_fewer_epochs_end_sooner():
    assert values(Schedule(40).resumed(10, 20), [20]) == [pytest.approx((0.0003, 0.005))]
    assert Schedule(40).resumed(10, 40) == Schedule(40)
    # Nothing is left to train.
    assert Schedule(40).resumed(20, 20) == Schedule(40)
