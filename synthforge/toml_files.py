"""TOML files of settings, read within bounds, and checks of their values."""

from __future__ import annotations

import difflib
import math
import reprlib
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from synthforge.errors import ConfigError

# tomllib's time grows with the square of a hostile file's size.
_MAX_CONFIG_BYTES = 16_384
# Integers of settings are stored in 64 bits.
MAX_INTEGER = 2**63 - 1


def read_toml(path: Path, title: str) -> dict[str, Any]:
    """A TOML file. title: what errors call it.

    Raises ConfigError if it is missing, malformed or too large.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_CONFIG_BYTES + 1)
        if len(content) > _MAX_CONFIG_BYTES:
            raise ConfigError(
                f"{path} is larger than {_MAX_CONFIG_BYTES} bytes, so it is no {title}"
            )
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except FileNotFoundError as error:
        raise ConfigError(f"{title} not found: {path}") from error
    except RecursionError as error:
        raise ConfigError(f"cannot read {title} {path}: it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {title} {path}: {error}; save it in UTF-8") from error
    except OSError as error:
        raise ConfigError(f"cannot read {title} {path}: {error.strerror}") from error
    except ConfigError:
        raise
    except ValueError as error:  # not TOML, or an integer of thousands of digits
        raise ConfigError(f"cannot read {title} {path}: {error}") from error


def read_config_file(path: Path, known: frozenset[str]) -> dict[str, Any]:
    """Settings of a TOML file. Keys are option names, with `_` or `-`.

    Raises ConfigError as `read_toml` does, and for a key not in `known`.
    """
    settings = {
        key.replace("-", "_"): value for key, value in read_toml(path, "config file").items()
    }
    if settings.keys() & {"sample", "grid"}:
        raise ConfigError(f"{path} is a recipe; give it as --recipe")
    for key in settings:
        if key not in known:
            raise ConfigError(f"unknown key '{key}' in {path}; {meant(key, sorted(known))}")
    return settings


def meant(name: str, known: Collection[str]) -> str:
    """The way out for a name that isn't known."""
    like = difflib.get_close_matches(name, known, 1)
    return f"did you mean {like[0]!r}?" if like else f"choose from {', '.join(known)}"


def check_keys(name: str, table: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises ConfigError for a key of the table `name` that is not known."""
    for key in table:
        if key not in known:
            raise ConfigError(f"{name} has no {key!r}; {meant(key, known)}")


def is_integer(value: Any) -> bool:
    """Whether it is a whole number of 64 bits."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and abs(value) <= MAX_INTEGER


def is_number(value: Any) -> bool:
    """Whether it is a whole number of 64 bits, or a finite one with a fraction."""
    return is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def shown(value: Any) -> str:
    """The value in an error."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return "one beyond 64 bits"
    return reprlib.repr(value)
