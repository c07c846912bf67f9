"""The option --config: a TOML file of other options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from synthforge.cli.options import AutoOrCount, PathOption
from synthforge.errors import ConfigError
from synthforge.toml_files import is_integer, read_config_file, shown


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--config FILE`: TOML, option names as keys; what the command line gives wins."""

    def load(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
        if path is not None:
            known = frozenset(
                parameter.name
                for parameter in context.command.params
                if parameter.name not in (None, "config", "help", "version")
            )
            settings = read_config_file(path, known)
            for parameter in context.command.params:
                if parameter.name in settings:
                    settings[parameter.name] = _setting(parameter, settings[parameter.name], path)
            context.default_map = settings
        return path

    return click.option(
        "--config",
        type=PathOption(dir_okay=False),
        default=None,
        is_eager=True,
        expose_value=False,
        callback=load,
        help="TOML file of options; the command line wins.",
    )(function)


def _setting(option: click.Parameter, value: Any, path: Path) -> Any:
    """A value of a config file as the option takes it. Raises ConfigError if it is of another kind.

    Lists of names become the comma-separated text of the command line.
    """
    if isinstance(option, click.Option) and option.is_flag:
        fits, wanted = isinstance(value, bool), "true or false"
    elif option.nargs == 2:
        fits = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
        wanted = "two numbers, such as [0.0, 0.5]"
    elif option.type is click.INT:
        fits, wanted = is_integer(value), "a whole number"
    elif isinstance(option.type, AutoOrCount):
        fits = value == "auto" or is_integer(value)
        wanted = '"auto" or a whole number'
    elif option.type is click.FLOAT:
        fits, wanted = _is_number(value), "a number"
    else:
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            value = ",".join(value)
        fits, wanted = isinstance(value, str), "text"
    if not fits:
        raise ConfigError(f"{path}: {option.name} must be {wanted}, got {shown(value)}")
    return value


def _is_number(value: Any) -> bool:
    return is_integer(value) or isinstance(value, float)
