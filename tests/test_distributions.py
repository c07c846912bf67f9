"""Distributions draw what they say, up to their ends, and refuse what they cannot draw."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, truncnorm

from synthforge.distributions import Choice, Normal, Range
from synthforge.errors import ConfigError

LAST = 1 - 2**-53
SHARES = st.floats(0, LAST)
NUMBERS = st.floats(-5, 5, width=32)


def drawn(distribution, count=2000):
    return np.array([distribution.at(u) for u in np.random.default_rng(0).random(count)])


def test_a_range_is_uniform_and_a_number_is_fixed():
    assert kstest(drawn(Range(-1, 3)), "uniform", (-1, 4)).pvalue > 0.01
    assert set(drawn(Range(0.25, 0.25))) == {0.25}


@pytest.mark.parametrize("normal", [Normal(0, 1, -2, 0.5), Normal(3, 0.1, 3, 9)], ids=str)
def test_a_normal_is_truncated(normal):
    low, high = ((end - normal.mean) / normal.sd for end in (normal.low, normal.high))
    assert kstest(drawn(normal), truncnorm(low, high, normal.mean, normal.sd).cdf).pvalue > 0.01


def test_a_choice_takes_its_values_as_often_as_they_are_given():
    values, counts = np.unique(drawn(Choice((0.5, -1, 0.5, 2))), return_counts=True)
    assert values.tolist() == [-1, 0.5, 2]
    np.testing.assert_allclose(counts / 2000, [0.25, 0.5, 0.25], atol=0.04)


@given(st.lists(NUMBERS, min_size=3, max_size=3).map(sorted), st.floats(1e-9, 100), SHARES)
def test_a_draw_lies_inside_and_grows_with_its_uniform(numbers, wide, u):
    low, mean, high = numbers
    distributions = [Range(low, high), Choice(tuple(numbers))]
    if high - low > 1e-9:
        distributions.append(Normal(mean, wide * (high - low), low, high))
    for each in distributions:
        first, value, last = (each.at(share) for share in (0, u, LAST))
        assert each.low <= first <= value <= last <= each.high


@pytest.mark.parametrize(
    "made",
    [
        lambda: Normal(0, 0, -1, 1),
        lambda: Normal(0, -1, -1, 1),
        lambda: Normal(0, math.nan, -1, 1),
        lambda: Normal(0, math.inf, -1, 1),
        lambda: Normal(0, 1, 1, 1),
        lambda: Normal(0, 1, 0.5, 1),
        lambda: Normal(math.nan, 1, 0, 1),
        lambda: Normal(0, 1, -math.inf, 1),
        lambda: Choice(()),
        lambda: Choice((0, math.nan)),
    ],
)
def test_what_cannot_be_drawn_is_refused(made):
    with pytest.raises(ConfigError):
        made()


@pytest.mark.parametrize("pair", [(1, 0), (float("nan"), 1), (0, float("inf"))])
def test_impossible_ranges_are_refused(pair):
    with pytest.raises(ConfigError):
        Range(*pair)
