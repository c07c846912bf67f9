"""The table [grid] of a recipe: counts and lists of people, expressions, views and lights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from synthforge.errors import ConfigError
from synthforge.grid import VIEW_FIELDS, Grid
from synthforge.sampling_config import option_name
from synthforge.toml_files import MAX_INTEGER, check_keys, is_number, shown

_VIEW_PARAMETERS = {option_name(name): name for name in VIEW_FIELDS}
_GRID = ("identities", "expressions", "views", "lights", "order")
_ORDERS = ("grid", "random")
# Listed expressions or views of one grid.
_MAX_LISTED = 10_000


def read_grid(table: Mapping[str, Any]) -> Grid:
    """The grid that a recipe's table asks for. Raises ConfigError for what it cannot mean."""
    check_keys("[grid]", table, _GRID)
    order = table.get("order", "grid")
    if order not in _ORDERS:
        raise ConfigError(f"order must be one of {', '.join(_ORDERS)}, got {shown(order)}")
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
            raise ConfigError(f"views must be {wanted}, got {shown(view)} in the list")
        check_keys("views", view, _VIEW_PARAMETERS)
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
            raise ConfigError(f"{name} must be {wanted}, got {shown(entry)} in the list")
        room -= len(made)
        yield from made


def _axis(name: str, value: Any) -> list[float]:
    if is_number(value):
        return [value]
    if isinstance(value, dict) and value.keys() == {"from", "to", "steps"}:
        low, high = value["from"], value["to"]
        steps = _count(f"{name} steps", value["steps"], "a whole number")
        if not 2 <= steps <= _MAX_LISTED:
            raise ConfigError(f"{name} steps must lie inside 2..{_MAX_LISTED}, got {steps}")
        if is_number(low) and is_number(high):
            return [low + (high - low) * k / (steps - 1) for k in range(steps)]
    raise ConfigError(
        f"{name} must be a number or {{from = low, to = high, steps = n}}, got {shown(value)}"
    )


def _count(name: str, value: Any, wanted: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} must be {wanted}, got {shown(value)}")
    if abs(value) > MAX_INTEGER:
        raise ConfigError(f"{name} must be {wanted}, got one beyond 64 bits")
    return value
