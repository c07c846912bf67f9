"""Files that a run was given by options: noted in dataset.json, found again to repair it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthforge.errors import ConfigError


def record_of(paths: Mapping[str, Path | None]) -> dict[str, dict[str, str]]:
    """Option -> path as it was given, and SHA-256. paths: option -> path, None where not given."""
    return {
        option: {"path": str(path), "sha256": _sha256(path)}
        for option, path in paths.items()
        if path is not None
    }


def find_given(card: Mapping[str, Any], option: str, path: Path | None) -> Path | None:
    """The file that a dataset's run was given by an option; None if it was given none.

    path: where the user says that it is now; None: where it was.
    Raises ConfigError if there is none, or another one.
    """
    files = card.get("files")
    noted = files.get(option) if isinstance(files, dict) else None
    if not isinstance(noted, dict):
        return path
    was, sha256 = str(noted.get("path")), str(noted.get("sha256"))
    found = path or Path(was)
    way_out = f"give the one of SHA-256 {sha256:.16}... by --{option} FILE"
    if not found.is_file():
        raise ConfigError(
            f"the dataset was drawn with --{option} {found}, which is not there; {way_out}"
        )
    if _sha256(found) != sha256:
        raise ConfigError(f"{found} is another file than --{option} was; {way_out}")
    return found


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
