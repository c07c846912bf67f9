"""Scalp hair: grows guide strands by style, then thousands of strands along them.

Everything happens in the head's frame (metres, as the neutral head stands), so hair follows the
head's pose; it starts from the posed, shaped surface, so it fits the person.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.hair_styles import Growth, bun_center, combed, growth_of, roots_kept
from synthforge.mannequin.person import Hair, Person
from synthforge.mannequin.roots import GUIDES, Roots, scalp_roots
from synthforge.mannequin.scalp import Head, Scalp, jaw_height, scalp_of
from synthforge.mannequin.strands import Strands
from synthforge.mannequin.template import Template

_GREY = (0.40, 0.395, 0.39)
# Of the supersampled picture, about: sets how densely strands are sampled.
_PIXELS_PER_METRE = 4000.0


def grow_hair(person: Person, template: Template, head: Head) -> list[Strands]:
    """The person's scalp hair in the generator frame; a bald head has none."""
    hair = person.hair
    device = str(head.vertices.device)
    roots = scalp_roots(device)
    scalp = scalp_of(template, head)
    kept = roots_kept(hair, roots)
    guides = roots.take(slice(0, GUIDES))
    growth = growth_of(hair, guides, template)
    curves = _grow_guides(hair, growth, guides, template, head, scalp)
    chosen = torch.nonzero(kept).squeeze(1)[: growth.strands]
    group = _along_guides(hair, growth, curves, roots.take(chosen), guides, template, head)
    groups = [group]
    if hair.style == "bun":
        groups.append(_bun(hair, roots, template, head))
    return groups


def _grow_guides(
    hair: Hair, growth: Growth, guides: Roots, template: Template, head: Head, scalp: Scalp
) -> Tensor:
    """Curves of the guides, head frame: [3, G, T].

    Each step turns a guide from its heading towards the style's field, and moves it out of the
    head if it got inside.
    """
    root = guides.posed(head.vertices, template.faces)
    normal = F.normalize(guides.posed(head.normals, template.faces), dim=-1)
    p = root
    step = growth.length / (growth.knots - 1)
    direction = combed(hair, guides.position, p, normal, template, scalp.center)
    tangent = F.normalize(direction - (direction * normal).sum(-1, keepdim=True) * normal, dim=-1)
    lift = growth.lift[:, None]
    heading = F.normalize(normal * lift + tangent * (1 - lift), dim=-1)
    jitter = guides.random[:, 4:7] * (0.05 + 0.10 * hair.frizz)
    heading = F.normalize(heading + jitter, dim=-1)
    down = p.new_tensor((0.0, -1.0, 0.0))
    bun = bun_center(hair, template)
    keep = growth.stiffness ** (16 / growth.knots)
    curve = [p]
    hug = torch.zeros_like(p[:, :1])
    jaw_y = jaw_height(template)
    for index in range(1, growth.knots):
        wanted = combed(hair, guides.position, p, normal, template, scalp.center)
        out = F.normalize(p - scalp.center, dim=-1)
        # Combing along the surface: what points into the head is taken away.
        inward = (wanted * out).sum(-1, keepdim=True).clamp(max=0)
        wanted = F.normalize(wanted - inward * out, dim=-1) - hug * out
        heading = heading * keep + wanted * (1 - keep) + down * (growth.gravity * 16 / growth.knots)
        heading = F.normalize(heading, dim=-1)
        p = p + heading * step[:, None]
        out = p - scalp.center
        distance = out.norm(dim=-1, keepdim=True)
        out = out / distance
        rise = min(1.0, index / (0.25 * growth.knots))
        floor = scalp.at(out)[:, None] + growth.layer[:, None] * rise
        # Below the skull hair hangs past the neck.
        on_head = torch.sigmoid((p[:, 1:2] - jaw_y) * 250)
        p = torch.where((distance < floor) & (on_head > 0.5), scalp.center + out * floor, p)
        hug = growth.hug * on_head * ((distance - floor) / 0.012).clamp(0, 1)
        if hair.style == "bun":
            # Hair ends in the knot.
            near = ((bun - p).norm(dim=-1, keepdim=True) / 0.03).clamp(max=1)
            p = curve[-1] + (p - curve[-1]) * near
        curve.append(p)
    return torch.stack(curve, -1).transpose(0, 1).contiguous()


def _colors(person_hair: Hair, random: Tensor) -> Tensor:
    """Albedo of each strand [N, 3]: a little lighter or darker, some grey."""
    like = random.new_tensor
    tone = torch.exp(0.16 * random[:, 7:8])
    grey = (0.5 + 0.5 * torch.erf(random[:, 8:9] / math.sqrt(2)) < person_hair.grey).float()
    base = like(person_hair.color) * tone
    grey = grey * (0.55 + 0.45 * person_hair.grey)
    return base * (1 - grey) + like(_GREY) * tone.sqrt() * grey


def _along_guides(
    hair: Hair,
    growth: Growth,
    curves: Tensor,
    roots: Roots,
    guides: Roots,
    template: Template,
    head: Head,
) -> Strands:
    """Strands beside their guides: root offset, clumping, curls and frizz as one matrix product."""
    root = roots.posed(head.vertices, template.faces)
    offset = (root - curves[:, roots.guide, 0].T).T
    knots = growth.knots
    s = torch.linspace(0, 1, knots, device=root.device)
    mean_length = float(growth.length.mean())
    turns = mean_length / growth.curl_length * 2 * math.pi
    fade = (s / 0.25).clamp(max=1)
    phase = 2 * math.pi * (guides.random[roots.guide, 9] + 0.10 * roots.random[:, 9])
    basis = torch.stack(
        [
            1 - growth.clump * s,
            s,
            fade * torch.cos(turns * s),
            fade * torch.sin(turns * s),
            s * torch.sin(5.0 * s * math.pi),
            s * torch.sin(9.0 * s * math.pi + 1.0),
        ]
    )
    random = roots.random.T
    axis = F.normalize(curves[:, roots.guide, -1] - curves[:, roots.guide, 0], dim=0)
    helper = torch.stack([axis[1], axis[2], axis[0]])
    e1 = F.normalize(torch.linalg.cross(axis, helper, dim=0), dim=0)
    e2 = torch.linalg.cross(axis, e1, dim=0)
    # Every strand has as many turns: the shorter ones must be the tighter.
    shorter = (growth.length[roots.guide] / mean_length).clamp(max=1) ** 2
    radius = growth.curl_radius * shorter * (1 + 0.3 * guides.random[roots.guide, 10])
    cos, sin = torch.cos(phase) * radius, torch.sin(phase) * radius
    frizz = growth.frizz * growth.length[roots.guide]
    amounts = torch.stack(
        [
            offset,
            random[0:3] * growth.spread,
            e1 * cos + e2 * sin,
            e2 * cos - e1 * sin,
            random[3:6] * frizz,
            random[4:7] * frizz * 0.6,
        ],
        -1,
    )
    points = curves.index_select(1, roots.guide)
    points = torch.baddbmm(points, amounts, basis.expand(3, *basis.shape))
    layer = growth.layer[roots.guide]
    exposed = ((layer - layer.amin()) / (layer.amax() - layer.amin() + 1e-6)).clamp(0, 1)
    return Strands(
        head.to_gen(points),
        _colors(hair, roots.random),
        0.35 + 0.65 * exposed,
        _samples(growth, mean_length),
        growth.shine,
    )


def _samples(growth: Growth, length: float) -> int:
    """Points drawn along a strand: close to one a pixel, as far as time allows."""
    winding = 1 + 8 * growth.curl_radius / growth.curl_length
    return int(min(max(length * winding * _PIXELS_PER_METRE / 1.3, 8), 700))


def _bun(hair: Hair, roots: Roots, template: Template, head: Head) -> Strands:
    """A knot of hair: strands wound round a ball."""
    count, knots = 3500, 32
    random = roots.random[:count]
    center = bun_center(hair, template) + template.vertices.new_tensor((0.0, 0.010, -0.016))
    radius = (0.024 + 0.012 * hair.volume) * (0.86 + 0.14 * (0.5 + 0.5 * torch.erf(random[:, 3:4])))
    a = F.normalize(random[:, 0:3] + random.new_tensor((0, 0.6, 0.0)), dim=-1)
    b = F.normalize(torch.linalg.cross(a, F.normalize(random[:, 4:7], dim=-1)), dim=-1)
    angle = torch.linspace(0, 1.1 * math.pi, knots, device=random.device)
    points = radius[..., None] * (a[..., None] * torch.cos(angle) + b[..., None] * torch.sin(angle))
    points = (points + center[:, None]).transpose(0, 1).contiguous()
    exposed = ((radius[:, 0] - radius.amin()) / (radius.amax() - radius.amin())).clamp(0, 1)
    return Strands(head.to_gen(points), _colors(hair, random), 0.2 + 0.8 * exposed, 300, 1.0)
