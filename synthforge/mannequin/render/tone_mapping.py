"""From scene-linear light to the image: exposure, white balance, tone curve, blur, grain, JPEG."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.render.arithmetic import steps
from synthforge.mannequin.render.jpeg import compressed
from synthforge.mannequin.render.maps import blurred, doubled
from synthforge.mannequin.render.scene import Scene

_GRAIN_SIZE = 640
# Sigma of the camera's own smoothing, pixels: of colour, and of coarse grain.
_COARSE = 1.2
_LUMA = (0.30, 0.59, 0.11)
# Pivot of the contrast.
_MIDDLE = 0.45


@functools.cache
def _grain(device: torch.device | str, coarse: bool) -> Tensor:
    """float32 [3, G, G], unit variance, mostly shared by the channels; coarse: in soft blots."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(4, _GRAIN_SIZE, _GRAIN_SIZE, generator=generator, dtype=torch.float64)
    noise = noise.float()
    if coarse:
        # A Gaussian of sigma leaves 1 / (2 sqrt(pi) sigma) of the deviation.
        noise = blurred(noise, _COARSE) * (2 * math.sqrt(math.pi) * _COARSE)
    return (0.8 * noise[:1] + 0.6 * noise[1:]).to(device)


def tone_map(scene: Scene, linear: Tensor) -> Tensor:
    """Scene-linear RGB [3, H, W] -> image [3, H, W] in [-1, 1]. H and W: multiples of 32."""
    if not scene.small:
        return _developed(scene, linear)
    image = _developed(scene, F.avg_pool2d(linear, 2))
    return doubled(compressed(image, scene.compression / 128)).clamp_(-1, 1)


def _developed(scene: Scene, linear: Tensor) -> Tensor:
    """`tone_map` at the camera's resolution."""
    like = linear.new_tensor
    _, height, width = linear.shape
    balance = like(scene.white_balance)[:, None, None]
    image = blurred(linear * (balance * exposure(scene)), scene.blur)
    ys, xs = (steps(-1, 1, size, linear.device) for size in (height, width))
    image *= 1 - scene.vignette * 0.5 * (xs * xs + (ys * ys)[:, None])
    image = _srgb(_tone_curve(image))
    # Cameras sharpen what is light and dark, and store colour more coarsely.
    luma, soft = _luma(image), blurred(image, _COARSE)
    soft_luma = _luma(soft)
    image = (soft - soft_luma) * scene.saturation
    image += luma + (luma - soft_luma) * scene.sharpening
    image = (image - _MIDDLE) * scene.contrast + _MIDDLE
    span = _GRAIN_SIZE - height + 1
    top, left = scene.seed % span, scene.seed // 1024 % span
    grain = _grain(linear.device, scene.coarse_grain)[:, top : top + height, left : left + width]
    # Grain shows in the shadows.
    image += torch.roll(grain, scene.seed // 7 % height, 1) * (scene.grain * (1.2 - 0.7 * luma))
    return image.mul_(2).sub_(1).clamp_(-1, 1)


def exposure(scene: Scene) -> float:
    """Image value of a radiance of 1: automatic, reads the light and not the person."""
    ambient = sum(scene.surroundings.facing) / 3
    # By how much a light comes from the camera's side. Not less for one from the side, or pale skin
    # that faces it would be white.
    key = (0.45 + 0.35 * max(0.0, scene.key.direction[2])) * sum(scene.key.color) / 3
    fill = sum(max(0.0, f.direction[2]) ** 2 * sum(f.color) / 3 for f in scene.fills)
    return scene.exposure * 0.775 / (ambient + fill + key)


def _tone_curve(x: Tensor) -> Tensor:
    """Filmic toe and shoulder, Narkowicz 2015, "ACES filmic tone mapping curve"."""
    return (x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)).clamp_(0, 1)


def _luma(image: Tensor) -> Tensor:
    red, green, blue = image
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def _srgb(x: Tensor) -> Tensor:
    """Linear -> sRGB (IEC 61966-2-1), both in [0, 1].

    The power 1 / 2.4 by square roots, least squares: within 6e-5, a 60th of an 8-bit level.
    """
    half = torch.sqrt(x)
    quarter = torch.sqrt(half)
    eighth = torch.sqrt(quarter)
    curve = 0.64455688 * half + 0.7099509 * quarter - 0.33605409 * eighth - 0.01848497 * x
    return torch.where(x < 0.0031308, 12.92 * x, curve)
