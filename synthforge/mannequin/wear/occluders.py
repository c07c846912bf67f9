"""What is held before the face: a microphone, a phone or a cup, and the hand that holds it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.draws import RGB, Draws, mix
from synthforge.mannequin.render.arithmetic import cosine, dot, sine, steps
from synthforge.mannequin.render.fields import bell, smooth_curve
from synthforge.mannequin.wear.fit import Fit
from synthforge.mannequin.wear.parts import CLOTH, PLASTIC, SKIN, Part
from synthforge.mannequin.wear.shapes import Shape, ball, joined, ring, swept
from synthforge.mesh import cross, unit
from synthforge.visible import CLOTHES, VISIBLE_ID

_OBJECT, _HAND = VISIBLE_ID["object"], VISIBLE_ID["hand"]
_BODIES = ((0.014, 0.014, 0.015), (0.55, 0.56, 0.57), (0.75, 0.73, 0.70), (0.03, 0.05, 0.14))
# Of the index to the little finger, metres: its length, and its thickness at the knuckle.
_FINGERS = ((0.084, 0.0170), (0.092, 0.0175), (0.086, 0.0165), (0.070, 0.0148))
_APART = 0.0170
_RINGS = 26


def occluder(kind: str, d: Draws, fit: Fit, skin: RGB, sleeve: RGB) -> list[Part]:
    """kind: "microphone", "phone" or "cup". skin, sleeve: linear RGB albedo."""
    side = 1.0 if d.chance(0.4) else -1.0
    body, size, near = _BODIES[int(d.u(0, 3.999))], d.u(), d.u()
    mouth = 0.5 * (fit.landmarks[62] + fit.landmarks[66])
    like = mouth.new_tensor
    if kind == "phone":
        center = like((side * -0.035 * d.u(), -0.055 + 0.075 * d.u(), 0.16 + 0.06 * near))
        return _phone(center, body, side, skin, sleeve)
    if kind == "cup":
        radius = 0.034 + 0.006 * size
        tall = 0.085 + 0.025 * size
        lean = d.u(0.0, 0.5)
        top = mouth + like((0.0, 0.004 - 0.05 * near, radius + 0.012 + 0.02 * near))
        axis = unit(like((0.0, -1.0, lean))[None])[0]
        cup = _turned(top, axis, ((0.0, radius - 0.004), (0.0, radius), (0.3 * tall, 0.96 * radius),
                                  (tall, 0.78 * radius), (tall, 0.02)))  # fmt: skip
        color = mix(body, d.color(0.8, 0.8), 0.6)
        hand = _grip(top + 0.52 * tall * axis, axis, 0.88 * radius, side, 0.030)
        return [Part(_OBJECT, cup, color, PLASTIC), *_hand(*hand, skin, sleeve)]
    axis = unit(like((side * -0.15, -1.0, 0.25 + 0.4 * size))[None])[0]
    top = mouth + like((side * -0.01, -0.012 - 0.018 * near, 0.034 + 0.03 * near))
    grille = ball(top, 0.025 * torch.eye(3).to(top), 15, 24)
    p = grille.vertices - top
    mesh = 0.5 + 0.5 * sine(2600 * p[:, 1]) * sine(2600 * p[:, 0] + 2600 * p[:, 2])
    woven = like((0.11, 0.11, 0.115)) * (0.25 + 0.75 * mesh[:, None])
    handle = _turned(top + 0.020 * axis, axis, ((0.0, 0.0165), (0.004, 0.0185), (0.010, 0.0170),
                                                (0.170, 0.0115), (0.170, 0.001)))  # fmt: skip
    hand = _grip(top + 0.085 * axis, axis, 0.0145, side, 0.056)
    head, rod = Part(_OBJECT, grille, woven, CLOTH), Part(_OBJECT, handle, body, PLASTIC)
    return [head, rod, *_hand(*hand, skin, sleeve)]


def _turned(start: Tensor, axis: Tensor, outline: tuple[tuple[float, float], ...]) -> Shape:
    """A solid of revolution. outline: distances along the axis and from it."""
    path = torch.stack([start + along * axis for along, _ in outline])
    # Where it ends flat, a path's tangent still needs a way to go.
    path = path + axis * 1e-5 * torch.arange(len(outline)).to(path)[:, None]
    up = path.new_tensor((0.0, 0.0, 1.0)).expand_as(path)
    profile = ring(28, 2.0, 2.0).to(path)
    radii = path.new_tensor([radius for _, radius in outline])
    return swept(path, up, profile * radii[:, None, None])


@dataclass(frozen=True)
class _Flesh:
    """shape: of a part of the hand. tone: [V], how light it is beside its neighbours."""

    shape: Shape
    tone: Tensor


def _finger(path: Tensor, thick: float, outward: Tensor) -> list[_Flesh]:
    """A finger along a few points, its first the knuckle, and its nail.

    outward: [3], where the nail faces.
    """
    curve = smooth_curve(path, _RINGS)
    s = steps(0, 1, _RINGS).to(path)
    # Joints are a little thicker than what is between them.
    joints = 1.06 + 0.05 * cosine(s * (2 * math.pi / 0.42)) - 0.18 * s
    end = torch.sqrt(1 - ((s - 0.86) / 0.14).clamp(0, 1) ** 2 * 0.97)
    round_ = ring(12, 1.0, 1.0).to(path)
    up = path.new_tensor((0.05, 1.0, 0.08)).expand_as(curve)
    shape = swept(curve, up, round_ * (thick * joints * end)[:, None, None])
    # Dark between the fingers, and a little in the creases of the joints.
    beside = 1 - 0.45 * (16 * round_[:, 1] ** 2 * round_[:, 1] ** 2)
    crease = 1 - 0.16 * (bell(s - 0.42, 0.02) + bell(s - 0.46, 0.015) + bell(s - 0.76, 0.02))
    tone = (beside * crease[:, None]).flatten()
    at, back = curve[-4], curve[-4] - curve[-8]
    along = unit(back[None])[0]
    out = unit((outward - dot(outward, along) * along)[None])[0]
    axes = torch.stack([0.36 * thick * cross(out, along), 0.10 * thick * out, 0.40 * thick * along])
    nail = ball(at + 0.37 * thick * out, axes)
    return [_Flesh(shape, tone), _Flesh(nail, torch.full_like(nail.vertices[:, 0], 1.12))]


def _grip(
    center: Tensor, axis: Tensor, radius: float, side: float, thumb_up: float
) -> tuple[list[_Flesh], Shape]:
    """A hand round a rod, its fingers to the viewer, and its sleeve. axis: downwards."""
    like = center.new_tensor
    across = like((side, 0.0, 0.0))
    across = unit((across - dot(across, axis) * axis)[None])[0]
    front = cross(axis, across)
    front = front * (1.0 if float(front[2]) > 0 else -1.0)

    def at(angle: float, out: float, along: float) -> Tensor:
        """On a ring round the rod, from its front to the side of the arm."""
        turn = like(angle)
        return center + out * (cosine(turn) * front + sine(turn) * across) + along * axis

    fingers: list[_Flesh] = []
    for k, (long, thick) in enumerate(_FINGERS):
        along = (k - 1.5) * _APART
        out = radius + 0.47 * thick
        start, reach = 1.75, long / out
        angles = [start - reach * share for share in (0.0, 0.22, 0.45, 0.66, 0.85, 1.0)]
        bulge = (0.006, 0.004, 0.0035, 0.001, 0.001, 0.0)
        points = [at(a, out + b, along + 0.004 * (i / 5)) for i, (a, b) in
                  enumerate(zip(angles, bulge, strict=True))]  # fmt: skip
        fingers += _finger(torch.stack(points), thick, points[-2] - (center + along * axis))
    palm_center = at(2.0, radius + 0.020, 0.004)
    knuckle = at(1.75, radius + 0.015, 0.0)
    wrist = palm_center + 0.052 * axis + 0.045 * across - 0.012 * front
    elbow = wrist + 0.26 * axis + 0.13 * across - 0.03 * front
    path = smooth_curve(torch.stack([knuckle - 0.010 * axis, palm_center, wrist,
                                     0.6 * wrist + 0.4 * elbow, elbow]), 30)  # fmt: skip
    arm = _limb(path, ((0.0, 0.022, 0.060), (0.25, 0.031, 0.076), (0.5, 0.034, 0.050),
                       (0.75, 0.050, 0.062), (1.0, 0.066, 0.076)), across)  # fmt: skip
    rises = (0.07, 0.43, 0.71, 1.0)
    thumb = torch.stack([
        at(angle, radius + out, -thumb_up * rise)
        for angle, out, rise in zip((2.5, 2.75, 3.0, 3.15), (0.012, 0.012, 0.009, 0.008), rises,
                                    strict=True)
    ])  # fmt: skip
    cuff = _limb(
        path[17:], ((0.0, 0.052, 0.066), (0.06, 0.056, 0.070), (1.0, 0.086, 0.098)), across
    )
    return [*fingers, *_finger(thumb, 0.0205, thumb[-1] - center), _plain(arm)], cuff


def _plain(shape: Shape) -> _Flesh:
    return _Flesh(shape, torch.ones_like(shape.vertices[:, 0]))


def _hand(flesh: list[_Flesh], cuff: Shape, skin: RGB, sleeve: RGB) -> list[Part]:
    tone = torch.cat([part.tone for part in flesh])
    red = mix(skin, (skin[0], 0.6 * skin[1], 0.55 * skin[2]), 0.16)
    color = tone.new_tensor(red) * tone[:, None]
    whole = joined([part.shape for part in flesh])
    return [
        Part(_HAND, whole, color, SKIN, tone.clamp(max=1)),
        Part(CLOTHES, cuff, sleeve, CLOTH),
    ]


def _limb(path: Tensor, girths: tuple[tuple[float, float, float], ...], across: Tensor) -> Shape:
    """An elliptic tube. girths: share of the way, its thickness and its width."""
    s = steps(0, 1, len(path)).to(path)
    table = path.new_tensor(girths)
    girth = torch.zeros(len(path), 2).to(path) + table[0, 1:]
    for before, after in itertools.pairwise(table):
        t = ((s - before[0]) / (after[0] - before[0])).clamp(0, 1)
        t = (t * t * (3 - 2 * t))[:, None]
        girth = girth + t * (after[1:] - before[1:])
    profile = ring(18, 1.0, 1.0).to(path) * girth[:, None]
    return swept(path, across.expand_as(path) + path.new_tensor((0.0, 0.0, 0.4)), profile)


def _phone(center: Tensor, body: RGB, side: float, skin: RGB, sleeve: RGB) -> list[Part]:
    """Held upright, its back to the viewer, four fingers across it."""
    like = center.new_tensor
    z = steps(-0.0042, 0.0042, 6).to(center)
    path = torch.stack([center + like((0.0, 0.0, 1.0)) * at for at in z])
    inset = like((0.93, 0.985, 1.0, 1.0, 0.985, 0.93))[:, None, None]
    up = like((0.0, 1.0, 0.0)).expand_as(path)
    case = swept(path, up, ring(48, 0.074, 0.152, 0.80).to(center) * inset)
    eye = torch.diag(like((0.0065, 0.0065, 0.0022)))
    lenses = joined([ball(center + like((side * 0.021, y, 0.0046)), eye) for y in (0.058, 0.038)])
    parts = [Part(_OBJECT, case, body, PLASTIC), Part(_OBJECT, lenses, (0.008,) * 3, PLASTIC)]
    fingers: list[_Flesh] = []
    for k, (long, thick) in enumerate(_FINGERS):
        y = -0.008 - k * _APART
        edge = side * 0.042
        points = [
            (edge + side * 0.006, y - 0.004, -0.016), (edge + side * 0.003, y, 0.004),
            (edge - side * 0.016, y + 0.002, 0.0120 + 0.3 * thick),
            (edge - side * 0.45 * long, y + 0.003, 0.0062 + 0.45 * thick),
            (edge - side * 0.68 * long, y + 0.002, 0.0042 + 0.42 * thick),
        ]  # fmt: skip
        fingers += _finger(center + like(points), thick, like((0.0, 0.0, 1.0)))
    palm = center + like((side * 0.046, -0.046, -0.026))
    wrist = palm + like((side * 0.018, -0.075, -0.010))
    elbow = wrist + like((side * 0.10, -0.30, -0.04))
    start = center + like((side * 0.047, 0.004, -0.018))
    way = smooth_curve(torch.stack([start, palm, wrist, 0.6 * wrist + 0.4 * elbow, elbow]), 30)
    across = like((0.0, 0.0, 1.0))
    arm = _limb(way, ((0.0, 0.020, 0.030), (0.25, 0.032, 0.055), (0.5, 0.042, 0.052),
                      (0.75, 0.056, 0.062), (1.0, 0.070, 0.076)), across)  # fmt: skip
    cuff = _limb(way[18:], ((0.0, 0.062, 0.068), (0.06, 0.066, 0.072), (1.0, 0.09, 0.1)), across)
    return [*parts, *_hand([*fingers, _plain(arm)], cuff, skin, sleeve)]
