"""3x3 convolution on CPU with a quarter of the multiplications (Lavin and Gray 2016, F(4x4, 3x3)).

Direct convolution in float32 is what the generator's time goes into. Here every 4x4 tile of the
output costs 36 multiplications a channel pair instead of 144, as one batch of 36 matrix products;
torch's own convolution offers no such algorithm on CPU. Rounding is about 5e-5 for inputs of unit
variance.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_TILE = 4
_WINDOW = 6  # tile and kernel overlap: 4 + 3 - 1
# Below these the transforms cost more than the products save.
_MIN_CHANNELS = 128
_MIN_SIZE = 32
# Tiles are transformed in strips of the image that stay in the cache.
_STRIP_VALUES = 1 << 16
_MIN_STRIP_TILES = 128


def suits(x: Tensor, weight: Tensor) -> bool:
    """Whether `conv3x3` takes this input and is faster than a direct convolution.

    It writes through views, which torch.compile cannot follow.
    """
    outputs, inputs, *size = weight.shape
    return (
        not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and len(x) == 1
        and size == [3, 3]
        and min(outputs, inputs) >= _MIN_CHANNELS
        and min(x.shape[2:]) >= _MIN_SIZE
        and x.shape[2] % _TILE == x.shape[3] % _TILE == 0
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
    )


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """As conv2d with padding 1, of what `suits`; the result is channels-last.

    x: float32 [1, I, H, W], H and W multiples of 4. weight: float32 [O, I, 3, 3]. bias: [O].
    """
    outputs, inputs = weight.shape[:2]
    image = x.permute(0, 2, 3, 1)[0]
    height, width = image.shape[:2]
    across, down = width // _TILE, height // _TILE
    kernels = _transform_kernels(weight)

    # Not a permuted [H, W, O]: its batch stride would hide from torch that it is channels-last.
    result = torch.empty(1, outputs, height, width, memory_format=torch.channels_last)
    tiles = result.permute(0, 2, 3, 1).view(down, _TILE, across, _TILE, outputs)
    strip = _strip_height(inputs, across, down)
    half = x.new_empty(_WINDOW, strip, width + 2, inputs)
    windows = x.new_empty(_WINDOW, _WINDOW, strip, across, inputs)
    products = x.new_empty(_WINDOW, _WINDOW, strip, across, outputs)
    half_tiles = x.new_empty(_TILE, _WINDOW, strip, across, outputs)
    for start in range(0, down, strip):
        rows = _rows_with_border(image, start * _TILE - 1, (start + strip) * _TILE + 1)
        _transform_input(_every_fourth(rows, 0, strip), half)
        _transform_input(_every_fourth(half, 2, across), windows.transpose(0, 1))
        torch.bmm(windows.view(36, -1, inputs), kernels, out=products.view(36, -1, outputs))
        if bias is not None:
            # The output transform spreads this product over the whole tile.
            products[1, 1] += bias
        _transform_output(products, half_tiles)
        for row, finished in enumerate(half_tiles):
            _transform_output(finished, tiles[start : start + strip, row].permute(2, 0, 1, 3))
    return result


def _strip_height(inputs: int, across: int, down: int) -> int:
    """Rows of tiles transformed at once: a divisor of `down`."""
    largest = max(_STRIP_VALUES // inputs, _MIN_STRIP_TILES) // across
    return max(rows for rows in range(1, down + 1) if down % rows == 0 and rows <= max(largest, 1))


def _rows_with_border(image: Tensor, start: int, end: int) -> Tensor:
    """Rows [start, end) of [H, W, C] and a column either side, zero outside the image."""
    above, below = max(-start, 0), max(end - len(image), 0)
    return F.pad(image[max(start, 0) : end], (0, 0, 1, 1, above, below))


def _every_fourth(x: Tensor, dim: int, count: int) -> list[Tensor]:
    """The windows' six positions along `dim`, each of `count` tiles."""
    leading = (slice(None),) * dim
    length = _TILE * (count - 1) + 1
    return [x[(*leading, slice(k, k + length, _TILE))] for k in range(_WINDOW)]


def _transform_kernels(weight: Tensor) -> Tensor:
    """[O, I, 3, 3] -> [36, I, O]"""
    outputs, inputs = weight.shape[:2]
    half = weight.new_empty(_WINDOW, 3, outputs, inputs)
    kernels = weight.new_empty(_WINDOW, _WINDOW, outputs, inputs)
    _transform_kernel(weight.permute(2, 3, 0, 1), half)
    _transform_kernel(half.transpose(0, 1), kernels.transpose(0, 1))
    return kernels.view(-1, outputs, inputs).transpose(1, 2)


def _transform_kernel(g: Tensor, out: Tensor) -> None:
    """The paper's G g, factored: three tensors to six."""
    torch.mul(g[0], 1 / 4, out=out[0])
    even = (g[0] + g[2]).mul_(-1 / 6)
    odd = g[1] / 6
    torch.sub(even, odd, out=out[1])
    torch.add(even, odd, out=out[2])
    torch.mul(g[0], 1 / 24, out=even).add_(g[2], alpha=1 / 6)
    odd.mul_(1 / 2)
    torch.add(even, odd, out=out[3])
    torch.sub(even, odd, out=out[4])
    out[5].copy_(g[2])


def _transform_input(d: Sequence[Tensor], out: Sequence[Tensor] | Tensor) -> None:
    """The paper's B^T d, factored: six tensors to six."""
    torch.add(d[4], d[2], alpha=-5, out=out[0]).add_(d[0], alpha=4)
    even = torch.add(d[4], d[2], alpha=-4)
    odd = torch.add(d[3], d[1], alpha=-4)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    torch.sub(d[4], d[2], out=even)
    torch.sub(d[3], d[1], out=odd)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    torch.add(d[5], d[3], alpha=-5, out=out[5]).add_(d[1], alpha=4)


def _transform_output(m: Sequence[Tensor] | Tensor, out: Sequence[Tensor] | Tensor) -> None:
    """The paper's A^T m, factored: six tensors to four."""
    sum_1, difference_1 = m[1] + m[2], m[1] - m[2]
    sum_2, difference_2 = m[3] + m[4], m[3] - m[4]
    torch.add(difference_1, difference_2, alpha=2, out=out[1])
    torch.add(sum_1, sum_2, alpha=4, out=out[2])
    torch.add(sum_1.add_(m[0]), sum_2, out=out[0])
    torch.add(difference_1.add_(m[5]), difference_2, alpha=8, out=out[3])
