"""What a synthetic view of a face is changed by, so that a net trained on it reads photographs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def random_view(size: int, stored: int, draws: np.random.Generator) -> tuple[Array, bool]:
    """Matrix [2, 3] from a crop of `stored` pixels to a view of `size`, and whether it mirrors.

    Pixel centres at +0.5. The view is turned, scaled and shifted a little.
    """
    angle, scale = draws.normal(0, 0.3), np.exp(draws.normal(0, 0.12))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if is_mirrored := bool(draws.random() < 0.5):
        turn = turn * [-1, 1]
    offset = size / 2 + draws.normal(0, 0.05 * size, 2) - turn @ [stored / 2, stored / 2]
    return np.column_stack([turn, offset]), is_mirrored


def for_opencv(matrix: Array) -> Array:
    """The same matrix for pixel centres at whole numbers, as OpenCV has them."""
    return np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2].sum(1) / 2 - 0.5])


def as_photographed(
    view: NDArray[np.uint8], other: NDArray[np.uint8], draws: np.random.Generator
) -> NDArray[np.float32]:
    """What cameras, light and things in the way make of a view uint8 [S, S, 3]: 0..1.

    other: an image of at least that size, pieces of which hide parts of the face.
    """
    size = len(view)
    if draws.random() < 0.4:  # low resolution
        factor = draws.uniform(0.25, 0.9)
        small = cv2.resize(view, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        view = cv2.resize(small, (size, size))
    if draws.random() < 0.25:  # out of focus
        view = cv2.GaussianBlur(view, (0, 0), draws.uniform(0.4, 1.6) * size / 96)
    if draws.random() < 0.3:  # compressed
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(draws.integers(15, 80))]
        view = cv2.imdecode(cv2.imencode(".jpg", view, quality)[1], cv2.IMREAD_COLOR)
    for _ in range(draws.integers(0, 4) // 2):  # hidden
        width, height = draws.integers(size // 12, size // 2.4, 2)
        x, y = draws.integers(0, size - size // 12, 2)
        part = view[y : y + height, x : x + width]
        is_flat = draws.random() < 0.5
        part[:] = draws.integers(0, 256, 3) if is_flat else other[: len(part), : part.shape[1]]
    light = view.astype(np.float32) / 255
    gray = light.mean(-1, keepdims=True)
    saturation = 0 if draws.random() < 0.15 else draws.uniform(0.4, 1.6)
    light = (gray + (light - gray) * saturation) * draws.uniform(0.8, 1.25, 3)
    light = light.clip(0, 1) ** np.exp(draws.normal(0, 0.35))
    contrast, brightness = draws.uniform(0.6, 1.4), draws.normal(0, 0.08)
    light = (light - light.mean()) * contrast + light.mean() + brightness
    light = light + draws.normal(0, draws.uniform(0, 0.05), light.shape)
    return light.clip(0, 1).astype(np.float32)
