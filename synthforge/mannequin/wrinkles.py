"""Where age folds the skin."""

from __future__ import annotations

import torch
from torch import Tensor

from synthforge.landmarks import LEFT_BROW, LEFT_EYE
from synthforge.mannequin.arithmetic import atan2, mean
from synthforge.mannequin.fields import bell, smoothstep
from synthforge.mannequin.template import Template


def wrinkle_depth(
    x: Tensor, y: Tensor, signed_x: Tensor, z: Tensor, head: Template, wobble: Tensor
) -> Tensor:
    """Depth of wrinkles, 0 to 1: forehead lines, frown, crow's feet, nasolabial, under the eye."""
    mark = head.landmarks
    brow_y = mean(mark[LEFT_BROW, 1], 0)
    outer, eye = mark[45], mean(mark[LEFT_EYE], 0)
    ala, corner = mark[35], mark[54]
    total = torch.zeros_like(x)
    for k, strength in enumerate((0.55, 0.8, 0.7, 0.45)):
        line = brow_y + 0.014 + 0.0088 * k + 0.0012 * wobble + 0.003 * bell(x - 0.03, 0.02)
        total += strength * bell(y - line, 0.0011) * smoothstep(0.052, 0.030, x)
    frown = bell(x - 0.0085 - 0.0006 * wobble, 0.0010) * bell(y - brow_y + 0.002, 0.010)
    total += 0.55 * frown * (1 + 0.2 * torch.sign(signed_x))
    dx, dy = x - outer[0] + 0.004, y - outer[1]
    angle, radius = atan2(dy, dx), torch.sqrt(dx * dx + dy * dy)
    for direction in (0.55, 0.18, -0.2, -0.55):
        arc = (angle - direction + 0.05 * wobble) * radius
        total += (
            0.55
            * bell(arc, 0.0009)
            * smoothstep(0.007, 0.011, radius)
            * smoothstep(0.026, 0.014, radius)
        )
    fold_x = (
        ala[0]
        + 0.0035
        + (ala[1] + 0.004 - y)
        / (ala[1] - corner[1] + 0.012)
        * (corner[0] + 0.009 - ala[0] - 0.0035)
    )
    fold = bell(x - fold_x - 0.0005 * wobble, 0.0020)
    total += (
        0.8
        * fold
        * smoothstep(-0.014, 0.006, y - corner[1])
        * smoothstep(0.008, -0.002, y - ala[1])
    )
    for drop, strength in ((0.0085, 0.6), (0.0125, 0.45)):
        bag = eye[1] - drop + 8.0 * (x - eye[0]) ** 2 + 0.0004 * wobble
        total += strength * bell(y - bag, 0.0009) * bell(x - eye[0], 0.013)
    marionette = bell(x - corner[0] - 0.003 - 0.12 * (corner[1] - y), 0.0014)
    total += 0.4 * marionette * bell(y - corner[1] + 0.012, 0.009)
    return total.clamp(0, 1.2)
