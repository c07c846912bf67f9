"""Members of untrusted zip archives, with a bound on what they unpack to."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from flame_pytorch.errors import FileFormatError
from flame_pytorch.reading.mapped import open_mapped

_LOCAL_HEADER_BYTES = 30


class Archive:
    """A zip archive, its directory read. Raises FileFormatError for a damaged one.

    names: of its members; of two with the same name the first counts.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self._data = open_mapped(path)
        with _sound(), zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        self._members = {info.filename: info for info in reversed(members)}
        self.names = dict.fromkeys(info.filename for info in members).keys()

    def read(self, name: str, max_bytes: int) -> memoryview:
        """A member, unpacked. Raises FileFormatError if it is damaged or exceeds `max_bytes`."""
        with (
            _sound(),
            zipfile.ZipFile(self.path) as archive,
            archive.open(self._members[name]) as member,
        ):
            data = member.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise FileFormatError(f"unpacks to too much at {name!r:.100}")
        return memoryview(data)

    def stored(self, name: str) -> memoryview:
        """A member that is not compressed, where it lies in the mapped file.

        Raises FileFormatError for another.
        """
        info = self._members[name]
        header = self._data[info.header_offset :][:_LOCAL_HEADER_BYTES]
        start = info.header_offset + _LOCAL_HEADER_BYTES
        start += int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        end = start + info.file_size
        if info.compress_type != zipfile.ZIP_STORED or end > len(self._data):
            raise FileFormatError(f"holds {name!r:.100} compressed or cut off")
        return self._data[start:end]


@contextmanager
def _sound() -> Iterator[None]:
    try:
        yield
    # zipfile raises these for damaged, encrypted and exotic archives.
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"is not a sound zip archive ({error})") from None
