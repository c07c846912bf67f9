"""Glasses: frames and lenses that sit on the nose and the ears of one head."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from synthforge.mannequin.render.arithmetic import sine, steps
from synthforge.mannequin.render.fields import smooth_curve
from synthforge.mannequin.wear.fit import Fit
from synthforge.mannequin.wear.glasses_front import Front, Plan, depth, placed, planned
from synthforge.mannequin.wear.glasses_style import METALS, Style
from synthforge.mannequin.wear.parts import METAL, PLASTIC, SILICONE, Lens, Part
from synthforge.mannequin.wear.shapes import Shape, ball, joined, ring, swept
from synthforge.mesh import cross, unit
from synthforge.visible import VISIBLE_ID

_KIND = VISIBLE_ID["glasses"]
_PADS = (0.55, 0.50, 0.46)

# Metres on a head of the template's size. Of the lenses' own curve, a radius.
_CLEAR_TEMPLE, _OFF_EAR, _BASE = 0.0010, 0.0002, 0.115
# On the template: where the left ear's top joins the head, and down behind it.
_EAR = ((0.0792, 0.0259, -0.0568),)
_BEHIND_EAR = ((0.0778, 0.0193, -0.0689), (0.0764, 0.0117, -0.0722), (0.0745, 0.0024, -0.0719))


def glasses(style: Style, fit: Fit) -> tuple[list[Part], list[Lens]]:
    """The frame's parts and the right and the left lens."""
    plan = planned(style, fit)
    front = placed(style, plan, fit)
    like = fit.eyes
    thick = depth(style)
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


def _rim_width(style: Style, outline: Tensor, half_height: float) -> Tensor:
    up = outline[:, 1] / half_height
    if style.frame == "browline":
        return 0.0010 + 0.0044 * ((up - 0.05) * 4).clamp(0, 1)
    if style.frame == "rimless":
        return torch.full_like(up, 0.0006)
    if style.frame == "metal":
        return torch.full_like(up, style.rim)
    return style.rim * (1 + 0.35 * up.clamp(min=0))


def _bridge(style: Style, plan: Plan, front: Front) -> Shape:
    points = plan.bridge + plan.bridge.new_tensor((front.middle, 0.0))
    if style.frame == "acetate":
        profile = ring(8, 0.9 * style.rim + 0.0018, depth(style), 0.5)
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


def _temple(style: Style, plan: Plan, front: Front, fit: Fit, side: float) -> list[Shape]:
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
    rear = torch.nonzero(curve[:, 2] < ear[2] + 0.010).squeeze(1)
    cleared = fit.clear_of_ear(side > 0, curve[rear], least[rear])
    curve = curve.index_copy(0, rear, cleared)
    tangent = torch.cat([curve[1:], curve[-1:]]) - torch.cat([curve[:1], curve[:-1]])
    upward = cross(like.new_tensor((1.0, 0.0, 0.0)).expand_as(tangent), tangent)
    profile = ring(8, 1.0, 1.0, 0.5).to(like)
    profiles = torch.stack([profile[:, 0] * width[:, None], profile[:, 1] * height[:, None]], -1)
    return [piece, swept(curve, upward, profiles)]


def _lens(style: Style, front: Front, center: Tensor, outline: Tensor, half: float) -> Lens:
    rings = [outline * share + center for share in (0.35, 0.7, 1.0)]
    points = torch.cat([center[None], *rings])
    offset = points - center
    flat = front.normals(points)
    curved = torch.stack([offset[:, 0], offset[:, 1], torch.zeros_like(offset[:, 0])], 1) / _BASE
    shape = Shape(front.at(points), _lens_faces(len(outline)).to(points.device))
    return Lens(shape, unit(flat + curved), offset[:, 1] / half, style.passed, style.mirror)


@functools.cache
def _lens_faces(count: int) -> Tensor:
    """int64 [F, 3]: a centre and three rings of so many points round it."""
    faces = [(0, 1 + j, 1 + (j + 1) % count) for j in range(count)]
    for r in range(2):
        for j in range(count):
            a, b = (1 + r * count + k % count for k in (j, j + 1))
            faces += [(a, a + count, b + count), (a, b + count, b)]
    return torch.tensor(faces)


def _pads(style: Style, plan: Plan, front: Front, fit: Fit) -> list[Part]:
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
        parts.append(Part(_KIND, shape, METALS[0], METAL))
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
