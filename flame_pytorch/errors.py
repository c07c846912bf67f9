"""What is raised when a file is bad."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class FileFormatError(ValueError):
    """A file is not what it should be, or holds what is not allowed.

    Where it is raised, the message begins with a verb ("is empty"); `naming` completes it.
    """


@contextmanager
def naming(path: str | os.PathLike[str], way_out: str) -> Iterator[None]:
    """Puts the file's name before a FileFormatError, and the way out after it.

    The way out is added to a FileNotFoundError too.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}. {way_out}.") from None
    except FileFormatError as error:
        raise FileFormatError(f"{os.fspath(path)} {error}. {way_out}.") from None
