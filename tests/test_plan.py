"""The plan covers what is missing, once, in ranges that lie on a grid, whatever is there."""

from itertools import chain, islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthforge.config import MAX_INTEGER
from synthforge.plan import inside, plan

NUMBERS = st.sets(st.integers(0, 60)).map(sorted)
WANTED = st.tuples(st.integers(0, 60), st.integers(0, 40)).map(lambda p: range(p[0], sum(p)))


def array(numbers):
    return np.array(numbers, np.int64)


@given(WANTED, NUMBERS, st.integers(1, 20))
def test_what_is_missing_is_planned_once_and_in_order(wanted, there, size):
    planned = list(chain.from_iterable(plan(wanted, array(there), size)))
    assert planned == [i for i in wanted if i not in there]
    assert inside(wanted, array(there)).tolist() == [i for i in there if i in wanted]


@given(WANTED, NUMBERS, st.integers(1, 20))
def test_a_range_lies_on_the_grid_and_ends_only_where_it_must(wanted, there, size):
    for indices in plan(wanted, array(there), size):
        assert indices and indices.step == 1
        assert indices[0] // size == indices[-1] // size
        after = indices.stop
        assert after % size == 0 or after in there or after not in wanted


def test_the_largest_run_is_planned_without_its_indices():
    wanted = range(MAX_INTEGER, 2 * MAX_INTEGER)
    first = array([0, MAX_INTEGER + 1, 2 * MAX_INTEGER - 1])
    ranges = list(islice(plan(wanted, first, 1000), 2))
    assert [indices[0] for indices in ranges] == [MAX_INTEGER, MAX_INTEGER + 2]
    assert inside(wanted, first).tolist() == first[1:].tolist()
