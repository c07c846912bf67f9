"""Writes a dataset, one whole sample after another.

A file appears under its final name only when it is complete and on the disk, and a sample's
annotation appears last. Several runs may write to one folder at once: each puts its unfinished
files into its claim, a folder of its own below .partial/.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthforge.dataset.claims import clear_dead, hosts_at_work, make_claim, renew
from synthforge.dataset.continuing import Redraw, difference_from_redrawn, differences
from synthforge.dataset.folder import (
    ANNOTATIONS,
    CARD,
    CORE_FOLDERS,
    EXTRAS,
    REJECTIONS,
    DatasetError,
    check_output_dir,
    check_writable,
    existing,
    read_card,
    sample_indices,
    sample_path,
    told,
    visible,
)
from synthforge.dataset.sample import Sample, encode_annotation, encode_png
from synthforge.whole_files import write_together, write_whole

_PARTIAL = ".partial"

# Room that a sample's files are counted with before a run starts; measured means are below.
_BYTES_PER_SAMPLE = 600_000
_BYTES_PER_EXTRA = 400_000

# What the file system says where another run took this one's claim for dead, and removed it.
_VANISHED = (errno.ENOENT, errno.ESTALE)
_TRIES = 5


class DatasetWriter:
    """Opens or continues the dataset at `root`. `write` may be called from several threads.

    card: everything of dataset.json. What must agree to continue a dataset is its "recipe".
    redraw: draws a sample again, to tell whose samples they are where dataset.json was lost.
    Raises DatasetError if root holds foreign files, or samples of another recipe.
    """

    def __init__(
        self,
        root: Path,
        card: Mapping[str, Any],
        extras: Sequence[str] = (),
        redraw: Redraw | None = None,
    ) -> None:
        self.root = root
        self.folders = (*CORE_FOLDERS, *extras)
        for name, value in card["recipe"].items():
            try:
                json.dumps(value, allow_nan=False)
            except ValueError as error:
                raise DatasetError(f"{name} holds no finite number; give it one") from error
        self._card = json.dumps(card, indent=2, allow_nan=False)
        self._claim: Path | None = None
        self._logged: set[str] = set()
        check_output_dir(root)
        if self.has_card:
            self._check_recipe()
        else:
            self._check_samples(redraw)

    @property
    def has_card(self) -> bool:
        return (self.root / CARD).exists()

    def _check_recipe(self) -> None:
        """Raises DatasetError if there are, or may soon be, samples of another recipe."""
        old, new = read_card(self.root)["recipe"], json.loads(self._card)["recipe"]
        differing = ", ".join(differences(old, new))
        if not differing:
            return
        if sample_indices(self.root):
            raise DatasetError(
                f"{self.root} holds a dataset made with another {differing}; give the same "
                "settings to continue it, or another --output_dir"
            )
        with self._told():
            hosts = hosts_at_work(self.root / _PARTIAL, self._claim)
        if hosts:
            raise DatasetError(
                f"a run on {', '.join(sorted(set(hosts)))} is at work in {self.root} with another "
                f"{differing}; give another --output_dir or, if that run has ended, delete "
                f"{self.root / _PARTIAL}"
            )

    def _check_samples(self, redraw: Redraw | None) -> None:
        """Raises DatasetError unless samples without a card are what `redraw` draws."""
        with told(f"cannot read {self.root}", "give another --output_dir"):
            folders = [self.root / name for name in (*CORE_FOLDERS, *EXTRAS, ANNOTATIONS)]
            filled = [folder.name for folder in folders if folder.exists() and visible(folder)]
        if not filled:
            return
        indices = sample_indices(self.root, self.folders)
        if not indices or redraw is None:
            raise DatasetError(
                f"{self.root} holds {', '.join(filled)} but no {CARD}, and no sample that is "
                "complete with these settings; restore it or give an empty or new --output_dir"
            )
        differing: str | None = "extras"
        if set(filled) == {*self.folders, ANNOTATIONS}:
            redrawn = (
                difference_from_redrawn(self.root, index, redraw)
                for index in (indices[0], indices[-1])
            )
            differing = next(filter(None, redrawn), None)
        if differing:
            raise DatasetError(
                f"{self.root} has no {CARD}, and its samples are not what these settings draw: "
                f"another {differing}; give the settings that it was made with, or another "
                "--output_dir"
            )

    def check_room(self, samples: int) -> None:
        """Raises DatasetError unless the folder is writable and has room for so many samples."""
        for folder in (*self.folders, ANNOTATIONS, _PARTIAL):
            if (self.root / folder).exists():
                check_writable(self.root / folder)
        nearest = existing(self.root)
        check_writable(nearest)
        extras = len(self.folders) - len(CORE_FOLDERS)
        needed = samples * (_BYTES_PER_SAMPLE + extras * _BYTES_PER_EXTRA)
        free = shutil.disk_usage(nearest).free
        if free < needed:
            raise DatasetError(
                f"{nearest} has {_as_size(free)} free and {samples} images need about "
                f"{_as_size(needed)}; give another --output_dir or a smaller --num_images"
            )

    def open(self) -> None:
        """Make the folders and write dataset.json; clears what killed runs left behind."""
        with self._told():
            clear_dead(self.root / _PARTIAL)
            self._claim = make_claim(self.root / _PARTIAL)
            try:
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
        write_whole(aside, self._card.encode() + b"\n")
        with contextlib.suppress(OSError):  # one is there, or the file system has no hard links
            os.link(aside, path)
            aside.unlink()
            return
        if self.has_card:
            self._check_recipe()
        os.replace(aside, path)

    def _read_log(self) -> None:
        """Learn the lines of rejections.jsonl; drops a last one that a full disk cut short."""
        path = self.root / REJECTIONS
        if not path.exists():
            return
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content and not hosts_at_work(self.root / _PARTIAL, self._claim):
            write_whole(path, whole)
        self._logged = set(whole.decode(errors="replace").splitlines(keepends=True))

    def close(self) -> None:
        """Remove what is the run's own; `open` makes it again."""
        if self._claim is not None:
            shutil.rmtree(self._claim, ignore_errors=True)
            self._claim = None
        with contextlib.suppress(OSError):  # another run is at work
            (self.root / _PARTIAL).rmdir()

    def indices(self) -> set[int]:
        """Samples that are there, whole."""
        return set(sample_indices(self.root, self.folders))

    def write(self, sample: Sample) -> None:
        """Write a sample's files, the annotation last. Raises DatasetError if the disk fails."""
        missing = set(self.folders) - set(sample.files)
        if missing:
            raise ValueError(f"sample {sample.index} lacks {', '.join(sorted(missing))}")
        contents = {
            sample_path(self.root, folder, sample.index): encode_png(sample.files[folder])
            for folder in self._order
        }
        annotation = sample_path(self.root, ANNOTATIONS, sample.index)
        contents[annotation] = encode_annotation(sample.annotation)
        with self._told():
            for left in reversed(range(_TRIES)):
                try:
                    return write_together(contents, self._renewed_claim())
                except OSError as error:
                    if error.errno not in _VANISHED or not left:
                        raise

    def _renewed_claim(self) -> Path:
        """Where unfinished files go; made again if another run took this one for dead."""
        if self._claim is None:
            raise ValueError("the writer is not open")
        if renew(self._claim):
            self._check_recipe()
        return self._claim

    def log_rejections(self, rejections: Sequence[Mapping[str, Any]]) -> None:
        """Append lines to rejections.jsonl, once each: a continued run draws some again."""
        lines = [json.dumps(rejection) + "\n" for rejection in rejections]
        new = [line for line in lines if line not in self._logged]
        if not new:
            return
        self._logged.update(new)
        self._renewed_claim()
        with self._told(), open(self.root / REJECTIONS, "ab") as log:
            log.write("".join(new).encode())  # appended as one, also beside other runs

    @property
    def _order(self) -> list[str]:
        """Images last: loaders list that folder, and what is listed should have its labels."""
        return sorted(self.folders, key=lambda folder: folder == "images")

    def _told(self) -> contextlib.AbstractContextManager[None]:
        return told(
            f"cannot write to {self.root}",
            "every annotated sample is whole: correct this and run the same command again to "
            "continue",
        )


def _as_size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
