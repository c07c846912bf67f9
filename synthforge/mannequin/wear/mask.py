"""A medical mask: cloth stretched from the bridge of the nose to below the chin, on loops."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from synthforge.mannequin.draws import RGB, Draws
from synthforge.mannequin.render.arithmetic import mean, steps
from synthforge.mannequin.render.fields import bell, smooth_curve
from synthforge.mannequin.render.template import template
from synthforge.mannequin.wear.fit import Fit
from synthforge.mannequin.wear.parts import CLOTH, Part
from synthforge.mannequin.wear.shapes import Shape, ring, sheet, swept
from synthforge.mesh import cross, unit
from synthforge.visible import VISIBLE_ID

_KIND = VISIBLE_ID["mask"]
# On the template, from the midline to the subject's left: the upper and the lower edge, and the
# left side from above down.
_UPPER = (
    (0.0, 0.006, 0.055), (0.010, 0.001, 0.047), (0.024, -0.007, 0.043), (0.042, -0.009, 0.030),
    (0.058, -0.008, 0.008),
)  # fmt: skip
_LOWER = (
    (0.0, -0.0925, 0.031), (0.014, -0.090, 0.028), (0.028, -0.082, 0.019), (0.042, -0.070, 0.007),
    (0.054, -0.056, -0.006),
)  # fmt: skip
_SIDE = (_UPPER[-1], (0.061, -0.024, 0.003), (0.059, -0.042, -0.002), _LOWER[-1])
# A loop, round the left ear.
_LOOP = (
    (0.0790, 0.0241, -0.0523), (0.0778, 0.0193, -0.0689), (0.0758, 0.0079, -0.0725),
    (0.0733, -0.0037, -0.0696), (0.0704, -0.0181, -0.0592),
)  # fmt: skip
_COLORS = ((0.42, 0.63, 0.78), (0.80, 0.81, 0.82), (0.012, 0.012, 0.013), (0.78, 0.50, 0.55))
_WHITE = (0.75, 0.75, 0.76)
_ROWS, _COLUMNS = 34, 31
# Metres above the skin. Steps of stretching.
_CLEAR, _STEPS = 0.0034, 48
# How fast it falls off beside the midline, 1 / m.
_SAG = 24.0
# What is surely behind it, on the template.
_HIDDEN_X, _HIDDEN_Y = 0.036, (-0.072, -0.022)
# Hair so little before it is under it.
_OVER_HAIR = 0.012


def mask(d: Draws, fit: Fit) -> list[Part]:
    """The cloth, first, and the loops round the ears, in the head's own frame, metres."""
    color: RGB = _COLORS[min(int(4.2 * d.u() ** 1.6), 3)]
    points, normals = _stretched(fit)
    v = steps(0, 1, _ROWS).to(points)[:, None, None]
    folds = sum((bell(v - at, 0.014) for at in (0.32, 0.50, 0.68)), 0 * v)
    points = points - 0.0012 * folds * normals
    plate = sheet(points, 0.0012, normals)
    # Folds are dark; so is the seam along the upper and the lower edge.
    dark = 0.38 * folds + 0.18 * (bell(v - 0.055, 0.012) + bell(v - 0.95, 0.012))
    dark = dark.expand(_ROWS, _COLUMNS, 1).reshape(-1, 1).repeat(2, 1)
    colors = points.new_tensor(color) * (1 - dark)
    parts = [Part(_KIND, plate, colors, CLOTH, over_hair=_OVER_HAIR)]
    loop_color = color if color[0] < 0.1 else _WHITE
    for side in (-1.0, 1.0):
        column = -1 if side > 0 else 0
        corners = points[1, column], points[-2, column]
        parts.append(Part(_KIND, _loop(fit, side, *corners), loop_color, CLOTH))
    return parts


@functools.cache
def under_mask() -> Tensor:
    """bool [F], faces of the head that a mask hides from every side.

    They are not drawn: those in the corners of the mouth are slivers, whose depth is not exact.
    """
    head = template()
    x, y, z = mean(head.vertices[head.faces], 1).unbind(1)
    low, high = _HIDDEN_Y
    return (x.abs() < _HIDDEN_X) & (y > low) & (y < high) & (z > 0)


def _both(places: tuple[tuple[float, float, float], ...]) -> tuple[tuple[float, float, float], ...]:
    """From the subject's right over the midline to its left."""
    return (*((-x, y, z) for x, y, z in places[:0:-1]), *places)


def _stretched(fit: Fit) -> tuple[Tensor, Tensor]:
    """Points [R, C, 3] and normals: a membrane over the face, held at its edges."""
    edges = (_both(_UPPER), _both(_LOWER), tuple((-x, y, z) for x, y, z in _SIDE), _SIDE)
    lifted = [vertices + _CLEAR * normals for vertices, normals in map(fit.at, edges)]
    # It is not drawn tight over the chin.
    lifted[1][1:-1, 1] -= 0.0025
    upper, lower = (smooth_curve(edge, _COLUMNS) for edge in lifted[:2])
    right, left = (smooth_curve(edge, _ROWS) for edge in lifted[2:])
    v, u = steps(0, 1, _ROWS).to(upper)[:, None, None], steps(0, 1, _COLUMNS).to(upper)[:, None]
    # Coons's patch.
    points = (1 - v) * upper + v * lower + (1 - u) * right[:, None] + u * left[:, None]
    points = points - (1 - v) * ((1 - u) * upper[0] + u * upper[-1])
    points = points - v * ((1 - u) * lower[0] + u * lower[-1])
    tent = _tent(fit)
    for _ in range(_STEPS):
        inner = points[1:-1, 1:-1]
        mean = 0.25 * (points[:-2, 1:-1] + points[2:, 1:-1] + points[1:-1, :-2] + points[1:-1, 2:])
        x, y, z = (0.2 * inner + 0.8 * mean).unbind(-1)
        skin = torch.maximum(fit.front_z(x.flatten(), y.flatten()).view_as(x), tent(x, y)) + _CLEAR
        points = points.clone()
        points[1:-1, 1:-1] = torch.stack([x, y, torch.maximum(z, skin)], -1)
    across = torch.cat([points[:, 1:], points[:, -1:]], 1) - torch.cat(
        [points[:, :1], points[:, :-1]], 1
    )
    down = torch.cat([points[1:], points[-1:]]) - torch.cat([points[:1], points[:-1]])
    return points, unit(cross(across, -down))


def _tent(fit: Fit) -> Callable[[Tensor, Tensor], Tensor]:
    """z of the cloth over x and y where the tip of the nose and the chin hold it off the lips."""
    nose, chin = fit.landmarks[30], fit.landmarks[8]
    slope = (nose[2] - chin[2]) / (nose[1] - chin[1])

    def z(x: Tensor, y: Tensor) -> Tensor:
        between = torch.minimum(nose[1] - y, y - chin[1]).clamp(min=0)
        height = chin[2] + slope * (y - chin[1]) - _SAG * x * x
        return torch.where(between > 0, height, -1.0)

    return z


def _loop(fit: Fit, side: float, upper: Tensor, lower: Tensor) -> Shape:
    """Round the ear, from the mask's upper corner to its lower one."""
    vertices, normals = fit.at(tuple((side * x, y, z) for x, y, z in _LOOP))
    round_ear = vertices + 0.0018 * normals
    ways = []
    for start, end in ((upper, round_ear[0]), (round_ear[-1], lower)):
        way = start + steps(0, 1, 9).to(start)[:, None] * (end - start)
        skin = fit.side_x(side > 0, way[:, 1], way[:, 2]) + 0.0016
        x = torch.maximum(way[:, 0] * side, skin) * side
        held = torch.stack([x, *way[:, 1:].unbind(1)], 1)
        ways.append(torch.cat([start[None], held[1:-1], end[None]]))
    path = smooth_curve(torch.cat([ways[0], round_ear[1:-1], ways[1]]), 60)
    up = path.new_tensor((side, 0.0, 0.0)).expand_as(path)
    return swept(path, up, ring(6, 0.0026, 0.0014).to(path))
