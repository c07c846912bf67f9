"""The posed head in its own frame, and the surfaces that keep hair outside the skin."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flame_pytorch.lbs import fixed_order_sum
from synthforge.mannequin.head.baked import Piece
from synthforge.mannequin.kernels import filled, run
from synthforge.mannequin.kernels.maps import keep_off_head, keep_off_trunk, read_around
from synthforge.mannequin.render.arithmetic import (
    cosine,
    dot,
    length,
    mean,
    sigmoid,
    sine,
    steps,
    turned,
)
from synthforge.mannequin.render.lighting import fit_rotation
from synthforge.mannequin.render.template import Template, template
from synthforge.mesh import unit
from synthforge.regions import REGION_ID

_MAP = (64, 128)
# The trunk's vertices lie below, on the template, and turn and scale together.
_TRUNK_Y = -0.19
# Rows of Shoulders.radius run from the jaw's angle to here; the axis stands here in depth.
_LOWEST_Y, _AXIS_Z = -0.36, -0.075
_TRUNK_MAP = (64, 64)


@dataclass(frozen=True)
class Frame:
    """A part of the body as it lies on the template: rotation [3, 3], origins [3], scale."""

    rotation: Tensor
    origin: Tensor
    origin_local: Tensor
    scale: Tensor

    @classmethod
    def of(cls, part: Tensor, posed: Tensor, rotation: Tensor) -> Frame:
        """The frame in which posed [N, 3] best lies on part [N, 3], given how it is turned."""
        origin, origin_local = mean(posed, 0), mean(part, 0)
        spread, spread_local = (
            fixed_order_sum(dot(points, points), 0)
            for points in (posed - origin, part - origin_local)
        )
        return cls(rotation, origin, origin_local, torch.sqrt(spread / spread_local))

    def to_local(self, points: Tensor) -> Tensor:
        """[..., 3] -> [..., 3]."""
        return turned(self.rotation.T, points - self.origin) / self.scale + self.origin_local

    def from_local(self, points: Tensor) -> Tensor:
        """[..., 3] -> [..., 3]."""
        return self.turned_from_local(points - self.origin_local) + self.origin

    def turned_from_local(self, offsets: Tensor) -> Tensor:
        """Differences of points, [..., 3]."""
        return turned(self.rotation * self.scale, offsets)


@dataclass(frozen=True)
class Head:
    """The posed head in a frame of its own, turned and scaled to the template's: where hair grows.

    Lengths in it are metres on a head of the template's size, so a child's hair is in proportion.
    frame: its pose in the generator's frame. vertices, normals: [V, 3].
    """

    frame: Frame
    vertices: Tensor
    normals: Tensor


def head_in_own_frame(vertices_gen: Tensor, normals_gen: Tensor, rotation: Tensor) -> Head:
    skull = template().skull
    frame = Frame.of(template().vertices[skull], vertices_gen[skull], rotation)
    return Head(frame, frame.to_local(vertices_gen), turned(rotation.T, normals_gen))


@dataclass(frozen=True)
class Scalp:
    """Radius of the head round its centre, by direction: keeps hair outside the skin.

    center: [3]; radius: [1, H, W] over polar angle (rows, from +y) and azimuth (from +z to +x).
    jaw_y: below it hair hangs past the neck.
    """

    center: Tensor
    radius: Tensor
    jaw_y: Tensor

    def at(self, direction: Tensor) -> Tensor:
        """[N, 3] unit -> [N]."""
        return filled(read_around, (len(direction),), self.radius[0], direction.contiguous())

    def keep_out(self, p: Tensor, layer: Tensor) -> tuple[Tensor, Tensor]:
        """Points [N, 3] at least `layer` [N] above the skin, and how far they stand off it: [N]."""
        moved, stand_off = p.clone(), torch.empty(len(p))
        center = torch.cat([self.center, self.jaw_y[None]])
        run(keep_off_head, self.radius[0], center, moved, layer, stand_off)
        return moved, stand_off * sigmoid((p[:, 1] - self.jaw_y) * 250)


@dataclass(frozen=True)
class Shoulders:
    """Radius of neck, shoulders and chest round a vertical axis: hair falls on them.

    frame: how the trunk lies in the head's frame. radius: [1, H, W] over height (rows, downwards)
    and azimuth (from +z to +x).
    """

    frame: Frame
    radius: Tensor
    jaw_y: Tensor

    def keep_out(self, p: Tensor, layer: Tensor) -> Tensor:
        """Points [N, 3] at least `layer` [N] off the skin, head frame."""
        moved, own = p.clone(), self.frame
        frame = torch.cat([own.rotation, own.origin[None], own.origin_local[None]])
        reach = torch.tensor([float(self.jaw_y), _LOWEST_Y, _AXIS_Z, float(own.scale)])
        run(keep_off_trunk, self.radius[0], frame, moved, layer, reach)
        return moved


def _center(template: Template) -> Tensor:
    skull = template.vertices[template.skull]
    top = skull[:, 1].amax()
    middle = (skull[:, 2].amax() + skull[:, 2].amin()) / 2
    return torch.stack([torch.zeros_like(top), top - 0.095, middle - 0.012])


def _jaw_y(head: Template) -> Tensor:
    """[], y of the jaw's angle: where the skull ends."""
    return head.landmarks[4, 1] + 0.01


@functools.cache
def _scalp_vertices(over_ears: bool) -> Tensor:
    """int64 [H * W]: the outermost vertex near each direction of Scalp.radius."""
    head = template()
    outer = (head.vertices[:, 1] > _jaw_y(head)) & (head.piece == Piece.SKIN)
    if not over_ears:
        ears = torch.tensor([REGION_ID["left_ear"], REGION_ID["right_ear"]])
        outer[head.faces[torch.isin(head.region, ears)].flatten()] = False
    offset = head.vertices[outer] - _center(head)
    own, radius = unit(offset), length(offset)
    azimuth = steps(-math.pi, math.pi, _MAP[1])
    best = []
    for polar in steps(0, math.pi, _MAP[0]):
        x, z = sine(polar) * sine(azimuth), sine(polar) * cosine(azimuth)
        towards = torch.stack([x, cosine(polar).expand_as(x), z], -1)[:, None]
        # The vertex at the smallest angle, but farther ones win by a little: ears, jaw.
        best.append((dot(towards, own) + 0.15 * radius).argmax(1))
    return torch.nonzero(outer).squeeze(1)[torch.cat(best)]


@functools.cache
def _shoulder_vertices() -> Tensor:
    """int64 [H * W]: the outermost vertex near each height and azimuth of Shoulders.radius."""
    head = template()
    outer = (head.vertices[:, 1] < _jaw_y(head)) & (head.piece == Piece.SKIN)
    x, y, z = head.vertices[outer].unbind(-1)
    z = z - _AXIS_Z
    radius = torch.sqrt(x * x + z * z)
    azimuth = steps(-math.pi, math.pi, _TRUNK_MAP[1])[:, None]
    along = sine(azimuth) * (x / radius) + cosine(azimuth) * (z / radius)
    best = [
        (along - ((height - y) / 0.1) ** 2 + 0.15 * radius).argmax(1)
        for height in steps(float(_jaw_y(head)), _LOWEST_Y, _TRUNK_MAP[0])
    ]
    return torch.nonzero(outer).squeeze(1)[torch.cat(best)]


def _smoothed(radius: Tensor, size: tuple[int, int]) -> Tensor:
    return F.avg_pool2d(F.pad(radius.view(1, *size), (1, 1, 1, 1), mode="replicate"), 3, 1)


def scalp_of(template: Template, head: Head, over_ears: bool) -> Scalp:
    """over_ears: whether hair lies over the ears or under them."""
    center = _center(template)
    nearest = head.vertices[_scalp_vertices(over_ears)] - center
    return Scalp(center, _smoothed(length(nearest), _MAP), _jaw_y(template))


def shoulders_of(template: Template, head: Head) -> Shoulders:
    trunk = torch.nonzero(template.vertices[:, 1] < _TRUNK_Y).squeeze(1)
    part, posed = template.vertices[trunk], head.vertices[trunk]
    frame = Frame.of(part, posed, fit_rotation(part, posed))
    vertices = _shoulder_vertices()
    x, _, z = frame.to_local(head.vertices[vertices]).unbind(-1)
    z = z - _AXIS_Z
    radius = _smoothed(torch.sqrt(x * x + z * z), _TRUNK_MAP)
    return Shoulders(frame, radius, _jaw_y(template))
