"""Files that appear under their name whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; what is there at the end takes the place of `path`.

    The content is on the disk before it has its name, with the permissions that a new file gets.
    If the block raises, nothing is left. Raises OSError as the file system does.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # writers such as safetensors' make files that only their owner reads
        flush_to_disk(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file as `replacing` does."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def flush_to_disk(path: Path) -> None:
    """Wait until the file's content is on the disk, so that it survives a power cut."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
