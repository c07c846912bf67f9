"""The camera's film: exposure, white balance, tone curve, softness, vignette and grain."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.scene import Scene

_GRAIN_SIZE = 640


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
    key = sum(scene.key.color) / 3
    ambient = (sum(scene.sky) + sum(scene.ground)) / 6 + 0.35 * sum(scene.fills[0].color) / 3
    # An automatic exposure that reads the light, not the person.
    exposure = scene.exposure * 1.25 / (ambient + 0.62 * key)
    balance = like(scene.white_balance)
    image = _blurred(linear * (exposure * balance)[:, None, None], scene.blur)
    ys = torch.linspace(-1, 1, height, device=linear.device)[:, None]
    xs = torch.linspace(-1, 1, width, device=linear.device)
    image = image * (1 - scene.vignette * 0.5 * (xs * xs + ys * ys))
    # Filmic toe and shoulder (Narkowicz 2015, "ACES filmic tone mapping curve").
    image = image * 0.62
    image = image * (2.51 * image + 0.03) / (image * (2.43 * image + 0.59) + 0.14)
    image = image.clamp(0, 1)
    image = torch.where(
        image < 0.0031308, 12.92 * image, 1.055 * image.clamp(min=1e-6) ** (1 / 2.4) - 0.055
    )
    luma = (image * like((0.30, 0.59, 0.11))[:, None, None]).sum(0, keepdim=True)
    image = luma + (image - luma) * scene.saturation
    image = (image - 0.45) * scene.contrast + 0.45
    span = _GRAIN_SIZE - height
    top, left = scene.seed % (span + 1), (scene.seed // 1024) % (span + 1)
    grain = _grain(linear.device)[:, top : top + height, left : left + width]
    grain = torch.roll(grain, (scene.seed // 7) % height, 1)
    image = image + grain * (scene.grain * (1.2 - 0.7 * luma))
    return (image * 2 - 1).clamp(-1, 1)
