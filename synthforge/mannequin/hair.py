"""Scalp hair: grows guide strands by style, then thousands of strands along them.

Everything happens in the head's frame (metres, as the neutral head stands), so hair follows the
head's pose; it starts from the posed, shaped surface, so it fits the person.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from synthforge.mannequin.arithmetic import (
    cosine,
    dot,
    exp,
    length,
    mean,
    normal_cdf,
    sigmoid,
    sine,
    steps,
)
from synthforge.mannequin.hair_styles import Growth, bun_center, combed, growth_of, roots_kept
from synthforge.mannequin.person import Hair, Person
from synthforge.mannequin.roots import GUIDES, Roots, scalp_roots
from synthforge.mannequin.scalp import Head, Scalp, jaw_height, scalp_of
from synthforge.mannequin.strands import Strands
from synthforge.mannequin.template import Template
from synthforge.mesh import cross, unit

_GREY = (0.40, 0.395, 0.39)
# Of the supersampled image, about: sets how densely strands are sampled.
_PIXELS_PER_METRE = 4000.0
_STRANDS_AT_ONCE = {"cpu": 1024}


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
    normal = unit(guides.posed(head.normals, template.faces))
    p = root
    step = growth.length / (growth.knots - 1)
    direction = combed(hair, guides.position, p, normal, template, scalp.center)
    tangent = unit(direction - dot(direction, normal)[:, None] * normal)
    lift = growth.lift[:, None]
    heading = unit(normal * lift + tangent * (1 - lift))
    jitter = guides.random[:, 4:7] * (0.05 + 0.10 * hair.frizz)
    heading = unit(heading + jitter)
    down = p.new_tensor((0.0, -1.0, 0.0))
    bun = bun_center(hair, template)
    keep = growth.stiffness ** (16 / growth.knots)
    curve = [p]
    hug = torch.zeros_like(p[:, :1])
    jaw_y = jaw_height(template)
    for index in range(1, growth.knots):
        wanted = combed(hair, guides.position, p, normal, template, scalp.center)
        out = unit(p - scalp.center)
        # Combing along the surface: what points into the head is taken away.
        inward = dot(wanted, out)[:, None].clamp(max=0)
        wanted = unit(wanted - inward * out) - hug * out
        heading = heading * keep + wanted * (1 - keep) + down * (growth.gravity * 16 / growth.knots)
        heading = unit(heading)
        p = p + heading * step[:, None]
        out = p - scalp.center
        distance = length(out)[:, None]
        out = out / distance
        rise = min(1.0, index / (0.25 * growth.knots))
        floor = scalp.at(out)[:, None] + growth.layer[:, None] * rise
        # Below the skull hair hangs past the neck.
        on_head = sigmoid((p[:, 1:2] - jaw_y) * 250)
        p = torch.where((distance < floor) & (on_head > 0.5), scalp.center + out * floor, p)
        hug = growth.hug * on_head * ((distance - floor) / 0.012).clamp(0, 1)
        if hair.style == "bun":
            # Hair ends in the knot.
            near = (length(bun - p)[:, None] / 0.03).clamp(max=1)
            p = curve[-1] + (p - curve[-1]) * near
        curve.append(p)
    return torch.stack(curve, -1).transpose(0, 1).contiguous()


def _colors(person_hair: Hair, random: Tensor) -> Tensor:
    """Albedo of each strand [N, 3]: a little lighter or darker, some grey."""
    like = random.new_tensor
    tone = exp(0.16 * random[:, 7:8])
    grey = (normal_cdf(random[:, 8:9]) < person_hair.grey).float()
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
    """Strands beside their guides: root offset, clumping, curls and frizz added up."""
    root = roots.posed(head.vertices, template.faces)
    offset = (root - curves[:, roots.guide, 0].T).T
    knots = growth.knots
    s = steps(0, 1, knots, root.device)
    mean_length = float(mean(growth.length, 0))
    turns = mean_length / growth.curl_length * 2 * math.pi
    fade = (s / 0.25).clamp(max=1)
    phase = 2 * math.pi * (guides.random[roots.guide, 9] + 0.10 * roots.random[:, 9])
    basis = torch.stack(
        [
            1 - growth.clump * s,
            s,
            fade * cosine(turns * s),
            fade * sine(turns * s),
            s * sine(5.0 * s * math.pi),
            s * sine(9.0 * s * math.pi + 1.0),
        ]
    )
    random = roots.random.T
    axis = unit(curves[:, roots.guide, -1] - curves[:, roots.guide, 0], 0)
    helper = torch.stack([axis[1], axis[2], axis[0]])
    e1 = unit(cross(axis, helper, 0), 0)
    e2 = cross(axis, e1, 0)
    # Every strand has as many turns: the shorter ones must be the tighter.
    shorter = (growth.length[roots.guide] / mean_length).clamp(max=1) ** 2
    radius = growth.curl_radius * shorter * (1 + 0.3 * guides.random[roots.guide, 10])
    cos, sin = cosine(phase) * radius, sine(phase) * radius
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
    # In the generator's frame already: turning the sums would cost more.
    points = _sums(head.to_gen(curves), roots.guide, head.turned_to_gen(amounts), basis)
    layer = growth.layer[roots.guide]
    exposed = ((layer - layer.amin()) / (layer.amax() - layer.amin() + 1e-6)).clamp(0, 1)
    return Strands(
        points,
        _colors(hair, roots.random),
        0.35 + 0.65 * exposed,
        _samples(growth, mean_length),
        growth.shine,
    )


def _sums(curves: Tensor, guide: Tensor, amounts: Tensor, basis: Tensor) -> Tensor:
    """Guides of curves [3, G, T] plus amounts [3, N, K] of basis [K, T] -> strands [3, N, T].

    A cache's worth of strands at a time.
    """
    parts = []
    at_once = _STRANDS_AT_ONCE.get(curves.device.type, len(guide))
    for chosen, shares in zip(guide.split(at_once), amounts.split(at_once, 1), strict=True):
        part = curves.index_select(1, chosen)
        for k, shape in enumerate(basis):
            part += shares[:, :, k, None] * shape
        parts.append(part)
    return torch.cat(parts, 1)


def _samples(growth: Growth, mean_length: float) -> int:
    """Points drawn on each span: close to one a pixel along a strand, as far as time allows."""
    winding = 1 + 8 * growth.curl_radius / growth.curl_length
    wanted = min(max(mean_length * winding * _PIXELS_PER_METRE / 1.3, 8), 700)
    return max(1, round(wanted / (growth.knots - 1)))


def _bun(hair: Hair, roots: Roots, template: Template, head: Head) -> Strands:
    """A knot of hair: strands wound round a ball."""
    count, knots = 3500, 32
    random = roots.random[:count]
    center = bun_center(hair, template) + template.vertices.new_tensor((0.0, 0.010, -0.016))
    radius = (0.024 + 0.012 * hair.volume) * (0.86 + 0.14 * normal_cdf(1.4 * random[:, 3:4]))
    a = unit(random[:, 0:3] + random.new_tensor((0, 0.6, 0.0)))
    b = unit(cross(a, unit(random[:, 4:7])))
    angle = steps(0, 1.1 * math.pi, knots, random.device)
    points = radius[..., None] * (a[..., None] * cosine(angle) + b[..., None] * sine(angle))
    points = (points + center[:, None]).transpose(0, 1).contiguous()
    exposed = ((radius[:, 0] - radius.amin()) / (radius.amax() - radius.amin())).clamp(0, 1)
    return Strands(head.to_gen(points), _colors(hair, random), 0.2 + 0.8 * exposed, 10, 1.0)
