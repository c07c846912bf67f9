"""Which class each pixel shows, how much of it, and how far: from the buffers that draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.generator import Layers
from synthforge.mannequin.hair.strands import Splat, Strands
from synthforge.mannequin.person import Person
from synthforge.mannequin.render.clothes import neckline_height
from synthforge.mannequin.render.layers_kernel import compose
from synthforge.mannequin.render.pixel_faces import PixelFaces
from synthforge.mannequin.render.template import Template
from synthforge.regions import BACKGROUND
from synthforge.visible import CLOTHES

# Between a face's corners the neckline rises by less.
_NEAR_NECKLINE_M = 0.010


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
    neckline is clothes, as `shade` paints it.
    """
    of_pair = kinds.index_select(0, seen.face)
    heights = neckline_height(person, head.vertices.T).index_select(0, head.faces.flatten())
    may_be_clothed = kinds.new_zeros(len(kinds), dtype=torch.bool)
    may_be_clothed[: len(head.faces)] = heights.view(-1, 3).amin(1) < _NEAR_NECKLINE_M
    pairs = torch.nonzero(may_be_clothed.index_select(0, seen.face)).squeeze(1)
    corners = head.faces.index_select(0, seen.face.index_select(0, pairs))
    weights = seen.weights.index_select(1, pairs)
    a, b, c = (head.vertices.index_select(0, corner).T for corner in corners.unbind(1))
    place = a * weights[0] + b * weights[1] + c * weights[2]
    clothed = pairs[neckline_height(person, place) < 0]
    return of_pair.index_fill_(0, clothed, CLOTHES)


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
        slot.index_copy_(0, cover.sample.cpu(), numbers)
        count += len(cover.sample)
    if behind is None:
        behind = torch.full((size, size), BACKGROUND, dtype=torch.uint8)
    columns = [(cover.kind, cover.passed, cover.z) for cover in covers]
    empty = (kinds[:0], seen.z[:0], seen.z[:0])
    kind, passed, z = (torch.cat(column) for column in zip(empty, *columns, strict=True))
    ids = torch.empty(size, size, dtype=torch.uint8)
    shown, depth = torch.empty(size, size), torch.empty(size, size)
    drawn = (seen.of_sample, kinds, seen.z, slots, kind, passed, z, behind, ids, shown, depth)
    compose(*(tensor.cpu().contiguous().numpy() for tensor in drawn))
    ids, shown, depth = (image.to(alpha.device) for image in (ids, shown, depth))
    return Layers(ids[None], shown[None], alpha[None], depth[None])
