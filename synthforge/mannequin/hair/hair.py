"""Scalp hair: grows guide strands by style, then thousands of strands along them.

Everything happens in the head's frame (metres, as the neutral head stands), so hair follows the
head's pose; it starts from the posed, shaped surface, so it fits the person.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from synthforge.mannequin.draws import RGB, between
from synthforge.mannequin.hair.combing import Comb
from synthforge.mannequin.hair.hair_styles import at_parting, growth_of, in_fringe, roots_kept
from synthforge.mannequin.hair.rim import Rim
from synthforge.mannequin.hair.roots import GUIDES, Roots, scalp_roots
from synthforge.mannequin.hair.scalp import Head, scalp_of, shoulders_of
from synthforge.mannequin.hair.strands import Strands
from synthforge.mannequin.kernels import filled
from synthforge.mannequin.kernels.strands import lay_along
from synthforge.mannequin.person import Person
from synthforge.mannequin.render.arithmetic import (
    cosine,
    dot,
    exp,
    length,
    mean,
    normal_cdf,
    sine,
    steps,
)
from synthforge.mannequin.render.template import template
from synthforge.mesh import cross, unit

_GREY = (0.36, 0.352, 0.342)
# Of one strand, root and tip.
_DEPTH = (1.2, 0.5)
# A guide's, before its curls are added.
_GUIDE_KNOTS = 17
# Strands beside a guide end at one of so many shares of its length.
_ENDS = 4


def grow_hair(person: Person, head: Head, rim: Rim | None = None) -> list[Strands]:
    """The person's scalp hair in the generator frame; a bald head has little.

    rim: of what is worn on it, which covers short hair and presses long hair down.
    """
    hair = person.hair
    roots = scalp_roots()
    guides = roots.take(slice(0, GUIDES))
    growth = growth_of(hair, guides)
    # Long enough to fall over the ears.
    is_long = growth.style.ends is not None
    comb = Comb(hair, growth, guides.position, scalp_of(template(), head, is_long))
    curves = _grow_guides(comb, guides, head, rim)
    grows = roots_kept(hair, roots)
    if rim is not None and not is_long:
        grows &= rim.leaves(roots.posed(head.vertices))
    kept = torch.nonzero(grows).squeeze(1)
    # A second strand to each root where skin shows between them; rolled, as it must be another.
    sparse = (in_fringe(hair, roots) | at_parting(hair, roots))[kept]
    drawn = roots.take(torch.cat([kept[: growth.style.strands], kept[sparse]]))
    drawn = replace(drawn, random=drawn.random.roll(1, 0))
    groups = [_along_guides(comb, curves, drawn, guides, head)]
    if hair.style == "bun":
        groups.append(_bun(comb, roots, head))
    return groups


def _grow_guides(comb: Comb, guides: Roots, head: Head, rim: Rim | None) -> Tensor:
    """Curves of the guides, head frame: [G, T, 3].

    Each step turns a guide from its heading towards the combed direction, and moves it out of the
    head and the shoulders if it got inside.
    """
    hair, growth, style = comb.hair, comb.growth, comb.growth.style
    scalp, shoulders = comb.scalp, shoulders_of(template(), head)
    p, normal = guides.on(head)
    step = (growth.length / (_GUIDE_KNOTS - 1))[:, None]
    direction = comb.direction(p)
    tangent = unit(direction - dot(direction, normal)[:, None] * normal)
    lift = growth.lift[:, None]
    heading = unit(normal * lift + tangent * (1 - lift))
    heading = unit(heading + guides.random[:, 4:7] * (0.05 + 0.10 * hair.frizz))
    pull = p.new_tensor((0.0, -style.gravity, 0.0))
    stand_off = torch.zeros_like(growth.length)
    curve = [p]
    for index in range(1, _GUIDE_KNOTS):
        wanted = comb.direction(p)
        out = unit(p - scalp.center)
        # Combing along the surface: what points into the head is taken away.
        inward = dot(wanted, out)[:, None].clamp(max=0)
        hug = style.hug * (stand_off / 0.012).clamp(0, 1)[:, None]
        wanted = unit(wanted - inward * out) - hug * out
        heading = unit(heading * style.stiffness + wanted * (1 - style.stiffness) + pull)
        p = p + heading * step
        rise = min(1.0, index / (0.25 * _GUIDE_KNOTS))
        p, stand_off = scalp.keep_out(p, growth.layer * rise)
        if rim is not None:
            p = rim.press(p, scalp)
        if style.ends is not None:
            p = shoulders.keep_out(p, growth.layer)
        if hair.style == "bun":
            # Hair ends in the knot.
            near = (length(comb.knot - p)[:, None] / 0.03).clamp(max=1)
            p = curve[-1] + (p - curve[-1]) * near
        curve.append(p)
    return torch.stack(curve, 1)


def strand_colors(color: RGB, grey: float, lock: Tensor, random: Tensor) -> Tensor:
    """Albedo of strands [N, 3] by the random numbers of their lock and their own, [N, 12] each.

    A strand stands for several hairs, so its share of grey ones scatters about the person's.
    """
    tone = exp(0.12 * lock[:, 7:8] + 0.10 * random[:, 7:8])
    scatter = (0.5 * grey * (1 - grey)) ** 0.5
    share = (grey + scatter * (0.5 * lock[:, 8:9] + 0.6 * random[:, 8:9])).clamp(0, 1)
    natural = random.new_tensor(color) * tone
    return natural + share * (random.new_tensor(_GREY) * tone.sqrt() - natural)


def _along_guides(comb: Comb, curves: Tensor, roots: Roots, guides: Roots, head: Head) -> Strands:
    """Strands beside their guides: root offset, clumping, curls and frizz added up."""
    hair, growth, style = comb.hair, comb.growth, comb.growth.style
    own, lock, lengths = roots.random, guides.random[roots.guide], growth.length[roots.guide]
    offset = roots.posed(head.vertices) - curves[roots.guide, 0]
    s = steps(0, 1, style.knots)
    mean_length = float(mean(growth.length, 0))
    turns = mean_length / between(style.curl_length, hair.wave) * 2 * math.pi
    fade = (s / 0.25).clamp(max=1)
    phase = 2 * math.pi * (lock[:, 9] + 0.10 * own[:, 9])
    axis = unit(curves[roots.guide, -1] - curves[roots.guide, 0])
    e1 = unit(cross(axis, axis.roll(-1, 1)))
    e2 = cross(axis, e1)
    # Every strand has as many turns: the shorter ones must be the tighter.
    shorter = (lengths / mean_length).clamp(max=1) ** 2
    radius = between(style.curl_radius, hair.wave) * shorter * (1 + 0.3 * lock[:, 10])
    cos, sin = ((wave * radius)[:, None] for wave in (cosine(phase), sine(phase)))
    frizz = (0.004 + 0.012 * hair.frizz**2 + style.frizz) * lengths[:, None]
    # What is added to a guide: a share by the place along it, times an offset of the strand.
    shares, offsets = zip(
        (1 - style.clump * s, offset),
        (s, own[:, 0:3] * style.spread),
        (fade * cosine(turns * s), e1 * cos + e2 * sin),
        (fade * sine(turns * s), e2 * cos - e1 * sin),
        (s * sine(5.0 * s * math.pi), own[:, 3:6] * frizz),
        (s * sine(9.0 * s * math.pi + 1.0), own[:, 4:7] * frizz * 0.6),
        strict=True,
    )
    rank = (normal_cdf(own[:, 11]) * _ENDS).long().clamp(0, _ENDS - 1)
    # Cut to _ENDS lengths.
    ends = [(_GUIDE_KNOTS - 1) * (1 - style.ragged * end / (_ENDS - 1)) for end in range(_ENDS)]
    place = torch.stack([steps(0, end, style.knots) for end in ends])
    first = place.long().clamp(max=_GUIDE_KNOTS - 2)
    # In the generator's frame already: turning the sums would cost more.
    lines = head.frame.from_local(curves)
    added = head.frame.turned_from_local(torch.stack(offsets, 1))
    arrays = lines, roots.guide, first, place - first, rank, added, torch.stack(shares)
    points = filled(lay_along, (len(rank), style.knots, 3), *arrays)
    layer = growth.layer[roots.guide]
    exposed = ((layer - layer.amin()) / (layer.amax() - layer.amin() + 1e-6)).clamp(0, 1)
    return Strands(
        points,
        strand_colors(hair.color, hair.grey, lock, own),
        0.35 + 0.65 * exposed,
        style.shine,
        _DEPTH,
    )


def _bun(comb: Comb, roots: Roots, head: Head) -> Strands:
    """A knot of hair: strands wound round a ball."""
    count, knots = 3500, 32
    random = roots.random[:count]
    size = 0.024 + 0.012 * comb.hair.volume
    radius = size * (0.86 + 0.14 * normal_cdf(1.4 * random[:, 3:4]))
    center = comb.knot + unit((comb.knot - comb.scalp.center)[None])[0] * (0.5 * size)
    a = unit(random[:, 0:3] + random.new_tensor((0, 0.6, 0.0)))
    b = unit(cross(a, unit(random[:, 4:7])))
    angle = steps(0, 1.1 * math.pi, knots)[:, None]
    points = radius[:, None] * (a[:, None] * cosine(angle) + b[:, None] * sine(angle)) + center
    exposed = ((radius[:, 0] - radius.amin()) / (radius.amax() - radius.amin())).clamp(0, 1)
    colors = strand_colors(comb.hair.color, comb.hair.grey, random, random)
    return Strands(head.frame.from_local(points), colors, 0.2 + 0.8 * exposed, 1.0, _DEPTH)
