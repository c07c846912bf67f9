"""The border of the scalp hair on the neutral head."""

from __future__ import annotations

import torch
from torch import Tensor

from synthforge.landmarks import LEFT_BROW
from synthforge.mannequin.arithmetic import mean, sigmoid
from synthforge.mannequin.fields import bell, interpolate, smoothstep
from synthforge.mannequin.template import Template

# Depth behind the nasion and height above the brows of the border, metres, from the nape over the
# ear and its sideburn to the forehead.
_BORDER = (
    (-0.200, -0.105),
    (-0.168, -0.100),
    (-0.140, -0.082),
    (-0.115, -0.045),
    (-0.097, -0.012),
    (-0.084, -0.006),
    (-0.074, -0.028),
    (-0.063, -0.024),
    (-0.052, -0.004),
    (-0.042, 0.014),
    (-0.028, 0.028),
    (-0.014, 0.036),
    (0.004, 0.041),
)


# How far the front of a high hairline lies back.
RECESSION_M = 0.014


def hairline_height(points: Tensor, head: Template) -> Tensor:
    """Height in metres of points [N, 3] above the border; positive where scalp hair grows: [N]."""
    brow_y = mean(head.landmarks[LEFT_BROW, 1], 0)
    x, y, z = points.unbind(-1)
    front_z = head.landmarks[27, 2]
    knots = torch.tensor(_BORDER).T
    border = interpolate(z - front_z, knots[0], knots[1])
    widow = 0.004 * bell(x, 0.012) - 0.004 * bell(x.abs() - 0.032, 0.012)
    return y - brow_y - border + widow * smoothstep(-0.04, 0.0, z - front_z)


def recession(points: Tensor) -> tuple[Tensor, Tensor]:
    """How far the hairline recedes at points [N, 3], metres: for a high one, for thinning hair."""
    x, _, z = points.unbind(-1)
    front = sigmoid(z * 120)
    temple = bell(x.abs() - 0.038, 0.016)
    return RECESSION_M * front, 0.026 * front * temple
