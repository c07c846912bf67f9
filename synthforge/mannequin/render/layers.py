"""Which class each pixel shows, how much of it, and how far: from the buffers that draw."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.generator import Layers
from synthforge.mannequin.hair.hairline import hairline_height, recession
from synthforge.mannequin.hair.strands import Splat, Strands
from synthforge.mannequin.kernels import run
from synthforge.mannequin.kernels.layers import compose
from synthforge.mannequin.person import Person
from synthforge.mannequin.render.body import neckline_height
from synthforge.mannequin.render.pixel_faces import PixelFaces
from synthforge.mannequin.render.shading import NEAR_NECKLINE_M
from synthforge.mannequin.render.template import Template, template
from synthforge.regions import BACKGROUND, REGION_ID
from synthforge.visible import CLOTHES, HAIR

# From so far above the hairline on, the scalp's texture has half of its roots or more.
_DENSE_M, _DENSE_BUZZ_M = 0.0040, 0.0015


@dataclass(frozen=True)
class Cover:
    """What is painted over the samples of an image, each at most once.

    sample: int64 [P], of the 2S x 2S samples, row-major. kind: uint8 [P], classes of
    synthforge.visible. passed: float32 [P], the share of what is behind that still shows.
    z: float32 [P], z-depth.
    """

    sample: Tensor
    kind: Tensor
    passed: Tensor
    z: Tensor


def cover_of_strands(groups: Sequence[Strands], seen: Sequence[Splat]) -> Cover:
    """Of all groups that were splatted together: a sample sees a strand of one of them."""
    kinds = [
        torch.full_like(splat.strand, group.kind, dtype=torch.uint8)
        if isinstance(group.kind, int)
        else group.kind.index_select(0, splat.strand)
        for group, splat in zip(groups, seen, strict=True)
    ]
    columns = [(splat.pixel, splat.passed, splat.z) for splat in seen]
    sample, passed, z = (torch.cat(column) for column in zip(*columns, strict=True))
    return Cover(sample, torch.cat(kinds), passed, z)


def kinds_of_pairs(kinds: Tensor, seen: PixelFaces, head: Template, person: Person) -> Tensor:
    """Class of what each pair of a pixel and a face shows: uint8 [P].

    kinds: uint8 [F], classes of the faces drawn, those of the head first. Its skin below the
    neckline is clothes, as `shade` paints it, and where the skin's texture paints the roots of
    hair, it is hair.
    """

    def clothed(places: Tensor) -> Tensor:
        return -neckline_height(person, places.T)

    def rooted(hairline: Tensor) -> Tensor:
        height, high, thin = hairline.unbind(1)
        return height - hair.hairline * high - hair.thinning * thin - dense

    hair = person.hair
    dense = _DENSE_BUZZ_M if hair.style == "buzz" else _DENSE_M
    everywhere = torch.ones_like(head.region, dtype=torch.bool)
    scalp = (head.region == REGION_ID["scalp"]) & (hair.style != "bald")
    # What is painted; positive inside; of which values; how far it may leave its range at a face's
    # corners; on which faces.
    paints = (
        (CLOTHES, clothed, head.vertices, NEAR_NECKLINE_M, everywhere),
        (HAIR, rooted, _hairline(), 0.0, scalp),
    )
    kinds, border = kinds.clone(), torch.zeros_like(kinds)
    for kind, inside, values, margin, among in paints:
        at_corners = inside(values).index_select(0, head.faces.flatten()).view(-1, 3)
        whole = among & (at_corners.amin(1) > margin)
        touched = among & ~whole & (at_corners.amax(1) > -margin)
        kinds[: len(whole)].masked_fill_(whole, kind)
        border[: len(whole)].masked_fill_(touched, kind)
    of_pair, on_border = kinds.index_select(0, seen.face), border.index_select(0, seen.face)
    for kind, inside, values, _, _ in paints:
        pairs = torch.nonzero(on_border == kind).squeeze(1)
        painted = inside(seen.at(pairs, values, head.faces)) > 0
        of_pair.index_fill_(0, pairs[painted], kind)
    return of_pair


@functools.cache
def _hairline() -> Tensor:
    """As SkinMaps.hairline, at the head's vertices: [V, 3]."""
    vertices = template().vertices
    return torch.stack([hairline_height(vertices), *recession(vertices)], 1)


def layers_of(
    seen: PixelFaces,
    kinds: Tensor,
    covers: Sequence[Cover],
    alpha: Tensor,
    behind: Tensor | None = None,
) -> Layers:
    """Layers of one image, [1, S, S].

    kinds: uint8 [P], classes of the pairs. covers: in the order in which they were painted.
    alpha: float32 [S, S], 1 less the share of the background in the image.
    behind: uint8 [S, S], classes of the background where it is not empty.
    """
    samples, size = len(seen.of_sample), len(alpha)
    slots = torch.full((len(covers), samples), -1, dtype=torch.int32)
    count = 0
    for slot, cover in zip(slots, covers, strict=True):
        numbers = torch.arange(count, count + len(cover.sample), dtype=torch.int32)
        slot.index_copy_(0, cover.sample, numbers)
        count += len(cover.sample)
    if behind is None:
        behind = torch.full((size, size), BACKGROUND, dtype=torch.uint8)
    columns = [(cover.kind, cover.passed, cover.z) for cover in covers]
    kind, passed, z = (torch.cat(column) for column in zip(*columns, strict=True))
    ids = torch.empty(size, size, dtype=torch.uint8)
    shown, depth = torch.empty(size, size), torch.empty(size, size)
    pairs = seen.of_sample, kinds, seen.z
    run(compose, *pairs, slots, kind, passed, z, behind, ids, shown, depth)
    return Layers(ids[None], shown[None], alpha[None], depth[None])
