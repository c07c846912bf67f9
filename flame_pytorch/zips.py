"""Members of untrusted zip archives, with a bound on what they unpack to."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable

from flame_pytorch.errors import FileFormatError


def read_zip(
    path: str | os.PathLike[str], wanted: Callable[[str], bool], max_bytes: int
) -> dict[str, memoryview]:
    """The wanted members by name, together at most `max_bytes`. Raises FileFormatError."""
    members: dict[str, memoryview] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not wanted(info.filename) or info.filename in members:
                    continue
                with archive.open(info) as member:
                    data = member.read(max_bytes + 1)
                max_bytes -= len(data)
                if max_bytes < 0:
                    raise FileFormatError(f"unpacks to too much at {info.filename!r:.100}")
                members[info.filename] = memoryview(data)
    except FileFormatError:
        raise
    # zipfile raises these for damaged, encrypted and exotic archives.
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise FileFormatError(f"is not a sound zip archive ({error})") from None
    return members
