"""COCO: images/ and annotations/keypoints.json, one person an image.

Field by field as cocodataset.org/#format-data has it, and the face's fields of COCO-WholeBody
(github.com/jin-s13/COCO-WholeBody). COCO counts a keypoint's pixel from 0, so ours, whose centres
are at +0.5, lose half a pixel; boxes are in continuous coordinates and keep theirs.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import sample_name
from synthforge.dataset.read import Dataset, palette_ids
from synthforge.dataset.stored import StoredSample
from synthforge.landmarks import (
    INNER_LIP,
    JAW,
    LEFT_BROW,
    LEFT_EYE,
    NOSE,
    OUTER_LIP,
    RIGHT_BROW,
    RIGHT_EYE,
)  # fmt: skip
from synthforge.regions import BACKGROUND, REGION_ID

JSON = "keypoints.json"
# Regions that are no part of the head.
_NO_HEAD = [BACKGROUND, REGION_ID["neck"], REGION_ID["neck_back"]]
_NOSTRILS = 31  # the first keypoint below the tip of the nose
# Of keypoints that lines join, and whether the last joins the first.
_GROUPS = {
    "jaw": (JAW, False),
    "right_eyebrow": (RIGHT_BROW, False),
    "left_eyebrow": (LEFT_BROW, False),
    "nose_bridge": (slice(NOSE.start, _NOSTRILS), False),
    "nostrils": (slice(_NOSTRILS, NOSE.stop), False),
    "right_eye": (RIGHT_EYE, True),
    "left_eye": (LEFT_EYE, True),
    "outer_lip": (OUTER_LIP, True),
    "inner_lip": (INNER_LIP, True),
}


def write(dataset: Dataset, samples: Iterator[StoredSample], folder: Path) -> None:
    """See `Format`. The annotations wait in a file until the images are listed."""
    for name in ("images", "annotations"):
        (folder / name).mkdir()
    with (
        open(folder / "annotations" / JSON, "w", encoding="utf-8") as file,
        tempfile.TemporaryFile("w+", dir=folder, encoding="utf-8") as waiting,
    ):
        head = json.dumps(_head(dataset))
        file.write(f'{head[:-1]},\n"images": [')
        for number, sample in enumerate(samples, 1):
            name = f"{sample_name(sample.index)}.png"
            (folder / "images" / name).write_bytes(sample.files["images"])
            ids = palette_ids(sample.image("seg"), sample.paths["seg"])
            height, width = ids.shape
            image = {"id": number, "file_name": name, "width": width, "height": height}
            comma = "," * (number > 1)
            file.write(f"{comma}\n{json.dumps(image | {'license': 1})}")
            waiting.write(f"{comma}\n{json.dumps(annotation(number, sample, ids))}")
        file.write('\n],\n"annotations": [')
        waiting.seek(0)
        shutil.copyfileobj(waiting, file)
        file.write("\n]}\n")


def _head(dataset: Dataset) -> dict[str, Any]:
    names, skeleton = [], []
    for group, (points, is_closed) in _GROUPS.items():
        start, stop = points.start, points.stop
        names += [f"{group}_{k}" for k in range(stop - start)]
        skeleton += [[k, k + 1] for k in range(start + 1, stop)]
        skeleton += [[stop, start + 1]] if is_closed else []
    return {
        "info": {
            "description": "Synthetic faces, made with SynthForge. Boxes and masks are of the bare "
            "head: hair may hide it",
            "version": str(dataset.card.get("synthforge_version", "")),
        },
        "licenses": [
            {"id": 1, "name": dataset.card.get("licence_spdx") or "see info", "url": ""},
        ],
        "categories": [
            {
                "id": 1,
                "name": "face",
                "supercategory": "person",
                "keypoints": names,
                "skeleton": skeleton,
            }
        ],
    }


def annotation(number: int, sample: StoredSample, ids: NDArray[np.uint8]) -> dict[str, Any]:
    """The one of an image. number: its id and the image's. ids: regions [H, W].

    v of a keypoint: 0 outside the image, 1 hidden, by the head or by what is worn, 2 visible.
    """
    height, width = ids.shape
    mask = np.isin(ids, _NO_HEAD, invert=True)
    points = sample.numbers("2d_kps")
    visible = sample.numbers("kps_visible") != 0
    if "kps_occluded" in sample.annotation:
        visible &= sample.numbers("kps_occluded") == 0
    inside = np.all((points >= 0) & (points < (width, height)), 1)
    flags = np.where(inside, np.where(visible, 2, 1), 0)
    places = np.where(inside[:, None], points - 0.5, 0).round(2)
    keypoints = np.column_stack([places, flags]).ravel().tolist()
    return {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": _box_of(mask),
        "area": float(mask.sum()),
        "segmentation": {"size": [height, width], "counts": run_lengths(mask)},
        "num_keypoints": int(inside.sum()),
        "keypoints": keypoints,
        "face_valid": bool(inside.any()),
        "face_box": _box_around(points[inside]),
        "face_kpts": keypoints,
    }


def _box_of(mask: NDArray[np.bool_]) -> list[float]:
    rows, columns = (np.flatnonzero(np.any(mask, axis)) for axis in (1, 0))
    if not len(rows):
        return [0.0, 0.0, 0.0, 0.0]
    x, y = columns[0], rows[0]
    return [float(v) for v in (x, y, columns[-1] + 1 - x, rows[-1] + 1 - y)]


def _box_around(points: NDArray[np.float64]) -> list[float]:
    if not len(points):
        return [0.0, 0.0, 0.0, 0.0]
    low, high = points.min(0), points.max(0)
    return np.concatenate([low, high - low]).round(2).tolist()


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """COCO's uncompressed RLE: lengths of runs down the columns, beginning with one of zeros."""
    column = mask.ravel(order="F")
    changes = np.flatnonzero(column[1:] != column[:-1]) + 1
    runs = np.diff([0, *changes, len(column)]).tolist()
    return [0, *runs] if column[0] else runs
