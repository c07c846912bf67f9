"""A dataset's folder: its layout and its card.

root/images/000000.png  seg/  depth/  annotations/000000.json  dataset.json
"""

from __future__ import annotations

import contextlib
import json
import operator
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from synthforge.config import IMAGE_SIZE
from synthforge.dataset.ranges import merged
from synthforge.errors import UserError
from synthforge.labels import CORE, EXTRAS

# Of dataset.json. Raised when a reader of the version before would misread a dataset; a new folder,
# key of an annotation or key of dataset.json is no reason.
FORMAT_VERSION = 1

CARD = "dataset.json"
REJECTIONS = "rejections.jsonl"
CONTACT_SHEET = "contact_sheet.png"
ANNOTATIONS = "annotations"
# SHA-256 of the samples' files.
MANIFESTS = "manifests"
# Holds the claims of the runs that are at work.
PARTIAL = ".partial"
_NAMES = {CARD, REJECTIONS, CONTACT_SHEET, MANIFESTS, *CORE, ANNOTATIONS, *EXTRAS}

# A card or an annotation has some 10 kB.
MOST_JSON_BYTES = 64 * 2**20
# On a side of an image.
_MOST_PIXELS = 8192


class DatasetError(UserError, RuntimeError):
    """A folder that cannot be read as a dataset, or cannot take this one, and the way out."""


@contextlib.contextmanager
def told(what: str, way_out: str) -> Iterator[None]:
    """An OSError inside becomes a DatasetError: what failed, why, and the way out."""
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{what}: {error.strerror or error}; {way_out}") from error


def sample_name(index: int) -> str:
    return f"{index:06d}"


def sample_path(root: Path, folder: str, index: int) -> Path:
    suffix = "json" if folder == ANNOTATIONS else "png"
    return root / folder / f"{sample_name(index)}.{suffix}"


def existing(path: Path) -> Path:
    """The path itself, or the nearest parent that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def as_size(size: float) -> str:
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def counted(count: int, noun: str) -> str:
    """As "1 sample" or "2 samples"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def visible(folder: Path) -> list[Path]:
    """What the folder holds, but for hidden files, which are the system's. Raises OSError."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def check_writable(folder: Path) -> None:
    """Raises DatasetError unless files can be made in the folder."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is a file; move it away or give another --output_dir")
    with (
        told(f"cannot write to {folder}", "correct this or give another --output_dir"),
        tempfile.TemporaryFile(dir=folder),
    ):
        pass


def check_output_dir(root: Path) -> None:
    """Raises DatasetError if root holds anything but a dataset, or a new one cannot be made there.

    A dataset that is there may be complete, and then its disk may be read-only.
    """
    with told(f"cannot read {root}", "give another --output_dir"):
        if (root / CARD).exists():
            return
        check_writable(existing(root))
        if root.exists() and not {path.name for path in visible(root)} <= _NAMES:
            raise DatasetError(
                f"{root} is not empty and holds no {CARD}, so it is not a dataset of ours; "
                "give an empty or new --output_dir"
            )


def encode_card(card: Mapping[str, Any]) -> str:
    """dataset.json. Raises DatasetError if a setting is NaN or infinite."""
    for name, value in card["recipe"].items():
        try:
            json.dumps(value, allow_nan=False)
        except ValueError as error:
            raise DatasetError(f"{name} holds no finite number; give it one") from error
    return json.dumps(card, indent=2, allow_nan=False)


def image_size(card: Mapping[str, Any]) -> int:
    """Height and width of the images. Raises DatasetError if the card has no such size."""
    size = card["recipe"].get("image_size", IMAGE_SIZE)
    if not isinstance(size, int) or not 1 <= size <= _MOST_PIXELS:
        raise DatasetError(f"{CARD}: image_size must lie inside 1..{_MOST_PIXELS}, got {size!r}")
    return size


def planned_ranges(card: Mapping[str, Any]) -> list[range]:
    """Numbers of the samples that runs were asked for, ascending and apart; none if not known.

    Raises DatasetError if the card says nothing of that kind.
    """
    pairs = card.get("planned", [])
    try:
        ranges = [range(operator.index(start), operator.index(stop)) for start, stop in pairs]
        if any(part.start < 0 or part.stop >= 2**63 for part in ranges):
            raise ValueError
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{CARD}: planned holds no ranges of sample numbers") from error
    return merged(ranges)


def with_planned(card: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The card, whose run continues the dataset of the card `before`: the plans of both."""
    if "planned" not in card:
        return dict(card)
    both = {"planned": [*card["planned"], *before.get("planned", [])]}
    return {**card, "planned": [[part.start, part.stop] for part in planned_ranges(both)]}


def parse_record(content: bytes) -> dict[str, Any]:
    """JSON that is an object. Raises ValueError if it is anything else."""
    if len(content) > MOST_JSON_BYTES:
        raise ValueError("too large")
    try:
        record = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError(f"holds a {type(record).__name__}, expected an object")
    return record


def parse_card(content: bytes, path: Path | str) -> dict[str, Any]:
    """dataset.json. Raises DatasetError if it is not whole, or newer than this program.

    path: of the file, to name it.
    """
    try:
        card = parse_record(content)
        version = card.get("format_version", 1)
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise DatasetError(
                f"{path} is of format version {version} and this program reads up to "
                f"{FORMAT_VERSION}; install a newer synthforge"
            )
        recipe = card["recipe"]
        extras = recipe.get("extras", [])
        if not all(isinstance(name, str) and name.isidentifier() for name in extras):
            raise ValueError("extras are not names of folders")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} cannot be read: it is cut short or was changed; restore it, or delete it and "
            "run the command that made the dataset again, which writes it anew"
        ) from error
    return card
