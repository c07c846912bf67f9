"""3x3 convolution on CPU with fewer multiplications (Lavin and Gray 2016, arXiv:1509.09308).

Direct convolution is what the generator's time goes into, and torch has no other on CPU. Here a
square tile of the output is a few sums of products of transformed inputs and kernels, so that the
whole convolution is one batch of matrix products, one a position in the window:

- float32: F(4x4, 3x3), 36 products for 16 outputs instead of 144. Rounding is about 5e-5 for
  inputs of unit variance.
- bfloat16: F(2x2, 3x3), 16 products for 4 outputs instead of 36. Its transforms are plain sums
  and differences, which bfloat16 bears: rounding is 2.4 times that of the direct convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_Slices = Sequence[Tensor] | Tensor
# Slices of a tensor to slices of another, along one axis.
_Transform = Callable[[_Slices, _Slices], None]

# Below this the transforms cost more than the products save.
_MIN_SIZE = 32


@dataclass(frozen=True)
class _Algorithm:
    """F(tile x tile, 3x3) and what pays on a CPU with vector units.

    kernel, input, output: the paper's G g, B^T d and A^T m along one axis, factored.
    min_channels: of inputs and of outputs.
    strip_values, min_strip_tiles: tiles are transformed in strips of the image, that stay in the
        cache.
    """

    tile: int
    kernel: _Transform
    input: _Transform
    output: _Transform
    min_channels: int
    strip_values: int
    min_strip_tiles: int

    @property
    def window(self) -> int:
        return self.tile + 2


def suits(x: Tensor, weight: Tensor) -> bool:
    """Whether `conv3x3` takes this input and is faster than a direct convolution.

    It writes through views, which torch.compile cannot follow.
    """
    outputs, inputs, *size = weight.shape
    algorithm = _ALGORITHMS.get(x.dtype)
    return (
        not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and algorithm is not None
        and len(x) == 1
        and size == [3, 3]
        and min(outputs, inputs) >= algorithm.min_channels
        and min(x.shape[2:]) >= _MIN_SIZE
        and x.shape[2] % algorithm.tile == x.shape[3] % algorithm.tile == 0
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
    )


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """As conv2d with padding 1, of what `suits`; the result is channels-last.

    x: float32 or bfloat16 [1, I, H, W]. weight: float32 [O, I, 3, 3]. bias: [O], as x.
    """
    algorithm = _ALGORITHMS[x.dtype]
    tile, window = algorithm.tile, algorithm.window
    outputs, inputs = weight.shape[:2]
    image = x.permute(0, 2, 3, 1)[0]
    height, width = image.shape[:2]
    across, down = width // tile, height // tile
    kernels = _transform_kernels(weight, x.dtype, algorithm)

    # Not a permuted [H, W, O]: its batch stride would hide from torch that it is channels-last.
    result = torch.empty(
        1, outputs, height, width, dtype=x.dtype, memory_format=torch.channels_last
    )
    tiles = result.permute(0, 2, 3, 1).view(down, tile, across, tile, outputs)
    strip = _strip_height(inputs, across, down, algorithm)
    half = x.new_empty(window, strip, width + 2, inputs)
    windows = x.new_empty(window, window, strip, across, inputs)
    products = x.new_empty(window, window, strip, across, outputs)
    half_tiles = x.new_empty(tile, window, strip, across, outputs)
    for start in range(0, down, strip):
        rows = _rows_with_border(image, start * tile - 1, (start + strip) * tile + 1)
        algorithm.input(_windows(rows, 0, strip, tile), half)
        algorithm.input(_windows(half, 2, across, tile), windows.transpose(0, 1))
        torch.bmm(
            windows.view(window**2, -1, inputs), kernels, out=products.view(window**2, -1, outputs)
        )
        if bias is not None:
            # The output transform spreads this product over the whole tile.
            products[1, 1] += bias
        algorithm.output(products, half_tiles)
        for row, finished in enumerate(half_tiles):
            algorithm.output(finished, tiles[start : start + strip, row].permute(2, 0, 1, 3))
    return result


def _strip_height(inputs: int, across: int, down: int, algorithm: _Algorithm) -> int:
    """Rows of tiles transformed at once: a divisor of `down`."""
    largest = max(algorithm.strip_values // inputs, algorithm.min_strip_tiles) // across
    return max(rows for rows in range(1, down + 1) if down % rows == 0 and rows <= max(largest, 1))


def _rows_with_border(image: Tensor, start: int, end: int) -> Tensor:
    """Rows [start, end) of [H, W, C] and a column either side, zero outside the image."""
    above, below = max(-start, 0), max(end - len(image), 0)
    return F.pad(image[max(start, 0) : end], (0, 0, 1, 1, above, below))


def _windows(x: Tensor, dim: int, count: int, tile: int) -> list[Tensor]:
    """The windows' positions along `dim`, each of `count` tiles."""
    leading = (slice(None),) * dim
    length = tile * (count - 1) + 1
    return [x[(*leading, slice(k, k + length, tile))] for k in range(tile + 2)]


def _transform_kernels(weight: Tensor, dtype: torch.dtype, algorithm: _Algorithm) -> Tensor:
    """float32 [O, I, 3, 3] -> [window * window, I, O] in `dtype`"""
    window = algorithm.window
    outputs, inputs = weight.shape[:2]
    half = weight.new_empty(window, 3, outputs, inputs)
    kernels = weight.new_empty(window, window, outputs, inputs)
    algorithm.kernel(weight.permute(2, 3, 0, 1), half)
    algorithm.kernel(half.transpose(0, 1), kernels.transpose(0, 1))
    return kernels.to(dtype).view(-1, outputs, inputs).transpose(1, 2)


def _kernel_4(g: _Slices, out: _Slices) -> None:
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


def _input_4(d: _Slices, out: _Slices) -> None:
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


def _output_4(m: _Slices, out: _Slices) -> None:
    sum_1, difference_1 = m[1] + m[2], m[1] - m[2]
    sum_2, difference_2 = m[3] + m[4], m[3] - m[4]
    torch.add(difference_1, difference_2, alpha=2, out=out[1])
    torch.add(sum_1, sum_2, alpha=4, out=out[2])
    torch.add(sum_1.add_(m[0]), sum_2, out=out[0])
    torch.add(difference_1.add_(m[5]), difference_2, alpha=8, out=out[3])


def _kernel_2(g: _Slices, out: _Slices) -> None:
    out[0].copy_(g[0])
    even = (g[0] + g[2]).mul_(1 / 2)
    torch.add(even, g[1], alpha=1 / 2, out=out[1])
    torch.sub(even, g[1], alpha=1 / 2, out=out[2])
    out[3].copy_(g[2])


def _input_2(d: _Slices, out: _Slices) -> None:
    torch.sub(d[0], d[2], out=out[0])
    torch.add(d[1], d[2], out=out[1])
    torch.sub(d[2], d[1], out=out[2])
    torch.sub(d[1], d[3], out=out[3])


def _output_2(m: _Slices, out: _Slices) -> None:
    torch.add(m[0] + m[1], m[2], out=out[0])
    torch.sub(m[1] - m[2], m[3], out=out[1])


_ALGORITHMS = {
    torch.float32: _Algorithm(4, _kernel_4, _input_4, _output_4, 128, 1 << 16, 128),
    torch.bfloat16: _Algorithm(2, _kernel_2, _input_2, _output_2, 256, 1 << 18, 512),
}
