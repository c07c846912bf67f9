"""A sheet to look at: each photograph with the points that were found and those recovered."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.photofit.photographs import Photograph

_TILE, _COLUMNS, _MOST = 240, 8, 96
# Of the face's extent, round its middle.
_VIEW = 1.6
_FOUND, _RECOVERED = (70, 255, 120), (255, 90, 70)


def overlay_sheet(
    photographs: Sequence[Photograph], recovered_px: Sequence[NDArray[np.float64]]
) -> NDArray[np.uint8]:
    """RGB sheet, the first 96: detected points green, recovered ones red.

    recovered_px: [N, 2] of each photograph.
    """
    tiles = [_tile(*each) for each in list(zip(photographs, recovered_px, strict=True))[:_MOST]]
    blank = [np.full((_TILE, _TILE, 3), 250, np.uint8)] * (-len(tiles) % _COLUMNS)
    tiles = [*tiles, *blank]
    rows = [np.concatenate(tiles[i : i + _COLUMNS], 1) for i in range(0, len(tiles), _COLUMNS)]
    return np.concatenate(rows)


def _tile(photograph: Photograph, recovered_px: NDArray[np.float64]) -> NDArray[np.uint8]:
    found = photograph.points_px
    low, high = found.min(0), found.max(0)
    scale = _TILE / (_VIEW * max((high - low).max(), 1))
    shift = _TILE / 2 - scale * (low + high) / 2
    # OpenCV puts pixel centres at whole numbers, ours are at +0.5.
    A = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    A[:, 2] += (scale - 1) / 2
    tile = cv2.warpAffine(photograph.image, A, (_TILE, _TILE), flags=cv2.INTER_AREA)
    for points, color in ((found, _FOUND), (recovered_px, _RECOVERED)):
        for x, y in np.round((points * scale + shift - 0.5) * 16).astype(np.int32).tolist():
            cv2.circle(tile, (x, y), 16, color, -1, cv2.LINE_AA, 4)
    return tile.astype(np.uint8, copy=False)
