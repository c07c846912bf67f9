"""Controlled sets: which samples share a person, an expression, a view or a light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from synthforge.errors import ConfigError
from synthforge.field_types import check_fields

# What the annotation calls them, slowest first.
FACTORS = ("identity", "expression", "view", "light")
# Fields of SamplingConfig that a listed view may set.
VIEW_FIELDS = (
    "yaw_rad",
    "pitch_rad",
    "fov_deg",
    "head_yaw_rad",
    "head_pitch_rad",
    "head_roll_rad",
)

# One of the generator's faces by its name, or activations of its face actions by theirs.
Face = str | Mapping[str, float]
# Values of VIEW_FIELDS by their names.
View = Mapping[str, float]

_MAX_COUNT = 2**31


@dataclass(frozen=True)
class Grid:
    """Samples are put together from numbered identities, expressions, views and lights.

    identities: how many people: shape, attributes and look.
    expressions: how many, or a list. One of a count is drawn with its number: what the face does.
        One of a list sets the face only.
    views: how many, or a list. One of a count is drawn with its number: camera and head pose. One
        of a list sets what it names only.
    lights: how many: light, backdrop and the camera's settings.
    order: "grid": all combinations, identity by identity, lights fastest. What is None or not set
        by a list is drawn once for each identity. identities = None is as many as are asked for.
        "random": each sample is a combination at random; the rest is drawn anew for each sample.
    """

    identities: int | None = None
    expressions: int | tuple[Face, ...] | None = None
    views: int | tuple[View, ...] | None = None
    lights: int | None = None
    order: Literal["grid", "random"] = "grid"

    def __post_init__(self) -> None:
        check_fields(self)
        for name, count in zip(FACTORS, self.counts, strict=True):
            if count is not None and not 1 <= count <= _MAX_COUNT:
                raise ConfigError(
                    f"the grid's {name} count must lie inside 1..{_MAX_COUNT}, got {count}"
                )
        if all(count is None for count in self.counts):
            raise ConfigError("the grid is empty; give it identities, expressions, views or lights")

    @property
    def counts(self) -> tuple[int | None, ...]:
        """How many there are of FACTORS; None: not a factor of the grid."""
        factors = (self.identities, self.expressions, self.views, self.lights)
        return tuple(len(n) if isinstance(n, tuple) else n for n in factors)

    @property
    def listed_expressions(self) -> tuple[Face, ...]:
        return self.expressions if isinstance(self.expressions, tuple) else ()

    @property
    def listed_views(self) -> tuple[View, ...]:
        return self.views if isinstance(self.views, tuple) else ()

    @property
    def is_full(self) -> bool:
        """Whether it holds all combinations: another draw of a sample would be the same."""
        return self.order == "grid"

    @property
    def size(self) -> int | None:
        """How many samples it has; None: as many as are asked for."""
        if not self.is_full or self.identities is None:
            return None
        return prod(count or 1 for count in self.counts)

    def at(self, index: int) -> tuple[int, list[int | None]]:
        """Of sample `index` in a full grid: the identity's number, and those of the other factors.

        None: not a factor. Beyond its size come further identities.
        """
        numbers: list[int | None] = []
        for count in self.counts[:0:-1]:
            number = None
            if count is not None:
                index, number = divmod(index, count)
            numbers.append(number)
        return index, numbers[::-1]

    def at_random(self, uniforms: Sequence[float]) -> list[int | None]:
        """The numbers of FACTORS, each of a uniform in [0, 1); None: not a factor."""
        return [
            None if count is None else int(u * count)
            for count, u in zip(self.counts, uniforms, strict=True)
        ]
