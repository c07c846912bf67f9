"""Recipes: TOML files that say what samples are drawn from, and which share a person or a view.

[sample]                    each parameter, by the name of its option
age = [3, 12]               uniform
fov = 20                    always
yaw = {normal = [0, 0.3], within = [-0.7, 0.7]}
jaw = {choice = [0, 0.2]}
glasses = 0.3               share of the built-in head's samples that wear some
hair = ["crop", "bob"]      one of these for each person; also a single name

[grid]                      see synthforge.grid
identities = 10
expressions = ["neutral", "smile", {jawOpen = 0.5}]
views = {yaw = {from = -1, to = 1, steps = 9}, pitch = 0}
lights = 3
order = "grid"
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from synthforge.distributions import Choice, Distribution, Normal, Range
from synthforge.errors import ConfigError
from synthforge.recipe_grid import read_grid
from synthforge.sampling_config import (
    AGES,
    ANCESTRIES,
    HAIR,
    MAX_COEFFICIENT,
    MAX_FACE_SIZE,
    MAX_FOV_DEG,
    MIN_FACE_SIZE,
    MIN_FOV_DEG,
    NEXT3D_SAMPLING,
    WEAR,
    SamplingConfig,
    option_name,
)
from synthforge.toml_files import check_keys, is_number, read_toml, shown

# Name in a recipe -> field of SamplingConfig.
_PARAMETERS = {option_name(entry.name): entry.name for entry in fields(SamplingConfig)}
for _other in ("grid", "pose_limit", "like"):
    del _PARAMETERS[_other]
_DISTRIBUTIONS = (
    "a number, [low, high], {normal = [mean, sd]}, {normal = [mean, sd], within = [low, high]} or "
    "{choice = [...]}"
)


def read_recipe(path: Path) -> dict[str, Any]:
    """Overrides of SamplingConfig that a recipe asks for.

    Raises ConfigError, in one line with the file's name, for whatever it cannot mean. The names of
    faces and face actions are the generator's to check.
    """
    content = read_toml(path, "recipe")
    try:
        return recipe_overrides(content)
    except ConfigError as error:
        raise ConfigError(f"recipe {path}: {error}") from error


def recipe_overrides(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a recipe's tables."""
    if content and not content.keys() & {"sample", "grid"}:
        raise ConfigError("it has neither [sample] nor [grid]; options belong in a --config file")
    check_keys("the recipe", content, ("sample", "grid"))
    sample = _table("[sample]", content.get("sample", {}))
    check_keys("[sample]", sample, _PARAMETERS)
    overrides: dict[str, Any] = {
        _PARAMETERS[name]: _distribution(name, value) for name, value in sample.items()
    }
    if "grid" in content:
        overrides["grid"] = read_grid(_table("[grid]", content["grid"]))
    if not overrides:
        raise ConfigError("it is empty; give it [sample] or [grid]")
    replace(NEXT3D_SAMPLING, **overrides)
    return overrides


def _distribution(name: str, value: Any) -> Distribution | float | tuple[str, ...]:
    """What a value of [sample] draws from; `cut` and what is worn are shares, hair has names."""
    if name in HAIR:
        names = [value] if isinstance(value, str) else value
        if not (isinstance(names, list) and all(isinstance(entry, str) for entry in names)):
            raise ConfigError(f"{name} must be a name or a list of names, got {shown(value)}")
        return tuple(dict.fromkeys(names))
    if name == "cut" or name in WEAR:
        if not is_number(value):
            raise ConfigError(f"{name} must be a share, 0 to 1, got {shown(value)}")
        return float(value)
    try:
        drawn = _drawn(value, _limits(_PARAMETERS[name]))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    if drawn is None:
        raise ConfigError(f"{name} must be {_DISTRIBUTIONS}, got {shown(value)}")
    if name in ANCESTRIES and not isinstance(drawn, Range):
        raise ConfigError(
            f"{name} must be a number or [low, high], as three shares that sum to 1 are drawn "
            f"together, got {shown(value)}"
        )
    return drawn


def _drawn(value: Any, limits: Range) -> Distribution | None:
    if is_number(value):
        return Range(value, value)
    if pair := _pair(value):
        return Range(*pair)
    if not isinstance(value, dict):
        return None
    choice, normal = value.get("choice"), _pair(value.get("normal"))
    if value.keys() == {"choice"} and isinstance(choice, list) and all(map(is_number, choice)):
        return Choice(tuple(choice))
    within = _pair(value.get("within", [limits.low, limits.high]))
    if {"normal"} <= value.keys() <= {"normal", "within"} and normal and within:
        return Normal(*normal, *within)
    return None


def _limits(field: str) -> Range:
    """Where a field of SamplingConfig must lie."""
    if field.endswith("_rad"):
        return Range(-math.pi / 2, math.pi / 2)
    if field in ("shape", "expression"):
        return Range(-MAX_COEFFICIENT, MAX_COEFFICIENT)
    if field == "fov_deg":
        return Range(MIN_FOV_DEG, MAX_FOV_DEG)
    if field == "face_size":
        return Range(MIN_FACE_SIZE, MAX_FACE_SIZE)
    if field in ("offset_x", "offset_y"):
        return Range(-1, 1)
    return Range(*AGES) if field == "age_years" else Range(0, 1)


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{name} must be a table, got {shown(value)}")
    return value


def _pair(value: Any) -> tuple[float, float] | None:
    if isinstance(value, list) and len(value) == 2 and all(map(is_number, value)):
        return value[0], value[1]
    return None
