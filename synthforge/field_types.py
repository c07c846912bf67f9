"""Checks that the fields of a dataclass hold what their annotations say."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from synthforge.errors import ConfigError
from synthforge.toml_files import shown

_WORDS = {
    str: "text",
    int: "a whole number (int)",
    float: "a number (float)",
    bool: "True or False",
    Path: "a pathlib.Path",
    NoneType: "None",
    Mapping: "a dict by names",
}


def check_fields(config: object, **imported_late: type) -> None:
    """Raises ConfigError, which names the field and what it takes, for a value of another type.

    A float may be an int, and a tuple a list; a bool is no number.
    imported_late: types that the dataclass's module imports for type checkers only, by name.
    """
    of: Any = type(config)
    for name, kind in _kinds(of, tuple(imported_late.items())).items():
        value = getattr(config, name)
        if not _fits(value, kind):
            raise ConfigError(f"{name} must be {_in_words(kind)}, got {shown(value)}")


@cache
def _kinds(of: type, imported_late: tuple[tuple[str, type], ...]) -> dict[str, Any]:
    return get_type_hints(of, localns=dict(imported_late))


def _fits(value: Any, kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return isinstance(value, str) and value in arguments
    if origin is tuple:
        return isinstance(value, tuple | list) and all(_fits(each, arguments[0]) for each in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _fits(name, arguments[0]) and _fits(each, arguments[1]) for name, each in value.items()
        )
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    return isinstance(value, kind)


def _in_words(kind: Any) -> str:
    *first, last = _choices(kind)
    return f"{', '.join(first)} or {last}" if first else last


def _choices(kind: Any) -> list[str]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return [word for each in arguments for word in _choices(each)]
    if origin is Literal:
        return list(map(repr, arguments))
    if origin is tuple:
        return [f"a tuple of {_in_words(arguments[0])}"]
    return [_WORDS.get(origin or kind) or kind.__name__]
