"""Were the samples of a folder made with these settings? By its card or, without one, by drawing
samples again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.claims import hosts_at_work
from synthforge.dataset.folder import (
    ANNOTATIONS,
    CARD,
    PARTIAL,
    DatasetError,
    told,
    visible,
)
from synthforge.dataset.local_target import LocalTarget
from synthforge.dataset.sample import Sample, read_annotation, read_image
from synthforge.dataset.scan import sample_indices
from synthforge.dataset.target import read_card
from synthforge.labels import CORE, EXTRAS

# A setting longer than this is only named where two recipes differ.
_SHOWN_CHARACTERS = 60

# What another machine may change in a sample: the last bits of numbers, and what is rounded from
# them. Other settings change far more, fp16 instead of fp32 some 10 % of an image's values.
_RELATIVE, _ABSOLUTE = 1e-5, 1e-4
_MOST_VALUES = 0.01
# Of a detector, whose answer jumps by whole pixels of its heat maps.
_DETECTED = ("fan_kps", "mse")

# (index, attempt) -> that draw of the run's settings, or None if the quality gate rejects it.
Redraw = Callable[[int, int], Sample | None]


def check_recipe(root: Path, recipe: Mapping[str, Any], own_claim: Path | None = None) -> None:
    """Raises DatasetError if there are, or may soon be, samples of another recipe.

    own_claim: of the run whose recipe it is, if it is at work already.
    """
    card = read_card(LocalTarget(root))
    if card.get("format", "folder") != "folder":
        raise DatasetError(
            f"{root} holds a dataset of --format {card['format']}; give that, or another "
            "--output_dir"
        )
    differing = ", ".join(differences(card["recipe"], recipe))
    if not differing:
        return
    if len(sample_indices(root)):
        raise DatasetError(
            f"{root} holds a dataset made with another {differing}; give the same "
            "settings to continue it, or another --output_dir"
        )
    with told(f"cannot read {root}", "give another --output_dir"):
        hosts = hosts_at_work(root / PARTIAL, own_claim)
    if hosts:
        raise DatasetError(
            f"a run on {', '.join(sorted(set(hosts)))} is at work in {root} with another "
            f"{differing}; give another --output_dir or, if that run has ended, delete "
            f"{root / PARTIAL}"
        )


def check_samples(
    root: Path, folders: Sequence[str], indices: NDArray[np.int64], redraw: Redraw | None
) -> None:
    """Raises DatasetError unless samples without a card are what `redraw` draws.

    indices: of those that are complete.
    """
    with told(f"cannot read {root}", "give another --output_dir"):
        places = [root / name for name in (*CORE, *EXTRAS, ANNOTATIONS)]
        filled = [place.name for place in places if place.exists() and visible(place)]
    if not filled:
        return
    if not len(indices) or redraw is None:
        raise DatasetError(
            f"{root} holds {', '.join(filled)} but no {CARD}, and no sample that is "
            "complete with these settings; restore it or give an empty or new --output_dir"
        )
    differing: str | None = "extras"
    if set(filled) == {*folders, ANNOTATIONS}:
        redrawn = (
            difference_from_redrawn(root, int(index), redraw) for index in (indices[0], indices[-1])
        )
        differing = next(filter(None, redrawn), None)
    if differing:
        raise DatasetError(
            f"{root} has no {CARD}, and its samples are not what these settings draw: "
            f"another {differing}; give the settings that it was made with, or another "
            "--output_dir"
        )


def differences(old: Mapping[str, Any], new: Mapping[str, Any], within: str = "") -> list[str]:
    """Settings of the recipe `new` that `old` has otherwise, with both values."""
    found = []
    for key, value in new.items():
        name, before = f"{within}{key}", old.get(key)
        if before == value:
            continue
        if isinstance(value, dict) and isinstance(before, dict) and not _is_range(value):
            found += differences(before, value, f"{name} ")
        else:
            shown = f"{_shown(before)}, now {_shown(value)}"
            found.append(f"{name} ({shown})" if len(shown) < _SHOWN_CHARACTERS else name)
    return found


def _is_range(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"low", "high"}


def _shown(value: Any) -> str:
    if _is_range(value):
        return f"{value['low']} to {value['high']}"
    text = "not set" if value is None else str(value)
    return text if text.isprintable() else repr(text)


def difference_from_redrawn(root: Path, index: int, redraw: Redraw) -> str | None:
    """The first thing that a stored sample has otherwise than it is drawn now, or None.

    Raises DatasetError if a file of the sample cannot be read.
    """
    stored = read_annotation(root, index)
    attempt = stored.get("attempt")
    if not isinstance(attempt, int) or attempt < 0:
        return "attempt"
    drawn = redraw(index, attempt)
    if drawn is None:
        return "quality gate"
    for key in (*list(drawn.annotation)[::-1], *stored):  # what it was drawn from comes first
        if key not in stored or key not in drawn.annotation:
            return key
        if key not in _DETECTED and not _close(stored[key], drawn.annotation[key]):
            return key
    for folder, image in drawn.files.items():
        if not _alike(read_image(root, folder, index), image):
            return folder
    return None


def _close(stored: Any, drawn: Any) -> bool:
    try:
        return np.shape(stored) == np.shape(drawn) and np.allclose(
            stored, drawn, rtol=_RELATIVE, atol=_ABSOLUTE
        )
    except (TypeError, ValueError):  # text, or ragged lists
        return False


def _alike(stored: NDArray[Any], drawn: NDArray[Any]) -> bool:
    """Whether so few values differ, of 16 bits by more than one step, that it is rounding."""
    if (stored.shape, stored.dtype) != (drawn.shape, drawn.dtype):
        return False
    steps = np.abs(stored.astype(np.int32) - drawn)
    return bool((steps > (stored.dtype == np.uint16)).mean() <= _MOST_VALUES)
