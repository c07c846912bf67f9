"""From where does light reach a point of the head? Visibility of fixed directions, made once.

The renderer's ambient light is a sum over these directions, so eye sockets, the underside of the
nose and chin and the inside of the ears get their soft shadows from any environment.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from flame_pytorch.lbs import apply
from synthforge.landmarks import INNER_LIP
from synthforge.mannequin.kernels import filled
from synthforge.mannequin.kernels.vertices import sum_neighbours
from synthforge.mannequin.render.arithmetic import cosine, mean, sine
from synthforge.mannequin.render.template import template
from synthforge.mesh import cross, unit
from synthforge.rasterizer import rasterize

_DIRECTIONS = 96
_MAP_SIZE = 160
_BIAS_M = 0.004
# Half the width of the orthographic views, metres: holds head and shoulders however it is turned.
_EXTENT_M = 0.42
# Behind the lips, where the mouth is dark.
_MOUTH_DEPTH_M = 0.032


@functools.cache
def directions() -> Tensor:
    """float32 [D, 3], unit vectors spread evenly over the sphere (Fibonacci lattice)."""
    index = torch.arange(_DIRECTIONS) + 0.5
    y = 1 - 2 * index / _DIRECTIONS
    angle = index * (math.pi * (3 - math.sqrt(5)))
    radius = torch.sqrt(1 - y * y)
    return torch.stack([radius * cosine(angle), y, radius * sine(angle)], -1)


def look_from(direction: Tensor) -> Tensor:
    """Axes of the rasterizer for a viewer in `direction`, [..., 3] unit, looking at the origin.

    Rotation [..., 3, 3] whose rows are the viewer's left, up and forward.
    """
    up = torch.zeros_like(direction)
    up[..., 1] = 1.0
    steep = direction[..., 1:2].abs() > 0.99
    up = torch.where(steep, up.roll(1, -1), up)
    left = unit(cross(direction, up))
    return torch.stack([left, cross(left, direction), -direction], -2)


@functools.cache
def visibility() -> Tensor:
    """float32 [D, V]: 1 where the direction sees the vertex of the neutral head, 0 where not."""
    head = template()
    seen = _seen_from_outside()
    seen = 0.5 * seen + 0.5 * neighbour_mean(seen)
    # The neutral mouth is shut; when it opens, light falls in from the front, less far back. How
    # far it is open, body.py knows.
    inside = head.in_mouth
    lips_z = mean(head.landmarks[INNER_LIP, 2], 0)
    depth = (lips_z - head.vertices[inside, 2]) / _MOUTH_DEPTH_M
    share = 0.85 * ((1 - depth).clamp(0.15, 1)) ** 2
    frontal = (directions()[:, 2] > 0).float()
    seen[inside] = share[:, None] * frontal
    # Eyeballs turn; what the lids keep from them is drawn by eye_shading.py.
    bared = head.eyeball & (head.eye_local[:, 2] > 0.85)
    seen[head.eyeball] = mean(seen[bared], 0)
    return seen.T.contiguous()


def _seen_from_outside() -> Tensor:
    """Share of four places round each vertex from which each direction is free: [V, D]."""
    head = template()
    center = (head.vertices.amax(0) + head.vertices.amin(0)) / 2
    rows = []
    for chunk in directions().split(16):
        ndc = apply(look_from(chunk)[:, None], (head.vertices - center)[None]) / _EXTENT_M
        ndc[..., 2] += 2
        fragments = rasterize(
            ndc, head.faces, _MAP_SIZE, _MAP_SIZE, perspective_correct=False, cull_backfaces=True
        )
        depth = torch.where(fragments.covered, fragments.z, 9.0).flatten(1)
        lit = torch.zeros(ndc.shape[:2])
        step = 0.8 / _MAP_SIZE
        for dx, dy in ((-step, -step), (step, -step), (-step, step), (step, step)):
            column, row = (
                ((1 - ndc[..., k] + shift) * (_MAP_SIZE / 2)).long().clamp(0, _MAP_SIZE - 1)
                for k, shift in enumerate((dx, dy))
            )
            seen = depth.gather(1, row * _MAP_SIZE + column)
            lit += (ndc[..., 2] <= seen + _BIAS_M / _EXTENT_M).float() / 4
        rows.append(lit)
    return torch.cat(rows).T.contiguous()


def neighbour_mean(values: Tensor) -> Tensor:
    """Mean over the head's vertices that share a face: [V, C] -> [V, C]."""
    topology = template().topology
    sums = filled(sum_neighbours, values.shape, values, topology.faces)
    return sums / (2 * topology.corner_count[:, None])
