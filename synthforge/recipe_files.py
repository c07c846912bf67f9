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
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from synthforge.distributions import Choice, Distribution, Normal, Range
from synthforge.errors import ConfigError
from synthforge.grid import VIEW_FIELDS, Grid
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
from synthforge.toml_files import read_toml

# Name in a recipe -> field of SamplingConfig.
_PARAMETERS = {option_name(entry.name): entry.name for entry in fields(SamplingConfig)}
for _other in ("grid", "pose_limit", "like"):
    del _PARAMETERS[_other]
_VIEW_PARAMETERS = {option_name(name): name for name in VIEW_FIELDS}
_GRID = ("identities", "expressions", "views", "lights", "order")
_ORDERS = ("grid", "random")
_DISTRIBUTIONS = (
    "a number, [low, high], {normal = [mean, sd]}, {normal = [mean, sd], within = [low, high]} or "
    "{choice = [...]}"
)
# Listed expressions or views of one grid.
_MAX_LISTED = 10_000
_MAX_INTEGER = 2**63 - 1


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
    _check_keys("the recipe", content, ("sample", "grid"))
    sample = _table("[sample]", content.get("sample", {}))
    _check_keys("[sample]", sample, _PARAMETERS)
    overrides: dict[str, Any] = {
        _PARAMETERS[name]: _distribution(name, value) for name, value in sample.items()
    }
    if "grid" in content:
        overrides["grid"] = _grid(_table("[grid]", content["grid"]))
    if not overrides:
        raise ConfigError("it is empty; give it [sample] or [grid]")
    replace(NEXT3D_SAMPLING, **overrides)
    return overrides


def _distribution(name: str, value: Any) -> Distribution | float | tuple[str, ...]:
    """What a value of [sample] draws from; `cut` and what is worn are shares, hair has names."""
    if name in HAIR:
        names = [value] if isinstance(value, str) else value
        if not (isinstance(names, list) and all(isinstance(entry, str) for entry in names)):
            raise ConfigError(f"{name} must be a name or a list of names, got {_shown(value)}")
        return tuple(dict.fromkeys(names))
    if name == "cut" or name in WEAR:
        if not _is_number(value):
            raise ConfigError(f"{name} must be a share, 0 to 1, got {_shown(value)}")
        return float(value)
    try:
        drawn = _drawn(value, _limits(_PARAMETERS[name]))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    if drawn is None:
        raise ConfigError(f"{name} must be {_DISTRIBUTIONS}, got {_shown(value)}")
    if name in ANCESTRIES and not isinstance(drawn, Range):
        raise ConfigError(
            f"{name} must be a number or [low, high], as three shares that sum to 1 are drawn "
            f"together, got {_shown(value)}"
        )
    return drawn


def _drawn(value: Any, limits: Range) -> Distribution | None:
    if _is_number(value):
        return Range(value, value)
    if pair := _pair(value):
        return Range(*pair)
    if not isinstance(value, dict):
        return None
    choice, normal = value.get("choice"), _pair(value.get("normal"))
    if value.keys() == {"choice"} and isinstance(choice, list) and all(map(_is_number, choice)):
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


def _grid(table: Mapping[str, Any]) -> Grid:
    _check_keys("[grid]", table, _GRID)
    order = table.get("order", "grid")
    if order not in _ORDERS:
        raise ConfigError(f"order must be one of {', '.join(_ORDERS)}, got {_shown(order)}")
    given: dict[str, Any] = {"order": order}
    for name in ("identities", "lights"):
        if name in table:
            given[name] = _count(name, table[name], "a whole number")
    if "expressions" in table:
        given["expressions"] = _expressions(table["expressions"])
    if "views" in table:
        given["views"] = _views(table["views"])
    return Grid(**given)


def _expressions(value: Any) -> Any:
    wanted = 'a whole number, or a list of names and of actions, such as ["smile", {jawOpen = 0.5}]'
    if not isinstance(value, list | dict):
        return _count("expressions", value, wanted)
    faces = tuple(_listed("expressions", value, wanted))
    for face in faces:
        for name, activation in ({} if isinstance(face, str) else face).items():
            if not 0 <= activation <= 1:
                raise ConfigError(f"expressions: {name} must lie inside 0..1, got {activation}")
    return faces


def _views(value: Any) -> Any:
    wanted = "a whole number, or a list of tables, such as [{yaw = -0.5}, {yaw = 0.5}]"
    if not isinstance(value, list | dict):
        return _count("views", value, wanted)
    views = []
    for view in _listed("views", value, wanted):
        if isinstance(view, str):
            raise ConfigError(f"views must be {wanted}, got {_shown(view)} in the list")
        _check_keys("views", view, _VIEW_PARAMETERS)
        views.append({_VIEW_PARAMETERS[name]: number for name, number in view.items()})
    names = {name for view in views for name in view}
    if not names or any(view.keys() != names for view in views):
        raise ConfigError(
            "views must all set the same parameters: those of one person differ in nothing else"
        )
    return tuple(views)


def _listed(name: str, value: Any, wanted: str) -> Iterator[str | dict[str, float]]:
    """Names and tables of numbers; a table of {from, to, steps} is all of its combinations."""
    entries = value if isinstance(value, list) else [value]
    if not entries:
        raise ConfigError(f"{name} is an empty list; leave it out or give it entries")
    room = _MAX_LISTED
    for entry in entries:
        if isinstance(entry, str):
            made: list[Any] = [entry]
        elif isinstance(entry, dict):
            axes = {key: _axis(f"{name} {key}", numbers) for key, numbers in entry.items()}
            if math.prod(map(len, axes.values())) > room:
                raise ConfigError(f"{name} are more than {_MAX_LISTED}; give fewer steps")
            made = [dict(zip(axes, numbers, strict=True)) for numbers in product(*axes.values())]
        else:
            raise ConfigError(f"{name} must be {wanted}, got {_shown(entry)} in the list")
        room -= len(made)
        yield from made


def _axis(name: str, value: Any) -> list[float]:
    if _is_number(value):
        return [value]
    if isinstance(value, dict) and value.keys() == {"from", "to", "steps"}:
        low, high = value["from"], value["to"]
        steps = _count(f"{name} steps", value["steps"], "a whole number")
        if not 2 <= steps <= _MAX_LISTED:
            raise ConfigError(f"{name} steps must lie inside 2..{_MAX_LISTED}, got {steps}")
        if _is_number(low) and _is_number(high):
            return [low + (high - low) * k / (steps - 1) for k in range(steps)]
    raise ConfigError(
        f"{name} must be a number or {{from = low, to = high, steps = n}}, got {_shown(value)}"
    )


def _count(name: str, value: Any, wanted: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} must be {wanted}, got {_shown(value)}")
    if abs(value) > _MAX_INTEGER:
        raise ConfigError(f"{name} must be {wanted}, got one beyond 64 bits")
    return value


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{name} must be a table, got {_shown(value)}")
    return value


def _check_keys(name: str, table: Mapping[str, Any], known: Any) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"{name} has no {key!r}; choose from {', '.join(known)}")


def _is_number(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= _MAX_INTEGER
    return isinstance(value, float) and math.isfinite(value)


def _pair(value: Any) -> tuple[float, float] | None:
    if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
        return value[0], value[1]
    return None


def _shown(value: Any) -> str:
    if isinstance(value, int) and abs(value) > _MAX_INTEGER:
        return "one beyond 64 bits"
    return reprlib.repr(value)
