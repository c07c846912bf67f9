"""The front of a pair of glasses: cut for one head, and put as near to its face as may be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.render.arithmetic import steps
from synthforge.mannequin.render.fields import smooth_curve
from synthforge.mannequin.wear.fit import Fit
from synthforge.mannequin.wear.glasses_style import OUTLINES, Style
from synthforge.mesh import unit

# Metres on a head of the template's size.
_CLEAR_RIM, _CLEAR_BRIDGE, _CLEAR_EYE = 0.0012, 0.0006, 0.0095
# How far the front is bent round the face: a radius.
_WRAP = 0.25
# Slopes of the front that are tried, lower edge towards the cheeks; a gentler one must be worth it.
_SLOPES = (0.15, 0.09, 0.03, -0.03)
_WORTH = 0.0015
_RIM_POINTS = 56


@dataclass(frozen=True)
class Front:
    """The curved sheet that rims and bridge lie in, head frame: z over x and y.

    middle, level: x and y of its middle, between the eyes.
    """

    middle: float
    level: float
    z: float
    slope: float

    def at(self, points: Tensor) -> Tensor:
        """x, y [N, 2] -> [N, 3]."""
        x, y = points.unbind(1)
        dx = x - self.middle
        z = self.z + self.slope * (y - self.level) - dx * dx * (0.5 / _WRAP)
        return torch.stack([x, y, z], 1)

    def normals(self, points: Tensor) -> Tensor:
        dx = (points[:, 0] - self.middle) / _WRAP
        return unit(torch.stack([dx, torch.full_like(dx, -self.slope), torch.ones_like(dx)], 1))


@dataclass(frozen=True)
class Plan:
    """Of the left lens from the glasses' middle: outline [N, 2] with its centre at x, y; half
    width and height; bridge [K, 2] across the nose; end: x of the hinges."""

    outline: Tensor
    x: float
    y: float
    half: tuple[float, float]
    bridge: Tensor
    end: float


def depth(style: Style) -> float:
    """Thickness of the front from before to behind."""
    return 0.0038 if style.frame == "acetate" else 0.0014


def planned(style: Style, fit: Fit) -> Plan:
    """The front as it is cut for this head, before it is put on."""
    (right, left), like = fit.eyes.tolist(), fit.eyes
    between, level = (left[0] - right[0]) / 2, (left[1] + right[1]) / 2
    z = steps(-0.035, 0.005, 9).to(like)
    widths = [
        float(fit.side_x(is_left, torch.full_like(z, level + 0.006), z).amax())
        for is_left in (False, True)
    ]
    half_face = sum(widths) / 2
    a = style.half_width
    # About as wide as the face; lenses must leave the nose room.
    x = between + min(max(0.0010, (half_face - between - a - 0.012) / 2), 0.0035)
    a = min(max(a, half_face - x - 0.0115), x - 0.0070)
    b = a * style.aspect
    y = level - 0.0030
    outline = smooth_curve(like.new_tensor(OUTLINES[style.outline]), _RIM_POINTS, closed=True)
    outline = outline * like.new_tensor((a, b))
    width = style.rim
    end = max(x + a + width + 0.0015, min(half_face + 0.0015, x + a + width + 0.007))
    inner = x - a - 0.3 * width
    across = steps(-1, 1, 13).to(like)
    arch = 1 - across * across
    height = y + b * (0.30 if style.frame == "acetate" else 0.36)
    bridge = torch.stack([across * (inner + 0.0016), height + 0.0028 * arch], 1)
    return Plan(outline, x, y, (a, b), bridge, end)


def placed(style: Style, plan: Plan, fit: Fit) -> Front:
    """As near to the face as skin and lashes let it be."""
    middle = float((fit.eyes[0, 0] + fit.eyes[1, 0]) / 2)
    level = float((fit.eyes[0, 1] + fit.eyes[1, 1]) / 2)
    like = fit.eyes
    half = depth(style) / 2
    grown = 1 + style.rim / plan.half[0]
    left = like.new_tensor((plan.x, plan.y))
    rims = torch.cat([left + plan.outline * scale for scale in (1.0, grown)])
    rims = torch.cat([rims, rims * like.new_tensor((-1.0, 1.0))])
    eyes = like.new_tensor([[side * plan.x, plan.y + 0.003] for side in (-1, 1)])
    points = torch.cat([rims, plan.bridge, eyes]) + like.new_tensor((middle, 0.0))
    skin = fit.front_z(*points.unbind(1))
    clear = torch.cat([
        torch.full((len(rims),), _CLEAR_RIM + half),
        torch.full((len(plan.bridge),), _CLEAR_BRIDGE + half),
        torch.full((2,), _CLEAR_EYE),
    ]).to(like)  # fmt: skip
    best: Front | None = None
    for slope in _SLOPES:
        flat = Front(middle, level, 0.0, slope)
        needed = float((skin + clear - flat.at(points)[:, 2]).amax())
        if best is None or needed < best.z - _WORTH:
            best = Front(middle, level, needed, slope)
    assert best is not None
    return best
