"""The posed head in its own frame, and the surface that keeps hair outside the skin."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.parts import Part
from synthforge.mannequin.template import Template, template

_MAP = (64, 128)


@dataclass(frozen=True)
class Head:
    """The posed head in its own frame: what hair grows on.

    vertices, normals: [V, 3] metres, head frame. T_gen_head: (R [3, 3], t [3], scale).
    """

    vertices: Tensor
    normals: Tensor
    rotation: Tensor
    origin_gen: Tensor
    origin_head: Tensor
    scale: float

    def to_gen(self, points: Tensor) -> Tensor:
        """[3, N, T] head frame -> generator frame."""
        flat = (points.reshape(3, -1) - self.origin_head[:, None]) * self.scale
        return (self.rotation @ flat + self.origin_gen[:, None]).view(points.shape)


def head_in_own_frame(
    head: Template, vertices_gen: Tensor, normals_gen: Tensor, rotation: Tensor, scale: float
) -> Head:
    origin_gen = vertices_gen[head.skull].mean(0)
    origin_head = head.vertices[head.skull].mean(0)
    vertices = (vertices_gen - origin_gen) @ rotation / scale + origin_head
    return Head(vertices, normals_gen @ rotation, rotation, origin_gen, origin_head, scale)


@dataclass(frozen=True)
class Scalp:
    """Radius of the head round its centre, by direction: keeps hair outside the skin.

    center: [3]; radius: [1, 1, H, W] over polar angle (rows, from +y) and azimuth (from +z to +x).
    """

    center: Tensor
    radius: Tensor

    def at(self, direction: Tensor) -> Tensor:
        """[N, 3] unit -> [N]."""
        azimuth = torch.atan2(direction[:, 0], direction[:, 2]) / math.pi
        polar = torch.acos(direction[:, 1].clamp(-1, 1)) * (2 / math.pi) - 1
        grid = torch.stack([azimuth, polar], -1)[None, None]
        return F.grid_sample(self.radius, grid, align_corners=True, padding_mode="border")[0, 0, 0]


def _center(template: Template) -> Tensor:
    skull = template.vertices
    top = skull[:, 1].amax()
    middle = (skull[:, 2].amax() + skull[:, 2].amin()) / 2
    return torch.stack([torch.zeros_like(top), top - 0.095, middle - 0.012])


def jaw_height(head: Template) -> Tensor:
    """[], y of the jaw's angle: where the skull ends."""
    return head.landmarks[4, 1] + 0.01


@functools.cache
def _nearest_vertices(device: str) -> Tensor:
    """int64 [H * W]: the outermost vertex near each direction of Scalp.radius."""
    head = template("cpu")
    center = _center(head)
    offset = head.vertices - center
    # Not the neck: hair hangs past it.
    above = head.vertices[:, 1] > jaw_height(head)
    outer = above & ((head.part == Part.SKIN) | (head.part == Part.EAR))
    offset, index = offset[outer], torch.nonzero(outer).squeeze(1)
    polar = torch.linspace(0, math.pi, _MAP[0])[:, None]
    azimuth = torch.linspace(-math.pi, math.pi, _MAP[1])
    direction = torch.stack(
        [
            torch.sin(polar) * torch.sin(azimuth),
            torch.cos(polar).expand(_MAP),
            torch.sin(polar) * torch.cos(azimuth),
        ],
        -1,
    ).view(-1, 3)
    radius = offset.norm(dim=-1)
    # The vertex at the smallest angle, but farther ones win by a little: ears, jaw.
    score = direction @ (offset / radius[:, None]).T + 0.15 * radius[None]
    return index[score.argmax(1)].to(device)


def scalp_of(template: Template, head: Head) -> Scalp:
    center = _center(template)
    nearest = head.vertices[_nearest_vertices(str(center.device))] - center
    radius = nearest.norm(dim=-1).view(1, 1, *_MAP)
    radius = F.avg_pool2d(F.pad(radius, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return Scalp(center, radius)
