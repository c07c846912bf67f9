"""From scene-linear light to the image: exposure, white balance, tone curve, blur, grain, JPEG."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.draws import RGB
from synthforge.mannequin.kernels import run
from synthforge.mannequin.kernels.film import expose, finish
from synthforge.mannequin.render.maps import blurred, doubled
from synthforge.mannequin.render.scene import Scene

_GRAIN_SIZE = 640
# Sigma of the camera's own smoothing, pixels: of colour, and of coarse grain.
_COARSE = 1.2
# Pivot of the contrast.
_MIDDLE = 0.45
# A camera makes up for this share of what skin's albedo lacks of fair skin's.
_METERED, _FAIR = 0.5, 0.28
# JPEG's block, and its orthonormal DCT-II (Ahmed et al. 1974): row by frequency, column by place.
_BLOCK = 8
_DCT = torch.tensor([
    [
        math.sqrt((2 if k else 1) / _BLOCK) * math.cos(math.pi * k * (2 * n + 1) / (2 * _BLOCK))
        for n in range(_BLOCK)
    ]
    for k in range(_BLOCK)
])  # fmt: skip


@functools.cache
def _grain(coarse: bool) -> Tensor:
    """float32 [3, G, G], unit variance, mostly shared by the channels; coarse: in soft blots."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(4, _GRAIN_SIZE, _GRAIN_SIZE, generator=generator, dtype=torch.float64)
    noise = noise.float()
    if coarse:
        # A Gaussian of sigma leaves 1 / (2 sqrt(pi) sigma) of the deviation.
        noise = blurred(noise, _COARSE) * (2 * math.sqrt(math.pi) * _COARSE)
    return 0.8 * noise[:1] + 0.6 * noise[1:]


def tone_map(scene: Scene, linear: Tensor) -> Tensor:
    """Scene-linear RGB [3, H, W] -> image [3, H, W] in [-1, 1]. H and W: multiples of 32."""
    if not scene.small:
        return _developed(scene, linear)
    image = _developed(scene, F.avg_pool2d(linear, 2))
    return doubled(compressed(image, scene.compression / 128)).clamp_(-1, 1)


def _developed(scene: Scene, linear: Tensor) -> Tensor:
    """`tone_map` at the camera's resolution."""
    _, height, width = linear.shape
    balance = torch.tensor(scene.white_balance)[:, None, None]
    image = blurred(linear * (balance * exposure(scene)), scene.blur)
    luma = torch.empty(height, width)
    run(expose, image, scene.vignette, luma)
    # Cameras sharpen what is light and dark, and store colour more coarsely.
    image = blurred(image, _COARSE)
    span = _GRAIN_SIZE - height + 1
    top, left = scene.seed % span, scene.seed // 1024 % span
    grain = _grain(scene.coarse_grain)[:, top : top + height, left : left + width]
    run(
        finish, image, luma, grain, scene.seed // 7 % height, scene.grain, scene.saturation,
        scene.sharpening, scene.contrast, _MIDDLE,
    )  # fmt: skip
    return image


def metered(scene: Scene, skin: RGB) -> Scene:
    """`scene` as a camera exposes it for a face: longer, the darker the skin (linear RGB) is."""
    lacking = max(0.0, math.log(_FAIR * 3 / sum(skin)))
    return replace(scene, exposure=scene.exposure * math.exp(_METERED * lacking))


def exposure(scene: Scene) -> float:
    """Image value of a radiance of 1: automatic, by the light."""
    ambient = sum(scene.surroundings.facing) / 3
    # By how much a light comes from the camera's side. Not less for one from the side, or pale skin
    # that faces it would be white.
    key = (0.45 + 0.35 * max(0.0, scene.key.direction[2])) * sum(scene.key.color) / 3
    fill = sum(max(0.0, f.direction[2]) ** 2 * sum(f.color) / 3 for f in scene.fills)
    return scene.exposure * 0.775 / (ambient + fill + key)


def compressed(image: Tensor, step: float) -> Tensor:
    """What JPEG leaves of RGB [3, H, W], H and W multiples of 16; chroma at half the resolution.

    step: luma's quantum of lowest frequency.
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
