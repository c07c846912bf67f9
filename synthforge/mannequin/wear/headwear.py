"""Caps, beanies and hats: fabric over the scalp above a rim, and the hair that it presses down."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synthforge.mannequin.draws import RGB, Draws, mix
from synthforge.mannequin.hair.rim import Rim
from synthforge.mannequin.hair.scalp import Scalp
from synthforge.mannequin.person import Hair
from synthforge.mannequin.render.arithmetic import cosine, length, mean, sine, steps
from synthforge.mannequin.render.fields import bell, smoothstep
from synthforge.mannequin.wear.parts import CLOTH, Part
from synthforge.mannequin.wear.shapes import ball, sheet, torus, tube
from synthforge.mesh import unit
from synthforge.visible import VISIBLE_ID

_KIND = VISIBLE_ID["headwear"]
# Metres on a head of the template's size. The rim stands at least so high above the brows.
_ABOVE_BROWS = 0.013
# Hair so little before it is under it.
OVER_HAIR = 0.024
_COLUMNS, _ROWS = 96, 18
_LONG = ("bob", "long")


@dataclass(frozen=True)
class Headwear:
    """parts; rim; hair: as it is worn with it; shade: [V], of the head's vertices, see Rim.shade"""

    parts: list[Part]
    rim: Rim
    hair: Hair
    shade: Tensor


def headwear(
    kind: str, d: Draws, hair: Hair, scalp: Scalp, vertices: Tensor, brow_y: float
) -> Headwear:
    """kind: "cap", "beanie" or "hat". vertices: [V, 3] of the posed head. brow_y: of the brows."""
    height, tilt, size = d.u(), d.u(), d.u()
    colors = color_of_cloth(d), color_of_cloth(d), color_of_cloth(d)
    long = hair.style in _LONG or hair.style == "bun"
    under = 0.0035 + 0.0045 * (hair.style not in ("bald", "buzz")) + 0.002 * long
    front = {"cap": 0.058, "beanie": 0.056, "hat": 0.060}[kind] + 0.014 * height
    rise = {"cap": 0.20, "beanie": 0.26, "hat": 0.20}[kind] + 0.08 * tilt
    rim = Rim(max(front, brow_y + _ABOVE_BROWS), rise)
    make = {"cap": _cap, "beanie": _beanie, "hat": _hat}[kind]
    parts = [
        replace(part, over_hair=OVER_HAIR) for part in make(d, rim, scalp, under, colors, size)
    ]
    worn = replace(hair, fringe=hair.fringe and kind == "beanie", volume=0.5 * hair.volume)
    if hair.style == "bun":
        worn = replace(worn, style="long" if hair.length < 0.5 else "bob", length=0.5)
    reach, depth = {"cap": (0.055, 0.5), "beanie": (0.010, 0.4), "hat": (0.07, 0.5)}[kind]
    shade = rim.shade(vertices, reach, depth)
    if kind == "cap":
        before = smoothstep(-0.03, 0.03, vertices[:, 2])
        shade = 1 - (1 - shade) * before
    return Headwear(parts, rim, worn, shade)


def color_of_cloth(d: Draws) -> RGB:
    """Linear RGB: grey for 45 %, else a colour."""
    plain, dark = d.u(), d.u()
    color = d.color(0.85, 0.55)
    grey = 0.010 + 0.5 * dark**3
    return (
        (grey, grey, 1.03 * grey) if plain < 0.45 else mix(color, (0.02, 0.02, 0.022), 0.3 * dark)
    )


def dome(rim: Rim, scalp: Scalp, columns: int = _COLUMNS, rows: int = _ROWS) -> tuple[Tensor, ...]:
    """The scalp above the rim: directions [R, C, 3], radii [R, C], rows from the rim to the top;
    and azimuths [C], from the forehead to the subject's left."""
    azimuth = steps(-math.pi, math.pi * (1 - 2 / columns), columns).to(scalp.center)
    polar = steps(0.02, 0.80 * math.pi, 40).to(azimuth)

    def looking(polar: Tensor) -> Tensor:
        level, up = sine(polar), cosine(polar)
        return torch.stack([level * sine(azimuth), up, level * cosine(azimuth)], -1)

    direction = looking(polar[:, None].expand(-1, columns))
    radius = scalp.at(direction.view(-1, 3)).view(direction.shape[:2])
    above = rim.above(scalp.center + radius[..., None] * direction)
    # The first crossing from the top: how many rows lie above it, and how far into the next.
    inside = torch.cumsum((above <= 0).int(), 0) == 0
    last = inside.sum(0).clamp(1, len(polar) - 1) - 1
    here, next_ = above.gather(0, last[None])[0], above.gather(0, last[None] + 1)[0]
    step = polar[1] - polar[0]
    end = polar[last] + step * (here / (here - next_).clamp(min=1e-6)).clamp(0, 1)
    s = steps(1.0, 0.015, rows).to(azimuth)
    direction = looking(s[:, None] * end)
    radius = scalp.at(direction.view(-1, 3)).view(direction.shape[:2])
    return direction, radius, azimuth


def _shell(
    scalp: Scalp, direction: Tensor, radius: Tensor, layer: Tensor, lining: float = 0.006
) -> Tensor:
    """Rings [R + 2, C, 3] of a shell `layer` [R, C] above the scalp, its edge turned in."""
    out = radius + layer
    inside = torch.stack([radius[1] - lining, radius[0] - 0.0015])
    rows = torch.cat([torch.stack([direction[1], direction[0]]), direction])
    return scalp.center + torch.cat([inside, out])[..., None] * rows


def _smooth(radius: Tensor) -> Tensor:
    """Fabric does not follow every dent: rings are averaged over their neighbours, never inwards"""
    wide = radius
    for _ in range(6):
        wide = 0.25 * wide.roll(1, 1) + 0.5 * wide + 0.25 * wide.roll(-1, 1)
    return torch.maximum(radius, wide)


def _weave(p: Tensor, color: RGB, amount: Tensor) -> Tensor:
    """Colour [N, 3] with a share taken off, [N]."""
    return p.new_tensor(color) * (1 - amount)[:, None]


def _cap(
    d: Draws, rim: Rim, scalp: Scalp, under: float, colors: tuple[RGB, RGB, RGB], size: float
) -> list[Part]:
    direction, radius, azimuth = dome(rim, scalp)
    radius = _smooth(radius)
    rows, columns = radius.shape
    t = steps(0, 1, rows).to(radius)[:, None]
    front = bell(azimuth, 0.85)
    # Thin over the forehead; the front panels stand up.
    layer = 0.0022 + under * smoothstep(0.0, 0.35, t) * (1 - 0.45 * front * (t < 0.3))
    layer = layer + (0.004 + 0.012 * size) * front * bell(t - 0.62, 0.34)
    shell = _shell(scalp, direction, radius, layer)
    two, badge = d.chance(0.35), d.u()
    seams = sum((bell(azimuth - k * math.pi / 3, 0.035) for k in range(-3, 3)), 0 * azimuth)
    seams = (0.35 * seams).expand(len(shell), -1).flatten()
    body = _weave(shell, colors[0], seams)
    if two:
        body = torch.where(front.expand(len(shell), -1).flatten()[:, None] > 0.75,
                           _weave(shell, colors[1], seams), body)  # fmt: skip
    parts = [Part(_KIND, tube(shell), body, CLOTH)]
    top = shell[-1, 0]
    up = scalp.center.new_tensor((0.0, 1.0, 0.0))
    axes = torch.diag(scalp.center.new_tensor((0.006, 0.0022, 0.006)))
    parts.append(Part(_KIND, ball(top + 0.001 * up, axes), colors[0], CLOTH))

    # The brim begins on the rim, 60 degrees to each side.
    wide = steps(-1.0, 1.0, 25).to(radius)
    place = (wide * 1.08 / (2 * math.pi) + 0.5) * columns
    low = place.long()
    ring = shell[2]
    start = ring[low] + (place - low)[:, None] * (ring[low + 1] - ring[low])
    start = start - 0.002 * unit(start - scalp.center)
    long = (0.066 + 0.010 * size) * torch.sqrt((1 - 0.998 * wide * wide).clamp(min=0))
    s = steps(0, 1, 9).to(radius)[:, None]
    bend = 0.010 + 0.022 * d.u()
    x = start[:, 0] * (1 + 0.06 * s)
    y = start[:, 1] - s * long * (0.10 + 0.14 * size) - bend * wide * wide * s + 0.001
    y = y - 0.006 * s * s
    z = start[:, 2] + s * long
    brim = torch.stack([x.expand_as(y), y, z.expand_as(y)], -1)
    normals = up.expand_as(brim)
    color = colors[1] if two or badge < 0.3 else colors[0]
    plate = sheet(brim, 0.0026, normals)
    below = len(plate.vertices) // 2
    shade = torch.ones_like(plate.vertices[:, 0])
    shade[below:] = 0.6
    parts.append(Part(_KIND, plate, color, CLOTH, shade))
    if badge > 0.45:
        parts.append(_badge(direction, radius + layer, scalp, colors[2]))
    return parts


def _badge(direction: Tensor, out: Tensor, scalp: Scalp, color: RGB) -> Part:
    """A patch sewn on the front."""
    columns = out.shape[1]
    middle, half = columns // 2, columns // 18
    chosen = slice(middle - half, middle + half + 1)
    points = scalp.center + (out[4:9, chosen, None] + 0.0012) * direction[4:9, chosen]
    # Rows of a sheet run downwards.
    return Part(_KIND, sheet(points.flip(0), 0.002, direction[4:9, chosen].flip(0)), color, CLOTH)


def _beanie(
    d: Draws, rim: Rim, scalp: Scalp, under: float, colors: tuple[RGB, RGB, RGB], size: float
) -> list[Part]:
    direction, radius, azimuth = dome(rim, scalp, columns=240, rows=22)
    radius = _smooth(radius)
    t = steps(0, 1, len(radius)).to(radius)[:, None]
    cuffed, striped, pompom = d.chance(0.7), d.chance(0.25), d.chance(0.2)
    cuff = smoothstep(0.34, 0.30, t) * cuffed
    # Loose at the top, towards the back.
    loose = (0.004 + 0.030 * size * size) * smoothstep(0.45, 1.0, t) * (1 - 0.3 * cosine(azimuth))
    ribs = 0.5 + 0.5 * cosine(60 * azimuth)
    layer = 0.0030 + under * smoothstep(0.0, 0.2, t) + 0.0032 * cuff + loose
    layer = layer + 0.0012 * ribs * smoothstep(1.0, 0.8, t)
    shell = _shell(scalp, direction, radius, layer)
    groove = 0.45 * (1 - ribs)
    edge = 0.5 * bell(t - 0.345, 0.02) * cuffed
    dark = torch.cat([groove[None].expand(2, -1), (groove + edge).clamp(max=0.8)]).flatten()
    color = _weave(shell, colors[0], dark)
    if striped:
        band = torch.cat([0 * t[:2], bell(t - 0.5, 0.07)]).expand(-1, len(azimuth)).flatten()
        color = color + band[:, None] * (_weave(shell, colors[1], dark) - color)
    parts = [Part(_KIND, tube(shell), color, CLOTH)]
    if pompom:
        top = shell[-1, 0] + scalp.center.new_tensor((0.0, 0.020, 0.0))
        fluff = ball(top, 0.026 * torch.eye(3).to(top), 17, 30)
        p = fluff.vertices - top
        rough = 0.06 * sine(900 * p[:, 0] + 700 * p[:, 1]) * sine(800 * p[:, 2] + 1)
        fluff = replace(fluff, vertices=top + p * (1 + rough[:, None]))
        parts.append(Part(_KIND, fluff, colors[1], CLOTH))
    return parts


def _hat(
    d: Draws, rim: Rim, scalp: Scalp, under: float, colors: tuple[RGB, RGB, RGB], size: float
) -> list[Part]:
    """A crown with a band, and a brim all round."""
    direction, radius, azimuth = dome(rim, scalp)
    radius = _smooth(radius)
    soft, slope, straw = d.chance(0.5), d.u(), d.chance(0.35)
    base = scalp.center + (radius[0] + 0.0025 + 0.5 * under)[:, None] * direction[0]
    middle = mean(base, 0)
    tall = float((scalp.center + radius[-1, 0] * direction[-1, 0])[1] - middle[1]) + 0.012
    # Rings from the rim up, as shares of the base ring's radius and of the height.
    rings = ((0.94, 0.10), (0.97, 0.0), (1.02, 0.0), (1.03, 0.12), (1.02, 0.35), (0.99, 0.62),
             (0.93, 0.83), (0.84, 0.95), (0.66, 1.0), (0.33, 1.02), (0.03, 1.02))  # fmt: skip
    up = scalp.center.new_tensor((0.0, 1.0, 0.0))
    points = torch.stack(
        [middle + share * (base - middle) + rise * tall * up for share, rise in rings]
    )
    if not soft:
        # A crease along the crown, pinched in front.
        x = points[..., 0] / 0.03
        points[..., 1] -= (
            0.022 * bell(x, 1.0) * smoothstep(0.80, 1.0, (points[..., 1] - middle[1]) / tall)
        )
    body = colors[0] if not straw else (0.52, 0.40, 0.24)
    crown = tube(points)
    weave = 0.03 * (sine(2200 * crown.vertices[:, 1]) + 1) * straw
    parts = [Part(_KIND, crown, _weave(points, body, weave), CLOTH)]
    if not soft or straw:
        edges = ((1.01, 0.001), (1.055, 0.002), (1.058, 0.024), (1.01, 0.026))
        band = torch.stack([middle + share * (base - middle) + rise * up for share, rise in edges])
        parts.append(Part(_KIND, torus(band), colors[1], CLOTH))
    wide = 0.040 + 0.045 * size
    # The edge stays above the eyes.
    drop = min((0.35 + 0.5 * slope) if soft else -0.05 + 0.25 * slope, 0.024 / wide)
    away = base - middle
    away[:, 1] = 0
    away = unit(away)
    s = steps(0, 1, 7).to(base)[:, None, None]
    wave = 0.004 * sine(3 * azimuth + 1)[:, None]
    flat = base + 0.001 * up - 0.004 * away
    top = flat + (s * wide + 0.004) * away - (s * wide * drop + s * s * wave) * up
    brim = torus(torch.cat([top.flip(0), top - 0.002 * up]))
    shade = torch.cat([torch.ones(7 * len(base)), torch.full((7 * len(base),), 0.55)]).to(base)
    weave = 0.12 * straw * (sine(2200 * length(brim.vertices - middle)) + 1)
    parts.append(Part(_KIND, brim, _weave(base, body, weave), CLOTH, shade))
    return parts
