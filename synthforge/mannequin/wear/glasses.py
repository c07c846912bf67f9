"""Glasses: frames and lenses that sit on the nose and the ears of one head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.draws import RGB, Draws, mix
from synthforge.mannequin.render.arithmetic import sine, steps
from synthforge.mannequin.render.fields import smooth_curve
from synthforge.mannequin.wear.fit import Fit
from synthforge.mannequin.wear.parts import METAL, PLASTIC, SILICONE, Lens, Part
from synthforge.mannequin.wear.shapes import Shape, ball, joined, ring, swept
from synthforge.mesh import cross, unit
from synthforge.visible import VISIBLE_ID

_KIND = VISIBLE_ID["glasses"]
# Outlines of the subject's left lens in half widths and half heights, from the temple side
# counter-clockwise as the wearer's viewer sees it mirrored: u runs to the temple, v up.
_OUTLINES = {
    "round": (
        (1.00, 0.00), (0.92, 0.38), (0.71, 0.71), (0.38, 0.92), (0.00, 1.00), (-0.38, 0.92),
        (-0.71, 0.71), (-0.92, 0.38), (-1.00, 0.00), (-0.92, -0.38), (-0.71, -0.71), (-0.38, -0.92),
        (0.00, -1.00), (0.38, -0.92), (0.71, -0.71), (0.92, -0.38),
    ),
    "panto": (
        (1.00, 0.00), (0.97, 0.46), (0.80, 0.76), (0.50, 0.94), (0.00, 1.00), (-0.50, 0.94),
        (-0.80, 0.76), (-0.97, 0.46), (-1.00, 0.00), (-0.90, -0.46), (-0.71, -0.76), (-0.43, -0.94),
        (0.00, -1.00), (0.43, -0.94), (0.71, -0.76), (0.90, -0.46),
    ),
    "rectangle": (
        (1.00, 0.00), (0.99, 0.63), (0.88, 0.85), (0.66, 0.96), (0.00, 1.00), (-0.66, 0.96),
        (-0.88, 0.85), (-0.99, 0.63), (-1.00, 0.00), (-0.93, -0.63), (-0.81, -0.85), (-0.60, -0.96),
        (0.00, -1.00), (0.60, -0.96), (0.81, -0.85), (0.93, -0.63),
    ),
    "trapezoid": (
        (1.00, 0.00), (1.03, 0.62), (0.91, 0.86), (0.66, 0.98), (0.03, 1.00), (-0.60, 0.93),
        (-0.86, 0.77), (-1.00, 0.52), (-1.00, -0.05), (-0.91, -0.57), (-0.77, -0.82),
        (-0.54, -0.95), (-0.03, -1.00), (0.48, -0.95), (0.72, -0.82), (0.88, -0.57),
    ),
    "aviator": (
        (1.00, 0.00), (0.97, 0.43), (0.79, 0.73), (0.48, 0.92), (-0.03, 1.00), (-0.54, 0.96),
        (-0.84, 0.79), (-1.00, 0.50), (-1.00, 0.04), (-0.85, -0.37), (-0.62, -0.68), (-0.33, -0.89),
        (0.10, -1.00), (0.51, -0.98), (0.78, -0.83), (0.94, -0.56),
    ),
    "cat_eye": (
        (1.00, 0.06), (0.99, 0.71), (0.84, 0.95), (0.55, 1.06), (0.00, 1.00), (-0.55, 0.91),
        (-0.84, 0.73), (-0.99, 0.45), (-1.00, -0.06), (-0.90, -0.56), (-0.72, -0.83),
        (-0.46, -0.98), (0.00, -1.00), (0.46, -0.91), (0.72, -0.73), (0.90, -0.45),
    ),
}  # fmt: skip
# Height of a lens by its width.
_ASPECT = {
    "round": 1.0, "panto": 0.88, "rectangle": 0.66, "trapezoid": 0.80, "aviator": 0.88,
    "cat_eye": 0.78,
}  # fmt: skip

_METALS = ((0.62, 0.61, 0.60), (0.72, 0.52, 0.24), (0.16, 0.16, 0.17), (0.70, 0.46, 0.36))
_ACETATES = (
    (0.010, 0.010, 0.011), (0.030, 0.014, 0.008), (0.012, 0.020, 0.055), (0.12, 0.012, 0.014),
    (0.30, 0.29, 0.27), (0.030, 0.045, 0.030), (0.42, 0.27, 0.18),
)  # fmt: skip
_TORTOISE = ((0.016, 0.008, 0.005), (0.17, 0.065, 0.018))
_TINTS = ((0.10, 0.10, 0.10), (0.13, 0.085, 0.055), (0.075, 0.10, 0.075), (0.06, 0.07, 0.10))
_COATINGS = ((0.10, 0.22, 0.50), (0.50, 0.30, 0.10), (0.30, 0.32, 0.34))
_PADS = (0.55, 0.50, 0.46)

# Metres on a head of the template's size.
_HALF_WIDTH = 0.0248
_CLEAR_RIM, _CLEAR_BRIDGE, _CLEAR_EYE, _CLEAR_TEMPLE = 0.0012, 0.0006, 0.0095, 0.0010
_OFF_EAR = 0.0002
# How far the front is bent round the face: a radius. The lenses' own.
_WRAP, _BASE = 0.25, 0.115
# Slopes of the front that are tried, lower edge towards the cheeks; a gentler one must be worth it.
_SLOPES = (0.15, 0.09, 0.03, -0.03)
_WORTH = 0.0015
_RIM_POINTS = 56
# On the template: where the left ear's top joins the head, and down behind it.
_EAR = ((0.0792, 0.0259, -0.0568),)
_BEHIND_EAR = ((0.0778, 0.0193, -0.0689), (0.0764, 0.0117, -0.0722), (0.0745, 0.0024, -0.0719))


@dataclass(frozen=True)
class Style:
    """A pair of glasses. Lengths in metres.

    frame: "acetate", "metal", "browline" or "rimless". rim: its width. color2: what patches of the
    frame have, in a pattern, if not the same. passed, mirror: see Lens.
    """

    outline: str
    frame: str
    color: RGB
    color2: RGB
    half_width: float
    aspect: float
    rim: float
    temple: float
    passed: tuple[RGB, RGB]
    mirror: RGB


def style_of(d: Draws, tinted: bool) -> Style:
    """Drawn as people wear them, sunglasses if `tinted`."""
    frame = d.pick(
        {"acetate": 0.42, "metal": 0.42, "browline": 0.08 - 0.02 * tinted}
        | ({} if tinted else {"rimless": 0.12})
    )
    thick = {"round": 0.15, "panto": 0.2, "rectangle": 0.3, "trapezoid": 0.3, "cat_eye": 0.12}
    thin = {"round": 0.22, "panto": 0.22, "rectangle": 0.36, "aviator": 0.12 + 0.5 * tinted}
    outline = d.pick({"panto": 0.3, "trapezoid": 0.7} if frame == "browline" else
                     thick if frame == "acetate" else thin)  # fmt: skip
    metal, acetate = _one_of(d, _METALS), _one_of(d, _ACETATES)
    tortoise, black = d.chance(0.28), d.chance(0.35)
    color = metal if frame in ("metal", "rimless") else _ACETATES[0] if black else acetate
    color2 = color
    if tortoise and frame in ("acetate", "browline"):
        color, color2 = _TORTOISE
    size, tall, rim, temple = d.bell(1.0, 0.07), d.bell(1.0, 0.10), d.u(), d.u()
    return Style(
        outline,
        frame,
        color,
        color2,
        _HALF_WIDTH * size * (1.07 if tinted else 1.0),
        _ASPECT[outline] * tall * (1.08 if tinted else 1.0),
        0.0024 + 0.0034 * rim * rim if frame == "acetate" else 0.0011 + 0.0008 * rim,
        0.0036 + 0.0060 * temple * rim if frame in ("acetate", "browline") else 0.0016,
        *_lens_colors(d, tinted),
    )


def _one_of(d: Draws, colors: tuple[RGB, ...]) -> RGB:
    return colors[int(d.u(0, len(colors) - 1e-6))]


def _lens_colors(d: Draws, tinted: bool) -> tuple[tuple[RGB, RGB], RGB]:
    tint, light, gradient, coated = _one_of(d, _TINTS), d.u(), d.chance(0.35), d.chance(0.18)
    coating, clean, hue = _one_of(d, _COATINGS), d.u(), d.u()
    if not tinted:
        # An antireflection coating leaves a little green or violet.
        left = mix((0.55, 1.0, 0.75), (0.75, 0.6, 1.0), hue)
        share = 0.012 + 0.015 * clean if clean < 0.6 else 0.085
        r, g, b = (share * c for c in (left if clean < 0.6 else (1.0, 1.0, 1.0)))
        return ((0.97, 0.975, 0.965),) * 2, (r, g, b)
    upper = mix(tint, (0.55, 0.5, 0.48), 0.5 * light * light)
    lower = mix(upper, (0.85, 0.82, 0.78), 0.75) if gradient else upper
    return (lower, upper), mix(coating, coating, 0) if coated else (0.06, 0.06, 0.06)


@dataclass(frozen=True)
class _Front:
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
class _Plan:
    """Of the left lens from the glasses' middle: outline [N, 2] with its centre at x, y; half
    width and height; bridge [K, 2] across the nose; end: x of the hinges."""

    outline: Tensor
    x: float
    y: float
    half: tuple[float, float]
    bridge: Tensor
    end: float


def glasses(style: Style, fit: Fit) -> tuple[list[Part], list[Lens]]:
    """The frame's parts and the right and the left lens."""
    plan = _planned(style, fit)
    front = _placed(style, plan, fit)
    like = fit.eyes
    thick = _depth(style)
    shift = like.new_tensor((front.middle, 0.0))
    shapes: list[Shape] = []
    lenses: list[Lens] = []
    for side in (-1.0, 1.0):
        flip = like.new_tensor((side, 1.0))
        outline = plan.outline * flip
        if side < 0:
            outline = outline.flip(0)
        center = like.new_tensor((side * plan.x, plan.y))
        rim = center + outline + shift
        width = _rim_width(style, plan.outline if side > 0 else plan.outline.flip(0), plan.half[1])
        profile = ring(8, 1.0, 1.0, 0.45).to(like)
        profiles = torch.stack(
            [(profile[:, 0] - 0.35) * width[:, None], (profile[:, 1] * thick).expand(len(rim), -1)],
            -1,
        )
        shapes.append(swept(front.at(rim), front.normals(rim), profiles, closed=True))
        lenses.append(_lens(style, front, center + shift, outline, plan.half[1]))
        shapes += _temple(style, plan, front, fit, side)
    shapes.append(_bridge(style, plan, front))
    frame = joined(shapes)
    material = METAL if style.frame in ("metal", "rimless") else PLASTIC
    color = _pattern(style, frame.vertices)
    parts = [Part(_KIND, frame, color, material)]
    if style.frame != "acetate":
        parts += _pads(style, plan, front, fit)
    return parts, lenses


def _depth(style: Style) -> float:
    """Thickness of the front from before to behind."""
    return 0.0038 if style.frame == "acetate" else 0.0014


def _rim_width(style: Style, outline: Tensor, half_height: float) -> Tensor:
    up = outline[:, 1] / half_height
    if style.frame == "browline":
        return 0.0010 + 0.0044 * ((up - 0.05) * 4).clamp(0, 1)
    if style.frame == "rimless":
        return torch.full_like(up, 0.0006)
    if style.frame == "metal":
        return torch.full_like(up, style.rim)
    return style.rim * (1 + 0.35 * up.clamp(min=0))


def _planned(style: Style, fit: Fit) -> _Plan:
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
    outline = smooth_curve(like.new_tensor(_OUTLINES[style.outline]), _RIM_POINTS, closed=True)
    outline = outline * like.new_tensor((a, b))
    width = style.rim
    end = max(x + a + width + 0.0015, min(half_face + 0.0015, x + a + width + 0.007))
    inner = x - a - 0.3 * width
    across = steps(-1, 1, 13).to(like)
    arch = 1 - across * across
    height = y + b * (0.30 if style.frame == "acetate" else 0.36)
    bridge = torch.stack([across * (inner + 0.0016), height + 0.0028 * arch], 1)
    return _Plan(outline, x, y, (a, b), bridge, end)


def _placed(style: Style, plan: _Plan, fit: Fit) -> _Front:
    """As near to the face as skin and lashes let it be."""
    middle = float((fit.eyes[0, 0] + fit.eyes[1, 0]) / 2)
    level = float((fit.eyes[0, 1] + fit.eyes[1, 1]) / 2)
    like = fit.eyes
    half = _depth(style) / 2
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
    best: _Front | None = None
    for slope in _SLOPES:
        flat = _Front(middle, level, 0.0, slope)
        needed = float((skin + clear - flat.at(points)[:, 2]).amax())
        if best is None or needed < best.z - _WORTH:
            best = _Front(middle, level, needed, slope)
    assert best is not None
    return best


def _bridge(style: Style, plan: _Plan, front: _Front) -> Shape:
    points = plan.bridge + plan.bridge.new_tensor((front.middle, 0.0))
    if style.frame == "acetate":
        profile = ring(8, 0.9 * style.rim + 0.0018, _depth(style), 0.5)
    else:
        profile = ring(8, 0.0014, 0.0014)
    bars = [swept(front.at(points), front.normals(points), profile.to(points))]
    if style.outline == "aviator":
        raised = points.clone()
        raised[:, 1] = plan.y + 0.80 * plan.half[1]
        wide = plan.x - 0.72 * plan.half[0]
        raised[:, 0] = steps(-wide, wide, len(points)).to(points) + front.middle
        bars.append(swept(front.at(raised), front.normals(raised), profile.to(points)))
    return joined(bars)


def _temple(style: Style, plan: _Plan, front: _Front, fit: Fit, side: float) -> list[Shape]:
    """From the rim to the hinge, and from there over the ear and down behind it."""
    like = fit.eyes
    thin = style.frame in ("metal", "rimless")
    y = plan.y + plan.half[1] * (
        0.52 if style.outline in ("aviator", "cat_eye", "trapezoid") else 0.40
    )
    inner = plan.x + plan.half[0] * 0.90
    ends = torch.stack([steps(inner, plan.end, 5), torch.full((5,), y)], 1).to(like)
    ends = ends * like.new_tensor((side, 1.0)) + like.new_tensor((front.middle, 0.0))
    path = front.at(ends)
    up = path.new_tensor((0.0, 1.0, 0.0)).expand_as(path)
    tall = 0.0022 if thin else max(0.0042, style.temple)
    deep = 0.0016 if thin else 0.0036
    piece = swept(path, up, ring(8, deep, tall * (1.0 if thin else 1.25), 0.5).to(like))

    mirror = lambda places: tuple((side * x, y, z) for x, y, z in places)  # noqa: E731
    (ear,), _ = fit.at(mirror(_EAR))
    behind, normals = fit.at(mirror(_BEHIND_EAR))
    wide = 0.0013 if thin else 0.0024
    start = path[-1] + like.new_tensor((0.0, 0.0, 0.0006))
    over = ear + like.new_tensor((0.0, 0.30 * tall + 0.0012, 0.0))
    t = steps(0, 1, 12).to(like)[:, None]
    straight = start + t * (over - start)
    skin = fit.side_x(side > 0, straight[:, 1], straight[:, 2])
    least = skin + wide / 2 + _CLEAR_TEMPLE
    x = torch.maximum(straight[:, 0] * side, least) * side
    straight = torch.stack([x, *straight[:, 1:].unbind(1)], 1)
    tail = behind + (wide / 2 + 0.0014) * normals
    curve = smooth_curve(torch.cat([straight, tail]), 44)
    s = steps(0, 1, len(curve)).to(like)
    at_ear = ((s - 0.66) * 6).clamp(0, 1)
    # It ends thin: between the ear and the head there is little room.
    height = tall * (1 - 0.35 * ((s - 0.1) * 2).clamp(0, 1) - 0.35 * at_ear)
    width = wide * (1 - 0.5 * at_ear)
    least = torch.maximum(0.5 * width, 0.40 * height) + _OFF_EAR
    rear = curve[:, 2] < ear[2] + 0.010
    curve = torch.where(rear[:, None], fit.clear_of_ear(side > 0, curve, least), curve)
    tangent = torch.cat([curve[1:], curve[-1:]]) - torch.cat([curve[:1], curve[:-1]])
    upward = cross(like.new_tensor((1.0, 0.0, 0.0)).expand_as(tangent), tangent)
    profile = ring(8, 1.0, 1.0, 0.5).to(like)
    profiles = torch.stack([profile[:, 0] * width[:, None], profile[:, 1] * height[:, None]], -1)
    return [piece, swept(curve, upward, profiles)]


def _lens(style: Style, front: _Front, center: Tensor, outline: Tensor, half: float) -> Lens:
    rings = [outline * share + center for share in (0.35, 0.7, 1.0)]
    points = torch.cat([center[None], *rings])
    count = len(outline)
    faces = [(0, 1 + j, 1 + (j + 1) % count) for j in range(count)]
    for r in range(2):
        for j in range(count):
            a, b = (1 + r * count + k % count for k in (j, j + 1))
            faces += [(a, a + count, b + count), (a, b + count, b)]
    offset = points - center
    flat = front.normals(points)
    curved = torch.stack([offset[:, 0], offset[:, 1], torch.zeros_like(offset[:, 0])], 1) / _BASE
    shape = Shape(front.at(points), torch.tensor(faces, device=points.device))
    return Lens(shape, unit(flat + curved), offset[:, 1] / half, style.passed, style.mirror)


def _pads(style: Style, plan: _Plan, front: _Front, fit: Fit) -> list[Part]:
    """Pads on the sides of the nose, each on a wire from its rim."""
    like = fit.eyes
    parts = []
    inner = plan.x - plan.half[0]
    for side in (-1.0, 1.0):
        x = front.middle + side * (inner - 0.0012)
        y = plan.y - 0.02 * plan.half[1]
        here = like.new_tensor([[x, y], [x + 0.002, y], [x - 0.002, y]])
        skin = fit.front_z(*here.unbind(1))
        slope = (skin[1] - skin[2]) / 0.004
        normal = unit(torch.stack([-slope, torch.zeros_like(slope), torch.ones_like(slope)])[None])
        center = torch.cat([here[0], skin[:1]]) + 0.0016 * normal[0]
        up = like.new_tensor([[0.0, 1.0, 0.0]])
        across = cross(up, normal)
        axes = torch.cat([0.0024 * across, 0.0052 * up, 0.0014 * normal])
        parts.append(Part(_KIND, ball(center, axes), _PADS, SILICONE))
        held = like.new_tensor([[front.middle + side * (inner + 0.0004), y + 0.25 * plan.half[1]]])
        start = front.at(held)[0]
        middle = 0.5 * (start + center) + 0.0012 * normal[0] + like.new_tensor((0, 0.001, 0))
        wire = smooth_curve(torch.stack([start, middle, center]), 8)
        shape = swept(wire, up.expand_as(wire), ring(6, 0.0008, 0.0008).to(like))
        parts.append(Part(_KIND, shape, _METALS[0], METAL))
    return parts


def _pattern(style: Style, p: Tensor) -> Tensor:
    """Colour of the frame's vertices [V, 3]: all one, or tortoiseshell."""
    like = p.new_tensor
    x, y, z = p.unbind(1)
    wave = sine(290 * x + 2.6 * sine(190 * y + 60 * z)) + sine(
        330 * y + 140 * z + 2.9 * sine(230 * x)
    )
    patch = (wave * 1.1 - 0.05).clamp(0, 1)[:, None]
    return like(style.color) * (1 - patch) + like(style.color2) * patch
