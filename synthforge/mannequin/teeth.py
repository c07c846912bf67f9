"""Teeth and gums, painted on the smooth rows of the built-in head."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from synthforge.mannequin.fields import bell, interpolate, smoothstep
from synthforge.mannequin.head.pieces import Piece

# Half an ellipse that the rows follow, from above, metres: half width, depth, where it ends.
_HALF_WIDTH_M, _DEPTH_M, _END_Z_M = 0.036, 0.050, -0.006
_ARC_STEPS = 200
# Widths of the crowns from the midline, metres, scaled to the rows, which are wide
# (Ash & Nelson 2003, "Wheeler's Dental Anatomy").
_UPPER_M = (0.0085, 0.0065, 0.0075, 0.0070, 0.0070, 0.0100, 0.0100)
_LOWER_M = (0.0050, 0.0055, 0.0070, 0.0070, 0.0070, 0.0110, 0.0105)
_WIDER = 1.08
_GAP_M = 0.0007
# Height of the crowns' edge in front, and of the gum's, metres.
_ROWS = {
    Piece.UPPER_TEETH: (_UPPER_M, -0.0467, -0.0370, 1.0),
    Piece.LOWER_TEETH: (_LOWER_M, -0.0519, -0.0605, -1.0),
}


def teeth(positions: Tensor, piece: Tensor) -> dict[str, Tensor]:
    """Maps [N] of enamel, gum and the gaps between teeth. positions: [N, 3]; piece: int64 [N]."""
    x, y, z = positions.unbind(-1)
    along = _arc_length(x, z)
    maps = {name: torch.zeros_like(x) for name in ("tooth", "gum", "tooth_gap")}
    for row, (widths, _, gum_y, up) in _ROWS.items():
        ends = [0.0, *itertools.accumulate(_WIDER * width for width in widths)]
        to_gap = torch.stack([(along - end).abs() for end in ends]).amin(0)
        on_row = (piece == row).float()
        # Gums reach down between teeth.
        above = up * (y - gum_y) + 0.0022 * bell(to_gap, 0.0016) - 0.0008
        gum = smoothstep(-0.0006, 0.0006, above)
        maps["gum"] += on_row * gum
        maps["tooth"] += on_row * (1 - gum)
        # Back teeth lie in the cheeks' shadow.
        shade = torch.maximum(bell(to_gap, _GAP_M), 1.5 * smoothstep(0.020, 0.034, along))
        maps["tooth_gap"] += on_row * (1 - gum) * shade
    return maps


def _arc_length(x: Tensor, z: Tensor) -> Tensor:
    """Metres along the row from the midline to points seen from above, on either side."""
    across = torch.arange(_ARC_STEPS + 1) / _ARC_STEPS
    knots = across * _HALF_WIDTH_M
    depth = _DEPTH_M * torch.sqrt(1 - across * across)
    dx, dz = (line[1:] - line[:-1] for line in (knots, depth))
    steps = torch.sqrt(dx * dx + dz * dz)
    length = torch.cat([torch.zeros(1), torch.cumsum(steps.double(), 0).float()])
    # Of the ellipse's point in the same direction from its middle.
    relative = z.sub(_END_Z_M).clamp(min=0) / _DEPTH_M
    sideways = x.abs() / _HALF_WIDTH_M
    sideways = sideways / torch.sqrt(sideways * sideways + relative * relative).clamp(min=1e-6)
    return interpolate(sideways * _HALF_WIDTH_M, knots, length)
