"""What a parameter is drawn from: intervals, normal distributions, lists of values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from synthforge.errors import ConfigError
from synthforge.field_types import check_fields

# Beyond so many times its interval a normal distribution's differences drown in rounding.
_WIDEST = 100


@dataclass(frozen=True)
class Range:
    """A closed interval to draw from uniformly."""

    low: float
    high: float

    def __post_init__(self) -> None:
        check_fields(self)
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ConfigError(f"a range needs finite numbers, got {self.low} {self.high}")
        if self.low > self.high:
            raise ConfigError(
                f"range upside down: {self.low} > {self.high}; give the lower number first"
            )

    def __str__(self) -> str:
        return f"{self.low:g} {self.high:g}"

    def at(self, u: float) -> float:
        """The value below which a share u in [0, 1] of the draws lies."""
        return self.low + (self.high - self.low) * u


@dataclass(frozen=True)
class Normal:
    """A normal distribution, cut off outside low and high."""

    mean: float
    sd: float
    low: float
    high: float

    def __post_init__(self) -> None:
        check_fields(self)
        if not Range(self.low, self.high).low <= self.mean <= self.high:
            raise ConfigError(
                f"the mean of a normal distribution must lie inside {self.low:g} {self.high:g}, "
                f"got {self.mean}"
            )
        widest = _WIDEST * (self.high - self.low)
        if not 0 < self.sd <= widest:
            raise ConfigError(
                f"the standard deviation of a normal distribution must be above 0 and at most "
                f"{_WIDEST} times its interval, here {widest:g}, got {self.sd}"
            )

    def __str__(self) -> str:
        return f"normal({self.mean:g}, {self.sd:g}) in {self.low:g} {self.high:g}"

    def at(self, u: float) -> float:
        """The value below which a share u in [0, 1] of the draws lies."""
        normal = NormalDist(self.mean, self.sd)
        low, high = normal.cdf(self.low), normal.cdf(self.high)
        share = low + (high - low) * u
        if not 0 < share < 1:  # rounding, of the far tails
            return self.low if share <= 0 else self.high
        return min(max(normal.inv_cdf(share), self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """One of some values, each as likely; a value given twice is twice as likely."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.values or not all(map(math.isfinite, self.values)):
            raise ConfigError(f"a choice needs finite numbers, got {list(self.values)}")

    def __str__(self) -> str:
        return "one of " + " ".join(f"{value:g}" for value in self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    def at(self, u: float) -> float:
        """The value below or at which a share u in [0, 1] of the draws lies, in the given order."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]


Distribution = Range | Normal | Choice
