"""Files mapped into memory rather than read."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np

from flame_pytorch.errors import FileFormatError


def open_mapped(path: str | os.PathLike[str]) -> memoryview:
    """The file's bytes, read-only. Raises FileNotFoundError and FileFormatError."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not path.is_file():
        raise FileFormatError("is not a file")
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise FileFormatError("is empty")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise FileFormatError(f"can't be read: {error.strerror}") from None


def forget(view: memoryview) -> None:
    """Frees the memory that a part of a mapped file takes; it is read again when needed."""
    mapping = view.obj
    if not isinstance(mapping, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    base = np.frombuffer(mapping, np.uint8).ctypes.data
    offset = np.frombuffer(view, np.uint8).ctypes.data - base
    start = offset // mmap.PAGESIZE * mmap.PAGESIZE
    mapping.madvise(mmap.MADV_DONTNEED, start, offset + len(view) - start)
