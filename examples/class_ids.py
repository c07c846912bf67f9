"""Label maps of class ids: what the classes are, cut to a view, mirrored, compared, in colour."""

from __future__ import annotations

import json
from pathlib import Path

import click
import cv2
import numpy as np
from crops import Array, Image, for_opencv
from numpy.typing import NDArray

IGNORE = 255  # an id that nothing is learnt from


def class_names(dataset: Path, folder: str) -> list[str]:
    """Of the ids in the dataset's folder, from dataset.json."""
    card = json.loads((dataset / "dataset.json").read_text())
    if folder == "seg_id":
        ids = {name: region["id"] for name, region in card["palette"].items()}
    elif folder in card.get("parsing", {}):
        ids = card["parsing"][folder]["classes"]
    else:
        raise click.UsageError(
            f"{dataset} has no {folder}: generate it with --extras {folder}, or name another"
        )
    return sorted(ids, key=ids.__getitem__)


def mirrored_ids(names: list[str]) -> Image:
    """Label -> its label in the mirror: left and right trade places. uint8 [256]."""
    table = np.arange(256, dtype=np.uint8)
    for sides in (("left", "right"), ("LEFT", "RIGHT"), ("l_", "r_")):
        for one, other in (sides, sides[::-1]):
            for i, name in enumerate(names):
                partner = name.replace(one, other, 1) if name.startswith(one) else name
                if partner != name and partner in names:
                    table[i] = names.index(partner)
    return table


def cut_ids(ids: Image, matrix: Array, size: int) -> Image:
    """Class ids [H, W] under `matrix`; IGNORE outside of the image."""
    border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": IGNORE}
    shape = size, size
    return cv2.warpAffine(ids, for_opencv(matrix), shape, flags=cv2.INTER_NEAREST, **border)


def f1_scores(found: Image, true: Image, classes: int) -> NDArray[np.float64]:
    """F1 of each class over all pixels, in %, as LaPa has it; NaN where `true` lacks the class."""
    found, true = found[true != IGNORE], true[true != IGNORE]
    both = np.bincount(true[found == true], minlength=classes)
    of_found, of_true = (np.bincount(ids, minlength=classes) for ids in (found, true))
    return np.where(of_true > 0, 200 * both / np.maximum(of_found + of_true, 1), np.nan)


def in_color(ids: Image) -> Image:
    """RGB for class ids: background dark, IGNORE black."""
    hues = np.arange(256) * 47 % 180
    colors = np.stack([hues, np.full(256, 150), np.full(256, 230)], -1).astype(np.uint8)
    colors = cv2.cvtColor(colors[None], cv2.COLOR_HSV2RGB)[0]
    colors[[0, IGNORE]] = [[40, 40, 40], [0, 0, 0]]
    return colors[ids]
