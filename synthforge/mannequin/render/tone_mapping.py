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
from synthforge.mannequin.render.jpeg import compressed
from synthforge.mannequin.render.maps import blurred, doubled
from synthforge.mannequin.render.scene import Scene

_GRAIN_SIZE = 640
# Sigma of the camera's own smoothing, pixels: of colour, and of coarse grain.
_COARSE = 1.2
# Pivot of the contrast.
_MIDDLE = 0.45
# A camera makes up for this share of what skin's albedo lacks of fair skin's.
_METERED, _FAIR = 0.5, 0.28


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
