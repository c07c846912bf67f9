"""Opens or continues a dataset, and keeps what is not a sample: its card and its log.

A file appears under its final name only when it is complete and on the disk, and a sample's
annotation appears last. Several runs may write to one folder at once: each puts its unfinished
files into its claim, a folder of its own below .partial/.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.claims import alone, clear_dead, hosts_at_work, make_claim
from synthforge.dataset.continuing import Redraw, check_recipe, check_samples, differences
from synthforge.dataset.folder import (
    ANNOTATIONS,
    CARD,
    PARTIAL,
    REJECTIONS,
    DatasetError,
    as_size,
    check_output_dir,
    check_writable,
    encode_card,
    existing,
    with_planned,
)
from synthforge.dataset.local_target import LocalTarget
from synthforge.dataset.manifest import write_manifests
from synthforge.dataset.scan import sample_indices
from synthforge.dataset.sink import FolderSink, cannot_write
from synthforge.dataset.target import read_card
from synthforge.labels import CORE
from synthforge.whole_files import write_whole

# Room that a sample's files are counted with before a run starts; measured means are below.
_BYTES_PER_SAMPLE = 600_000
_BYTES_PER_EXTRA = 400_000


def bytes_needed(samples: int, extras: int) -> int:
    """Of samples with so many extras each, at most."""
    return samples * (_BYTES_PER_SAMPLE + extras * _BYTES_PER_EXTRA)


class DatasetWriter:
    """Opens or continues the dataset at `root`. A run has one; samples go into its `sink`.

    card: everything of dataset.json. What must agree to continue a dataset is its "recipe".
    redraw: draws a sample again, to tell whose samples they are where dataset.json was lost.
    within: of a run that draws only those numbers of a large dataset.
    Raises DatasetError if root holds foreign files, or samples of another recipe.
    """

    def __init__(
        self,
        root: Path,
        card: Mapping[str, Any],
        extras: Sequence[str] = (),
        redraw: Redraw | None = None,
        within: range | None = None,
    ) -> None:
        self.root = root
        self._within = within
        self.folders = (*CORE, *extras)
        self._card: dict[str, Any] = json.loads(encode_card(card))
        self.recipe = self._card["recipe"]
        self._claim: Path | None = None
        self._logged: set[str] = set()
        check_output_dir(root)
        if not self.has_card:
            try:
                check_samples(root, self.folders, self.there, redraw)
            except DatasetError:
                if not self.has_card:  # else another run has begun meanwhile
                    raise
        if self.has_card:
            check_recipe(root, self.recipe)

    # Samples that were given up are not stored, so that each run draws them again.
    given_up: Sequence[int] = ()

    @property
    def has_card(self) -> bool:
        return (self.root / CARD).exists()

    @cached_property
    def there(self) -> NDArray[np.int64]:
        """Numbers of the complete samples, ascending, as they were when first asked for.

        At least those `within`; others are not looked at where dataset.json says whose they are.
        """
        return sample_indices(self.root, self.folders, self._within if self.has_card else None)

    @property
    def sink(self) -> FolderSink:
        """Takes the run's samples, also in another process, while the writer is open."""
        if self._claim is None:
            raise ValueError("the writer is not open")
        # Images last: loaders list that folder, and what is listed should have its labels.
        order = sorted(self.folders, key=lambda folder: folder == "images")
        return FolderSink(self.root, tuple(order), self.recipe, self._claim)

    def check_room(self, samples: int) -> None:
        """Raises DatasetError unless the folder is writable and has room for so many samples."""
        for folder in (*self.folders, ANNOTATIONS, PARTIAL):
            if (self.root / folder).exists():
                check_writable(self.root / folder)
        nearest = existing(self.root)
        check_writable(nearest)
        needed = bytes_needed(samples, len(self.folders) - len(CORE))
        free = shutil.disk_usage(nearest).free
        if free < needed:
            raise DatasetError(
                f"{nearest} has {as_size(free)} free and the images need about "
                f"{as_size(needed)}; give another --output_dir or a smaller --num_images"
            )

    def open(self) -> None:
        """Make the folders and write dataset.json; clears what killed runs left behind."""
        with cannot_write(self.root):
            clear_dead(self.root / PARTIAL)
            self._claim = make_claim(self.root / PARTIAL)
            try:
                with alone(self.root / PARTIAL):
                    self._write_card(self._claim)
                for folder in (*self.folders, ANNOTATIONS):
                    (self.root / folder).mkdir(exist_ok=True)
                self._read_log()
            except BaseException:
                self.close()
                raise

    def _write_card(self, claim: Path) -> None:
        """Of several runs that start at once the first one's card counts."""
        path, aside = self.root / CARD, claim / CARD
        write_whole(aside, encode_card(self._card).encode() + b"\n")
        with contextlib.suppress(OSError):  # one is there, or the file system has no hard links
            os.link(aside, path)
            aside.unlink()
            return
        if self.has_card:
            check_recipe(self.root, self.recipe, claim)
            before = read_card(LocalTarget(self.root))
            if not differences(before["recipe"], self.recipe):
                card = with_planned(self._card, before)
                write_whole(aside, encode_card(card).encode() + b"\n")
        os.replace(aside, path)

    def _read_log(self) -> None:
        """Learn the lines of rejections.jsonl; drops a last one that a full disk cut short."""
        path = self.root / REJECTIONS
        if not path.exists():
            return
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content and not hosts_at_work(self.root / PARTIAL, self._claim):
            write_whole(path, whole)
        self._logged = set(whole.decode(errors="replace").splitlines(keepends=True))

    def close(self) -> None:
        """Remove what is the run's own; `open` makes it again."""
        if self._claim is not None:
            shutil.rmtree(self._claim, ignore_errors=True)
            self._claim = None
        with contextlib.suppress(OSError):  # another run is at work
            (self.root / PARTIAL).rmdir()

    def write_index(self) -> None:
        """Write the lists of SHA-256 of the samples `within`, where they are not so yet.

        Not where the disk is read-only: the dataset may be complete.
        """
        if self._within is None or not os.access(self.root, os.W_OK):
            return
        complete = sample_indices(self.root, self.folders, self._within)
        with cannot_write(self.root):
            write_manifests(self.root, self.folders, self._within, complete, self.there)

    def log_rejections(self, rejections: Sequence[Mapping[str, Any]]) -> None:
        """Append lines to rejections.jsonl, once each: a continued run draws some again."""
        lines = [json.dumps(rejection) + "\n" for rejection in rejections]
        new = [line for line in lines if line not in self._logged]
        if not new:
            return
        self._logged.update(new)
        self.sink.renew_claim()
        with cannot_write(self.root), open(self.root / REJECTIONS, "ab") as log:
            log.write("".join(new).encode())  # appended as one, also beside other runs
