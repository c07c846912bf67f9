"""What a report counts, from a part of a dataset's samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.read import Dataset, palette_ids
from synthforge.dataset.report.numbers import UNITS, numbers_beside, numbers_of
from synthforge.landmarks import LEFT_EYE, OUTER_LIP, RIGHT_EYE
from synthforge.regions import REGIONS

if TYPE_CHECKING:
    from synthforge.like import Like

# Samples whose numbers are read, and whose images, spread over the dataset.
_NUMBERS, _IMAGES = 2000, 200
_HEAT = 128
_MEAN = 160
# The eyes' and the mouth's middle in the mean face, in its sides.
_ANCHORS = np.array([(0.35, 0.42), (0.65, 0.42), (0.5, 0.72)])
# From this activation on a face does an action.
_ACTIVE = 0.3
_ACTIONS_SHOWN = 16


@dataclass(frozen=True)
class Statistics:
    """read: samples whose numbers were read.

    columns: title -> (unit, values). actions: face action -> share of samples that do it.
    region_shares: region -> mean share of the image. mean_face: RGB [160, 160, 3], moved so that
    eyes and mouth meet. heat: uint8 [128, 128], where the keypoints lie in the image.
    """

    read: int
    columns: dict[str, tuple[str, NDArray[np.float64]]]
    actions: dict[str, float]
    region_shares: dict[str, float]
    mean_face: NDArray[np.uint8]
    heat: NDArray[np.uint8]


def beside(
    like: Like, names: Sequence[str]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """What faces in photographs have of a dataset's: columns by title, and actions' shares.

    names: of the face actions; FLAME has none, and the eyes' are told by gaze.
    """
    actions = like.arrays.get("face_actions", np.zeros((1, 0)))
    active = zip(names, (actions >= _ACTIVE).mean(0).tolist(), strict=False)
    shares = {name: share for name, share in active if not name.startswith("eyeLook")}
    return numbers_beside(like), shares


def spread(dataset: Dataset, count: int) -> list[int]:
    """Numbers of at most so many samples, spread evenly."""
    places = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)
    return [dataset.indices[place] for place in places.tolist()]


def statistics(dataset: Dataset, image_width: int) -> Statistics:
    """Raises DatasetError if a file cannot be read."""
    rows: dict[str, list[float]] = {title: [] for title in UNITS}
    actions = []
    heat = np.zeros((_HEAT, _HEAT))
    numbers = spread(dataset, _NUMBERS)
    for index in numbers:
        sample = dataset.sample(index, ())
        for title, number in numbers_of(sample, image_width).items():
            rows[title].append(number)
        if "face_actions" in sample.annotation:
            actions.append(sample.numbers("face_actions") >= _ACTIVE)
        places = (sample.numbers("2d_kps") * (_HEAT / image_width)).astype(int)
        x, y = places[((places >= 0) & (places < _HEAT)).all(1)].T
        np.add.at(heat, (y, x), 1)
    names = dataset.card.get("face_actions", ())
    done = dict(zip(names, np.mean(actions, 0).tolist(), strict=False)) if actions else {}
    often = sorted(done.items(), key=lambda entry: -entry[1])[:_ACTIONS_SHOWN]
    region_shares, mean_face = _of_images(dataset)
    heat = np.sqrt(cv2.GaussianBlur(heat, (0, 0), 1.0))
    return Statistics(
        read=len(numbers),
        columns={
            title: (UNITS[title], np.array(values)) for title, values in rows.items() if values
        },
        actions=dict(often),
        region_shares=region_shares,
        mean_face=mean_face,
        heat=(255 * heat / max(heat.max(), 1e-9)).astype(np.uint8),
    )


def _of_images(dataset: Dataset) -> tuple[dict[str, float], NDArray[np.uint8]]:
    counts = np.zeros(len(REGIONS))
    total = np.zeros((_MEAN, _MEAN, 3))
    indices = spread(dataset, _IMAGES)
    for sample in dataset.samples(indices):
        ids = palette_ids(sample.image("seg"), sample.paths["seg"])
        counts += np.bincount(ids.ravel(), minlength=len(REGIONS)) / ids.size
        total += _aligned(sample.image("images"), sample.array("2d_kps"))
    shares = counts / len(indices)
    ordered = sorted(
        zip((region.name for region in REGIONS), shares, strict=True), key=lambda e: -e[1]
    )
    return {name: float(share) for name, share in ordered}, (total / len(indices)).astype(np.uint8)


def _aligned(image: NDArray[np.uint8], points: NDArray[Any]) -> NDArray[np.uint8]:
    """Moved, turned and scaled so that the eyes and the mouth are where they are in the mean face.

    Least squares over similarity transforms, after Umeyama (1991), as complex numbers.
    """
    middles = np.array([points[part].mean(0) for part in (RIGHT_EYE, LEFT_EYE, OUTER_LIP)])
    source, goal = (p @ (1, 1j) for p in (middles, _ANCHORS * _MEAN))
    about = source - source.mean()
    factor = np.vdot(about, goal) / max(np.vdot(about, about).real, 1e-9)
    shift = goal.mean() - factor * source.mean()
    a, b = factor.real, factor.imag
    # OpenCV's pixel centres are at whole numbers.
    half = 0.5 * np.array([a - b - 1, a + b - 1])
    matrix = np.array([[a, -b, shift.real + half[0]], [b, a, shift.imag + half[1]]])
    moved = cv2.warpAffine(
        image, matrix, (_MEAN, _MEAN), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    return moved.astype(np.uint8, copy=False)
