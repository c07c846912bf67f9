"""StyleGAN2's layers (Karras et al. 2020), with Next3D's parameter names.

Every layer computes in the dtype of the feature map it is given; styles, demodulation and skip
images stay float32. Feature maps are [B, C, H, W], channels-last in memory.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synthforge.next3d.convolutions import (
    BinomialFilter,
    conv2d_same,
    doubling_filter,
    modulated_conv2d,
    upsample2d,
)
from synthforge.next3d.kept import once, scaled

_LRELU_SLOPE = 0.2
# Keeps the second moment after a leaky ReLU (StyleGAN2's "lrelu_def_gain").
_LRELU_GAIN = math.sqrt(2)
_EPS = 1e-8


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
        weight = scaled(self.weight, gain / math.sqrt(self.weight.shape[1:].numel()), x.dtype)
        bias = None if self.bias is None else scaled(self.bias, gain, x.dtype)
        if self.blur is None:
            y = conv2d_same(x, weight, bias)
        else:
            y = F.conv2d(self.blur(x), weight, bias, stride=2)
        return leaky_relu_(y) if self.lrelu else y


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
        bias = once((self.bias,), x.dtype, lambda: (self.bias * _LRELU_GAIN).to(x.dtype))
        y = modulated_conv2d(x, self.weight, self.affine(w), bias, up=self.up, gain=_LRELU_GAIN)
        if self.noise:
            y = y.add_(self._noise(y.dtype))
        y = leaky_relu_(y)
        return y if self.clamp is None else y.clamp_(-self.clamp, self.clamp)

    def _noise(self, dtype: torch.dtype) -> Tensor:
        """[resolution, resolution]"""
        return once(
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
