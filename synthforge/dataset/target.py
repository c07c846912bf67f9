"""Where a dataset lies: a folder on a disk, or one that fsspec reaches, such as s3://bucket/faces."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO, Any, Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

from synthforge.config import is_url
from synthforge.dataset.export.formats import FORMATS, format_of
from synthforge.dataset.folder import (
    ANNOTATIONS,
    CARD,
    MOST_JSON_BYTES,
    DatasetError,
    parse_card,
    told,
)
from synthforge.dataset.local_target import LocalTarget
from synthforge.dataset.remote_target import RemoteTarget, one_line


class Writable(Protocol):
    """Takes bytes, one after the other."""

    def write(self, content: bytes, /) -> int: ...


class Target(Protocol):
    """A folder of whole files. It can be pickled. Names are relative, with `/` between folders.

    Methods raise OSError if the disk or the store fails.
    """

    def where(self, name: str = "") -> Path | str:
        """The folder or a file in it, as users write it."""
        ...

    def names(self) -> set[str]:
        """What lies in the folder itself, hidden files aside; empty if it does not exist."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of each file in a folder below; empty if it does not exist."""
        ...

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """A file, or bytes start to stop of it."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """A file to be read from its beginning to its end."""
        ...

    def replacing(self, name: str) -> contextlib.AbstractContextManager[Writable]:
        """A file to write, which has its name once the block has ended.

        If the block raises, what was there before is left.
        """
        ...

    def spool(self) -> IO[bytes]:
        """An unnamed local file, which vanishes with the process."""
        ...

    def claimed(self) -> Target:
        """The target of a run that begins to write; makes the folder."""
        ...

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Of the runs that claimed it one at a time is inside; on a store, which has no such thing,
        any."""
        ...

    def is_seen(self) -> bool:
        """Whether this machine sees what the run that claimed it has begun."""
        ...

    def renew(self) -> None:
        """Show that the run lives."""
        ...

    def release(self) -> None:
        """The run has ended."""
        ...

    def check_room(self, kept: int = 0, spooled: int = 0) -> None:
        """Raises DatasetError if, as far as one can tell, so many bytes cannot be written."""
        ...


def open_target(where: Path | str) -> Target:
    """The target of a path, or of a URL such as s3://bucket/faces, file:///data/faces, memory://a.

    Raises DatasetError if no file system serves the URL, or its package is missing.
    """
    if not is_url(where):
        return LocalTarget(Path(where))
    url = str(where)
    protocol = url.partition("://")[0]
    try:
        fs, path = fsspec.url_to_fs(url)
    except ImportError as error:
        missing = getattr(error.__cause__, "name", None) or "what it needs"
        raise DatasetError(f"{url} needs another package: pip install {missing}") from error
    except Exception as error:  # each file system has errors of its own
        why = f"{protocol}:// is no file system that fsspec knows"
        if protocol in fsspec.available_protocols():
            why = one_line(error)
        raise DatasetError(
            f"cannot use {url}: {why}; give a local folder or a URL such as s3://bucket/faces"
        ) from error
    if isinstance(fs, LocalFileSystem):
        return LocalTarget(Path(path))
    return RemoteTarget(fs, path, url.rstrip("/"))


def read_card(
    target: Target, way_out: str = "give a folder that holds a dataset"
) -> dict[str, Any]:
    """dataset.json. Raises DatasetError if it is not there, or as `parse_card` does."""
    path = target.where(CARD)
    try:
        with told(f"cannot read {path}", way_out), target.open(CARD) as file:
            content = file.read(MOST_JSON_BYTES + 1)
    except DatasetError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise _no_card(target, way_out) from error
    return parse_card(content, path)


def _no_card(target: Target, way_out: str) -> DatasetError:
    with told(f"cannot read {target.where()}", way_out):
        names, exported = target.names(), format_of(target)
    where = target.where()
    if exported is not None:
        return DatasetError(
            f"{where} is in the form of `synthforge export --to {exported}`: "
            f"{FORMATS[exported].opened_by}; see docs/exports.md, or give the dataset that it was "
            "made of"
        )
    if names & {ANNOTATIONS, "records"}:
        return DatasetError(
            f"{where} has lost its {CARD}; the command that made the dataset writes it again"
        )
    if not names:
        return DatasetError(f"{where} is empty or not there; {way_out}")
    return DatasetError(f"{where} holds no {CARD}, so it is no dataset of SynthForge; {way_out}")
