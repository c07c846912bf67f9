"""Files that appear under their name whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, aside: Path | None = None) -> Iterator[Path]:
    """A path to write to; what is there at the end takes the place of `path`.

    aside: folder of that path, on the file system of `path`; its own if None.

    The content is on the disk before it has its name, with the permissions that a new file gets.
    If the block raises, nothing is left. Raises OSError as the file system does.
    """
    partial = _partial(path, aside or path.parent)
    try:
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # writers such as safetensors' make files that only their owner reads
        flush_to_disk(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_appearing(path: Path) -> Iterator[Path]:
    """A new folder to write to; at the end it gets the name of `path`, which is empty or not there.

    If the block raises, nothing is left. Raises OSError as the file system does.
    """
    partial = _partial(path, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.mkdir()
    try:
        yield partial
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file as `replacing` does."""
    write_together({path: content}, path.parent)


def write_together(contents: Mapping[Path, bytes], aside: Path) -> None:
    """Write all files into the folder `aside`, then move them into place in their order.

    aside: on the file system of the paths. All contents are on the disk before the first has its
    name. If a write fails, none has; if a move fails, those before it do. No partial file is left.
    Raises OSError as the file system does.
    """
    partials = {path: _partial(path, aside) for path in contents}
    try:
        for path, partial in partials.items():
            with open(partial, "xb") as file:
                file.write(contents[path])
                file.flush()
                os.fsync(file.fileno())
        for path, partial in partials.items():
            os.replace(partial, path)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Wait until the file's content is on the disk, so that it survives a power cut."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _partial(path: Path, folder: Path) -> Path:
    return folder / f".{path.name}.{secrets.token_hex(4)}.partial"
