"""The camera's film: exposure, white balance, tone curve, softness, vignette and grain."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.scene import Scene

_GRAIN_SIZE = 640
_LUMA = (0.30, 0.59, 0.11)
# Pivot of the contrast.
_MIDDLE = 0.45


@functools.cache
def _grain(device: torch.device | str) -> Tensor:
    """float32 [3, G, G], unit variance, mostly shared by the channels."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(4, _GRAIN_SIZE, _GRAIN_SIZE, generator=generator)
    return (0.8 * noise[:1] + 0.6 * noise[1:]).to(device)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """[3, H, W], Gaussian."""
    offsets = torch.arange(-3, 4, device=image.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    stack = F.pad(image[:, None], (3, 3, 3, 3), mode="replicate")
    return F.conv2d(F.conv2d(stack, kernel), kernel.transpose(2, 3))[:, 0]


def develop(scene: Scene, linear: Tensor) -> Tensor:
    """Scene-linear RGB [3, H, W] -> picture [3, H, W] in [-1, 1]."""
    like = linear.new_tensor
    _, height, width = linear.shape
    balance = like(scene.white_balance)[:, None, None]
    image = _blurred(linear * (_exposure(scene) * balance), scene.blur)
    ys = torch.linspace(-1, 1, height, device=linear.device)[:, None]
    xs = torch.linspace(-1, 1, width, device=linear.device)
    image = image * (1 - scene.vignette * 0.5 * (xs * xs + ys * ys))
    image = _srgb(_tone_curve(image))
    luma = (image * like(_LUMA)[:, None, None]).sum(0, keepdim=True)
    image = luma + (image - luma) * scene.saturation
    image = (image - _MIDDLE) * scene.contrast + _MIDDLE
    span = _GRAIN_SIZE - height + 1
    top, left = scene.seed % span, scene.seed // 1024 % span
    grain = _grain(linear.device)[:, top : top + height, left : left + width]
    # Grain shows in the shadows.
    image = image + torch.roll(grain, scene.seed // 7 % height, 1) * (
        scene.grain * (1.2 - 0.7 * luma)
    )
    return (image * 2 - 1).clamp(-1, 1)


def _exposure(scene: Scene) -> float:
    """An automatic exposure that reads the light, not the person."""
    key, fill = sum(scene.key.color) / 3, sum(scene.fills[0].color) / 3
    ambient = (sum(scene.sky) + sum(scene.ground)) / 6 + 0.35 * fill
    return scene.exposure * 0.775 / (ambient + 0.62 * key)


def _tone_curve(x: Tensor) -> Tensor:
    """Filmic toe and shoulder, Narkowicz 2015, "ACES filmic tone mapping curve"."""
    return (x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)).clamp(0, 1)


def _srgb(x: Tensor) -> Tensor:
    """Linear -> sRGB (IEC 61966-2-1), both in [0, 1]."""
    return torch.where(x < 0.0031308, 12.92 * x, 1.055 * x.clamp(min=1e-6) ** (1 / 2.4) - 0.055)
