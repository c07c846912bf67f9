"""Earrings, in the lobes of both ears."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from synthforge.mannequin.draws import Draws
from synthforge.mannequin.render.arithmetic import cosine, sine, steps
from synthforge.mannequin.wear.fit import Fit
from synthforge.mannequin.wear.parts import METAL, PLASTIC, Part
from synthforge.mannequin.wear.shapes import ball, ring, swept
from synthforge.visible import VISIBLE_ID

_KIND = VISIBLE_ID["earring"]
# On the template: where the left lobe is pierced.
_LOBE = ((0.0820, -0.0185, -0.0546),)
_METALS = ((0.75, 0.55, 0.25), (0.68, 0.67, 0.66), (0.74, 0.50, 0.40))
_STONES = ((0.78, 0.76, 0.72), (0.80, 0.80, 0.82), (0.05, 0.09, 0.30), (0.30, 0.02, 0.03))


def earrings(kind: str, d: Draws, fit: Fit) -> list[Part]:
    """kind: "studs", "hoops" or "pendants"."""
    metal = _METALS[int(d.u(0, 2.999))]
    stone, size, gem = _STONES[int(d.u(0, 3.999))], d.u(), d.chance(0.6)
    parts = []
    for side in (-1.0, 1.0):
        (lobe,), (normal,) = fit.at(tuple((side * x, y, z) for x, y, z in _LOBE))
        eye = torch.eye(3).to(lobe)
        radius = 0.0020 + 0.0020 * size
        if kind == "studs":
            color, material = (stone, PLASTIC) if gem else (metal, METAL)
            stud = ball(lobe + 0.45 * radius * normal, radius * eye)
            parts.append(Part(_KIND, stud, color, material))
            continue
        if kind == "hoops":
            parts.append(_hoop(lobe, side, 0.008 + 0.020 * size * size, metal))
            continue
        parts.append(Part(_KIND, ball(lobe + 0.001 * normal, 0.0018 * eye), metal, METAL))
        long = 0.010 + 0.025 * size
        hang = lobe + lobe.new_tensor((side * 0.0022, 0.0, 0.001))
        path = hang - steps(0, 1, 6).to(lobe)[:, None] * lobe.new_tensor((0.0, long, 0.0))
        up = lobe.new_tensor((0.0, 0.0, 1.0)).expand_as(path)
        wire = swept(path, up, ring(6, 0.0008, 0.0008).to(lobe))
        parts.append(Part(_KIND, wire, metal, METAL))
        drop = torch.diag(lobe.new_tensor((0.0030, 0.0052, 0.0030)))
        color, material = (stone, PLASTIC) if gem else (metal, METAL)
        parts.append(Part(_KIND, ball(path[-1], drop), color, material))
    return parts


def _hoop(lobe: Tensor, side: float, radius: float, metal: tuple[float, float, float]) -> Part:
    """Hangs from the lobe, in a plane that is turned a little forward."""
    angle = steps(0, 2 * math.pi * (1 - 1 / 40), 40).to(lobe)
    forward = lobe.new_tensor((side * 0.35, 0.0, 0.94))
    down = lobe.new_tensor((0.0, -1.0, 0.0))
    center = lobe + (radius - 0.0015) * down + lobe.new_tensor((side * 0.0015, 0.0, 0.0))
    path = center + radius * (sine(angle)[:, None] * forward - cosine(angle)[:, None] * down)
    up = lobe.new_tensor((1.0, 0.0, -side * 0.37)).expand_as(path)
    return Part(_KIND, swept(path, up, ring(6, 0.0018, 0.0018).to(lobe), closed=True), metal, METAL)
