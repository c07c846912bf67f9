"""A dataset's folder on a disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from synthforge.dataset.claims import alone, clear_dead, make_claim, renew
from synthforge.dataset.folder import (
    PARTIAL,
    DatasetError,
    as_size,
    check_writable,
    existing,
    visible,
)
from synthforge.whole_files import replacing


@dataclass(frozen=True)
class LocalTarget:
    """See synthforge.dataset.target.Target. claim: where unfinished files of this run go."""

    root: Path
    claim: Path | None = None

    def where(self, name: str = "") -> Path:
        return self.root / name

    def names(self) -> set[str]:
        return {path.name for path in visible(self.root)} if self.root.exists() else set()

    def sizes(self, folder: str) -> dict[str, int]:
        sizes = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(self.root / folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # it vanished meanwhile
                    if entry.is_file():
                        sizes[entry.name] = entry.stat().st_size
        return sizes

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

    def alone(self) -> contextlib.AbstractContextManager[None]:
        return alone(self.root / PARTIAL)

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
