"""Writes a dataset, one whole sample after another.

    root/images/000000.png  seg/  depth/  annotations/000000.json  dataset.json

A file appears under its final name only when it is complete, and a sample's annotation appears
last. Several runs may write to one root at once: each puts its unfinished files into a folder of
its own below .partial/, and the lock it holds there says that it lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.errors import UserError

try:
    import fcntl
except ImportError:  # not on Windows: there, what killed runs left behind stays
    fcntl = None  # type: ignore[assignment]

CARD = "dataset.json"
REJECTIONS = "rejections.jsonl"
CORE_FOLDERS = ("images", "seg", "depth")
ANNOTATIONS = "annotations"
_PARTIAL = ".partial"
_LOCK = "lock"
# A setting longer than this is only named where two recipes differ.
_SHOWN_CHARACTERS = 60

# Room that a sample's files are counted with before a run starts; measured means are below.
_BYTES_PER_SAMPLE = 600_000
_BYTES_PER_EXTRA = 400_000


class DatasetError(UserError, RuntimeError):
    """The output folder cannot take this dataset; the message says the way out."""


@dataclass(frozen=True)
class Sample:
    """One finished sample.

    files: folder -> image, uint8 or uint16, [H, W] or RGB [H, W, 3].
    annotation: flat; every value a number or a fixed-shape array of numbers.
    """

    index: int
    files: Mapping[str, NDArray[Any]]
    annotation: Mapping[str, Any]


def sample_name(index: int) -> str:
    return f"{index:06d}"


@contextlib.contextmanager
def told(what: str, way_out: str) -> Iterator[None]:
    """An OSError inside becomes a DatasetError: what failed, why, and the way out."""
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{what}: {error.strerror}; {way_out}") from error


def _existing(path: Path) -> Path:
    """The path itself, or the nearest parent that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _check_folder(folder: Path) -> None:
    """Raises DatasetError unless files can be made in the folder."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is a file; move it away or give another --output_dir")
    with (
        told(f"cannot write to {folder}", "mend this or give another --output_dir"),
        tempfile.TemporaryFile(dir=folder),
    ):
        pass


def check_output_dir(root: Path) -> None:
    """Raises DatasetError if root cannot be written to or holds something else than a dataset."""
    with told(f"cannot read {root}", "give another --output_dir"):
        _check_folder(_existing(root))
        shown = root.exists() and any(not path.name.startswith(".") for path in root.iterdir())
        if shown and not (root / CARD).exists():
            raise DatasetError(
                f"{root} is not empty and holds no {CARD}, so it is not a dataset of ours; "
                "give an empty or new --output_dir"
            )


def read_card(root: Path) -> dict[str, Any]:
    """dataset.json. Raises DatasetError if it is not there or not whole."""
    path = root / CARD
    with told(f"cannot read {path}", "give a folder that holds a dataset"):
        text = path.read_text(encoding="utf-8", errors="replace")
    try:
        card = json.loads(text)
        card["recipe"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} cannot be read: it is cut short or was changed; restore it or give "
            "another folder"
        ) from error
    return card


def sample_indices(root: Path, folders: Sequence[str] = CORE_FOLDERS) -> list[int]:
    """Numbers of the complete samples, ascending: a filled annotation and an image per folder."""
    annotations = _numbered(root / ANNOTATIONS, ".json")
    complete = {number for number, entry in annotations.items() if entry.stat().st_size > 0}
    for folder in folders:
        complete &= _numbered(root / folder, ".png").keys()
    return sorted(complete)


def _numbered(folder: Path, suffix: str) -> dict[int, os.DirEntry[str]]:
    """The folder's files by the number of their sample; others are passed over."""
    found = {}
    with told(f"cannot read {folder}", "mend this or give another folder"):
        if not folder.exists():
            return {}
        for entry in os.scandir(folder):
            stem, ending = os.path.splitext(entry.name)
            if ending == suffix and stem.isdecimal() and stem == sample_name(int(stem)):
                found[int(stem)] = entry
    return found


def _lock(file: IO[bytes], wait: bool) -> bool:
    """Lock an open file against other runs, until it is closed; whether it is locked now."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another run has it, or the file system has no locks
        return False
    return True


def _claim(partial: Path) -> tuple[Path, IO[bytes]]:
    """A new folder below `partial`, and its locked file: while that is open, the folder is ours."""
    while True:
        with contextlib.suppress(FileNotFoundError):  # cleared by another run before it was locked
            partial.mkdir(parents=True, exist_ok=True)
            place = Path(tempfile.mkdtemp(dir=partial))
            lock = open(place / _LOCK, "ab")  # noqa: SIM115
            _lock(lock, wait=True)
            (place / _LOCK).stat()
            return place, lock


def _clear_dead(partial: Path) -> bool:
    """Remove what killed runs left below `partial`; whether another run still lives."""
    if fcntl is None:
        return False
    living = False
    for place in partial.glob("*"):
        try:
            with open(place / _LOCK, "r+b") as lock:
                if _lock(lock, wait=False):
                    shutil.rmtree(place, ignore_errors=True)
                else:
                    living = True
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                place.rmdir()
        except OSError:
            living = True
    return living


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], within: str = "") -> list[str]:
    """Settings of `new` that `old` has otherwise, with both values."""
    found = []
    for key, value in new.items():
        name, before = f"{within}{key}", old.get(key)
        if before == value:
            continue
        if isinstance(value, dict) and isinstance(before, dict) and not _is_range(value):
            found += _differences(before, value, f"{name} ")
        else:
            shown = f"{_shown(before)}, now {_shown(value)}"
            found.append(f"{name} ({shown})" if len(shown) < _SHOWN_CHARACTERS else name)
    return found


def _is_range(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"low", "high"}


def _shown(value: Any) -> str:
    if _is_range(value):
        return f"{value['low']} to {value['high']}"
    return "not set" if value is None else str(value)


def _as_size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


class DatasetWriter:
    """Opens or continues the dataset at `root`. `write` may be called from several threads.

    card: everything of dataset.json. What must agree to continue a dataset is its "recipe".
    Raises DatasetError if root is not writable, holds foreign files, or samples of another recipe.
    """

    def __init__(self, root: Path, card: Mapping[str, Any], extras: Sequence[str] = ()) -> None:
        self.root = root
        self.folders = (*CORE_FOLDERS, *extras)
        for name, value in card["recipe"].items():
            try:
                json.dumps(value, allow_nan=False)
            except ValueError as error:
                raise DatasetError(f"{name} holds no finite number; give it one") from error
        self._card = json.dumps(card, indent=2, allow_nan=False)
        self._logged: set[str] = set()
        check_output_dir(root)
        for folder in (*self.folders, ANNOTATIONS, _PARTIAL):
            if (root / folder).exists():
                _check_folder(root / folder)
        self._check_recipe()

    def _check_recipe(self) -> None:
        if not (self.root / CARD).exists():
            return
        old, new = read_card(self.root)["recipe"], json.loads(self._card)["recipe"]
        differing = _differences(old, new)
        if differing and (sample_indices(self.root) or _clear_dead(self.root / _PARTIAL)):
            raise DatasetError(
                f"{self.root} holds a dataset made with another {', '.join(differing)}; "
                "give the same settings to continue it, or another --output_dir"
            )

    def check_room(self, samples: int) -> None:
        """Raises DatasetError unless the disk has room for that many samples."""
        nearest = _existing(self.root)
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
            _clear_dead(self.root / _PARTIAL)
            self._partial, self._alive = _claim(self.root / _PARTIAL)
            self._put({self.root / CARD: self._card.encode() + b"\n"})
            for folder in (*self.folders, ANNOTATIONS):
                (self.root / folder).mkdir(exist_ok=True)
            if (self.root / REJECTIONS).exists():
                self._mend_log()

    def _mend_log(self) -> None:
        """Drop a last line that a killed run cut short, and learn the others."""
        with open(self.root / REJECTIONS, "r+b") as log:
            _lock(log, wait=True)
            content = log.read()
            whole = content[: content.rfind(b"\n") + 1]
            log.truncate(len(whole))
        self._logged = set(whole.decode().splitlines(keepends=True))

    def close(self) -> None:
        self._alive.close()
        shutil.rmtree(self._partial, ignore_errors=True)
        with contextlib.suppress(OSError):  # another run is at work
            (self.root / _PARTIAL).rmdir()

    def indices(self) -> set[int]:
        """Samples that are there, whole."""
        return set(sample_indices(self.root, self.folders))

    def write(self, sample: Sample) -> None:
        missing = set(self.folders) - set(sample.files)
        if missing:
            raise ValueError(f"sample {sample.index} lacks {', '.join(sorted(missing))}")
        flat = {key: _plain(value) for key, value in sample.annotation.items()}
        contents = {
            self._path(folder, sample.index, "png"): encode_png(sample.files[folder])
            for folder in self._order
        }
        contents[self._path(ANNOTATIONS, sample.index, "json")] = json.dumps(
            flat, allow_nan=False
        ).encode()
        self._put(contents)

    def log_rejections(self, rejections: Sequence[Mapping[str, Any]]) -> None:
        """Append lines to rejections.jsonl, once each: a continued run draws some again."""
        lines = [json.dumps(rejection) + "\n" for rejection in rejections]
        new = [line for line in lines if line not in self._logged]
        if new:
            self._logged.update(new)
            with self._told(), open(self.root / REJECTIONS, "ab", buffering=0) as log:
                _lock(log, wait=True)
                log.write("".join(new).encode())

    def _path(self, folder: str, index: int, suffix: str) -> Path:
        return self.root / folder / f"{sample_name(index)}.{suffix}"

    @property
    def _order(self) -> list[str]:
        """Images last: loaders list that folder, and what is listed should have its labels."""
        return sorted(self.folders, key=lambda folder: folder == "images")

    def _put(self, contents: Mapping[Path, bytes]) -> None:
        """Write all files aside, then move them into place in their order."""
        partials = {path: self._partial / f"{path.parent.name}-{path.name}" for path in contents}
        with self._told():
            for path, content in contents.items():
                partials[path].write_bytes(content)
            for path, partial in partials.items():
                os.replace(partial, path)

    def _told(self) -> contextlib.AbstractContextManager[None]:
        return told(
            f"cannot write to {self.root}",
            "every annotated sample is whole: mend this and run the same command again to continue",
        )


def encode_png(image: NDArray[Any]) -> bytes:
    """uint8 or uint16, [H, W] or RGB [H, W, 3] -> PNG bytes."""
    if image.dtype not in (np.uint8, np.uint16) or image.ndim not in (2, 3):
        raise ValueError(f"cannot store {image.dtype} {image.shape} as PNG")
    stored = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise ValueError(f"OpenCV could not encode {image.dtype} {image.shape}")
    return encoded.tobytes()


def _plain(value: Any) -> Any:
    """A number or a nested list of numbers; float32 as its shortest decimal."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"annotations hold numbers only, got {value!r}")
    if array.dtype == bool:
        array = array.astype(int)
    if array.dtype == np.float32:
        array = np.vectorize(lambda x: float(str(x)), otypes=[float])(array)
    return array.tolist()
