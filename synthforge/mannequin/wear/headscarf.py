"""A headscarf: cloth from an opening round the face over head, neck and shoulders."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from synthforge.mannequin.draws import Draws
from synthforge.mannequin.hair.rim import Rim
from synthforge.mannequin.hair.scalp import Scalp, Shoulders
from synthforge.mannequin.person import Hair
from synthforge.mannequin.render.arithmetic import cosine, sine, steps
from synthforge.mannequin.render.fields import bell, smooth_curve, smoothstep
from synthforge.mannequin.wear.fit import Fit
from synthforge.mannequin.wear.headwear import OVER_HAIR, Headwear, color_of_cloth
from synthforge.mannequin.wear.parts import CLOTH, Part
from synthforge.mannequin.wear.shapes import tube
from synthforge.mesh import cross, unit
from synthforge.visible import VISIBLE_ID

# Lines round the head on the template, from the midline above over the subject's left side to the
# midline below: the opening, the widest, and where the cloth leaves the head.
_OPENING = (
    (0.0, 0.072, 0.051), (0.034, 0.067, 0.042), (0.057, 0.046, 0.018), (0.067, 0.018, -0.008),
    (0.067, -0.014, -0.014), (0.057, -0.048, -0.010), (0.040, -0.073, 0.002),
    (0.020, -0.089, 0.016), (0.0, -0.094, 0.020),
)  # fmt: skip
_WIDEST = (
    (0.0, 0.125, -0.105), (0.042, 0.105, -0.105), (0.066, 0.070, -0.100), (0.076, 0.038, -0.075),
    (0.074, -0.020, -0.040), (0.061, -0.055, -0.018), (0.042, -0.078, -0.006),
    (0.021, -0.094, 0.010), (0.0, -0.098, 0.014),
)  # fmt: skip
_LAST = (
    (0.0, -0.030, -0.155), (0.030, -0.035, -0.148), (0.055, -0.040, -0.120),
    (0.066, -0.045, -0.085), (0.066, -0.055, -0.050), (0.057, -0.068, -0.028),
    (0.040, -0.085, -0.014), (0.020, -0.100, 0.002), (0.0, -0.104, 0.008),
)  # fmt: skip
_COLUMNS, _STEPS = 112, (12, 12, 18)
# Metres above the skin: at the opening and over hair. The hem's height and half widths.
_EDGE, _LAYER = 0.0050, 0.0150
_HEM_Y, _HEM_X, _HEM_Z, _AXIS_Z = -0.205, 0.120, 0.105, -0.075


def headscarf(d: Draws, hair: Hair, scalp: Scalp, shoulders: Shoulders, fit: Fit) -> Headwear:
    """scalp: with the ears."""
    color, folds, turn = color_of_cloth(d), d.u(), d.u(0, 6)
    points, left = _draped(scalp, shoulders, fit, folds, turn)
    colors = points.new_tensor(color) * (0.35 + 0.65 * left.flatten()[:, None])
    part = Part(VISIBLE_ID["headwear"], tube(points), colors, CLOTH, left.flatten(), OVER_HAIR)
    rim = Rim(0.05, 0.3)
    shade = torch.ones_like(fit.head.vertices[:, 0])
    return Headwear([part], rim, replace(hair, style="buzz", fringe=False), shade)


def _round(fit: Fit, line: tuple[tuple[float, float, float], ...], lift: float) -> Tensor:
    """A closed line over posed skin, lifted off it: [C, 3], from the midline above."""
    other_side = tuple((-x, y, z) for x, y, z in line[-2:0:-1])
    vertices, normals = fit.at((*line, *other_side))
    return smooth_curve(vertices + lift * normals, _COLUMNS + 1, closed=True)[:-1]


def _draped(
    scalp: Scalp, shoulders: Shoulders, fit: Fit, folds: float, turn: float
) -> tuple[Tensor, Tensor]:
    """Rings [R, C, 3] from inside of the opening to the hem; the light that folds leave."""
    opening, widest, last = (
        _round(fit, line, lift)
        for line, lift in ((_OPENING, _EDGE), (_WIDEST, _LAYER), (_LAST, _LAYER + 0.004))
    )
    angle = steps(0, 2 * math.pi * (1 - 1 / _COLUMNS), _COLUMNS).to(opening)
    # Behind the head above the opening, before it below.
    hem = torch.stack([
        _HEM_X * sine(angle), torch.full_like(angle, _HEM_Y), _AXIS_Z - _HEM_Z * cosine(angle)
    ], 1)  # fmt: skip
    rings = [opening[None]]
    for start, end, count in zip((opening, widest, last), (widest, last, hem), _STEPS, strict=True):
        s = steps(1 / count, 1, count).to(start)[:, None, None]
        rings.append(start + s * (end - start))
    points = torch.cat(rings)
    s = steps(0, 1, len(points)).to(points)[:, None]
    below = 0.5 - 0.5 * cosine(angle)
    # Folds along the opening, folds that hang, and the edge of the cloth's other end.
    along = sine(34 * s + 2.2 * cosine(angle + turn) + turn) * smoothstep(0.02, 0.12, s)
    along = along * (0.35 + 0.65 * below)
    hanging = sine(9 * angle + 7 * s + turn) + 0.6 * sine(17 * angle - 9 * s)
    hanging = hanging * smoothstep(0.50, 0.85, s)
    wrapped = smoothstep(-0.035, 0.035, s - 0.44 - 0.16 * sine(angle + turn) - 0.10 * below)
    height = (0.0012 + 0.0016 * folds) * along + (0.0020 + 0.0030 * folds) * hanging
    layer = _EDGE + (_LAYER - _EDGE) * smoothstep(0.0, 0.15, s) + 0 * angle
    # The scalp's radius is a mean over its cells: ears stick out farther.
    layer = layer + 0.006 * smoothstep(0.055, 0.070, points[..., 0].abs())
    points = _outside(points, layer, scalp, shoulders)
    for _ in range(12):
        ahead = 0.25 * points[:-2] + 0.5 * points[1:-1] + 0.25 * points[2:]
        beside = 0.25 * ahead.roll(1, 1) + 0.5 * ahead + 0.25 * ahead.roll(-1, 1)
        points = torch.cat([points[:1], beside, points[-1:]])
    points = _outside(points, 0.6 * layer, scalp, shoulders)
    ahead = torch.cat([points[1:], points[-1:]]) - torch.cat([points[:1], points[:-1]])
    out = unit(cross(points.roll(-1, 1) - points.roll(1, 1), ahead))
    points = points + (height + 0.0045 * wrapped)[..., None] * out
    # The edge is turned in, down to the skin.
    inside = _round(fit, _OPENING, -0.002) + 0.35 * (points[2] - points[0])
    valleys = (0.5 - 0.35 * along - 0.25 * hanging).clamp(0, 1)
    shade = 1 - 0.40 * valleys - 0.20 * bell(wrapped - 0.3, 0.4)
    return torch.cat([inside[None], points]), torch.cat([shade[:1], shade])


def _outside(points: Tensor, layer: Tensor, scalp: Scalp, shoulders: Shoulders) -> Tensor:
    """Points [R, C, 3] at least `layer` [R, C] off the skin; the opening stays."""
    flat, off = points[1:].flatten(0, 1), layer[1:].flatten()
    flat, _ = scalp.keep_out(flat, off)
    flat = shoulders.keep_out(flat, off)
    return torch.cat([points[:1], flat.view_as(points[1:])])
