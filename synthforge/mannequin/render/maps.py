"""Two-dimensional maps [C, H, W]: read between their cells, resized, blurred.

As torch's grid_sample, interpolate and conv2d do it, in operations of arithmetic.py's kind.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def read(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear values [C, N] of maps [C, H, W] at columns x and rows y [N].

    Cell centres are whole numbers; beyond the border the border's value holds.
    """
    channels, height, width = maps.shape
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    # The last cell is read as the far end of the one before it.
    column, row = x.long().clamp_(max=width - 2), y.long().clamp_(max=height - 2)
    right, down = x - column, y - row
    flat, cell = maps.view(channels, -1), row * width + column
    above, beside, below, across = (
        flat.index_select(1, cell + shift) for shift in (0, 1, width, width + 1)
    )
    above += right * beside.sub_(above)
    below += right * across.sub_(below)
    above += down * below.sub_(above)
    return above


def resized(maps: Tensor, height: int, width: int) -> Tensor:
    """Bicubic (Keys 1981), [C, h, w] -> [C, height, width]; corner cells stay corners."""
    for dim, size in ((1, height), (2, width)):
        cells = maps.shape[dim]
        place = torch.arange(size, device=maps.device) * ((cells - 1) / (size - 1))
        first = place.long().clamp(max=max(cells - 2, 0))
        t = (place - first).view((-1, 1) if dim == 1 else (1, -1))
        weights = (
            t * (t * (1 - 0.5 * t) - 0.5),
            t * t * (1.5 * t - 2.5) + 1,
            t * (t * (2 - 1.5 * t) + 0.5),
            t * t * (0.5 * t - 0.5),
        )
        taps = [
            maps.index_select(dim, (first + k).clamp(0, cells - 1)) * weight
            for k, weight in zip((-1, 0, 1, 2), weights, strict=True)
        ]
        maps = taps[0] + taps[1] + taps[2] + taps[3]
    return maps


def doubled(maps: Tensor) -> Tensor:
    """[C, H, W] -> [C, 2 H, 2 W], bilinear; borders are repeated outwards."""
    for dim in (1, 2):
        size = maps.shape[dim]
        before = torch.cat([maps.narrow(dim, 0, 1), maps.narrow(dim, 0, size - 1)], dim)
        after = torch.cat([maps.narrow(dim, 1, size - 1), maps.narrow(dim, size - 1, 1)], dim)
        pair = torch.stack([0.75 * maps + 0.25 * before, 0.75 * maps + 0.25 * after], dim + 1)
        maps = pair.flatten(dim, dim + 1)
    return maps


def defocused(maps: Tensor, radius: float) -> Tensor:
    """[C, H, W] averaged over discs of `radius` cells, as a lens out of focus does it.

    Borders are repeated outwards.
    """
    reach = round(radius)
    padded = F.pad(maps[None], (reach,) * 4, mode="replicate")
    height, width = maps.shape[1:]
    halves = [round(math.sqrt(max(radius**2 - row**2, 0))) for row in range(-reach, reach + 1)]
    sums = {
        half: F.avg_pool2d(padded, (1, 2 * half + 1), 1, divisor_override=1) for half in set(halves)
    }
    total = torch.zeros_like(maps)
    for row, half in enumerate(halves):
        total += sums[half][0, :, row : row + height, reach - half : reach - half + width]
    return total / sum(2 * half + 1 for half in halves)


def blurred(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian of `sigma` cells, cut off at three; borders are repeated outwards."""
    reach = max(1, round(3 * sigma))
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(reach + 1)]
    whole = weights[0] + 2 * sum(weights[1:])
    padded = F.pad(maps[None], (reach,) * 4, mode="replicate")[0]
    for dim in (1, 2):
        size = padded.shape[dim] - 2 * reach
        total = padded.narrow(dim, reach, size) * (weights[0] / whole)
        for k in range(1, reach + 1):
            pair = padded.narrow(dim, reach - k, size) + padded.narrow(dim, reach + k, size)
            total += pair.mul_(weights[k] / whole)
        padded = total
    return padded
