"""Hair styles as a table: lengths, stiffness, curls, and the ways in which hair is combed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synthforge.mannequin.draws import Pair, between
from synthforge.mannequin.hair.hairline import recession
from synthforge.mannequin.hair.roots import Roots
from synthforge.mannequin.person import Hair
from synthforge.mannequin.render.arithmetic import exp, normal_cdf, sigmoid
from synthforge.mannequin.render.template import template


@dataclass(frozen=True)
class Style:
    """A row of the table. Lengths are metres on a head of the template's size.

    comb: fields of combing.py that are summed up, with weights.
    side, top: length beside the head and on top of it, of the person's shortest and longest hair.
    ends: instead of these, height of the ends above the chin, likewise.
    fringe: whether hair may be combed over the forehead. parting: least and greatest distance
        from the midline.
    lift, layer: at the side and on top: how steeply hair leaves the skin, 0 flat to 1 upright; a
        factor on the height above the skin that it keeps.
    stiffness: how slowly hair turns into the combed direction. gravity: pull down. hug: how
        strongly hair that stands off is drawn back to the head.
    border: length at the hairline, as a share. edge: how far above it roots begin.
    knots: control points. strands: how many are drawn. clump: how much they draw together towards
        the tips. spread: how far the tips part at random. ragged: share of the length by which
        strands of a lock differ.
    curl_radius, curl_length: of the helix, in the straightest and the waviest hair. frizz: added to
        the person's. shine: strength of the highlights.
    """

    comb: tuple[tuple[str, float], ...]
    side: Pair = (0.0, 0.0)
    top: Pair = (0.0, 0.0)
    ends: Pair | None = None
    fringe: bool = False
    parting: Pair = (0.004, 0.026)
    lift: Pair = (0.2, 0.4)
    layer: Pair = (1.0, 1.0)
    stiffness: float = 0.75
    gravity: float = 0.05
    hug: float = 0.0
    border: float = 1.0
    edge: float = 0.0
    knots: int = 16
    strands: int = 20000
    clump: float = 0.45
    spread: float = 0.003
    ragged: float = 0.3
    curl_radius: Pair = (0.0, 0.002)
    curl_length: Pair = (0.05, 0.05)
    frizz: float = 0.0
    shine: float = 0.8


_CROPPED = (("whorl", 1.0), ("front", 1.0), ("down", 0.35))
_PARTED = (("parted", 1.0), ("off_cheek", 1.0))
_BUZZ = Style(
    comb=_CROPPED, side=(0.003, 0.008), top=(0.004, 0.012), lift=(0.5, 0.6), layer=(0.1, 0.1),
    knots=5, strands=26000, clump=0.0, spread=0.001, curl_radius=(0, 0), shine=0.4,
)  # fmt: skip

STYLES = {
    "bald": replace(_BUZZ, side=(0.004, 0.010), top=(0.004, 0.010), lift=(0.5, 0.5)),
    "buzz": _BUZZ,
    "crop": Style(
        comb=_CROPPED, side=(0.007, 0.016), top=(0.022, 0.048), lift=(0.25, 0.6), layer=(0.4, 0.6),
        border=0.7, knots=10, strands=24000, curl_radius=(0, 0.0025), curl_length=(0.02, 0.02),
    ),
    "side_part": Style(
        comb=(("parted", 1.0), ("back", 0.25)), side=(0.010, 0.022), top=(0.060, 0.095),
        parting=(0.030, 0.042), lift=(0.2, 0.3), layer=(0.4, 0.9), stiffness=0.62, hug=0.5,
        border=0.8, strands=22000, clump=0.5, curl_radius=(0, 0.0025),
    ),
    "swept_back": Style(
        comb=(("back", 1.0),), side=(0.016, 0.026), top=(0.060, 0.100), lift=(0.2, 0.6),
        layer=(0.4, 1.2), stiffness=0.62, hug=0.5, strands=22000, clump=0.5,
        curl_radius=(0, 0.0025),
    ),
    "curly": Style(
        comb=(("out", 1.0), ("down", 0.7), ("off_face", 1.0)), side=(0.021, 0.048),
        top=(0.035, 0.080), lift=(0.75, 0.75), layer=(1.2, 1.2), stiffness=0.86, gravity=0.10,
        border=0.45, edge=0.006, knots=48, strands=15000, clump=0.6, spread=0.005,
        curl_radius=(0.0035, 0.006), curl_length=(0.018, 0.032), frizz=0.03, shine=0.7,
    ),
    "afro": Style(
        comb=(("out", 1.0),), side=(0.010, 0.040), top=(0.012, 0.046), lift=(1.0, 1.0),
        layer=(0.2, 0.2), stiffness=0.97, gravity=0.0, border=0.45, edge=0.004, knots=48,
        strands=17000, clump=0.15, spread=0.006, curl_radius=(0.0028, 0.0028),
        curl_length=(0.0085, 0.0085), frizz=0.05, shine=0.35,
    ),
    "bob": Style(
        comb=_PARTED, ends=(0.035, -0.035), fringe=True, lift=(0.12, 0.20), stiffness=0.55,
        gravity=0.10, hug=0.7, knots=28, strands=9000, clump=0.5, ragged=0.12,
        curl_radius=(0, 0.004), curl_length=(0.07, 0.07), shine=1.0,
    ),
    "long": Style(
        comb=(*_PARTED, ("past_shoulder", 0.5)), ends=(-0.060, -0.210), fringe=True,
        lift=(0.12, 0.20), stiffness=0.55, gravity=0.10, hug=0.7, knots=32, strands=7000,
        clump=0.6, curl_radius=(0, 0.009), curl_length=(0.075, 0.075), shine=1.0,
    ),
    "bun": Style(
        comb=(("knot", 1.0),), side=(0.19, 0.19), top=(0.19, 0.19), lift=(0.08, 0.08),
        layer=(0.45, 0.45), stiffness=0.35, gravity=0.0, knots=24, strands=16000, clump=0.5,
        spread=0.002, ragged=0.0, shine=1.0,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Growth:
    """How one person's hair grows: Tensors are [G], one value for each guide.

    in_fringe: bool, whose hair is combed over the forehead. For the rest see Style.
    """

    style: Style
    length: Tensor
    lift: Tensor
    layer: Tensor
    in_fringe: Tensor


def roots_kept(hair: Hair, roots: Roots) -> Tensor:
    """bool [N]: which roots carry hair, by hairline and baldness."""
    above = roots.place[:, 0]
    x, _, z = roots.position.unbind(-1)
    high, thin = recession(roots.position)
    kept = above > STYLES[hair.style].edge + high * hair.hairline + thin * hair.thinning
    if hair.style == "bald":
        kept &= roots.position[:, 1] < 0.050 + 0.009 * roots.random[:, 0]
        kept &= z < -0.03 + 0.007 * roots.random[:, 1]
    elif hair.thinning > 0.25:
        crown = exp(-(((z + 0.090) / 0.04) ** 2) - (x / 0.035) ** 2) * (above > 0.05)
        kept &= roots.random[:, 1] > -2.0 + 3.2 * hair.thinning * crown
    return kept


def parting_of(hair: Hair) -> float:
    """Where hair is parted, metres from the midline to the subject's left."""
    side = between(STYLES[hair.style].parting, abs(hair.part_side))
    return side if hair.part_side >= 0 else -side


def at_parting(hair: Hair, roots: Roots) -> Tensor:
    """bool [N]: which roots lie beside a parting."""
    parted = any(name == "parted" for name, _ in STYLES[hair.style].comb)
    return ((roots.position[:, 0] - parting_of(hair)).abs() < 0.012) & parted


def in_fringe(hair: Hair, roots: Roots) -> Tensor:
    """bool [N]: which roots' hair is combed over the forehead."""
    x, _, z = roots.position.unbind(-1)
    wide = 0.050 + 0.006 * roots.random[:, 10].clamp(-1, 1)
    front = z + 0.005 * roots.random[:, 11] > template().landmarks[27, 2] - 0.050
    return front & (x.abs() < wide) & (hair.fringe and STYLES[hair.style].fringe)


def growth_of(hair: Hair, guides: Roots) -> Growth:
    style, head = STYLES[hair.style], template()
    x, y, z = guides.position.unbind(-1)
    ear_y, top_y = head.landmarks[36, 1], head.vertices[:, 1].amax()
    top = sigmoid(((y - ear_y) / (top_y - ear_y) - 0.52) * 16)
    side, long = between(style.side, hair.length), between(style.top, hair.length)
    length = side + (long - side) * top
    vary = 0.12
    if style.ends is not None:
        level = head.landmarks[8, 1] + between(style.ends, hair.length)
        length = 1.12 * (y - level).clamp(min=0.03) + 0.035 * top
        vary = 0.03
    fringe = in_fringe(hair, guides)
    brow = head.landmarks[24]
    # Down to the brows or a little above, over the bulge of the forehead.
    drop = y - brow[1] - 0.014 * (1 - hair.length) + 0.2 * x.abs()
    ahead = brow[2] - z
    length = torch.where(fringe, 1.06 * torch.sqrt(drop * drop + ahead * ahead), length)
    near_border = 1 - (guides.place[:, 0] / 0.022).clamp(0, 1)
    length = length * (1 - (1 - style.border) * near_border) * (1 + vary * guides.random[:, 2])
    rank = normal_cdf(guides.random[:, 3])
    return Growth(
        style=style,
        length=length,
        lift=between(style.lift, top),
        layer=(0.004 + (0.004 + 0.010 * hair.volume) * torch.sqrt(rank))
        * between(style.layer, top),
        in_fringe=fringe,
    )
