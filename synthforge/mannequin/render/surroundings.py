"""What surrounds the person: light from every direction, from photographs."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.draws import RGB
from synthforge.mannequin.render.arithmetic import steps, turned
from synthforge.mannequin.render.panoramas import Panorama, look_up

# Directions and positions are in viewer axes: x right, y up, z to the viewer.
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Place:
    """A panorama around the person, turned, and how the camera sees what is behind.

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
        return self.panorama.light_on(self._towards_camera(1.0))

    @functools.cached_property
    def behind(self) -> RGB:
        """As `facing`, of a surface that faces away."""
        return self.panorama.light_on(self._towards_camera(-1.0))

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
        rotation = directions.new_tensor(self.rotation)
        return look_up(light, turned(rotation, directions))

    def _towards_camera(self, sign: float) -> Vector:
        (_, _, x), (_, _, y), (_, _, z) = self.rotation
        return sign * x, sign * y, sign * z
