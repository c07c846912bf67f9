"""Which pixels hang together with the image's corner?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

# Rounds of `_propagate`. The labels' reach about doubles a round; the longest corridors that fit
# in 256 x 256 pixels (spirals, serpentines, perfect mazes) settle within 16.
_ROUNDS = 24


def connected_to_corner(passable: Tensor) -> Tensor:
    """bool [B, H, W] -> bool [B, H, W]: 4-connected to pixel (0, 0) through passable pixels.

    The corner itself always counts as passable.
    """
    passable = passable.clone()
    passable[:, 0, 0] = True
    if passable.device.type == "cpu":
        labels = [torch.from_numpy(ndimage.label(image)[0]) for image in passable.numpy()]
        return torch.stack([image == image[0, 0] for image in labels])
    return _propagate(passable)


def _propagate(passable: Tensor) -> Tensor:
    """The same on any device, without reading a value back.

    Connected components by FastSV (Zhang, Azad and Hu 2020): every pixel holds a parent; pixels
    and their parents hook to the least grandparent next door, then skip a generation. The corner
    has the least label of its image, so its component ends up with that label.
    """
    walls = passable.numel()
    label = torch.arange(walls, device=passable.device).view_as(passable)
    parent = F.pad(torch.where(passable, label, walls).flatten(), (0, 1), value=walls)
    grandparent = parent
    for _ in range(_ROUNDS):
        around = F.pad(grandparent[:-1].view_as(passable), (1, 1, 1, 1), value=walls)
        beside = torch.minimum(around[:, 1:-1, :-2], around[:, 1:-1, 2:])
        above = torch.minimum(around[:, :-2, 1:-1], around[:, 2:, 1:-1])
        least = torch.where(passable, torch.minimum(beside, above), walls).flatten()
        hooked = parent.scatter_reduce(0, parent[:-1], least, "amin")
        hooked[:-1] = torch.minimum(torch.minimum(hooked[:-1], least), grandparent[:-1])
        hooked[-1] = walls
        parent, grandparent = hooked, hooked[hooked]
    return grandparent[:-1].view_as(passable) == label[:, :1, :1]
