"""One image of many samples: image, depth, segmentation and keypoints side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import CONTACT_SHEET, told
from synthforge.dataset.png import encode_png
from synthforge.dataset.read import Dataset
from synthforge.dataset.target import open_target
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
from synthforge.visible import UNKNOWN, VISIBLE_PALETTE

# Of a dataset that are drawn.
SAMPLES = 12
_TILE = 240
_GAP = 6
_SAMPLES_A_ROW = 2
_PAPER = 250

# Points joined by lines, and whether the line closes.
_STROKES = (
    (JAW, False),
    (RIGHT_BROW, False),
    (LEFT_BROW, False),
    (NOSE, False),
    (RIGHT_EYE, True),
    (LEFT_EYE, True),
    (OUTER_LIP, True),
    (INNER_LIP, True),
)
_VISIBLE = (70, 255, 120)
_HIDDEN = (255, 90, 70)


def draw_keypoints(
    image: NDArray[np.uint8], points_px: NDArray[Any], visible: NDArray[Any]
) -> NDArray[np.uint8]:
    """Points (68, 2) over an RGB image: green where visible, red where hidden."""
    canvas = image.copy()
    shift, scale = 4, 16
    # OpenCV puts pixel centres at whole numbers, ours are at +0.5.
    fixed = np.round((np.asarray(points_px) - 0.5) * scale).astype(np.int32)
    for points, closed in _STROKES:
        cv2.polylines(canvas, [fixed[points]], closed, (255, 255, 255), 1, cv2.LINE_AA, shift)
    for point, seen in zip(fixed, visible, strict=True):
        color = _VISIBLE if seen else _HIDDEN
        cv2.circle(canvas, point.tolist(), 3 * scale, color, -1, cv2.LINE_AA, shift)
    return canvas


def paint_depth(depth: NDArray[np.uint8], behind: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """8-bit depth [H, W] in colours [H, W, 3], the nearest brightest, dark where `behind`."""
    painted = cv2.cvtColor(cv2.applyColorMap(255 - depth, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    painted[behind] = 30
    return painted.astype(np.uint8, copy=False)


def paint_visible(ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Class ids of seg_visible [H, W] in their colours [H, W, 3]; those not known as unknown."""
    return VISIBLE_PALETTE[np.minimum(ids, UNKNOWN)]


def _small(view: NDArray[np.uint8]) -> NDArray[np.uint8]:
    resized = cv2.resize(view, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)


def _tiles(dataset: Dataset, index: int) -> NDArray[np.uint8]:
    image = dataset.image("images", index)
    views = (
        image,
        paint_depth(dataset.image("depth", index), np.isnan(dataset.z_depth(index))),
        dataset.image("seg", index),
        draw_keypoints(image, *dataset.keypoints(index)),
    )
    small = [_small(view) for view in views]
    if "seg_visible" in dataset.folders:
        seen = _small(paint_visible(dataset.image("seg_visible", index)))
        small.append(seen // 2 + small[0] // 2)
    return np.concatenate(small, 1)


def contact_sheet(dataset: Dataset, indices: Sequence[int]) -> NDArray[np.uint8]:
    """RGB sheet of the samples `indices`, each as a row of tiles.

    The image, depth, regions, keypoints and, where the dataset has them, visible classes over it.
    """
    wide = _TILE * (5 if "seg_visible" in dataset.folders else 4)
    rows = -(-len(indices) // _SAMPLES_A_ROW)
    columns = min(_SAMPLES_A_ROW, len(indices))
    height, width = rows * (_TILE + _GAP) + _GAP, columns * (wide + _GAP) + _GAP
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    for place, index in enumerate(indices):
        row, column = divmod(place, _SAMPLES_A_ROW)
        top, left = _GAP + row * (_TILE + _GAP), _GAP + column * (wide + _GAP)
        sheet[top : top + _TILE, left : left + wide] = _tiles(dataset, index)
    return sheet


def write_contact_sheet(root: Path | str, candidates: Iterable[int]) -> Path | str | None:
    """Draw samples of the dataset at `root` into contact_sheet.png there, and return its path.

    candidates: numbers that samples may have; the first SAMPLES of those that are complete are
    drawn. Where none is, nothing is written.
    """
    dataset = Dataset(root)
    target = open_target(root)
    path = target.where(CONTACT_SHEET)
    drawn = list(islice(filter(dataset.holds, candidates), SAMPLES))
    if not drawn:
        return None
    sheet = encode_png(contact_sheet(dataset, drawn))
    with (
        told(f"cannot write {path}", "the samples are whole: move it away and run this again"),
        target.replacing(CONTACT_SHEET) as file,
    ):
        file.write(sheet)
    return path
