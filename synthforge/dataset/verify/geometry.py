"""Do a sample's label images agree with each other and with its keypoints?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.verify.numbers import Numbers
from synthforge.landmarks import (
    INNER_LIP,
    JAW,
    LEFT_BROW,
    LEFT_EYE,
    NOSE,
    OUTER_LIP,
    RIGHT_BROW,
    RIGHT_EYE,
)
from synthforge.regions import BACKGROUND, PALETTE, REGION_ID, region_ids

Images = Mapping[str, NDArray[Any]]

# Metres of a generator unit and of a step of 16-bit depth, as dataset.json and labels.py say.
_UNIT_M, _STEP_M = 0.4, 1e-4
# Where each group of keypoints lies. Loose: half of the visible ones within some pixels of one of
# these regions, as lips and brows end where others begin.
_BROW = ("eye_region+forehead", "eye_region", "forehead")
_LIPS = ("upper_lip", "lower_lip", "inner_mouth")
_HOMES = (
    ("right brow", RIGHT_BROW, ("right_eyebrow", *_BROW)),
    ("left brow", LEFT_BROW, ("left_eyebrow", *_BROW)),
    ("nose", NOSE, ("nose",)),
    ("right eye", RIGHT_EYE, ("right_eye_region", "right_eyeball", "eye_region")),
    ("left eye", LEFT_EYE, ("left_eye_region", "left_eyeball", "eye_region")),
    ("outer lip", OUTER_LIP, _LIPS),
    ("inner lip", INNER_LIP, _LIPS),
)
_LEAST_POINTS = 4
_NEAR_PX = 4
# Generator units that half of the visible keypoints may lie off the depth image at most: 1 cm.
# Single ones lie farther, where a pixel's neighbour is the cheek behind the nose.
_DEPTH_TOLERANCE = 0.025


def image_faults(images: Images, numbers: Numbers | None) -> Iterator[tuple[str, str]]:
    """What is wrong: the folder of a label image, and a line for it.

    images: those of the sample that decode, of the right size and kind. numbers: its annotation,
    None if it cannot be read.
    """
    if "images" in images and not np.ptp(images["images"]):
        yield "images", "is all of one value"
    if "seg" not in images:
        return
    ids = region_ids(images["seg"])
    foreign = int(np.count_nonzero(ids >= len(PALETTE)))
    if foreign:
        yield "seg", f"has {foreign} pixels of colours that are not in the palette"
        return
    yield from _coverage_faults(images, ids)
    if numbers is not None and {"2d_kps", "kps_visible"} <= numbers.keys():
        visible = numbers["kps_visible"].astype(bool)
        pixel = np.floor(numbers["2d_kps"]).astype(np.int64)
        inside = ((pixel >= 0) & (pixel < ids.shape[::-1])).all(1)
        if (visible & ~inside).any():
            yield "annotations", "kps_visible names a keypoint outside of the image"
            return
        yield from _region_faults(ids, pixel, visible)
        yield from _depth_faults(images, numbers, pixel, visible)


def _coverage_faults(images: Images, ids: NDArray[np.uint8]) -> Iterator[tuple[str, str]]:
    """Labels of the mesh all cover the same pixels."""
    background = ids == BACKGROUND
    if "seg_id" in images and not np.array_equal(images["seg_id"], ids):
        yield "seg_id", "does not agree with seg"
    if "depth" in images and ((images["depth"] != 255) & background).any():
        yield "depth", "does not agree with seg: there is depth in the background"
    empty = {
        "depth16": lambda image: image == 0,
        "normals": lambda image: ~image.any(-1),
        "uv": lambda image: image[..., 2] == 0,
    }
    for folder, is_empty in empty.items():
        if folder in images and not np.array_equal(is_empty(images[folder]), background):
            yield folder, "does not agree with seg: they cover different pixels"


def _region_faults(
    ids: NDArray[np.uint8], pixel: NDArray[np.int64], visible: NDArray[np.bool_]
) -> Iterator[tuple[str, str]]:
    for name, group, regions in _HOMES:
        points = pixel[group][visible[group]]
        if len(points) < _LEAST_POINTS:
            continue
        wanted = [REGION_ID[region] for region in regions]
        near = sum(
            np.isin(
                ids[
                    max(y - _NEAR_PX, 0) : y + _NEAR_PX + 1, max(x - _NEAR_PX, 0) : x + _NEAR_PX + 1
                ],
                wanted,
            ).any()
            for x, y in points.tolist()
        )
        if near * 2 < len(points):
            yield "seg", f"does not agree with the keypoints: the {name} is elsewhere"
            return


def _depth_faults(
    images: Images, numbers: Numbers, pixel: NDArray[np.int64], visible: NDArray[np.bool_]
) -> Iterator[tuple[str, str]]:
    chosen = visible.copy()
    chosen[JAW] = False  # they lie on the outline
    if not {"3d_kps", "depth_range"} <= numbers.keys() or chosen.sum() < _LEAST_POINTS:
        return
    x, y = pixel[chosen].T
    wanted = numbers["3d_kps"][chosen, 2]
    near, far = numbers["depth_range"]
    seen = {}
    if "depth" in images:
        seen["depth"] = near + images["depth"][y, x] / 255 * (far - near)
    if "depth16" in images:
        seen["depth16"] = images["depth16"][y, x] * (_STEP_M / _UNIT_M)
    for folder, depth in seen.items():
        off = float(np.median(np.abs(depth - wanted)))
        if off > _DEPTH_TOLERANCE:
            yield folder, f"does not agree with 3d_kps: they are {off * _UNIT_M * 100:.1f} cm off"
            return
