"""The directions in which hair is combed: fields that a style's row adds up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.person import Hair
from synthforge.mannequin.render.arithmetic import sigmoid
from synthforge.mannequin.render.hair_styles import Growth, parting_of
from synthforge.mannequin.render.scalp import Scalp
from synthforge.mannequin.render.template import Template
from synthforge.mesh import unit


@dataclass(frozen=True)
class Comb:
    """What the fields read: the person's hair, roots [G, 3] on the template, and the posed head."""

    hair: Hair
    growth: Growth
    root: Tensor
    head: Template
    scalp: Scalp

    def direction(self, p: Tensor) -> Tensor:
        """Where hair at p [G, 3] is combed, not normalised: [G, 3]. Head frame, metres."""
        parts = [weight * _FIELDS[name](self, p) for name, weight in self.growth.style.comb]
        return torch.where(self.growth.in_fringe[:, None], self._fringe(), sum(parts[1:], parts[0]))

    @property
    def knot(self) -> Tensor:
        """Where a bun sits: [3]."""
        low = self.hair.length < 0.5
        toward = self.root.new_tensor(((0.0, -0.05, -1.0) if low else (0.0, 0.72, -0.70),))
        toward = unit(toward)
        return (self.scalp.center + toward * (self.scalp.at(toward) + 0.012))[0]

    def _fringe(self) -> Tensor:
        """Down over the forehead, swept a little to one side."""
        x = self.root[:, 0]
        sweep = 2.0 * x + 0.35 * self.hair.part_side
        return torch.stack([sweep, -0.6 + 0 * x, 0.6 + 0 * x], 1)


def _smooth(x: Tensor, at: float | Tensor, slope: float) -> Tensor:
    """From 0 to 1 as x passes `at`."""
    return sigmoid((x - at) * slope)


def _constant(p: Tensor, x: float, y: float, z: float) -> Tensor:
    return p.new_tensor((x, y, z)).expand_as(p)


def _down(comb: Comb, p: Tensor) -> Tensor:
    return _constant(p, 0.0, -1.0, 0.0)


def _out(comb: Comb, p: Tensor) -> Tensor:
    return unit(p - comb.scalp.center)


def _whorl(comb: Comb, p: Tensor) -> Tensor:
    """Away from the crown."""
    crown = unit(p.new_tensor(((0.12 * comb.hair.part_side, 0.80, -0.60),)))
    return unit(p - (comb.scalp.center + crown * (comb.scalp.at(crown) - 0.004)))


def _front(comb: Comb, p: Tensor) -> Tensor:
    """Front hair: forward with a fringe, else up and aside."""
    aside = (0.8 * comb.hair.part_side, 0.9, -0.2)
    way = _constant(p, *((0.0, 0.0, 0.5) if comb.hair.fringe else aside))
    return way * _smooth(p[:, 2:3], -0.02, 60)


def _parted(comb: Comb, p: Tensor) -> Tensor:
    """Across from the parting, then down over the side or the back of the head."""
    sign = torch.where(comb.root[:, 0:1] >= parting_of(comb.hair), 1.0, -1.0)
    across = torch.cat([sign, 0 * sign, -0.35 + 0 * sign], 1)
    fallen = torch.maximum(_smooth(p[:, 0:1].abs(), 0.052, 150), _smooth(-p[:, 2:3], 0.115, 150))
    return across * (1 - fallen) + fallen * _constant(p, 0.0, -1.0, -0.1)


def _off_cheek(comb: Comb, p: Tensor) -> Tensor:
    """Behind the cheek, beside the face."""
    temple, brow, jaw = comb.head.landmarks[[36, 24, 4]]
    y, z = p[:, 1:2], p[:, 2:3]
    beside = _smooth(z, temple[2] - 0.055, 150)
    beside = beside * _smooth(-y, -(brow[1] + 0.035), 120) * _smooth(y, jaw[1], 120)
    return beside * torch.cat([0.4 * torch.sign(p[:, :1]), 0 * y, -1.2 + 0 * y], 1)


def _off_face(comb: Comb, p: Tensor) -> Tensor:
    return _constant(p, 0.0, 1.2, -0.9) * _smooth(comb.root[:, 2:3], 0.0, 150)


def _past_shoulder(comb: Comb, p: Tensor) -> Tensor:
    """Below the jaw in front of the shoulder or behind it."""
    way = torch.where(comb.root[:, 2:3] > -0.055, 1.0, -0.7)
    below = _smooth(-p[:, 1:2], -0.012 - comb.head.landmarks[4, 1], 150)
    return below * way * _constant(p, 0.0, 0.0, 1.0)


def _back(comb: Comb, p: Tensor) -> Tensor:
    """Up from the forehead and back."""
    top = comb.head.vertices[:, 1].amax()
    forward = p[:, 2] - comb.scalp.center[2]
    low = (top - 0.07 - comb.root[:, 1]).clamp(min=0)
    upward = (16 * forward).clamp(-0.6, 1.6) - 8 * low
    return torch.stack([3.0 * comb.root[:, 0], upward, -torch.ones_like(upward)], 1)


def _knot(comb: Comb, p: Tensor) -> Tensor:
    """Over the top from the forehead, then straight to the knot."""
    forward = ((p[:, 2:3] - comb.scalp.center[2]) / 0.04).clamp(0, 1)
    upward = torch.cat([8 * p[:, :1], 0.8 + 0 * forward, -0.8 + 0 * forward], 1)
    return unit(comb.knot - p) + forward * upward


_FIELDS: dict[str, Callable[[Comb, Tensor], Tensor]] = {
    "down": _down,
    "out": _out,
    "whorl": _whorl,
    "front": _front,
    "parted": _parted,
    "off_cheek": _off_cheek,
    "off_face": _off_face,
    "past_shoulder": _past_shoulder,
    "back": _back,
    "knot": _knot,
}
