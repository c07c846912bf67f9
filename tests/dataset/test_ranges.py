"""Sets of numbers as ranges, against Python's sets."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthforge.dataset.ranges import merged, of_numbers, without

RANGES = st.lists(st.builds(range, st.integers(0, 30), st.integers(0, 30)), max_size=6)


def numbers(ranges):
    return {number for part in ranges for number in part}


@given(RANGES, RANGES)
def test_they_are_sets(wanted, there):
    assert numbers(merged(wanted)) == numbers(wanted)
    assert numbers(without(wanted, there)) == numbers(wanted) - numbers(there)
    ascending = np.array(sorted(numbers(wanted)), np.int64)
    assert of_numbers(ascending) == merged(wanted)


@given(RANGES)
def test_merged_ranges_are_apart(ranges):
    parts = merged(ranges)
    assert all(parts)
    assert all(a.stop < b.start for a, b in itertools.pairwise(parts))
