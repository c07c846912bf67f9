"""What a dataset is, in a screen of text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synthforge.dataset.folder import (
    ANNOTATIONS,
    REJECTIONS,
    as_size,
    counted,
    parse_record,
    planned_ranges,
    told,
)
from synthforge.dataset.read import Dataset
from synthforge.dataset.shards.record import REJECTED, SHARDS
from synthforge.dataset.target import Target, open_target
from synthforge.labels import IMAGES, NUMBERS
from synthforge.sampling_config import HAIR

# Samples whose numbers are read, spread over the dataset.
_READ = 1000
# Of the names on the left, and of the text beside them, in characters.
_COLUMN, _WIDTH = 14, 84
# Key of the annotation -> what is said of it, and its unit where it is shown in degrees.
_RANGES = {
    "yaw_rad": ("camera yaw", True),
    "pitch_rad": ("camera pitch", True),
    "fov_deg": ("field of view", False),
    "age_years": ("age", False),
    "sex": ("male", False),
    "weight": ("weight", False),
}
# What a dataset that is drawn like photographs has from them.
_PLACED = ("yaw_rad", "pitch_rad", "fov_deg")
_FACTORS = ("identities", "expressions", "views", "lights")


def describe(where: Path | str) -> Iterator[str]:
    """Lines about the dataset at `where`, a folder or a URL.

    Raises DatasetError if it is none, or cannot be read.
    """
    dataset = Dataset(where)
    target = open_target(where)
    card, recipe = dataset.card, dataset.card["recipe"]
    count = len(dataset.indices)
    planned = sum(map(len, planned_ranges(card)))
    with told(f"cannot read {target.where()}", "correct this"):
        size = sum(_sizes(target, dataset))
        rejected = rejected_by_reason(target, card)
    kind = "shards" if "samples_per_tar" in card else "folder"
    samples = counted(count, "sample")
    if planned:
        samples = f"{count} of {counted(planned, 'planned sample')}"
    yield f"{samples}, {kind}, {as_size(size)}"
    yield ""
    yield _row("generator", f"{recipe.get('generator')}, seed {recipe.get('seed')}")
    yield _row(
        "made with",
        f"synthforge {card.get('synthforge_version')}, format {card.get('format_version', 1)}, "
        f"samples of version {recipe.get('sample_format')}",
    )
    yield _row("quality gate", _gate(recipe))
    yield _row("acceptance", _acceptance(count, rejected))
    yield _row("licence", f"{card.get('licence_spdx', 'not stated')}: {card.get('licence', '')}")
    yield _row("citation", str(card.get("citation", "")))
    if count:
        yield ""
        yield from _drawn(dataset)
    yield ""
    yield from _labels(dataset)
    if count:
        yield from _keys(dataset)


def _row(name: str, text: str) -> str:
    return f"{name:<{_COLUMN}}{text}"


def _sizes(target: Target, dataset: Dataset) -> Iterator[int]:
    is_shards = "samples_per_tar" in dataset.card
    for folder in (SHARDS,) if is_shards else (*dataset.folders, ANNOTATIONS):
        yield sum(target.sizes(folder).values())


def rejected_by_reason(target: Target, card: Mapping[str, Any]) -> Counter[str]:
    """Rejected draws by reason; a line that is cut short is passed over."""
    names = [REJECTIONS] if REJECTIONS in target.names() else []
    if "samples_per_tar" in card:
        names = [f"{REJECTED}/{name}" for name in sorted(target.sizes(REJECTED))]
    reasons: Counter[str] = Counter()
    for name in names:
        with target.open(name) as file:
            for line in file:
                try:
                    reasons[str(parse_record(line)["reason"])] += 1
                except (ValueError, KeyError):
                    continue
    return reasons


def _gate(recipe: Mapping[str, Any]) -> str:
    if recipe.get("detector", "none") == "none":
        return "finite values only: no detector"
    return f"detector {recipe['detector']}, at most {recipe.get('reject_px')} px"


def _acceptance(count: int, rejected: Counter[str]) -> str:
    drawn = count + rejected.total()
    if not drawn:
        return "nothing is drawn yet"
    reasons = ", ".join(f"{reason} {n}" for reason, n in rejected.most_common())
    accepted = f"{count / drawn:.1%} of {counted(drawn, 'draw')}"
    return f"{accepted}; rejected: {reasons}" if reasons else accepted


def _drawn(dataset: Dataset) -> Iterator[str]:
    """Lowest, middle and highest of what was drawn, beside what was asked for."""
    places = np.unique(np.linspace(0, len(dataset.indices) - 1, _READ).round().astype(int))
    values: dict[str, list[float]] = {key: [] for key in _RANGES}
    for place in places.tolist():
        annotation = dataset.annotation(dataset.indices[place])
        for key, found in values.items():
            if isinstance(annotation.get(key), int | float):
                found.append(annotation[key])
    asked = dataset.card["recipe"].get("sampling", {})
    grid, like = asked.get("grid"), asked.get("like")
    if grid:
        counts = (f"{_count(grid.get(name))} {name}" for name in _FACTORS if grid.get(name))
        yield _row("recipe", f"{', '.join(counts)}; order {grid.get('order')}")
    if like:
        shapes = ", shapes too" if like.get("identity") else ""
        faces = counted(like.get("faces"), "face")
        text = f"{faces} in photographs, jitter {like.get('jitter')}{shapes}"
        yield _row("like", text)
    for name in HAIR:
        if asked.get(name):
            yield _row(name.replace("_", " "), f"one of {', '.join(map(str, asked[name]))}")
    title = f"of {len(places)} samples" if len(places) < len(dataset.indices) else "of all samples"
    yield _row("drawn", f"{'lowest':>9}{'median':>9}{'highest':>9}   asked for   ({title})")
    for key, (name, is_angle) in _RANGES.items():
        found = values[key]
        if not found:
            continue
        unit = " deg" if is_angle or key.endswith("_deg") else ""
        unit = " years" if key == "age_years" else unit
        scale = math.degrees(1) if is_angle else 1
        numbers = np.array([min(found), np.median(found), max(found)]) * scale
        row = "".join(f"{number:9.1f}" for number in numbers)
        text = f"{_asked(asked.get(key), scale)}{unit}"
        if like and key in _PLACED:
            text = "as in the photographs"
        elif key == "fov_deg" and asked.get("face_size"):
            size = _asked(asked["face_size"], 1)
            text = f"by the face's size: {size} image widths"
        yield _row(name, f"{row}   {text}")


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else int(value)


def _asked(value: Any, scale: float) -> str:
    if not isinstance(value, dict):
        return "as people vary" if value is None else str(value)
    numbers = {
        key: number * scale for key, number in value.items() if isinstance(number, int | float)
    }
    if {"mean", "sd", "low", "high"} <= numbers.keys():
        return (
            f"normal({numbers['mean']:.4g}, {numbers['sd']:.4g}) in {numbers['low']:.4g} to "
            f"{numbers['high']:.4g}"
        )
    if {"low", "high"} <= numbers.keys():
        return f"{numbers['low']:.4g} to {numbers['high']:.4g}"
    return f"one of {len(value.get('values', ()))} values"


def _labels(dataset: Dataset) -> Iterator[str]:
    width = 2 + max(14, *map(len, dataset.folders))
    for position, folder in enumerate(dataset.folders):
        kind = f"{IMAGES[folder].png}, {IMAGES[folder].unit}" if folder in IMAGES else ""
        yield _row("" if position else "images in", f"{folder:<{width}}{kind}")


def _keys(dataset: Dataset) -> Iterator[str]:
    annotation = dataset.annotation(dataset.indices[0])
    shapes = [_shape(key, annotation[key]) for key in annotation]
    yield from _wrapped("numbers", shapes)


def _shape(key: str, value: Any) -> str:
    shape = NUMBERS[key].shape if key in NUMBERS else np.shape(value)
    return f"{key} {'x'.join(map(str, shape))}".strip()


def _wrapped(name: str, words: Sequence[str]) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + len(word) > _WIDTH:
            yield _row(name, line.rstrip())
            name, line = "", ""
        line += f"{word}, "
    yield _row(name, line.rstrip(", "))
