"""The mouth's box in the front view: where it is, cut out, and put back.

Boxes stay tensors, so that no host sync is needed: cropping and pasting are products with resize
matrices of fixed shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synthforge.landmarks import OUTER_LIP
from synthforge.next3d.config import Next3DConfig
from synthforge.next3d.texture_raster import SIZE, to_screen

CROP_SIZE = 64
_MARGIN = 1.2


def mouth_boxes(landmarks_flame: Tensor, config: Next3DConfig) -> Tensor:
    """Landmarks [B, 68, 3] in metres -> int64 [B, 4]: row start, row end, column start, end.

    Pixels of the front view, ends exclusive, inside the image and never empty.
    """
    right, up, _ = to_screen(landmarks_flame, "front", config).unbind(-1)
    points = torch.stack([right, -up], -1) * (SIZE / 2) + SIZE / 2
    lips = points[:, OUTER_LIP]
    center = (lips[:, 0] + lips[:, 6]) / 2
    extent = (lips.amax(1) - lips.amin(1)).amax(1)
    half = (extent * _MARGIN).long() // 2
    start = (center - half[:, None]).long().clamp(0, SIZE - 1)
    end = torch.maximum((center + half[:, None]).long().clamp(0, SIZE), start + 1)
    return torch.stack([start[:, 1], end[:, 1], start[:, 0], end[:, 0]], 1)


def crop(image: Tensor, boxes: Tensor) -> Tensor:
    """[B, C, 256, 256] -> [B, C, 64, 64], the box resized with antialiasing."""
    rows, columns = (
        resize_weights(_indices(CROP_SIZE, boxes), CROP_SIZE, _indices(SIZE, boxes) - start, length)
        for start, length in _axes(boxes)
    )
    return _apply(rows, image, columns)


def paste(image: Tensor, mouth: Tensor, boxes: Tensor) -> Tensor:
    """[B, C, 256, 256] with its box replaced by all of `mouth` [B, C, h, h], resized."""
    size = mouth.shape[-1]
    pixels = _indices(SIZE, boxes)
    rows, columns = (
        resize_weights(pixels - start, length, _indices(size, boxes), size)
        for start, length in _axes(boxes)
    )
    in_rows, in_columns = (
        (pixels >= start) & (pixels < start + length) for start, length in _axes(boxes)
    )
    inside = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return torch.where(inside, _apply(rows, mouth, columns), image)


def resize_weights(
    out_index: Tensor, out_length: Tensor | int, in_index: Tensor, in_length: Tensor | int
) -> Tensor:
    """Weights [B, O, I] of antialiased linear resampling from in_length to out_length samples.

    out_index [B, O], in_index [B, I]: positions counted from either interval's start. Those
    outside [0, in_length) get no weight. Lengths: int64 [B, 1] or int.
    """
    scale = torch.as_tensor(in_length / out_length, device=out_index.device)
    support = scale.clamp(min=1.0)
    center = ((out_index + 0.5) * scale)[:, :, None]
    distance = (in_index[:, None] + 0.5 - center).abs() / support[..., None]
    inside = (in_index >= 0) & (in_index < in_length)
    weights = (1 - distance).clamp(min=0) * inside[:, None]
    return weights / weights.sum(2, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)


def _indices(size: int, boxes: Tensor) -> Tensor:
    return torch.arange(size, device=boxes.device).expand(len(boxes), size)


def _axes(boxes: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Start and length, int64 [B, 1] each, of rows and of columns."""
    row, row_end, column, column_end = boxes[:, :, None].unbind(1)
    return [(row, row_end - row), (column, column_end - column)]


def _apply(rows: Tensor, image: Tensor, columns: Tensor) -> Tensor:
    return rows[:, None] @ image @ columns.transpose(1, 2)[:, None]
