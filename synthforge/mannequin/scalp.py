"""The posed head in its own frame, and the surface that keeps hair outside the skin."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.arithmetic import (
    atan2,
    cosine,
    dot,
    length,
    mean,
    sine,
    steps,
    turned,
    turned_planes,
)
from synthforge.mannequin.head.pieces import Piece
from synthforge.mannequin.maps import read
from synthforge.mannequin.template import Template, template
from synthforge.mesh import unit

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

    def to_head(self, points: Tensor) -> Tensor:
        """[N, 3] generator frame -> head frame."""
        return turned(self.rotation.T, points - self.origin_gen) / self.scale + self.origin_head

    def to_gen(self, points: Tensor) -> Tensor:
        """[3, N, T] head frame -> generator frame."""
        moved = points - self.origin_head[:, None, None]
        return self.turned_to_gen(moved) + self.origin_gen[:, None, None]

    def turned_to_gen(self, offsets: Tensor) -> Tensor:
        """[3, N, T] differences of points in the head frame -> in the generator frame."""
        return turned_planes(self.rotation * self.scale, offsets)


def head_in_own_frame(
    head: Template, vertices_gen: Tensor, normals_gen: Tensor, rotation: Tensor, scale: float
) -> Head:
    origin_gen = mean(vertices_gen[head.skull], 0)
    origin_head = mean(head.vertices[head.skull], 0)
    still = Head(vertices_gen, normals_gen, rotation, origin_gen, origin_head, scale)
    normals = turned(rotation.T, normals_gen)
    return replace(still, vertices=still.to_head(vertices_gen), normals=normals)


@dataclass(frozen=True)
class Scalp:
    """Radius of the head round its centre, by direction: keeps hair outside the skin.

    center: [3]; radius: [1, H, W] over polar angle (rows, from +y) and azimuth (from +z to +x).
    """

    center: Tensor
    radius: Tensor

    def at(self, direction: Tensor) -> Tensor:
        """[N, 3] unit -> [N]."""
        x, y, z = direction.unbind(-1)
        azimuth = atan2(x, z) * (1 / math.pi)
        polar = atan2(torch.sqrt(x * x + z * z), y) * (1 / math.pi)
        rows, columns = _MAP
        return read(self.radius, (azimuth + 1) * ((columns - 1) / 2), polar * (rows - 1))[0]


def _center(template: Template) -> Tensor:
    skull = template.vertices[template.skull]
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
    outer = above & (head.piece == Piece.SKIN)
    offset, index = offset[outer], torch.nonzero(outer).squeeze(1)
    polar = steps(0, math.pi, _MAP[0])[:, None]
    azimuth = steps(-math.pi, math.pi, _MAP[1])
    direction = torch.stack(
        [
            sine(polar) * sine(azimuth),
            cosine(polar).expand(_MAP),
            sine(polar) * cosine(azimuth),
        ],
        -1,
    ).view(-1, 3)
    radius = length(offset)
    # The vertex at the smallest angle, but farther ones win by a little: ears, jaw.
    best = [
        (dot(towards, unit(offset)) + 0.15 * radius).argmax(1)
        for towards in direction[:, None].split(1024)
    ]
    return index[torch.cat(best)].to(device)


def scalp_of(template: Template, head: Head) -> Scalp:
    center = _center(template)
    nearest = head.vertices[_nearest_vertices(str(center.device))] - center
    radius = length(nearest).view(1, *_MAP)
    radius = F.avg_pool2d(F.pad(radius, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return Scalp(center, radius)
