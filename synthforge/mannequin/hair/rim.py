"""The rim of what is worn on the head: it presses the hair above it down."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.hair.scalp import Scalp
from synthforge.mannequin.render.arithmetic import length
from synthforge.mannequin.render.fields import smoothstep

_FRONT_Z = 0.050
# Metres: hair above the rim lies so close to the skin, and may stand off below it by so much more
# per metre. Of short styles hair is left that grows less far above the rim.
_PRESSED, _FLARE, _LEFT = 0.002, 1.2, 0.004


@dataclass(frozen=True)
class Rim:
    """The plane of the rim, head frame: it is at height `front` above the forehead.

    rise: metres up per metre forward.
    """

    front: float
    rise: float

    def above(self, p: Tensor) -> Tensor:
        """Metres above the rim at p [..., 3]: [...]."""
        return p[..., 1] - self.front - self.rise * (p[..., 2] - _FRONT_Z)

    def press(self, p: Tensor, scalp: Scalp) -> Tensor:
        """Points of hair [N, 3] as the fabric lets them lie."""
        out = p - scalp.center
        distance = length(out)
        out = out / distance[:, None]
        limit = scalp.at(out) + _PRESSED + _FLARE * (-self.above(p)).clamp(min=0)
        return scalp.center + out * torch.minimum(distance, limit)[:, None]

    def shade(self, p: Tensor, reach: float, depth: float) -> Tensor:
        """Share of the surroundings' light that is left below the rim, over `reach` metres."""
        return 1 - depth * smoothstep(-reach, 0.0, self.above(p))

    def leaves(self, roots: Tensor) -> Tensor:
        """bool [N]: which roots [N, 3] of short hair are not wholly covered."""
        return self.above(roots) < _LEFT
