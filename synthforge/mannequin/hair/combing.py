"""The directions in which hair is combed: fields that a style's row adds up."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.hair.hair_styles import Growth, parting_of
from synthforge.mannequin.hair.scalp import Scalp
from synthforge.mannequin.person import Hair
from synthforge.mannequin.render.arithmetic import sigmoid
from synthforge.mannequin.render.template import template
from synthforge.mesh import unit


def _smooth(x: Tensor, at: float | Tensor, slope: float) -> Tensor:
    """From 0 to 1 as x passes `at`."""
    return sigmoid((x - at) * slope)


@dataclass(frozen=True)
class Comb:
    """What the fields read: the person's hair, roots [G, 3] on the template, and the scalp."""

    hair: Hair
    growth: Growth
    root: Tensor
    scalp: Scalp

    def direction(self, p: Tensor) -> Tensor:
        """Where hair at p [G, 3] is combed, not normalised: [G, 3]. Head frame, metres."""
        parts = [weight * getattr(self, "_" + name)(p) for name, weight in self.growth.style.comb]
        return torch.where(self.growth.in_fringe[:, None], self._fringe, sum(parts[1:], parts[0]))

    @functools.cached_property
    def knot(self) -> Tensor:
        """Where a bun sits: [3]."""
        low = self.hair.length < 0.5
        toward = self.root.new_tensor(((0.0, -0.05, -1.0) if low else (0.0, 0.72, -0.70),))
        toward = unit(toward)
        return (self.scalp.center + toward * (self.scalp.at(toward) + 0.012))[0]

    @functools.cached_property
    def _fringe(self) -> Tensor:
        """Down over the forehead, swept a little to one side."""
        x = self.root[:, 0]
        sweep = 2.0 * x + 0.35 * self.hair.part_side
        return torch.stack([sweep, -0.6 + 0 * x, 0.6 + 0 * x], 1)

    # The fields that styles name: directions at p [G, 3], not normalised: [G, 3], or [3] for all.

    def _down(self, p: Tensor) -> Tensor:
        return torch.tensor((0.0, -1.0, 0.0))

    def _out(self, p: Tensor) -> Tensor:
        return unit(p - self.scalp.center)

    def _whorl(self, p: Tensor) -> Tensor:
        """Away from the crown."""
        crown = unit(p.new_tensor(((0.12 * self.hair.part_side, 0.80, -0.60),)))
        return unit(p - (self.scalp.center + crown * (self.scalp.at(crown) - 0.004)))

    def _front(self, p: Tensor) -> Tensor:
        """Front hair: forward with a fringe, else up and aside."""
        aside = (0.8 * self.hair.part_side, 0.9, -0.2)
        way = torch.tensor((0.0, 0.0, 0.5) if self.hair.fringe else aside)
        return way * _smooth(p[:, 2:3], -0.02, 60)

    def _parted(self, p: Tensor) -> Tensor:
        """Across from the parting, then down over the side or the back of the head."""
        sign = torch.where(self.root[:, 0:1] >= parting_of(self.hair), 1.0, -1.0)
        across = torch.cat([sign, 0 * sign, -0.35 + 0 * sign], 1)
        fallen = torch.maximum(
            _smooth(p[:, 0:1].abs(), 0.052, 150), _smooth(-p[:, 2:3], 0.115, 150)
        )
        return across * (1 - fallen) + fallen * torch.tensor((0.0, -1.0, -0.1))

    def _off_cheek(self, p: Tensor) -> Tensor:
        """Behind the cheek, beside the face."""
        temple, brow, jaw = template().landmarks[[36, 24, 4]]
        y, z = p[:, 1:2], p[:, 2:3]
        beside = _smooth(z, temple[2] - 0.055, 150)
        beside = beside * _smooth(-y, -(brow[1] + 0.035), 120) * _smooth(y, jaw[1], 120)
        return beside * torch.cat([0.4 * torch.sign(p[:, :1]), 0 * y, -1.2 + 0 * y], 1)

    def _off_face(self, p: Tensor) -> Tensor:
        return torch.tensor((0.0, 1.2, -0.9)) * _smooth(self.root[:, 2:3], 0.0, 150)

    def _past_shoulder(self, p: Tensor) -> Tensor:
        """Below the jaw in front of the shoulder or behind it."""
        way = torch.where(self.root[:, 2:3] > -0.055, 1.0, -0.7)
        below = _smooth(-p[:, 1:2], -0.012 - template().landmarks[4, 1], 150)
        return below * way * torch.tensor((0.0, 0.0, 1.0))

    def _back(self, p: Tensor) -> Tensor:
        """Up from the forehead and back."""
        top = template().vertices[:, 1].amax()
        forward = p[:, 2] - self.scalp.center[2]
        low = (top - 0.07 - self.root[:, 1]).clamp(min=0)
        upward = (16 * forward).clamp(-0.6, 1.6) - 8 * low
        return torch.stack([3.0 * self.root[:, 0], upward, -torch.ones_like(upward)], 1)

    def _knot(self, p: Tensor) -> Tensor:
        """Over the top from the forehead, then straight to the knot."""
        forward = ((p[:, 2:3] - self.scalp.center[2]) / 0.04).clamp(0, 1)
        upward = torch.cat([8 * p[:, :1], 0.8 + 0 * forward, -0.8 + 0 * forward], 1)
        return unit(self.knot - p) + forward * upward
