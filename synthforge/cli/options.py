"""What the commands share: option spelling, paths, ranges, help, and how errors end."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import click

from flame_pytorch.errors import FileFormatError
from synthforge import __version__
from synthforge.assets.locate import HOME_VARIABLE, MODEL, PRETRAINED
from synthforge.cli.launch import without
from synthforge.config import is_url
from synthforge.distributions import Range
from synthforge.errors import ConfigError, UserError

version_option = click.version_option(__version__, message="synthforge %(version)s")


class OneLine(click.ClickException):
    """An error in one line, control characters escaped; exit code 2."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(re.sub(r"[\x00-\x1f\x7f]", lambda found: repr(found[0])[1:-1], message))


class Command(click.Command):
    """A command whose options may be spelled with `_` or `-`, and whose help shows defaults.

    sections: title -> names of the options that --help lists under it; the others come last.

    Errors that the user can put right end in one line and exit code 2.
    """

    def __init__(
        self, *args: Any, sections: Mapping[str, Sequence[str]] | None = None, **kwargs: Any
    ) -> None:
        kwargs["context_settings"] = {
            "token_normalize_func": lambda token: token.replace("-", "_"),
            "show_default": True,
            "max_content_width": 100,
        }
        super().__init__(*args, **kwargs)
        self.sections = sections or {}
        version_option(self)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = {
            parameter.name: record
            for parameter in self.get_params(ctx)
            if (record := parameter.get_help_record(ctx)) is not None
        }
        sections = [
            (title, [records.pop(name) for name in names]) for title, names in self.sections.items()
        ]
        for title, rows in [*sections, ("Options", list(records.values()))]:
            with formatter.section(title):
                formatter.write_dl(rows)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _one_line_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _one_line_errors():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Stopped. Run the same command again to go on.", err=True)
            ctx.exit(130)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (UserError, FileFormatError) as error:
        raise OneLine(str(error)) from error
    except BrokenPipeError:  # the output's reader has enough, as head: click ends quietly
        raise
    except OSError as error:
        named = error.filename is not None
        message = f"cannot use {error.filename}: {error.strerror}" if named else str(error)
        raise OneLine(message) from error
    except ImportError as error:
        raise OneLine(without(error)) from error
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and type(error).__name__ != "OutOfMemoryError":
            raise
        raise OneLine("out of memory; give a smaller --batch_size") from error


class PathOption(click.Path):
    """A path that a file can have, as pathlib.Path. Raises ConfigError for any other."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(path_type=Path, **settings)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name = "the path"
        if param is not None:
            is_option = isinstance(param, click.Option)
            name = param.opts[0] if is_option else param.human_readable_name
        if not os.fspath(value):
            raise ConfigError(f"{name} is empty; give a path")
        try:
            usable = b"\0" not in os.fsencode(value)
        except UnicodeEncodeError:
            usable = False
        if not usable:
            raise ConfigError(
                f"{name} {value!r} holds a character that no path can have; give another"
            )
        return super().convert(value, param, ctx)


class AutoOrCount(click.ParamType):
    """A whole number, or "auto"."""

    name = "auto|N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        try:
            return value if value == "auto" else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither auto nor a whole number.", param, ctx)


class TargetOption(PathOption):
    """A path as a Path, or a URL such as s3://bucket/faces as text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        return value if is_url(value) else path


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


def split_names(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Callback of an option that takes A,B,...: the names, once each."""
    if value is None:
        return None
    names = (name.strip().replace("-", "_") for name in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def stacked(*options: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that stands for all of these, written one above the other."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return reduce(lambda inner, option: option(inner), reversed(options), function)

    return decorate


def check_new_file(path: Path) -> None:
    """Raises OneLine unless a command can make a new file of that path."""
    if not path.parent.is_dir():
        raise OneLine(f"the folder {path.parent} does not exist; create it first")
    if path.exists():
        raise OneLine(f"{path} is there already; remove it, or give another name")


def asset_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--pretrained_dir` and `--model_dir`, where the user's licensed files are."""
    searched = f"here, in ${HOME_VARIABLE} or in the clone"
    model = click.option(
        "--model_dir",
        type=PathOption(),
        default=None,
        help=f"Folder of FLAME's files.  [default: {MODEL}, {searched}]",
    )
    pretrained = click.option(
        "--pretrained_dir",
        type=PathOption(),
        default=None,
        help=f"Folder of next3d_ffhq_512.pkl and alignments.  [default: {PRETRAINED}, {searched}]",
    )
    return pretrained(model(function))
