"""The border of the scalp hair on the neutral adult, as the region `scalp` has it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from synthforge.mannequin.render.arithmetic import atan2, sigmoid
from synthforge.mannequin.render.fields import bell, interpolate

# Height by azimuth in degrees round a vertical axis, mm, from the forehead by temple, sideburn and
# ear to the nape: tools/head_regions.py cuts the mesh along it.
_AXIS_Z = -0.042
_BORDER = (
    (0, 82), (16, 83), (30, 80), (42, 70), (50, 56), (58, 44), (68, 36), (76, 16), (84, 8),
    (88, 20), (106, 20), (114, 4), (122, -20), (150, -44), (180, -50),
)  # fmt: skip
# How far the front of a high hairline lies back.
RECESSION_M = 0.014


def hairline_height(points: Tensor) -> Tensor:
    """Height in metres of points [N, 3] above the border; positive where scalp hair grows: [N]."""
    x, y, z = points.unbind(-1)
    azimuth = atan2(x.abs(), z - _AXIS_Z) * (180 / math.pi)
    degrees, height = torch.tensor(_BORDER, dtype=torch.float32).T
    widow = 0.003 * bell(x, 0.012) - 0.003 * bell(x.abs() - 0.032, 0.012)
    return y - 0.001 * interpolate(azimuth, degrees, height) + widow * (z > 0)


def recession(points: Tensor) -> tuple[Tensor, Tensor]:
    """How far the hairline recedes at points [N, 3], metres: for a high one, for thinning hair."""
    x, _, z = points.unbind(-1)
    front = sigmoid(z * 120)
    temple = bell(x.abs() - 0.040, 0.016)
    return RECESSION_M * front, 0.028 * front * temple
