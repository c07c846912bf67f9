"""What lossy compression leaves of an image: JPEG's 8 x 8 cosine transform, quantized."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.render.maps import doubled

_BLOCK = 8
# Orthonormal DCT-II (Ahmed et al. 1974): row by frequency, column by place.
_DCT = torch.tensor([
    [
        math.sqrt((2 if k else 1) / _BLOCK) * math.cos(math.pi * k * (2 * n + 1) / (2 * _BLOCK))
        for n in range(_BLOCK)
    ]
    for k in range(_BLOCK)
])  # fmt: skip


def compressed(image: Tensor, step: float) -> Tensor:
    """RGB [3, H, W], H and W multiples of 16, with `step` as luma's quantum of lowest frequency.

    Chroma is stored at half the resolution.
    """
    red, green, blue = image
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = F.avg_pool2d(torch.stack([red - luma, blue - luma]), 2)
    luma = _quantized(luma[None], step)[0]
    red, blue = luma + doubled(_quantized(chroma, 2 * step))
    green = (luma - 0.299 * red - 0.114 * blue) * (1 / 0.587)
    return torch.stack([red, green, blue])


def _quantized(planes: Tensor, step: float) -> Tensor:
    """Planes [C, H, W]. Quanta grow with frequency about as in ITU-T T.81, table K.1."""
    channels, height, width = planes.shape
    blocks = planes.reshape(channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    frequency = torch.arange(_BLOCK)
    quantum = step * (1 + 0.45 * (frequency[:, None, None] + frequency))
    spectrum = _transformed(_transformed(blocks, _DCT, 2), _DCT, 4)
    spectrum = torch.round(spectrum / quantum) * quantum
    return _transformed(_transformed(spectrum, _DCT.T, 2), _DCT.T, 4).view(planes.shape)


def _transformed(blocks: Tensor, matrix: Tensor, dim: int) -> Tensor:
    """The matrix [8, 8] applied along `dim` of [C, H, 8, W, 8]."""
    total = torch.zeros_like(blocks)
    for place, column in enumerate(matrix.T):
        weights = column[:, None, None] if dim == 2 else column
        total += blocks.narrow(dim, place, 1) * weights
    return total
