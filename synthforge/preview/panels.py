"""One image of a sample: the face large, its labels beside it."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.config import IMAGE_SIZE
from synthforge.dataset.contact_sheet import draw_keypoints, paint_depth, paint_visible
from synthforge.dataset.sample import Sample
from synthforge.regions import BACKGROUND

# What may lie over the face.
Over = Literal["nothing", "keypoints", "regions", "visible classes", "depth"]


def panels(sample: Sample, over: Over) -> NDArray[np.uint8]:
    """RGB [512, 1024, 3]: the face, then depth and regions above visible classes and keypoints.

    The sample's images may be of any size; without seg_visible the regions stand for it.
    """
    files = sample.files
    image = _sized(files["images"], cv2.INTER_CUBIC)
    is_behind = files["seg_id"] == BACKGROUND
    seen = files.get("seg_visible", files["seg_id"])
    points_px = np.asarray(sample.annotation["2d_kps"]) * (IMAGE_SIZE / len(files["images"]))
    labels = {
        "depth": _sized(paint_depth(files["depth"], is_behind)),
        "regions": _sized(files["seg"]),
        "visible classes": _sized(paint_visible(seen)),
        "keypoints": draw_keypoints(image, points_px, sample.annotation["kps_visible"]),
    }
    face = {"nothing": image, "keypoints": labels["keypoints"]}.get(over)
    if face is None:
        face = image // 2 + labels[over] // 2
    small = [
        cv2.resize(label, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for label in labels.values()
    ]
    rows = np.concatenate(small[:2], 1), np.concatenate(small[2:], 1)
    return np.concatenate([face, np.concatenate(rows)], 1)


def _sized(image: NDArray[Any], interpolation: int = cv2.INTER_NEAREST) -> NDArray[np.uint8]:
    sized = cv2.resize(image, (IMAGE_SIZE, IMAGE_SIZE), interpolation=interpolation)
    return sized.astype(np.uint8, copy=False)
