"""Hair styles: how long, how steep, how curly, and in which direction hair is combed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synthforge.mannequin.arithmetic import exp, normal_cdf, sigmoid
from synthforge.mannequin.hairline import recession
from synthforge.mannequin.person import Hair
from synthforge.mannequin.roots import Roots
from synthforge.mannequin.template import Template
from synthforge.mesh import unit


@dataclass(frozen=True)
class Growth:
    """How one style grows; Tensors are [G], one value for each guide. Lengths are metres.

    length: of the hair. lift: how steeply it leaves the skin, 0 flat to 1 upright. stiffness: how
    slowly it turns into the combed direction. gravity: pull down. layer: height above the skin
    that it keeps. hug: how strongly hair that stands off is drawn back to the head.
    knots: control points. strands: how many are drawn. clump: how much they draw together towards
    the tips. spread: how far the tips part at random. curl_radius, curl_length: of the helix.
    frizz: small waves, as a share of the length. shine: strength of the highlights.
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


def roots_kept(hair: Hair, roots: Roots) -> Tensor:
    """bool [N]: which roots carry hair, by hairline and baldness."""
    above = roots.place[:, 0]
    x, _, z = roots.position.unbind(-1)
    high, thin = recession(roots.position)
    edge = {"afro": 0.004, "curly": 0.006}.get(hair.style, 0.0)
    kept = above > edge + high * hair.hairline + thin * hair.thinning
    if hair.style == "bald":
        kept &= roots.position[:, 1] < 0.050 + 0.009 * roots.random[:, 0]
        kept &= z < -0.03 + 0.007 * roots.random[:, 1]
    elif hair.thinning > 0.25:
        crown = exp(-(((z + 0.075) / 0.04) ** 2) - (x / 0.035) ** 2) * (above > 0.05)
        kept &= roots.random[:, 1] > -2.0 + 3.2 * hair.thinning * crown
    return kept


def _height(roots: Roots, template: Template) -> Tensor:
    """0 at the level of the ears to 1 at the top of the head."""
    low = template.landmarks[36, 1]
    top = template.vertices[:, 1].amax()
    return ((roots.position[:, 1] - low) / (top - low)).clamp(0, 1)


def _in_fringe(hair: Hair, root: Tensor, template: Template) -> Tensor:
    """bool [N]: roots [N, 3] whose hair is combed over the forehead."""
    front = root[:, 2] > template.landmarks[27, 2] - 0.048
    return front & (root[:, 0].abs() < 0.050) & hair.fringe


def growth_of(hair: Hair, guides: Roots, template: Template) -> Growth:
    height = _height(guides, template)
    count = len(height)
    noise = guides.random[:, 2]
    top = sigmoid((height - 0.52) * 16)
    flat = torch.zeros(count, device=height.device)
    rank = normal_cdf(guides.random[:, 3])
    layer = 0.004 + (0.004 + 0.010 * hair.volume) * rank
    base = Growth(
        length=flat + 0.03, lift=flat + 0.35, stiffness=0.75, gravity=0.05, layer=layer, knots=16,
        clump=0.35, spread=0.003, curl_radius=0.0, curl_length=0.05,
        frizz=0.004 + 0.012 * hair.frizz**2, strands=20000, shine=0.8,
    )  # fmt: skip
    vary = 1 + 0.12 * noise
    fringe = _in_fringe(hair, guides.position, template)
    # Fine, short hair at the border.
    border = 0.45 + 0.55 * (guides.place[:, 0] / 0.022).clamp(0, 1)
    match hair.style:
        case "bald" | "buzz":
            length = 0.004 + 0.006 * hair.length
            return replace(
                base,
                length=(flat + length) * vary,
                lift=flat + 0.55,
                knots=5,
                layer=flat + 0.001,
                clump=0.0,
                spread=0.001,
                strands=26000,
                shine=0.4,
            )
        case "crop":
            side = 0.010 + 0.010 * hair.length
            long = 0.022 + 0.028 * hair.length
            return replace(
                base,
                length=(side + (long - side) * top) * vary,
                lift=0.30 + 0.35 * top,
                knots=10,
                clump=0.45,
                layer=0.5 * layer,
                spread=0.003,
                strands=24000,
                curl_radius=0.002 * hair.wave,
                curl_length=0.02,
            )
        case "side_part" | "swept_back":
            side = 0.016 + 0.010 * hair.length
            long = 0.060 + 0.040 * hair.length
            return replace(
                base,
                length=(side + (long - side) * top) * vary,
                lift=0.25 + 0.40 * top,
                layer=layer * (0.5 + 0.9 * top),
                stiffness=0.62,
                strands=22000,
                clump=0.5,
                curl_radius=0.0025 * hair.wave,
                curl_length=0.05,
                hug=0.5,
            )
        case "curly":
            long = 0.035 + 0.045 * hair.length
            return replace(
                base,
                length=long * (0.6 + 0.4 * top) * vary * border,
                lift=flat + 0.75,
                stiffness=0.86,
                gravity=0.10,
                knots=48,
                clump=0.55,
                spread=0.006,
                layer=layer * 1.2,
                curl_radius=0.0035 + 0.0025 * hair.wave,
                curl_length=0.018 + 0.014 * hair.wave,
                frizz=0.05,
                strands=15000,
                shine=0.7,
            )
        case "afro":
            long = 0.012 + 0.034 * hair.length
            return replace(
                base,
                length=long * (0.85 + 0.15 * top) * vary * border,
                lift=flat + 1.0,
                stiffness=0.97,
                gravity=0.0,
                knots=48,
                clump=0.15,
                spread=0.006,
                layer=layer * 0.2,
                curl_radius=0.0028,
                curl_length=0.0085,
                frizz=0.06,
                strands=17000,
                shine=0.35,
            )
        case "bob":
            cut = template.landmarks[5, 1] - 0.03 * hair.length + 0.015
            fall = 1.12 * (guides.position[:, 1] - cut).clamp(min=0.03) + 0.035 * top
            return replace(
                base,
                length=torch.where(fringe, 0.040, fall) * (1 + 0.03 * noise),
                knots=28,
                lift=0.12 + 0.22 * top,
                stiffness=0.55,
                gravity=0.10,
                strands=12000,
                clump=0.6,
                spread=0.004,
                curl_radius=0.004 * hair.wave,
                curl_length=0.07,
                shine=1.0,
                hug=0.7,
            )
        case "long":
            return replace(
                base,
                length=torch.where(fringe, 0.044, 0.26 + 0.10 * hair.length) * (1 + 0.05 * noise),
                knots=36,
                lift=0.12 + 0.22 * top,
                stiffness=0.55,
                gravity=0.10,
                strands=9000,
                clump=0.65,
                spread=0.005,
                curl_radius=0.009 * hair.wave,
                curl_length=0.075,
                shine=1.0,
                hug=0.7,
            )
        case _:
            return replace(
                base,
                length=flat + 0.19,
                knots=24,
                lift=flat + 0.08,
                stiffness=0.35,
                gravity=0.0,
                layer=0.45 * layer,
                strands=16000,
                clump=0.55,
                spread=0.002,
                shine=1.0,
            )


def bun_center(hair: Hair, template: Template) -> Tensor:
    low = hair.length < 0.5
    top = template.vertices[:, 1].amax()
    back = template.vertices[:, 2].amin()
    like = template.vertices.new_tensor
    if low:
        return torch.stack([like(0.0), top - 0.135, back + 0.004])
    return torch.stack([like(0.0), top - 0.028, back + 0.028])


def combed(
    hair: Hair, root: Tensor, p: Tensor, normal: Tensor, template: Template, center: Tensor
) -> Tensor:
    """Direction [G, 3] in which the style combs hair at p [G, 3]."""
    like = p.new_tensor
    down = like((0.0, -1.0, 0.0))
    top = template.vertices[:, 1].amax()
    back = template.vertices[:, 2].amin()
    side = torch.sign(like(hair.part_side)) * (0.010 + 0.022 * abs(hair.part_side))
    match hair.style:
        case "side_part":
            sign = torch.where(root[:, 0:1] >= side, 1.0, -1.0)
            upper = sigmoid((root[:, 1:2] - (top - 0.060)) * 90)
            across = torch.cat([sign, 0.0 * sign, -0.45 + 0.0 * sign], 1)
            fallen = sigmoid((p[:, 0:1].abs() - 0.055) * 150)
            return upper * across + (1 - upper + fallen) * like((0.0, -0.8, -0.45))
        case "bob" | "long":
            sign = torch.where(root[:, 0:1] >= 0.7 * side, 1.0, -1.0)
            across = torch.cat([sign, 0.0 * sign, -0.30 + 0.0 * sign], 1)
            # Over the side of the head hair falls; in front of the ears it keeps off the face.
            fallen = sigmoid((p[:, 0:1].abs() - 0.050) * 150)
            fallen = torch.maximum(fallen, sigmoid((-0.105 - p[:, 2:3]) * 150))
            beside = sigmoid((p[:, 2:3] - (template.landmarks[36, 2] - 0.050)) * 150)
            beside = beside * sigmoid((template.landmarks[24, 1] + 0.040 - p[:, 1:2]) * 120)
            beside = beside * sigmoid((p[:, 1:2] - template.landmarks[4, 1]) * 120)
            away = torch.cat([0.4 * sign, 0.0 * sign, -1.2 + 0.0 * sign], 1)
            combed_down = torch.cat([3.0 * root[:, :1], -0.6 + 0.0 * sign, 0.6 + 0.0 * sign], 1)
            fringe = _in_fringe(hair, root, template)[:, None]
            flowing = across * (1 - fallen) + fallen * down + beside * away
            return torch.where(fringe, combed_down, flowing)
        case "swept_back":
            forward = p[:, 2] - center[2]
            upward = (16 * forward).clamp(-0.6, 1.6) - 8 * (top - 0.07 - root[:, 1]).clamp(min=0)
            return torch.stack([3.0 * root[:, 0], upward, -torch.ones_like(upward)], 1)
        case "bun":
            # Over the top from the forehead, then straight to the knot.
            forward = ((p[:, 2:3] - center[2]) / 0.04).clamp(0, 1)
            upward = torch.cat([8 * p[:, :1], 1.4 + 0 * forward, -0.8 + 0 * forward], 1)
            return unit(bun_center(hair, template) - p) + forward * upward
        case "afro":
            return normal
        case "curly":
            falling = 0.9 * down * sigmoid((0.7 - normal[:, 1:2]) * 8)
            off_face = like((0.0, 1.2, -0.9)) * sigmoid((root[:, 2:3] - 0.005) * 150)
            return unit(p - center) + falling + off_face
        case _:
            crown = torch.stack([0.2 * side, top - 0.012, back + 0.062])
            whorl = unit(p - crown)
            forward = like((0.0, 0.0, 0.5)) * sigmoid((p[:, 2:3] + 0.02) * 60)
            return whorl + forward + 0.35 * down
