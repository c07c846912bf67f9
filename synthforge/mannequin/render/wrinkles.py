"""Where age folds the skin."""

from __future__ import annotations

import torch
from torch import Tensor

from synthforge.landmarks import LEFT_BROW, LEFT_EYE
from synthforge.mannequin.render.arithmetic import atan2, mean
from synthforge.mannequin.render.fields import bell, smoothstep
from synthforge.mannequin.render.template import template


def wrinkle_depth(positions: Tensor, wobble: Tensor, broken: Tensor) -> Tensor:
    """Depth of wrinkles at points [N, 3], 0 to 1: [N].

    wobble: [N], smooth noise that bends the lines; broken: [N], noise that interrupts them.
    """
    x, y = positions[:, 0].abs(), positions[:, 1]
    lines = _forehead(x, y, wobble) + _round_eyes(x, y, wobble)
    lines = lines * (0.75 + 0.35 * broken).clamp(0.15, 1.2)
    frown = _frown(positions[:, 0], y, wobble)
    return (lines + frown + _round_mouth(x, y, wobble)).clamp(0, 1.2)


def _forehead(x: Tensor, y: Tensor, wobble: Tensor) -> Tensor:
    brow_y = mean(template().landmarks[LEFT_BROW, 1], 0)
    total = torch.zeros_like(x)
    for k, strength in enumerate((0.45, 0.8, 0.7, 0.5, 0.3)):
        line = brow_y + 0.011 + 0.0074 * k + (0.0009 + 0.0002 * k) * wobble
        line = line + 0.0035 * bell(x - 0.034, 0.024)
        total += strength * bell(y - line, 0.0011) * smoothstep(0.054, 0.026, x + 0.006 * wobble)
    return total


def _frown(signed_x: Tensor, y: Tensor, wobble: Tensor) -> Tensor:
    """Two upright lines between the brows, and one across the root of the nose."""
    brow_y, root_y = mean(template().landmarks[LEFT_BROW, 1], 0), template().landmarks[27, 1]
    x = signed_x.abs()
    upright = bell(x - 0.0085 - 0.0006 * wobble, 0.0010) * bell(y - brow_y + 0.002, 0.010)
    across = bell(y - root_y - 0.006 - 0.0005 * wobble, 0.0009) * smoothstep(0.010, 0.005, x)
    return 0.55 * upright * (1 + 0.2 * torch.sign(signed_x)) + 0.35 * across


def _round_eyes(x: Tensor, y: Tensor, wobble: Tensor) -> Tensor:
    """Crow's feet, and folds below the lower lid."""
    mark = template().landmarks
    outer, eye = mark[45], mean(mark[LEFT_EYE], 0)
    total = torch.zeros_like(x)
    dx, dy = x - outer[0] + 0.004, y - outer[1]
    angle, radius = atan2(dy, dx), torch.sqrt(dx * dx + dy * dy)
    for direction in (0.62, 0.30, 0.0, -0.30, -0.62):
        arc = (angle - direction + 0.06 * wobble) * radius
        reach = smoothstep(0.007, 0.011, radius) * smoothstep(0.028, 0.014, radius)
        total += 0.6 * bell(arc, 0.0008) * reach
    for drop, strength, width in ((0.0075, 0.5, 0.011), (0.0105, 0.6, 0.013), (0.0140, 0.4, 0.014)):
        bag = eye[1] - drop + 7.0 * (x - eye[0]) ** 2 + 0.0004 * wobble
        total += strength * bell(y - bag, 0.0009) * bell(x - eye[0], width)
    return total


def _round_mouth(x: Tensor, y: Tensor, wobble: Tensor) -> Tensor:
    """Nasolabial fold, the fold below the corner, fine upright lines above the lip."""
    mark = template().landmarks
    ala, corner, lip_y = mark[35], mark[54], mark[52, 1]
    # From beside the wing of the nose to beside the corner of the mouth, bent outwards.
    t = ((ala[1] + 0.006 - y) / (ala[1] + 0.006 - corner[1] + 0.006)).clamp(-0.3, 1.2)
    fold_x = ala[0] + 0.0040 + t * (corner[0] + 0.0085 - ala[0] - 0.0040) + 0.006 * t * (1 - t)
    fold = bell(x - fold_x - 0.0005 * wobble, 0.0019)
    total = 0.85 * fold * smoothstep(-0.15, 0.15, t) * smoothstep(1.15, 0.8, t)
    below = corner[1] - y
    marionette = bell(x - corner[0] - 0.003 - 0.14 * below - 0.0005 * wobble, 0.0014)
    total += 0.5 * marionette * bell(below - 0.013, 0.010)
    upright = 0.5 + 0.5 * torch.sign(((x + 0.0006 * wobble) * 250) % 1 - 0.7)
    above_lip = smoothstep(0.0, 0.002, y - lip_y) * smoothstep(0.009, 0.003, y - lip_y)
    return total + 0.25 * upright * above_lip * smoothstep(0.022, 0.012, x)
