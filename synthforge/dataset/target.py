"""Where a dataset lies: a folder on a disk, or one that fsspec reaches, such as s3://bucket/faces."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

from synthforge.config import is_url
from synthforge.dataset.claims import clear_dead, make_claim, renew
from synthforge.dataset.folder import (
    ANNOTATIONS,
    CARD,
    MOST_JSON_BYTES,
    PARTIAL,
    DatasetError,
    as_size,
    check_writable,
    existing,
    parse_card,
    told,
    visible,
)
from synthforge.whole_files import replacing


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

    def replacing(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
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
            why = _one_line(error)
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
        names = target.names()
    where = target.where()
    if names & {ANNOTATIONS, "records"}:
        return DatasetError(
            f"{where} has lost its {CARD}; the command that made the dataset writes it again"
        )
    if not names:
        return DatasetError(f"{where} is empty or not there; {way_out}")
    return DatasetError(f"{where} holds no {CARD}, so it is no dataset of SynthForge; {way_out}")


@dataclass(frozen=True)
class LocalTarget:
    """A folder on a disk. claim: where unfinished files of this run go."""

    root: Path
    claim: Path | None = None

    def where(self, name: str = "") -> Path:
        return self.root / name

    def names(self) -> set[str]:
        return {path.name for path in visible(self.root)} if self.root.exists() else set()

    def sizes(self, folder: str) -> dict[str, int]:
        try:
            with os.scandir(self.root / folder) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except FileNotFoundError:
            return {}

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        with open(self.root / name, "rb") as file:
            file.seek(start)
            return file.read(-1 if stop is None else stop - start)

    def open(self, name: str) -> IO[bytes]:
        return open(self.root / name, "rb")

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[IO[bytes]]:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        with replacing(path, self.claim) as partial, open(partial, "wb") as file:
            yield file

    def spool(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self.claim)

    def claimed(self) -> LocalTarget:
        clear_dead(self.root / PARTIAL)
        return replace(self, claim=make_claim(self.root / PARTIAL))

    def is_seen(self) -> bool:
        return self.claim is not None and self.claim.exists()

    def renew(self) -> None:
        if self.claim is not None:
            renew(self.claim)

    def release(self) -> None:
        if self.claim is not None:
            shutil.rmtree(self.claim, ignore_errors=True)
            with contextlib.suppress(OSError):  # another run is at work
                self.claim.parent.rmdir()

    def check_room(self, kept: int = 0, spooled: int = 0) -> None:
        place = existing(self.root)
        check_writable(place)
        free = shutil.disk_usage(place).free
        if free < kept + spooled:
            raise DatasetError(
                f"{place} has {as_size(free)} free and the images need about "
                f"{as_size(kept + spooled)}; give another --output_dir or a smaller --num_images"
            )


@dataclass(frozen=True)
class RemoteTarget:
    """A folder that fsspec reaches. url: as the user gave it."""

    fs: Any
    path: str
    url: str

    def where(self, name: str = "") -> str:
        return f"{self.url}/{name}" if name else self.url

    def names(self) -> set[str]:
        return {name for name in self._list("") if not name.startswith(".")}

    def sizes(self, folder: str) -> dict[str, int]:
        entries = self._list(folder).items()
        return {name: entry["size"] for name, entry in entries if entry["type"] == "file"}

    def _list(self, folder: str) -> dict[str, Any]:
        """What is in a folder, by name: what fsspec says of it."""
        path = self._path(folder)
        with _as_os_error():
            self.fs.invalidate_cache()
            try:
                entries = self.fs.ls(path, detail=True)
            except FileNotFoundError:
                return {}
        named = {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in entries}
        named.pop("", None)  # the folder itself, as some stores list it
        return named

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        with _as_os_error():
            # Without a range where the whole is meant: no range of an empty file is served.
            content: bytes = self.fs.cat_file(self._path(name), start=start or None, end=stop)
            return content

    def open(self, name: str) -> IO[bytes]:
        with _as_os_error():
            file: IO[bytes] = self.fs.open(self._path(name), "rb")
            return file

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[IO[bytes]]:
        path = self._path(name)
        with _as_os_error():
            if path.startswith("/"):  # else it begins with a bucket, where no folders are made
                self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            with self.fs.transaction, self.fs.open(path, "wb") as file:
                yield file

    def spool(self) -> IO[bytes]:
        return tempfile.TemporaryFile()

    def claimed(self) -> RemoteTarget:
        return self

    def is_seen(self) -> bool:
        return CARD in self.names()

    def renew(self) -> None:
        pass

    def release(self) -> None:
        pass

    def check_room(self, kept: int = 0, spooled: int = 0) -> None:
        place = tempfile.gettempdir()
        free = shutil.disk_usage(place).free
        if free < spooled:
            raise DatasetError(
                f"{place} has {as_size(free)} free and a shard waits there with "
                f"{as_size(spooled)} until it is whole; set TMPDIR to another folder, or give a "
                "smaller --samples_per_tar"
            )

    def _path(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """Errors of a store's own client, such as missing credentials, become an OSError."""
    try:
        yield
    except FileNotFoundError as error:
        why = error.strerror or f"No such file or folder ({_one_line(error)})"
        raise FileNotFoundError(errno.ENOENT, why) from error
    except OSError:
        raise
    except Exception as error:
        raise OSError(_one_line(error)) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
