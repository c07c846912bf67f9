"""Two-dimensional maps float32 [C, H, W] on the CPU: read between their cells, resized, blurred."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from synthforge.mannequin.kernels import filled
from synthforge.mannequin.kernels.maps import average_discs, blur, read_cells, resize


def read(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear values [C, N] of maps [C, H, W] at columns x and rows y [N].

    Cell centres are whole numbers; beyond the border the border's value holds.
    """
    arrays = (array.contiguous() for array in (maps, x, y))
    return filled(read_cells, (len(maps), len(x)), *arrays)


def resized(maps: Tensor, height: int, width: int) -> Tensor:
    """Bicubic (Keys 1981), [C, h, w] -> [C, height, width]; corner cells stay corners."""
    return filled(resize, (len(maps), height, width), maps.contiguous())


def doubled(maps: Tensor) -> Tensor:
    """[C, H, W] -> [C, 2 H, 2 W], bilinear; borders are repeated outwards."""
    for dim in (1, 2):
        size = maps.shape[dim]
        padded = torch.cat([maps.narrow(dim, 0, 1), maps, maps.narrow(dim, size - 1, 1)], dim)
        before, after = padded.narrow(dim, 0, size), padded.narrow(dim, 2, size)
        pair = torch.stack([0.75 * maps + 0.25 * before, 0.75 * maps + 0.25 * after], dim + 1)
        maps = pair.flatten(dim, dim + 1)
    return maps


def defocused(maps: Tensor, radius: float) -> Tensor:
    """[C, H, W] averaged over discs of `radius` cells, as a lens out of focus does it.

    Borders are repeated outwards.
    """
    reach = round(radius)
    halves = [round(math.sqrt(max(radius**2 - row**2, 0))) for row in range(reach + 1)]
    return filled(average_discs, maps.shape, maps.contiguous(), np.array(halves))


def blurred(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian of `sigma` cells, cut off at three; borders are repeated outwards."""
    reach = max(1, round(3 * sigma))
    weights = np.array([math.exp(-0.5 * (k / sigma) ** 2) for k in range(reach + 1)])
    weights /= weights[0] + 2 * weights[1:].sum()
    return filled(blur, maps.shape, maps.contiguous(), weights.astype(np.float32))
