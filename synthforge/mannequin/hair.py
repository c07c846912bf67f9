"""Scalp hair: grows guide strands by style, then thousands of strands along them.

Everything happens in the head's frame (metres, as the neutral head stands), so hair follows the
head's pose; it starts from the posed, shaped surface, so it fits the person.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.appearance import Hair, Person
from synthforge.mannequin.parts import Part
from synthforge.mannequin.roots import GUIDES, Roots, scalp_roots
from synthforge.mannequin.skin_maps import recession
from synthforge.mannequin.strands import Strands
from synthforge.mannequin.template import Template

_GREY = (0.40, 0.395, 0.39)
_MAP = (64, 128)
# Generator units per metre, times pixels of the supersampled picture per unit, about.
_PIXELS_PER_METRE = 4000.0


@dataclass(frozen=True)
class Head:
    """The posed head in its own frame: what hair grows on.

    vertices, normals: [V, 3] metres, head frame. T_gen_head: (R [3, 3], t [3], scale).
    """

    vertices: Tensor
    normals: Tensor
    rotation: Tensor
    origin_gen: Tensor
    origin_head: Tensor
    scale: float

    def to_gen(self, points: Tensor) -> Tensor:
        """[3, N, T] head frame -> generator frame."""
        flat = (points.reshape(3, -1) - self.origin_head[:, None]) * self.scale
        return (self.rotation @ flat + self.origin_gen[:, None]).view(points.shape)


def head_in_own_frame(
    template: Template, vertices_gen: Tensor, normals_gen: Tensor, rotation: Tensor, scale: float
) -> Head:
    origin_gen = vertices_gen[template.skull].mean(0)
    origin_head = template.vertices[template.skull].mean(0)
    vertices = (vertices_gen - origin_gen) @ rotation / scale + origin_head
    return Head(vertices, normals_gen @ rotation, rotation, origin_gen, origin_head, scale)


@dataclass(frozen=True)
class Scalp:
    """Radius of the head round its centre, by direction: keeps hair outside the skin.

    center: [3]; radius: [1, 1, H, W] over polar angle (rows, from +y) and azimuth (from +z to +x).
    """

    center: Tensor
    radius: Tensor

    def at(self, direction: Tensor) -> Tensor:
        """[N, 3] unit -> [N]."""
        azimuth = torch.atan2(direction[:, 0], direction[:, 2]) / math.pi
        polar = torch.acos(direction[:, 1].clamp(-1, 1)) * (2 / math.pi) - 1
        grid = torch.stack([azimuth, polar], -1)[None, None]
        return F.grid_sample(
            self.radius, grid, align_corners=True, padding_mode="border"
        )[0, 0, 0]


def _center(template: Template) -> Tensor:
    skull = template.vertices
    top = skull[:, 1].amax()
    middle = (skull[:, 2].amax() + skull[:, 2].amin()) / 2
    return torch.stack([torch.zeros_like(top), top - 0.095, middle - 0.012])


@functools.cache
def _nearest_vertices(device: str) -> Tensor:
    """int64 [H * W]: the outermost vertex near each direction of Scalp.radius."""
    from synthforge.mannequin.template import template

    head = template("cpu")
    center = _center(head)
    offset = head.vertices - center
    outer = (head.part == Part.SKIN) | (head.part == Part.EAR)
    offset, index = offset[outer], torch.nonzero(outer).squeeze(1)
    polar = torch.linspace(0, math.pi, _MAP[0])[:, None]
    azimuth = torch.linspace(-math.pi, math.pi, _MAP[1])
    direction = torch.stack(
        [
            torch.sin(polar) * torch.sin(azimuth),
            torch.cos(polar).expand(_MAP),
            torch.sin(polar) * torch.cos(azimuth),
        ],
        -1,
    ).view(-1, 3)
    radius = offset.norm(dim=-1)
    # The vertex at the smallest angle, but farther ones win by a little: ears, jaw.
    score = direction @ (offset / radius[:, None]).T + 0.15 * radius[None]
    return index[score.argmax(1)].to(device)


def scalp_of(template: Template, head: Head) -> Scalp:
    center = _center(template)
    nearest = head.vertices[_nearest_vertices(str(center.device))] - center
    radius = nearest.norm(dim=-1).view(1, 1, *_MAP)
    radius = F.avg_pool2d(F.pad(radius, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return Scalp(center, radius)


@dataclass(frozen=True)
class Growth:
    """How one style grows, for every guide [G] or for all (floats).

    length: metres. lift: how steeply strands leave the skin, 0 flat to 1 upright. stiffness: how
    slowly they turn into the field. gravity: pull down per step. layer: metres above the skin.
    field: guides' combed direction [G, 3] as a function of position; None: away from the skin.
    """

    length: Tensor
    lift: Tensor
    stiffness: float
    gravity: float
    layer: Tensor
    knots: int
    clump: float
    spread: float
    curl_radius: float
    curl_length: float
    frizz: float
    strands: int
    shine: float
    hug: float = 0.0


def grow_hair(person: Person, template: Template, head: Head) -> list[Strands]:
    """The person's scalp hair in the generator frame; a bald head has none."""
    hair = person.hair
    device = str(head.vertices.device)
    roots = scalp_roots(device)
    scalp = scalp_of(template, head)
    kept = _kept(hair, roots)
    guides = roots.take(slice(0, GUIDES))
    growth = _growth(hair, guides, template)
    curves = _grow_guides(hair, growth, guides, template, head, scalp)
    chosen = torch.nonzero(kept).squeeze(1)[: growth.strands]
    group = _along_guides(hair, growth, curves, roots.take(chosen), guides, template, head)
    groups = [group]
    if hair.style == "bun":
        groups.append(_bun(hair, roots, template, head))
    return groups


def _height(roots: Roots, template: Template) -> Tensor:
    """0 at the level of the ears to 1 at the top of the head."""
    low = template.landmarks[36, 1]
    top = template.vertices[:, 1].amax()
    return ((roots.position[:, 1] - low) / (top - low)).clamp(0, 1)


def _kept(hair: Hair, roots: Roots) -> Tensor:
    """bool [N]: which roots carry hair, by hairline and baldness."""
    above = roots.place[:, 0]
    x, _, z = roots.position.unbind(-1)
    high, thin = recession(roots.position)
    kept = above > high * hair.hairline + thin * hair.thinning
    if hair.style == "bald":
        kept &= above < 0.045 + 0.004 * roots.random[:, 0]
        kept &= z < 0.0
    elif hair.thinning > 0.25:
        crown = torch.exp(-(((z + 0.075) / 0.04) ** 2) - (x / 0.035) ** 2) * (above > 0.05)
        kept &= roots.random[:, 1] > -2.0 + 3.2 * hair.thinning * crown
    return kept


def _growth(hair: Hair, guides: Roots, template: Template) -> Growth:
    height = _height(guides, template)
    count = len(height)
    noise = guides.random[:, 2]
    top = torch.sigmoid((height - 0.52) * 16)
    flat = torch.zeros(count, device=height.device)
    layer = 0.004 + (0.004 + 0.010 * hair.volume) * torch.rand_like(flat).mul(0).add(
        0.5 + 0.5 * torch.erf(guides.random[:, 3] / math.sqrt(2))
    )
    base = Growth(
        length=flat + 0.03, lift=flat + 0.35, stiffness=0.75, gravity=0.05, layer=layer, knots=16,
        clump=0.35, spread=0.003, curl_radius=0.0, curl_length=0.05, frizz=0.006 + 0.022 * hair.frizz**2,
        strands=20000, shine=0.8,
    )  # fmt: skip
    vary = 1 + 0.12 * noise
    match hair.style:
        case "bald" | "buzz":
            length = 0.004 + 0.006 * hair.length
            return _with(base, length=(flat + length) * vary, lift=flat + 0.55, knots=5, layer=flat + 0.001,
                         clump=0.0, spread=0.001, strands=26000, shine=0.4)
        case "crop":
            side = 0.010 + 0.010 * hair.length
            long = 0.022 + 0.028 * hair.length
            return _with(base, length=(side + (long - side) * top) * vary, lift=0.30 + 0.35 * top,
                         knots=10, clump=0.45, layer=0.5 * layer, spread=0.003, strands=24000,
                         curl_radius=0.002 * hair.wave, curl_length=0.02)
        case "side_part" | "swept_back":
            side = 0.016 + 0.010 * hair.length
            long = 0.060 + 0.040 * hair.length
            return _with(base, length=(side + (long - side) * top) * vary, lift=0.25 + 0.40 * top,
                         layer=layer * (0.5 + 0.9 * top), stiffness=0.62, strands=22000, clump=0.5,
                         curl_radius=0.0025 * hair.wave, curl_length=0.05, hug=0.5)
        case "curly":
            long = 0.045 + 0.065 * hair.length
            return _with(base, length=(flat + long) * (0.6 + 0.4 * top) * vary, lift=flat + 0.75,
                         stiffness=0.86, gravity=0.10, knots=48, clump=0.55, spread=0.006, layer=layer * 1.2,
                         curl_radius=0.0035 + 0.0025 * hair.wave, curl_length=0.018 + 0.014 * hair.wave,
                         frizz=0.05, strands=15000, shine=0.7)
        case "afro":
            long = 0.016 + 0.045 * hair.length
            return _with(base, length=(flat + long) * (0.85 + 0.15 * top) * vary, lift=flat + 1.0,
                         stiffness=0.97, gravity=0.0, knots=48, clump=0.15, spread=0.006, layer=layer * 0.2,
                         curl_radius=0.0028, curl_length=0.0085, frizz=0.06, strands=17000, shine=0.35)
        case "bob":
            return _with(base, length=(flat + 0.150 + 0.05 * hair.length) * (1 + 0.04 * noise), knots=28,
                         lift=0.12 + 0.22 * top, stiffness=0.55, gravity=0.10, strands=12000, clump=0.6,
                         spread=0.004, curl_radius=0.004 * hair.wave, curl_length=0.07, shine=1.0, hug=0.7)
        case "long":
            return _with(base, length=(flat + 0.26 + 0.10 * hair.length) * (1 + 0.05 * noise), knots=36,
                         lift=0.12 + 0.22 * top, stiffness=0.55, gravity=0.10, strands=9000, clump=0.65,
                         spread=0.005, curl_radius=0.009 * hair.wave, curl_length=0.075, shine=1.0, hug=0.7)
        case _:
            return _with(base, length=flat + 0.19, knots=24, lift=flat + 0.08, stiffness=0.35,
                         gravity=0.0, layer=0.45 * layer, strands=16000, clump=0.55, spread=0.002, shine=1.0)


def _with(growth: Growth, **changes: object) -> Growth:
    from dataclasses import replace

    return replace(growth, **changes)


def _bun_center(hair: Hair, template: Template) -> Tensor:
    low = hair.length < 0.5
    top = template.vertices[:, 1].amax()
    back = template.vertices[:, 2].amin()
    like = template.vertices.new_tensor
    if low:
        return torch.stack([like(0.0), top - 0.135, back + 0.004])
    return torch.stack([like(0.0), top - 0.028, back + 0.028])


def _field(hair: Hair, root: Tensor, p: Tensor, normal: Tensor, template: Template, center: Tensor) -> Tensor:
    """Direction [G, 3] in which the style combs hair at p [G, 3]."""
    like = p.new_tensor
    down = like((0.0, -1.0, 0.0))
    top = template.vertices[:, 1].amax()
    back = template.vertices[:, 2].amin()
    side = torch.sign(like(hair.part_side)) * (0.010 + 0.022 * abs(hair.part_side))
    match hair.style:
        case "side_part":
            sign = torch.where(root[:, 0:1] >= side, 1.0, -1.0)
            upper = torch.sigmoid((root[:, 1:2] - (top - 0.060)) * 90)
            across = torch.cat([sign, 0.0 * sign, -0.45 + 0.0 * sign], 1)
            fallen = torch.sigmoid((p[:, 0:1].abs() - 0.055) * 150)
            return upper * across + (1 - upper + fallen) * like((0.0, -0.8, -0.45))
        case "bob" | "long":
            sign = torch.where(root[:, 0:1] >= 0.7 * side, 1.0, -1.0)
            across = torch.cat([sign, 0.0 * sign, -0.30 + 0.0 * sign], 1)
            # Over the side of the head hair falls; in front of the ears it keeps off the face.
            fallen = torch.sigmoid((p[:, 0:1].abs() - 0.050) * 150)
            fallen = torch.maximum(fallen, torch.sigmoid((-0.105 - p[:, 2:3]) * 150))
            beside = torch.sigmoid((p[:, 2:3] - (template.landmarks[36, 2] - 0.050)) * 150)
            beside = beside * torch.sigmoid((template.landmarks[24, 1] + 0.040 - p[:, 1:2]) * 120)
            away = torch.cat([0.8 * sign, 0.0 * sign, -1.2 + 0.0 * sign], 1)
            return across * (1 - fallen) + fallen * down + beside * away
        case "swept_back":
            return torch.stack([0.25 * root[:, 0] / 0.07, -0.15 - 2.0 * (top - 0.06 - root[:, 1]).clamp(min=0) / 0.1,
                                -torch.ones_like(root[:, 0])], 1)
        case "bun":
            return F.normalize(_bun_center(hair, template) - p, dim=-1)
        case "afro":
            return normal
        case "curly":
            return F.normalize(p - center, dim=-1) + 0.9 * down * torch.sigmoid((0.7 - normal[:, 1:2]) * 8)
        case _:
            crown = torch.stack([0.2 * side, top - 0.012, back + 0.062])
            whorl = F.normalize(p - crown, dim=-1)
            forward = like((0.0, 0.0, 0.5)) * torch.sigmoid((p[:, 2:3] + 0.02) * 60)
            return whorl + forward + 0.35 * down


def _grow_guides(
    hair: Hair, growth: Growth, guides: Roots, template: Template, head: Head, scalp: Scalp
) -> Tensor:
    """Curves of the guides, head frame: [3, G, T]."""
    root = guides.posed(head.vertices, template.faces)
    normal = F.normalize(guides.posed(head.normals, template.faces), dim=-1)
    p = root
    step = growth.length / (growth.knots - 1)
    direction = _field(hair, guides.position, p, normal, template, scalp.center)
    tangent = F.normalize(direction - (direction * normal).sum(-1, keepdim=True) * normal, dim=-1)
    lift = growth.lift[:, None]
    heading = F.normalize(normal * lift + tangent * (1 - lift), dim=-1)
    jitter = guides.random[:, 4:7] * (0.05 + 0.10 * hair.frizz)
    heading = F.normalize(heading + jitter, dim=-1)
    down = p.new_tensor((0.0, -1.0, 0.0))
    bun = _bun_center(hair, template)
    keep = growth.stiffness ** (16 / growth.knots)
    curve = [p]
    hug = torch.zeros_like(p[:, :1])
    for index in range(1, growth.knots):
        wanted = _field(hair, guides.position, p, normal, template, scalp.center)
        out = F.normalize(p - scalp.center, dim=-1)
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
        p = torch.where(distance < floor, scalp.center + out * floor, p)
        hug = growth.hug * ((distance - floor) / 0.012).clamp(0, 1)
        if hair.style == "bun":
            near = ((bun - p).norm(dim=-1, keepdim=True) / 0.03).clamp(max=1)
            p = curve[-1] + (p - curve[-1]) * near
        curve.append(p)
    return torch.stack(curve, -1).transpose(0, 1).contiguous()


def _colors(person_hair: Hair, random: Tensor) -> Tensor:
    """Albedo of each strand [N, 3]: a little lighter or darker, some grey."""
    like = random.new_tensor
    tone = torch.exp(0.22 * random[:, 7:8])
    grey = (0.5 + 0.5 * torch.erf(random[:, 8:9] / math.sqrt(2)) < person_hair.grey).float()
    base = like(person_hair.color) * tone
    grey = grey * (0.55 + 0.45 * person_hair.grey)
    return base * (1 - grey) + like(_GREY) * tone.sqrt() * grey


def _along_guides(
    hair: Hair, growth: Growth, curves: Tensor, roots: Roots, guides: Roots, template: Template, head: Head
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
    radius = growth.curl_radius * (1 + 0.3 * guides.random[roots.guide, 10])
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
    samples = int(min(max(mean_length * _PIXELS_PER_METRE * (1 + 8 * growth.curl_radius / growth.curl_length) / 1.3, 8), 700))
    return Strands(head.to_gen(points), _colors(hair, roots.random), 0.35 + 0.65 * exposed, samples, growth.shine)


def _bun(hair: Hair, roots: Roots, template: Template, head: Head) -> Strands:
    """A knot of hair: strands wound round a ball."""
    count, knots = 3500, 32
    random = roots.random[:count]
    center = _bun_center(hair, template) + template.vertices.new_tensor((0.0, 0.010, -0.016))
    radius = (0.024 + 0.012 * hair.volume) * (0.86 + 0.14 * (0.5 + 0.5 * torch.erf(random[:, 3:4])))
    a = F.normalize(random[:, 0:3] + random.new_tensor((0, 0.6, 0.0)), dim=-1)
    b = F.normalize(torch.linalg.cross(a, F.normalize(random[:, 4:7], dim=-1)), dim=-1)
    angle = torch.linspace(0, math.pi * 1.1, knots, device=random.device) + 0
    points = radius[..., None] * (a[..., None] * torch.cos(angle) + b[..., None] * torch.sin(angle))
    points = (points + center[:, None]).transpose(0, 1).contiguous()
    exposed = ((radius[:, 0] - radius.amin()) / (radius.amax() - radius.amin())).clamp(0, 1)
    return Strands(head.to_gen(points), _colors(hair, random), 0.2 + 0.8 * exposed, 300, 1.0)
