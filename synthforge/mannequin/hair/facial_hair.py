"""Brows, lashes and beards: short strands that lie close to the skin."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from synthforge.landmarks import LEFT_EYE, RIGHT_EYE
from synthforge.mannequin.draws import Pair
from synthforge.mannequin.hair.hair import strand_colors
from synthforge.mannequin.hair.roots import Roots, beard_roots, brow_roots
from synthforge.mannequin.hair.scalp import Head
from synthforge.mannequin.hair.strands import Strands
from synthforge.mannequin.person import Person
from synthforge.mannequin.render.arithmetic import cosine, dot, exp, mean, normal_cdf, sine, steps
from synthforge.mannequin.render.fields import smooth_curve
from synthforge.mannequin.render.template import template
from synthforge.mesh import unit
from synthforge.regions import REGION_ID
from synthforge.visible import FACIAL_HAIR

_KNOTS = 6
_LASHES = 80
_LASH_COLOR = (0.012, 0.009, 0.008)


def facial_hair(person: Person, head: Head, landmarks: Tensor) -> list[Strands]:
    """Generator frame. landmarks: [68, 3] of the posed face in the head's own frame."""
    groups = [_brows(person, head), _lashes(person, head, landmarks)]
    if person.stubble > 0.08 or person.beard > 0:
        groups.append(_stubble(person, head))
    if person.beard > 0:
        groups.append(_beard(person, head))
    return groups


def _bent(root: Tensor, direction: Tensor, bend: Tensor, length: Tensor) -> Tensor:
    """Parabolas: [N, 3] roots, directions and bends, [N] lengths -> [N, T, 3]."""
    s = steps(0, 1, _KNOTS)[:, None]
    straight, curved = length[:, None] * direction, length[:, None] * bend
    return root[:, None] + straight[:, None] * s + curved[:, None] * s**2


def _strands(
    head: Head, points: Tensor, color: Tensor, shine: float, depth: Pair, kind: Tensor
) -> Strands:
    """Of curves [N, T, 3] in the head's frame, none inside others."""
    return Strands(head.frame.from_local(points), color, torch.ones(len(color)), shine, depth, kind)


def _of_side(left: Tensor, of_left: str, of_right: str) -> Tensor:
    """Class of each strand: uint8 [N], from which are on the subject's left, bool [N]."""
    return torch.where(left, REGION_ID[of_left], REGION_ID[of_right]).to(torch.uint8)


def _brows(person: Person, head: Head) -> Strands:
    roots = brow_roots()
    along, across = roots.place.unbind(-1)
    thickness = 0.38 + 0.62 * person.brow_thickness
    sparse = normal_cdf(roots.random[:, 0]) < person.brow_density * 0.72 * (
        0.40 + 0.60 * sine((along * 0.85 + 0.12) * math.pi).clamp(0)
    )
    roots = roots.take((across.abs() < thickness) & sparse)
    along, across = roots.place.unbind(-1)
    root, normal = roots.on(head)
    outward = torch.sign(roots.position[:, 0])
    # From upright at the nose to lying along the brow; the upper hairs point down.
    upright = 1 - along.clamp(0, 1)
    angle = 1.25 * upright * torch.sqrt(upright) - 0.22 - 0.38 * across + 0.16 * roots.random[:, 1]
    direction = torch.stack([outward * cosine(angle), sine(angle), torch.zeros_like(angle)], -1)
    direction = unit(direction - dot(direction, normal)[:, None] * normal)
    length = 0.0062 * (1 + 0.2 * roots.random[:, 2]).clamp(0.5) * (1 - 0.35 * along)
    bend = torch.stack([0.1 * outward, -0.12 + 0 * along, -0.02 + 0 * along], -1)
    points = _bent(root + 0.0002 * normal, direction + 0.13 * normal, bend, length)
    color = points.new_tensor(person.brow_color) * exp(0.2 * roots.random[:, 3:4])
    kind = _of_side(outward > 0, "left_eyebrow", "right_eyebrow")
    return _strands(head, points, color, 0.3, (0.8, 0.25), kind)


def _lashes(person: Person, head: Head, landmarks: Tensor) -> Strands:
    right, left = landmarks[RIGHT_EYE], landmarks[LEFT_EYE]
    # Each lid from its outer to its inner corner.
    lids = [
        (right[[0, 1, 2, 3]], -1.0, True),
        (right[[0, 5, 4, 3]], -1.0, False),
        (left[[3, 2, 1, 0]], 1.0, True),
        (left[[3, 4, 5, 0]], 1.0, False),
    ]
    points = torch.cat([_lid_lashes(person, *lid) for lid in lids])
    color = torch.tensor(_LASH_COLOR).expand(len(points), -1).contiguous()
    is_left = torch.arange(len(points)) >= len(points) // 2
    kind = _of_side(is_left, "left_eye_region", "right_eye_region")
    return _strands(head, points, color, 0.2, (1.2, 0.3), kind)


def _lid_lashes(person: Person, lid: Tensor, outward: float, upper: bool) -> Tensor:
    """Lashes along a lid's four landmarks [4, 3], outer corner first: [N, T, 3], head frame."""
    count = _LASHES if upper else _LASHES // 3
    wobble = sine(2.4 * torch.arange(count))
    along = steps(0.02, 0.98, count) + 0.011 * wobble
    root = smooth_curve(lid, 200)[(along * 199).long().clamp(0, 199)]
    # They fan out from the eye's middle, the outer ones most.
    sideways = 0.55 * (root - mean(lid, 0))[:, 0] / 0.015 + 0.15 * outward + 0.08 * wobble
    upward = torch.full_like(sideways, 0.0 if upper else -0.24) + 0.03 * wobble
    direction = torch.stack([sideways, upward, torch.full_like(sideways, 0.8)], 1)
    bend = lid.new_tensor((0.0, 0.45 if upper else -0.30, -0.22)).expand_as(root)
    length = person.lash_length * (0.55 + 0.45 * (1 - along)) * (1 + 0.25 * wobble)
    return _bent(root, unit(direction), bend, length * (1.0 if upper else 0.42))


def _stubble(person: Person, head: Head) -> Strands:
    roots = beard_roots()
    roots = roots.take(
        normal_cdf(roots.random[:, 6]) < roots.place[:, 0] * (0.35 + 0.75 * person.stubble)
    )
    root, normal = roots.on(head)
    length = (0.0004 + 0.0014 * person.stubble) * exp(0.25 * roots.random[:, 0])
    direction = unit(normal * 0.6 + normal.new_tensor((0, -0.7, 0)) + 0.35 * roots.random[:, 1:4])
    points = _bent(root, direction, 0 * direction, length)
    color = strand_colors(person.brow_color, person.hair.grey, roots.random, roots.random)
    kind = template().region.index_select(0, roots.face).to(torch.uint8)
    return _strands(head, points, color, 0.1, (0.5, 0.2), kind)


def _beard(person: Person, head: Head) -> Strands:
    roots = beard_roots()
    roots = roots.take(_beard_area(person, roots))
    root, normal = roots.on(head)
    below = (template().landmarks[54, 1] - roots.position[:, 1]).clamp(0, 0.06) / 0.06
    length = (
        (0.004 + 0.016 * person.beard**2)
        * (0.55 + 0.9 * below * person.beard)
        * exp(0.2 * roots.random[:, 0])
    )
    out = torch.sign(roots.position[:, 0:1]) * 0.25
    direction = normal * 0.55 + torch.cat([out, -0.75 + 0 * out, 0.15 + 0 * out], 1)
    direction = unit(direction + 0.22 * roots.random[:, 1:4])
    bend = torch.stack([0.25 * roots.random[:, 4], -0.35 + 0 * below, 0.2 * roots.random[:, 5]], -1)
    points = _bent(root, direction, bend, length)
    color = strand_colors(person.hair.color, person.hair.grey, roots.random, roots.random)
    exposed = 0.5 + 0.5 * below
    return Strands(head.frame.from_local(points), color, exposed, 0.4, (0.9, 0.12), FACIAL_HAIR)


def _beard_area(person: Person, roots: Roots) -> Tensor:
    """bool [N]: full beard, goatee, moustache or chin strap."""
    x, y, _ = roots.position.unbind(-1)
    corner, chin_y = template().landmarks[54], template().landmarks[8, 1]
    upper = y > corner[1] - 0.002
    middle = x.abs() < corner[0] + 0.006
    density = normal_cdf(roots.random[:, 6]) < roots.place[:, 0] * 1.2
    ragged = 0.006 * roots.random[:, 9]
    match person.beard_style:
        case 0 | 1:
            return density & (y > chin_y - 0.018 + ragged)
        case 2:
            return density & middle & (y > chin_y - 0.012 + ragged)
        case _:
            return density & middle & upper
