"""StyleGAN2's convolutions and filters (Karras et al. 2020). Feature maps are [B, C, H, W].

Each computes in the dtype of the feature map it is given; styles and demodulation stay float32.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synthforge.next3d.kept import cast, once

_EPS = 1e-8


class BinomialFilter(nn.Module):
    """Correlates every channel with the [1, 3, 3, 1] x [1, 3, 3, 1] filter, of sum `gain`."""

    kernel: Tensor

    def __init__(self, channels: int, *, padding: int, stride: int = 1, gain: float = 1.0):
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        kernel = torch.outer(taps, taps) * (gain / 64)
        self.register_buffer("kernel", kernel.repeat(channels, 1, 1, 1), persistent=False)
        self.padding = padding
        self.stride = stride

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """[B, channels, H, W], bias [channels] in x's dtype -> [B, channels, ...]"""
        kernel = cast(self.kernel, x.dtype)
        return F.conv2d(x, kernel, bias, self.stride, self.padding, groups=len(kernel))


def conv2d_same(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Size-preserving convolution, all in one dtype."""
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def upsample2d(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C, 2H, 2W]: zero insertion, then the binomial filter.

    Inside, that filter is linear interpolation; the zero border makes it so at the edge too.
    """
    padded = F.pad(x, (1, 1, 1, 1))
    return F.interpolate(padded, scale_factor=2, mode="bilinear")[:, :, 2:-2, 2:-2]


def halving_filter(channels: int) -> BinomialFilter:
    """[B, channels, H, W] -> [B, channels, H/2, W/2]: the filter, then every other sample."""
    return BinomialFilter(channels, padding=1, stride=2)


def doubling_filter(channels: int) -> BinomialFilter:
    """What follows a transposed convolution of stride 2: [..., 2H + 1, ...] -> [..., 2H, ...]."""
    return BinomialFilter(channels, padding=1, gain=4.0)


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor | None = None,
    *,
    demodulate: bool = True,
    up: BinomialFilter | None = None,
    gain: float = 1.0,
) -> Tensor:
    """Convolution whose input channels are scaled by styles (StyleGAN2, section 2.2).

    x: [B, I, H, W]; weight: float32 [O, I, k, k]; styles: float32 [B, I]; bias: [O], float32 or
    as x.
    demodulate: rescale every output channel to unit variance for unit-variance input.
    up: doubles the size, by a transposed convolution and this filter (see `doubling_filter`).
    gain: factor on the convolution, not on the bias.

    A batch of one folds the scales into the weight. A larger batch shares the weight and scales
    the feature maps instead, which saves B copies of it; results agree but for rounding.
    """
    # Demodulation cancels any scale of weight and styles: take one that cannot overflow.
    normalize = x.dtype == torch.float16 and demodulate
    if normalize:
        styles = styles / styles.abs().amax(1, keepdim=True)
    out_scale: Tensor | None = None
    if demodulate:
        energy = once(
            (weight,),
            ("energy", normalize),
            lambda: _kernel_energy(_normalized(weight) if normalize else weight, up is not None),
        )
        out_scale = gain * (F.linear(styles.square(), energy) + _EPS).rsqrt()
    elif gain != 1:
        out_scale = styles.new_full((len(styles), len(weight)), gain)
    bias = None if bias is None else cast(bias, x.dtype)

    if len(styles) == 1:
        scale = styles if out_scale is None else out_scale.t() * styles
        if up is not None:
            scale = scale.t().contiguous().t()
        weight = _normalized(weight) if normalize else weight
        weight = (weight * scale[:, :, None, None]).to(x.dtype)
        return _convolved(x, weight, up, bias)

    x = x * styles[:, :, None, None].to(x.dtype)
    if normalize:
        shared = once((weight,), (x.dtype, "unit"), lambda: _normalized(weight).to(x.dtype))
    else:
        shared = cast(weight, x.dtype)
    y = _convolved(x, shared, up, None)
    if out_scale is not None:
        y = y.mul_(out_scale[:, :, None, None].to(y.dtype))
    return y if bias is None else y.add_(bias[:, None, None])


def _convolved(x: Tensor, weight: Tensor, up: BinomialFilter | None, bias: Tensor | None) -> Tensor:
    if up is None:
        return conv2d_same(x, weight, bias)
    return up(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), bias)


def _normalized(weight: Tensor) -> Tensor:
    """Each output's kernel divided by the largest sum that its largest weight allows."""
    largest = weight.abs().amax((1, 2, 3), keepdim=True)
    return weight / (largest * math.sqrt(weight.shape[1:].numel()))


def _kernel_energy(weight: Tensor, transposed: bool) -> Tensor:
    """Summed squares of the kernels of a weight [O, I, k, k]: [O, I]."""
    # Summed in memory order: ten times slower otherwise.
    if transposed:
        return weight.transpose(0, 1).square().sum((2, 3)).t()
    return weight.square().sum((2, 3))
