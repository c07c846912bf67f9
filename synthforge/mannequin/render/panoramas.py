"""What surrounds the person: light from every direction, from photographs.

18 panoramas of Poly Haven (CC0), baked by tools/bake_panoramas.py.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flame_pytorch.lbs import fixed_order_sum
from synthforge.mannequin.draws import RGB
from synthforge.mannequin.kernels import filled
from synthforge.mannequin.kernels.maps import look
from synthforge.mannequin.render.arithmetic import cosine, dot, sine, steps, turned, weighted_sum

_FILE = Path(__file__).with_name("panoramas.npz")
# Rows of the blurred map.
_SOFT_HEIGHT = 16

Vector = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Panorama:
    """One place. The mean radiance over the sphere is 1 before its strongest light was cut out.

    radiance: float32 [3, H, W], linear RGB; rows from the zenith down; the middle column lies at
        -z, columns run to +x (x right, y up).
    key_direction: unit vector towards the strongest light. key_irradiance: linear RGB that it
        brings to a surface facing it. key_spread_rad: its size as seen from the person.
    """

    name: str
    radiance: Tensor
    key_direction: Vector
    key_irradiance: RGB
    key_spread_rad: float

    @functools.cached_property
    def reflected(self) -> Tensor:
        """Radiance averaged over squares of 16 pixels, float32 [3, H / 4, W / 4]."""
        return F.avg_pool2d(self.radiance, 4)

    @functools.cached_property
    def soft(self) -> Tensor:
        """Radiance averaged over lobes of 10 degrees standard deviation, float32 [3, h, w].

        Smooth enough to be summed over the 96 directions of occlusion.py.
        """
        small = F.avg_pool2d(self.reflected, 2)
        height, width = small.shape[1:]
        source, towards = pixel_directions(height), pixel_directions(_SOFT_HEIGHT)
        lobe = dot(source.flatten(1)[..., None], towards.flatten(1)[:, None], 0).clamp_(min=0)
        for _ in range(5):
            lobe *= lobe
        lobe *= solid_angles(height).expand(-1, width).reshape(-1, 1)
        light = weighted_sum(lobe, small.flatten(1).T) / fixed_order_sum(lobe, 0)
        return light.view(3, _SOFT_HEIGHT, -1)

    def light_on(self, normal: Vector) -> RGB:
        """Radiance of a uniform sphere that would light a surface as this one does, without key."""
        towards = pixel_directions(_SOFT_HEIGHT)
        cosines = dot(towards, towards.new_tensor(normal)[:, None, None], 0).clamp_(min=0)
        weight = (cosines * solid_angles(_SOFT_HEIGHT)).flatten()[:, None]
        light = weighted_sum(weight, self.soft.flatten(1).T) / fixed_order_sum(weight, 0)
        r, g, b = light[:, 0].tolist()
        return r, g, b


@dataclass(frozen=True)
class Place:
    """A panorama around the person, turned, and how the camera sees what is behind.

    Directions are in viewer axes: x right, y up, z to the viewer.

    rotation: rows, viewer axes to the panorama's.
    half_width: of the image plane at distance 1. defocus: radius of a blurred point, in image
    widths.
    """

    panorama: Panorama
    rotation: tuple[Vector, Vector, Vector]
    half_width: float
    defocus: float

    @functools.cached_property
    def facing(self) -> RGB:
        """Radiance of a uniform sphere that lights a surface facing the camera alike, no key."""
        (_, _, x), (_, _, y), (_, _, z) = self.rotation
        return self.panorama.light_on((x, y, z))

    @functools.cached_property
    def behind(self) -> RGB:
        """As `facing`, of a surface that faces away."""
        (_, _, x), (_, _, y), (_, _, z) = self.rotation
        return self.panorama.light_on((-x, -y, -z))

    @property
    def key_direction(self) -> Vector:
        """Unit vector towards the panorama's strongest light."""
        key = self.panorama.key_direction
        x, y, z = (
            sum(row[k] * along for row, along in zip(self.rotation, key, strict=True))
            for k in range(3)
        )
        return x, y, z

    def radiance(self, directions: Tensor) -> Tensor:
        """Linear RGB [N, 3] from directions [N, 3]; blurred, so that few stand for all."""
        return self._seen(self.panorama.soft, directions)

    def reflected(self, directions: Tensor) -> Tensor:
        """As `radiance`, as sharp as an eye mirrors it."""
        return self._seen(self.panorama.reflected, directions)

    def view(self, size: int) -> Tensor:
        """What is behind the person, in focus: linear RGB [3, size, size]."""
        axis = steps(-self.half_width, self.half_width, size)
        down, right = torch.meshgrid(axis, axis, indexing="ij")
        directions = torch.stack([right, -down, torch.full_like(right, -1.0)], -1)
        return self._seen(self.panorama.radiance, directions.view(-1, 3)).T.view(3, size, size)

    def _seen(self, light: Tensor, directions: Tensor) -> Tensor:
        return look_up(light, turned(directions.new_tensor(self.rotation), directions))


@functools.cache
def panoramas() -> tuple[Panorama, ...]:
    """All, on the CPU."""
    with np.load(_FILE) as data:
        rgbe = data["rgbe"].astype(np.int32)
        radiance = np.ldexp((rgbe[..., :3] + 0.5).astype(np.float32), rgbe[..., 3:] - 136)
        maps = torch.from_numpy(np.ascontiguousarray(np.moveaxis(radiance, 3, 1)))
        return tuple(
            Panorama(str(name), radiance, tuple(towards), tuple(light), float(spread))
            for name, radiance, towards, light, spread in zip(
                data["names"],
                maps,
                data["key_direction"].tolist(),
                data["key_irradiance"].tolist(),
                data["key_spread_rad"],
                strict=True,
            )
        )


def look_up(radiance: Tensor, directions: Tensor) -> Tensor:
    """Light [N, 3] of a map [3, H, W] from directions [N, 3] of its axes, not all zero.

    Bilinear; the seam behind is no border.
    """
    return filled(look, directions.shape, radiance.contiguous(), directions.contiguous())


@functools.cache
def pixel_directions(height: int) -> Tensor:
    """Unit vectors of the pixels of a map, float32 [3, height, 2 * height]."""
    elevation = _elevations(height)
    azimuth = ((torch.arange(2 * height) + 0.5) / height - 1) * math.pi
    level, y = cosine(elevation), sine(elevation).expand(-1, 2 * height)
    return torch.stack([sine(azimuth) * level, y, -cosine(azimuth) * level])


def solid_angles(height: int) -> Tensor:
    """Of the pixels of each row of a map, steradians: float32 [height, 1]."""
    return cosine(_elevations(height)) * (math.pi / height) ** 2


def _elevations(height: int) -> Tensor:
    return ((0.5 - (torch.arange(height) + 0.5) / height) * math.pi)[:, None]
