"""The 68 landmarks of faces: read from .pts files, compared, drawn."""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import numpy as np
from crops import Array, Image, write_sheet

from synthforge.landmarks import JAW, OUTER_EYE_CORNERS

INNER = slice(JAW.stop, 68)


def read_pts(file: Path) -> Array:
    """The points [68, 2] of a file as 300-W has it, pixel centres at +0.5."""
    try:
        numbers = file.read_text().split("{")[-1].split("}")[0].split()
        return np.array(numbers, float).reshape(68, 2) - 0.5  # 300-W counts pixels from 1
    except ValueError as error:
        raise click.UsageError(f"{file}: expected 68 points in {{ }}: {error}") from None


def nme(found: Array, true: Array) -> Array:
    """Distance of each point, [N, 68], in % of the face's outer-eye distance."""
    right, left = (true[:, i] for i in OUTER_EYE_CORNERS)
    size = np.linalg.norm(right - left, axis=-1)[:, None]
    return 100 * np.linalg.norm(found - true, axis=-1) / size


def error_table(rows: dict[str, Array], true: Array) -> str:
    """A line for each row's points [N, 68, 2]: errors in % of the outer-eye distance."""
    lines = [f"{'':24}{'51 inner':>9}{'median':>9}{'all 68':>9}{'> 8 %':>9}"]
    for name, points in rows.items():
        error = nme(points, true)
        inner = error[:, INNER].mean(1)
        numbers = inner.mean(), np.median(inner), error.mean()
        wrong = f"{100 * (inner > 8).mean():8.1f}%"
        lines.append(f"{name:24}" + "".join(f"{number:9.2f}" for number in numbers) + wrong)
    return "\n".join(lines)


def write_faces(path: Path, crops: Image, found: Array, true: Array) -> None:
    """Up to 32 faces, from worst to best, with labels in green and predictions in pink."""
    order = nme(found, true)[:, INNER].mean(1).argsort()[::-1]
    tiles = []
    for i in order[np.linspace(0, len(order) - 1, min(len(order), 32)).round().astype(int)]:
        tile = cv2.resize(crops[i], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        for points, color in ((true[i], (0, 255, 0)), (found[i], (255, 60, 200))):
            for x, y in points:
                cv2.circle(tile, (round(2 * x), round(2 * y)), 2, color, -1, cv2.LINE_AA)
        tiles.append(tile)
    write_sheet(path, tiles, min(len(tiles), 8))
