"""What is behind the person, out of focus: photographed or painted."""

from __future__ import annotations

import torch
from torch import Tensor

from synthforge.mannequin.render.arithmetic import mean, steps
from synthforge.mannequin.render.maps import blurred, defocused, resized
from synthforge.mannequin.render.scene import Scene
from synthforge.mannequin.render.tone_mapping import exposure

_SIZE = 128
_SIZE_OF_PHOTOGRAPHS = 256
# Of a photographed backdrop, on the image before the tone curve.
_BRIGHTEST = 4.0


def background(scene: Scene, size: int) -> Tensor:
    """Scene-linear RGB [3, size, size]."""
    if scene.backdrop == "place":
        place = scene.surroundings
        sharp = place.view(_SIZE_OF_PHOTOGRAPHS)
        image = defocused(sharp, place.defocus * _SIZE_OF_PHOTOGRAPHS)
        # Brighter than this would eat the edges of what is before it.
        return resized(image, size, size).clamp_(0, _BRIGHTEST / exposure(scene))
    image = _room(scene)
    image *= scene.backdrop_brightness * scene.exposure / exposure(scene)
    return resized(image, size, size).clamp_(0)


def _room(scene: Scene) -> Tensor:
    """A wall; of a room with shelves, door frames and at last a window as soft rectangles."""
    generator = torch.Generator().manual_seed(scene.seed)
    colors, furniture = torch.tensor(scene.backdrop_colors), 14 if scene.backdrop == "room" else 0
    axis = steps(-1, 1, _SIZE)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    wall = 0.5 * colors[0] + 0.5 * mean(colors[0], 0)
    uneven = resized(torch.rand(1, 5, 5, generator=generator), _SIZE, _SIZE)[0].clamp_(0, 1)
    image = wall[:, None, None] * (0.5 + 0.6 * uneven)
    for k in range(furniture):
        cx, cy, w, h, tone = torch.rand(5, generator=generator).unbind()
        inside = ((x - 2.2 * cx + 1.1).abs() < 0.06 + 0.45 * w**2) & (
            (y - 2.2 * cy + 1.1).abs() < 0.08 + 0.8 * h**2
        )
        color = colors[1 + k % 4] * (0.25 + 1.4 * tone**2)
        if k == furniture - 1:
            color = torch.tensor([1.6, 1.7, 1.8]) * (0.3 + tone)
        image = torch.where(inside, color[:, None, None], image)
    return blurred(image, 2.2 + 4.5 * float(torch.rand(1, generator=generator)))
