"""A dataset's folder that fsspec reaches, such as s3://bucket/faces."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from synthforge.dataset.folder import CARD, DatasetError, as_size


@dataclass(frozen=True)
class RemoteTarget:
    """See synthforge.dataset.target.Target. url: as the user gave it."""

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
    def replacing(self, name: str) -> Iterator[_Upload]:
        path = self._path(name)
        of_block: Exception | None = None
        try:
            with _as_os_error():
                if path.startswith("/"):  # else it begins with a bucket, where no folders are made
                    self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
                with self.fs.transaction, self.fs.open(path, "wb") as file:
                    try:
                        yield _Upload(file)
                    except Exception as error:
                        of_block = error
                        raise
        except OSError:
            if of_block is not None:
                raise of_block from None
            raise

    def spool(self) -> IO[bytes]:
        return tempfile.TemporaryFile()

    def claimed(self) -> RemoteTarget:
        return self

    def alone(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

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


@dataclass(frozen=True)
class _Upload:
    """A file that a store takes."""

    file: IO[bytes]

    def write(self, content: bytes) -> int:
        with _as_os_error():
            return self.file.write(content)


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """Errors of a store's own client, such as missing credentials, become an OSError."""
    try:
        yield
    except FileNotFoundError as error:
        why = error.strerror or f"No such file or folder ({one_line(error)})"
        raise FileNotFoundError(errno.ENOENT, why) from error
    except OSError:
        raise
    except Exception as error:
        raise OSError(one_line(error)) from error


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
