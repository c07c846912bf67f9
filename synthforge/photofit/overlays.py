"""A sheet to look at: each photograph with the points that were found and those recovered."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.detectors.crops import Points
from synthforge.photofit.photographs import TILE, Photograph, tile_square

_COLUMNS, _MOST = 8, 96
_FOUND, _RECOVERED, _GAZE = (70, 255, 120), (255, 90, 70), (255, 220, 60)


def overlay_sheet(
    photographs: Sequence[Photograph], found_px: Points, recovered_px: Points, gaze_px: Points
) -> NDArray[np.uint8]:
    """RGB sheet, the first 96: detected points green, recovered ones red, where eyes look yellow.

    found_px, recovered_px: float64 [B, N, 2], in the photographs. gaze_px: [B, 2, 2], lines.
    """
    rows = list(zip(photographs, found_px, recovered_px, gaze_px, strict=True))[:_MOST]
    tiles = [_tile(*row) for row in rows]
    blank = [np.full((TILE, TILE, 3), 250, np.uint8)] * (-len(tiles) % _COLUMNS)
    tiles = [*tiles, *blank]
    lines = [np.concatenate(tiles[i : i + _COLUMNS], 1) for i in range(0, len(tiles), _COLUMNS)]
    return np.concatenate(lines)


def _tile(
    photograph: Photograph, found_px: Points, recovered_px: Points, gaze_px: Points
) -> NDArray[np.uint8]:
    tile, square = photograph.tile.copy(), tile_square(photograph.mesh_px)

    def places(points_px: Points) -> list[list[int]]:
        # OpenCV puts pixel centres at whole numbers, ours are at +0.5.
        return ((square.into(points_px, TILE) - 0.5) * 16).round().astype(int).tolist()

    for points, color in ((found_px, _FOUND), (recovered_px, _RECOVERED)):
        for place in places(points):
            cv2.circle(tile, place, 16, color, -1, cv2.LINE_AA, 4)
    between, ahead = places(gaze_px)
    cv2.line(tile, between, ahead, _GAZE, 2, cv2.LINE_AA, 4)
    return tile
