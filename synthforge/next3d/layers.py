"""StyleGAN2's layers (Karras et al. 2020), with Next3D's parameter names.

Every layer computes in the dtype of the feature map it is given; styles, demodulation and skip
images stay float32. Feature maps are [B, C, H, W], channels-last in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

_LRELU_SLOPE = 0.2
# Keeps the second moment after a leaky ReLU (StyleGAN2's "lrelu_def_gain").
_LRELU_GAIN = math.sqrt(2)
_EPS = 1e-8

# What was made of weights alone. Per weight: addresses and versions of all that it was made of, and
# what was made, by name.
_kept: WeakIdKeyDictionary = WeakIdKeyDictionary()


def _once(sources: tuple[Tensor, ...], name: object, make: Callable[[], Tensor]) -> Tensor:
    """`make()`, which depends on the sources alone. Kept with the first until one changes.

    Not while compiling, and not of inference tensors, which have no version.
    """
    if torch.compiler.is_compiling() or any(t.is_inference() or t.requires_grad for t in sources):
        return make()
    state = [(source.data_ptr(), source._version) for source in sources]
    kept: dict[object, Any] = _kept.setdefault(sources[0], {})
    if name not in kept or kept[name][0] != state:
        with torch.inference_mode(False), torch.no_grad():  # gradients may flow past it later
            kept[name] = state, make()
    return kept[name][1]


def _cast(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight in that dtype; kept, where that is another."""
    if weight.dtype == dtype:
        return weight
    return _once((weight,), dtype, lambda: weight.to(dtype))


def _parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape), requires_grad=False)


def _kernel(outputs: int, inputs: int, size: int, *, transposed: bool = False) -> nn.Parameter:
    """[outputs, inputs, size, size], in the memory layout that its convolution reads."""
    first, second = (inputs, outputs) if transposed else (outputs, inputs)
    weight = torch.empty(first, second, size, size, memory_format=torch.channels_last)
    return nn.Parameter(weight.transpose(0, 1) if transposed else weight, requires_grad=False)


def second_moment_normalize(x: Tensor) -> Tensor:
    """Scale every row of x [B, C] to a mean square of 1."""
    return x * (x.square().mean(1, keepdim=True) + _EPS).rsqrt()


def leaky_relu_(x: Tensor) -> Tensor:
    """In place, without its gain, which callers fold into the convolution before it."""
    return F.leaky_relu_(x, _LRELU_SLOPE)


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
        kernel = _cast(self.kernel, x.dtype)
        return F.conv2d(x, kernel, bias, self.stride, self.padding, groups=len(kernel))


def _conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
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


class FullyConnected(nn.Module):
    """Linear layer with equalised learning rate, optionally with leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, *, lr_mul: float = 1.0, lrelu: bool = False):
        super().__init__()
        self.weight = _parameter(outputs, inputs)
        self.bias = _parameter(outputs)
        self.lr_mul = lr_mul
        self.lrelu = lrelu

    @property
    def scaled_weight(self) -> Tensor:
        return self.weight * (self.lr_mul / math.sqrt(self.weight.shape[1]))

    @property
    def scaled_bias(self) -> Tensor:
        return self.bias if self.lr_mul == 1 else self.bias * self.lr_mul

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs] -> [B, outputs]"""
        gain = self.lr_mul / math.sqrt(self.weight.shape[1])
        y = F.linear(x * gain, self.weight, self.scaled_bias)
        return leaky_relu_(y) * _LRELU_GAIN if self.lrelu else y


class Conv2d(nn.Module):
    """Convolution with equalised learning rate, optional halving, optional leaky ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        bias: bool = True,
        down: bool = False,
        lrelu: bool = False,
    ):
        super().__init__()
        self.weight = _kernel(outputs, inputs, kernel)
        self.bias = _parameter(outputs) if bias else None
        self.blur = BinomialFilter(inputs, padding=2) if down else None
        self.lrelu = lrelu

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W], or half that size if `down`."""
        gain = _LRELU_GAIN if self.lrelu else 1.0
        weight = _scaled(self.weight, gain / math.sqrt(self.weight.shape[1:].numel()), x.dtype)
        bias = None if self.bias is None else _scaled(self.bias, gain, x.dtype)
        if self.blur is None:
            y = _conv2d(x, weight, bias)
        else:
            y = F.conv2d(self.blur(x), weight, bias, stride=2)
        return leaky_relu_(y) if self.lrelu else y


def _scaled(weight: Tensor, gain: float, dtype: torch.dtype) -> Tensor:
    """The weight times a gain. Kept in half precision; in float32 that would double its memory."""
    if dtype == weight.dtype:
        return weight * gain
    return _once((weight,), (dtype, gain), lambda: (weight * gain).to(dtype))


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
        energy = _once(
            (weight,),
            ("energy", normalize),
            lambda: _kernel_energy(_normalized(weight) if normalize else weight, up is not None),
        )
        out_scale = gain * (F.linear(styles.square(), energy) + _EPS).rsqrt()
    elif gain != 1:
        out_scale = styles.new_full((len(styles), len(weight)), gain)
    bias = None if bias is None else _cast(bias, x.dtype)

    if len(styles) == 1:
        scale = styles if out_scale is None else out_scale.t() * styles
        if up is not None:
            scale = scale.t().contiguous().t()
        weight = _normalized(weight) if normalize else weight
        weight = (weight * scale[:, :, None, None]).to(x.dtype)
        return _convolved(x, weight, up, bias)

    x = x * styles[:, :, None, None].to(x.dtype)
    if normalize:
        shared = _once((weight,), (x.dtype, "unit"), lambda: _normalized(weight).to(x.dtype))
    else:
        shared = _cast(weight, x.dtype)
    y = _convolved(x, shared, up, None)
    if out_scale is not None:
        y = y.mul_(out_scale[:, :, None, None].to(y.dtype))
    return y if bias is None else y.add_(bias[:, None, None])


def _convolved(x: Tensor, weight: Tensor, up: BinomialFilter | None, bias: Tensor | None) -> Tensor:
    if up is None:
        return _conv2d(x, weight, bias)
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


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, fixed noise, bias and leaky ReLU."""

    noise_strength: nn.Parameter
    noise_const: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        resolution: int,
        w_dim: int,
        *,
        up: bool = False,
        noise: bool = True,
        clamp: float | None = None,
    ):
        super().__init__()
        self.weight = _kernel(outputs, inputs, 3, transposed=up)
        self.bias = _parameter(outputs)
        self.affine = FullyConnected(w_dim, inputs)
        if noise:
            self.noise_strength = _parameter()
            self.register_buffer("noise_const", torch.empty(resolution, resolution))
        self.noise = noise
        self.up = doubling_filter(outputs) if up else None
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [B, inputs, h, h], w [B, w_dim] -> [B, outputs, resolution, resolution]"""
        bias = _once((self.bias,), x.dtype, lambda: (self.bias * _LRELU_GAIN).to(x.dtype))
        y = modulated_conv2d(x, self.weight, self.affine(w), bias, up=self.up, gain=_LRELU_GAIN)
        if self.noise:
            y = y.add_(self._noise(y.dtype))
        y = leaky_relu_(y)
        return y if self.clamp is None else y.clamp_(-self.clamp, self.clamp)

    def _noise(self, dtype: torch.dtype) -> Tensor:
        """[resolution, resolution]"""
        return _once(
            (self.noise_strength, self.noise_const),
            dtype,
            lambda: (self.noise_const * (self.noise_strength * _LRELU_GAIN)).to(dtype),
        )


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to the skip image."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, *, clamp: float | None = None):
        super().__init__()
        self.weight = _kernel(outputs, inputs, 1)
        self.bias = _parameter(outputs)
        self.affine = FullyConnected(w_dim, inputs)
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [B, inputs, r, r], w [B, w_dim] -> float32 [B, outputs, r, r]"""
        styles = self.affine(w) / math.sqrt(self.weight.shape[1])
        y = modulated_conv2d(x, self.weight, styles, self.bias, demodulate=False)
        y = y if self.clamp is None else y.clamp_(-self.clamp, self.clamp)
        return y.float()


class SynthesisBlock(nn.Module):
    """The layers of one resolution, and their share of the skip image.

    Without `inputs` it is a network's first block, which starts from a learned constant.
    """

    def __init__(
        self,
        inputs: int | None,
        channels: int,
        resolution: int,
        image_channels: int,
        w_dim: int,
        *,
        noise: bool = True,
        clamp: float | None = None,
    ):
        super().__init__()
        if inputs is None:
            self.const = _parameter(channels, resolution, resolution)
        else:
            self.conv0 = SynthesisLayer(
                inputs, channels, resolution, w_dim, up=True, noise=noise, clamp=clamp
            )
        self.conv1 = SynthesisLayer(channels, channels, resolution, w_dim, noise=noise, clamp=clamp)
        self.torgb = ToRGB(channels, image_channels, w_dim, clamp=clamp)

    def forward(self, x: Tensor, image: Tensor | None, ws: list[Tensor]) -> tuple[Tensor, Tensor]:
        """One w [B, w_dim] a layer, in order. Returns features and the skip image, float32."""
        if len(ws) == 3:
            x = self.conv0(x, ws[0])
        x = self.conv1(x, ws[-2])
        rgb = self.torgb(x, ws[-1])
        return x, rgb if image is None else rgb.add_(upsample2d(image))
