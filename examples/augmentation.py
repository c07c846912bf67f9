"""What a synthetic view of a face is changed by, so that a net trained on it reads photographs."""

from __future__ import annotations

import cv2
import numpy as np
from crops import Array, Image, cut
from numpy.typing import NDArray


def augment(
    crop: Image, other: Image | None, size: int, draws: np.random.Generator
) -> tuple[NDArray[np.float32], Array, bool]:
    """A view of a crop as a photograph might show it: [size, size, 3] in 0..1.

    And the matrix [2, 3] from the crop to the view, and whether it mirrors: then left and right
    labels trade places. other: another crop, pieces of which hide parts of the face. None hides
    nothing, for labels of what is seen.
    """
    matrix, is_mirrored = random_view(size, len(crop), draws)
    return as_photographed(cut(crop, matrix, size), other, draws), matrix, is_mirrored


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


def as_photographed(
    view: Image, other: Image | None, draws: np.random.Generator
) -> NDArray[np.float32]:
    """What cameras, light and things in the way make of a view [S, S, 3]: 0..1."""
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
    if other is not None and draws.integers(0, 4) > 1:
        hide_a_part(view, other, draws)
    saturation = 0 if draws.random() < 0.15 else draws.uniform(0.4, 1.6)
    color = saturation * np.eye(3) + (1 - saturation) / 3
    color = color * draws.uniform(0.8, 1.25, (3, 1)) / 255
    light = cv2.transform(view.astype(np.float32), color).clip(0, 1)
    light = cv2.pow(light, np.exp(draws.normal(0, 0.35)))
    contrast, brightness = draws.uniform(0.6, 1.4), draws.normal(0, 0.08)
    light = light * np.float32(contrast) + np.float32((1 - contrast) * light.mean() + brightness)
    noise = draws.standard_normal(light.shape, np.float32)
    return (light + np.float32(draws.uniform(0, 0.05)) * noise).clip(0, 1)


def hide_a_part(view: Image, other: Image, draws: np.random.Generator) -> None:
    """Put a piece of another crop, or of one colour, in front of a view [S, S, 3]."""
    size = len(view)
    width, height = draws.integers(size // 12, size // 2.4, 2)
    x, y = draws.integers(0, size - size // 12, 2)
    part = view[y : y + height, x : x + width]
    x, y = draws.integers(0, len(other) - size // 2, 2)
    piece = other[y : y + len(part), x : x + part.shape[1]]
    part[:] = piece if draws.random() < 0.5 else draws.integers(0, 256, 3)
