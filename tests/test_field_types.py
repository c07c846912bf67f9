"""Settings of the wrong type are refused when they are made, and the line names the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from synthforge.alignment_config import AlignmentTrainingConfig
from synthforge.config import AssetPaths, PartsConfig, RunConfig, Shard
from synthforge.distributions import Choice, Normal, Range
from synthforge.errors import ConfigError
from synthforge.field_types import check_fields
from synthforge.grid import Grid
from synthforge.sampling_config import MANNEQUIN_SAMPLING, NEXT3D_SAMPLING, PoseLimit

EVERY = [
    PartsConfig(),
    AssetPaths(),
    RunConfig("out", 1),
    Shard(),
    NEXT3D_SAMPLING,
    MANNEQUIN_SAMPLING,
    PoseLimit(1, 1, 1),
    Grid(identities=1),
    AlignmentTrainingConfig(),
    AlignmentTrainingConfig().weights,
    Range(0, 1),
    Normal(0, 1, -1, 1),
    Choice((1,)),
]


@dataclass(frozen=True)
class Every:
    whole: int = 1
    number: float = 1
    flag: bool = False
    name: Literal["a", "b"] = "a"
    either: int | Literal["auto"] = "auto"
    path: Path | None = None
    names: tuple[str, ...] = ()
    table: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize("config", EVERY, ids=lambda config: type(config).__name__)
def test_each_setting_refuses_what_is_of_no_type_that_it_takes(config):
    for entry in fields(config):
        with pytest.raises(ConfigError, match=f"^{entry.name} must be .*, got <"):
            replace(config, **{entry.name: object()})


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"whole": 2.5}, "whole must be a whole number (int), got 2.5"),
        ({"whole": True}, "whole must be a whole number (int), got True"),
        ({"whole": "2"}, "whole must be a whole number (int), got '2'"),
        ({"number": False}, "number must be a number (float), got False"),
        ({"flag": "no"}, "flag must be True or False, got 'no'"),
        ({"flag": 1}, "flag must be True or False, got 1"),
        ({"name": "c"}, "name must be 'a' or 'b', got 'c'"),
        ({"either": "all"}, "either must be a whole number (int) or 'auto', got 'all'"),
        ({"path": "a"}, "path must be a pathlib.Path or None, got 'a'"),
        ({"names": "ab"}, "names must be a tuple of text, got 'ab'"),
        ({"names": (1,)}, "names must be a tuple of text, got (1,)"),
        ({"table": {1: 2}}, "table must be a dict by names or None, got {1: 2}"),
    ],
)
def test_the_line_says_what_is_taken(values, line):
    with pytest.raises(ConfigError) as refused:
        Every(**values)
    assert str(refused.value) == line


def test_arrays_are_no_numbers():
    """dataset.json could not hold them."""
    for array in (np.float32(1), np.zeros(2)):
        with pytest.raises(ConfigError, match=r"^low must be a number \(float\), got "):
            Range(array, 1)


def test_what_fits_is_left_as_it_is():
    given = {"whole": 3, "number": 2, "flag": True, "name": "b", "either": 5, "path": Path("a")}
    given |= {"names": ["a"], "table": {"a": object()}}
    every = Every(**given)
    assert all(getattr(every, name) is value for name, value in given.items())


def test_what_is_drawn_is_told_by_its_field():
    said = {
        "yaw_rad": (0.3, "Range, Normal or Choice, got 0.3"),
        "african": (Choice((1,)), "Range or None, got Choice"),
        "hair": ("bob", "a tuple of text or None, got 'bob'"),
        "like": ("like.npz", "Like or None, got 'like.npz'"),
    }
    for name, (value, line) in said.items():
        with pytest.raises(ConfigError, match=f"^{name} must be {line}"):
            PartsConfig(sampling_overrides={name: value})
    with pytest.raises(ConfigError, match=r"^sampling_overrides has no 'yaw'; did you mean"):
        PartsConfig(sampling_overrides={"yaw": Range(0, 1)})
