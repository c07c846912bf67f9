"""Writes the page: statistics, a sheet with layers to switch, and a relief to turn."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.contact_sheet import paint_depth, paint_visible
from synthforge.dataset.folder import ANNOTATIONS, DatasetError, planned_ranges, sample_path, told
from synthforge.dataset.info import rejected_by_reason
from synthforge.dataset.read import Dataset, palette_ids
from synthforge.dataset.report import charts
from synthforge.dataset.report.statistics import Statistics, beside, spread, statistics
from synthforge.dataset.stored import StoredSample
from synthforge.dataset.target import open_target
from synthforge.regions import BACKGROUND, REGIONS
from synthforge.sampling_config import WEAR
from synthforge.whole_files import write_whole

if TYPE_CHECKING:
    from synthforge.like import Like

_SHEET = 24
_TIMES = 200
_TILE = 224
_RELIEF = 192


def write_report(where: Path | str, path: Path, like: Like | None = None) -> None:
    """Write the page of a dataset, a folder or a URL of shards, to `path`.

    Of a large dataset only a part is read. like: faces in photographs, whose distributions are
    drawn beside the dataset's. Raises DatasetError if there is no sample, or a file cannot be read
    or written.
    """
    dataset = Dataset(where)
    if not len(dataset):
        raise DatasetError(f"{dataset.root} holds no complete sample; nothing to report")
    first = dataset.image("seg", dataset.indices[0])
    counted = statistics(dataset, first.shape[1])
    page = Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    shown = spread(dataset, _SHEET)
    samples = list(dataset.samples(shown))
    text = page.substitute(
        title=escape(_name(where)),
        summary=_summary(dataset, where),
        layers="".join(_buttons(dataset)),
        sheet="".join(map(_tile, samples)),
        charts="".join(_charts(counted, like, dataset.card.get("face_actions", ()))),
        read=_read(counted, like),
        mean_face=_data(counted.mean_face, ".jpg"),
        heat=_data(_painted(counted.heat), ".png"),
        relief=_relief(_frontal(samples)),
        card=escape(json.dumps(dataset.card, indent=1, ensure_ascii=False)),
    )
    with told(f"cannot write {path}", "give another --output"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())


def _name(where: Path | str) -> str:
    """The last part of a path or URL."""
    return where.rstrip("/").rsplit("/", 1)[-1] if isinstance(where, str) else where.resolve().name


def _summary(dataset: Dataset, where: Path | str) -> str:
    card, recipe = dataset.card, dataset.card["recipe"]
    rejected = rejected_by_reason(open_target(where), card)
    count, planned = len(dataset), sum(map(len, planned_ranges(card)))
    drawn = count + rejected.total()
    reasons = ", ".join(f"{reason} {n}" for reason, n in rejected.most_common())
    rows = {
        "in": str(where),
        "samples": f"{count:,} of {planned:,} planned" if planned else f"{count:,}",
        "generator": f"{recipe.get('generator')}, seed {recipe.get('seed')}",
        "acceptance": f"{count / drawn:.1%} of {drawn:,} draws",
        "rejected": reasons,
        "speed": _speed(dataset),
        "synthforge": str(card.get("synthforge_version")),
        "licence": f"{card.get('licence_spdx', '')}: {card.get('licence', '')}",
        "citation": str(card.get("citation", "")),
    }
    cells = (
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows.items() if text
    )
    return "".join(cells)


def _speed(dataset: Dataset) -> str:
    """From the times of the files; a run that was continued looks slower than it was."""
    if len(dataset) < 2 or "samples_per_tar" in dataset.card:
        return ""
    root = Path(dataset.root)
    paths = (sample_path(root, ANNOTATIONS, index) for index in spread(dataset, _TIMES))
    times = [path.stat().st_mtime for path in paths]
    taken = max(times) - min(times)
    return f"{(len(dataset) - 1) / taken:.2f} images a second, by the files' times" if taken else ""


def _views(sample: StoredSample) -> Iterator[tuple[str, str, NDArray[np.uint8], str]]:
    """Name of a layer, its words, its picture and the file type it is embedded as."""
    yield "image", "image", sample.image("images"), ".jpg"
    yield "seg", "regions", sample.image("seg"), ".png"
    if "seg_visible" in sample.files:
        yield "visible", "what is seen", paint_visible(sample.image("seg_visible")), ".png"
    ids = palette_ids(sample.image("seg"), sample.paths["seg"])
    yield "depth", "depth", paint_depth(sample.image("depth"), ids == BACKGROUND), ".jpg"


def _buttons(dataset: Dataset) -> Iterator[str]:
    (sample,) = dataset.samples(dataset.indices[:1])
    for name, words, _, _ in _views(sample):
        checked = " checked" if name == "image" else ""
        yield f'<label><input type="radio" name="layer" value="{name}"{checked}>{words}</label>'


def _tile(sample: StoredSample) -> str:
    images = ""
    for name, words, view, kind in _views(sample):
        how = cv2.INTER_NEAREST if kind == ".png" else cv2.INTER_AREA
        small = cv2.resize(view, (_TILE, _TILE), interpolation=how).astype(np.uint8, copy=False)
        alt = f"{words} of sample {sample.index}"
        images += f'<img class="{name}" alt="{alt}" src="{_data(small, kind)}">'
    width = sample.image("seg").shape[1]
    points = sample.array("2d_kps")
    kinds = ("hidden", "seen")
    dots = "".join(
        f'<circle class="{kinds[is_seen]}" cx="{x:.1f}" cy="{y:.1f}" r="{width / 110:.1f}"/>'
        for (x, y), is_seen in zip(points, sample.array("kps_visible"), strict=True)
    )
    return (
        f'<figure>{images}<svg class="keypoints" viewBox="0 0 {width} {width}">{dots}</svg>'
        f"<figcaption>{sample.index}</figcaption></figure>"
    )


def _read(counted: Statistics, like: Like | None) -> str:
    outlined = f" Outlined: the {len(like)} faces of the photographs." if like else ""
    return f"Of {counted.read:,} sample{'s' * (counted.read != 1)}.{outlined}"


def _charts(counted: Statistics, like: Like | None, names: Sequence[str]) -> Iterator[str]:
    columns, actions = beside(like, names) if like else ({}, {})
    for title, (unit, values) in counted.columns.items():
        yield charts.histogram(values, title, unit, beside=columns.get(title))
    if counted.actions:
        yield charts.shares(counted.actions, "face actions, share of samples", actions)
    colors = {region.name: f"#{region.color}" for region in REGIONS}
    yield charts.shares(counted.region_shares, "regions, share of the image", colors=colors)


def _painted(heat: NDArray[np.uint8]) -> NDArray[np.uint8]:
    painted = cv2.cvtColor(cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return painted.astype(np.uint8, copy=False)


def _frontal(samples: list[StoredSample]) -> StoredSample:
    """The one that wears least, and whose nose is nearest to the middle between its jaw's ends."""

    def unfit(sample: StoredSample) -> float:
        worn = sum(bool(sample.annotation.get(name)) for name in WEAR)
        x = sample.array("2d_kps")[:, 0]
        return worn + float(abs(x[30] - (x[0] + x[16]) / 2) / max(abs(x[16] - x[0]), 1e-6))

    return min(samples, key=unfit)


def _relief(sample: StoredSample) -> str:
    """JSON for the page's script: the sample's image, depth and camera."""
    size = (_RELIEF, _RELIEF)
    depth = cv2.resize(sample.image("depth"), size, interpolation=cv2.INTER_NEAREST)
    image = cv2.resize(sample.image("images"), size, interpolation=cv2.INTER_AREA)
    near, far = sample.numbers("depth_range").tolist()
    K = sample.numbers("camera_params")[16:].reshape(3, 3)
    return json.dumps(
        {
            "index": sample.index,
            "image": _data(image.astype(np.uint8, copy=False), ".png"),
            "depth": _data(depth.astype(np.uint8, copy=False), ".png"),
            "near": near,
            "far": far,
            "focal": float(K[0, 0]),
            "center": [float(K[0, 2]), float(K[1, 2])],
        }
    )


def _data(image: NDArray[np.uint8], kind: str) -> str:
    """An RGB or grey image as a data URI. kind: .jpg or .png."""
    pixels = image[..., ::-1] if image.ndim == 3 else image
    settings = [cv2.IMWRITE_JPEG_QUALITY, 82] if kind == ".jpg" else []
    _, content = cv2.imencode(kind, pixels, settings)
    mime = "image/jpeg" if kind == ".jpg" else "image/png"
    return f"data:{mime};base64,{base64.b64encode(content.tobytes()).decode()}"
