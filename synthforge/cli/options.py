"""What the commands share: option spelling, ranges, --config, and how errors end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from flame_pytorch.errors import FileFormatError
from synthforge.assets.locate import MODEL, PRETRAINED
from synthforge.config import ConfigError, Range, read_config_file
from synthforge.errors import UserError


class OneLine(click.ClickException):
    """An error in one line; exit code 2."""

    exit_code = 2


class Command(click.Command):
    """A command whose options may be spelled with `_` or `-`, and whose help shows defaults.

    Errors that the user can mend end in one line and exit code 2.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = {
            "token_normalize_func": lambda token: token.replace("-", "_"),
            "show_default": True,
            "max_content_width": 100,
        }
        super().__init__(*args, **kwargs)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _one_line_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _one_line_errors():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Stopped. Run the same command again to continue.", err=True)
            ctx.exit(130)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (UserError, FileFormatError) as error:
        raise OneLine(str(error)) from error
    except OSError as error:
        named = error.filename is not None
        message = f"cannot use {error.filename}: {error.strerror}" if named else str(error)
        raise OneLine(message) from error


def range_option(name: str, help: str) -> Callable[..., Any]:
    """`--name LOW HIGH`, arriving as a Range or None."""

    def to_range(_: click.Context, __: click.Parameter, value: Any) -> Range | None:
        if value is None:
            return None
        try:
            return Range(*value)
        except ConfigError as error:
            raise ConfigError(f"--{name}: {error}") from error

    return click.option(
        f"--{name}",
        nargs=2,
        type=float,
        default=None,
        metavar="LOW HIGH",
        callback=to_range,
        help=help,
    )


def asset_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--pretrained_dir` and `--model_dir`, where the user's licensed files are."""
    model = click.option(
        "--model_dir",
        type=click.Path(path_type=Path),
        default=None,
        help=f"Folder of FLAME's files.  [default: {MODEL}]",
    )
    pretrained = click.option(
        "--pretrained_dir",
        type=click.Path(path_type=Path),
        default=None,
        help=f"Folder of next3d_ffhq_512.pkl and alignments.  [default: {PRETRAINED}]",
    )
    return pretrained(model(function))


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
        fits, wanted = _is_number(value) and isinstance(value, int), "a whole number"
    elif option.type is click.FLOAT:
        fits, wanted = _is_number(value), "a number"
    else:
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            value = ",".join(value)
        fits, wanted = isinstance(value, str), "text"
    if not fits:
        raise ConfigError(f"{path}: {option.name} must be {wanted}, got {value!r}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--config FILE`: TOML, option names as keys; what the command line gives wins."""

    def load(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
        if path is not None:
            known = frozenset(
                parameter.name
                for parameter in context.command.params
                if parameter.name not in (None, "config", "help")
            )
            settings = read_config_file(path, known)
            for parameter in context.command.params:
                if parameter.name in settings:
                    settings[parameter.name] = _setting(parameter, settings[parameter.name], path)
            context.default_map = settings
        return path

    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        default=None,
        is_eager=True,
        expose_value=False,
        callback=load,
        help="TOML file of options; the command line wins.",
    )(function)
