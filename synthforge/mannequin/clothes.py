"""What the person wears, and the trunk below the built head: drawn, never labelled."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from synthforge.mannequin.arithmetic import mean
from synthforge.mannequin.fields import bell, smoothstep
from synthforge.mannequin.person import Person
from synthforge.mannequin.template import Template, template
from synthforge.mesh import unit

# How far the trunk goes on below the head's lower border, and how much it widens, metres.
_DROP_M = 0.25
_WIDEN_M = 0.03
# A round neckline runs through the pit of the neck, above the lowest vertex by this much at this
# depth, and rises towards the nape.
_PIT_ABOVE_LOW_M = 0.036
_PIT_Z_M = -0.005
_RISE_TO_NAPE = 0.26


def neckline_height(person: Person, head: Template) -> Tensor:
    """Metres above the border of the clothes, float32 [V]; negative where cloth covers the skin."""
    x, y, z = head.vertices.unbind(-1)
    border = y.amin() + _PIT_ABOVE_LOW_M + _RISE_TO_NAPE * (_PIT_Z_M - z)
    wide = person.neckline
    match person.collar:
        case 0:  # round
            border = border + 0.008 - 0.014 * wide
        case 1:  # V
            front = smoothstep(-0.06, -0.02, z)
            border = border + 0.006 - (0.020 + 0.030 * wide) * bell(x, 0.022) * front
        case 2:  # high
            border = border + 0.026 + 0.034 * wide
        case _:  # wide
            border = border - 0.010 - 0.010 * wide
    return y - border


@functools.cache
def trunk_border(device: str) -> Tensor:
    """int64 [E, 2], the head's edges that end its surface below the neck."""
    if torch.device(device).type != "cpu":
        return trunk_border("cpu").to(device)
    head = template("cpu")
    edges = torch.cat([head.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    _, owner, uses = edges.sort(1).values.unique(dim=0, return_inverse=True, return_counts=True)
    single = edges[uses[owner] == 1]
    below = head.vertices[single, 1].amax(1) < head.landmarks[8, 1] - 0.03
    return single[below]


def trunk_below(head: Template) -> tuple[Tensor, Tensor]:
    """The trunk under the head's border: vertices [N, 3] (metres, neutral) and faces [2 E, 3].

    Faces count the head's vertices first: they share its border.
    """
    border = trunk_border(str(head.vertices.device))
    upper, place = border.unique(return_inverse=True)
    rim = head.vertices[upper]
    outward = (rim - mean(rim, 0)) * rim.new_tensor((1.0, 0.0, 1.0))
    outward = unit(outward)
    lower = rim + _WIDEN_M * outward - rim.new_tensor((0.0, _DROP_M, 0.0))
    a, b = border.unbind(1)
    c, d = (place + len(head.vertices)).unbind(1)
    # The border runs along its faces' winding; the trunk's faces run the other way.
    return lower, torch.cat([torch.stack([b, a, c], 1), torch.stack([b, c, d], 1)])
