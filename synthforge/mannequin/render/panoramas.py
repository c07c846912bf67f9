"""Photographed surroundings: 18 panoramas of Poly Haven (CC0), baked by tools/bake_panoramas.py."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_FILE = Path(__file__).with_name("panoramas.npz")


@dataclass(frozen=True)
class Panorama:
    """One place. The mean radiance over the sphere is 1 before its strongest light was cut out.

    radiance: float32 [1, 3, H, W], linear RGB; rows from the zenith down; the middle column lies at
        -z, columns run to +x (x right, y up).
    key_direction: unit vector towards the strongest light. key_irradiance: linear RGB that it
        brings to a surface facing it. key_spread_rad: its size as seen from the person.
    """

    name: str
    radiance: Tensor
    key_direction: tuple[float, float, float]
    key_irradiance: tuple[float, float, float]
    key_spread_rad: float


@functools.cache
def panoramas() -> tuple[Panorama, ...]:
    """All, on the CPU."""
    with np.load(_FILE) as data:
        rgbe = torch.from_numpy(data["rgbe"])
        scale = torch.exp2(rgbe[..., 3:].float() - 128 - 8)
        radiance = ((rgbe[..., :3].float() + 0.5) * scale).permute(0, 3, 1, 2).contiguous()
        return tuple(
            Panorama(str(name), radiance[i : i + 1], tuple(towards), tuple(light), float(spread))
            for i, (name, towards, light, spread) in enumerate(
                zip(
                    data["names"],
                    data["key_direction"].tolist(),
                    data["key_irradiance"].tolist(),
                    data["key_spread_rad"],
                    strict=True,
                )
            )
        )


def look_up(radiance: Tensor, directions: Tensor) -> Tensor:
    """Light from directions [N, 3] of the panorama's axes, by bilinear interpolation: [N, 3]."""
    x, y, z = directions.unbind(-1)
    column = torch.atan2(x, -z) / math.pi
    row = torch.atan2(-y, torch.sqrt(x * x + z * z)) * (2 / math.pi)
    width = radiance.shape[-1]
    # One column more on either side, so that the seam is no border.
    wrapped = F.pad(radiance, (1, 1, 0, 0), mode="circular")
    grid = torch.stack([column * (width / (width + 2)), row], -1)[None, None]
    return F.grid_sample(wrapped, grid, align_corners=False, padding_mode="border")[0, :, 0].T
