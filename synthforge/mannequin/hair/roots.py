"""Where hair grows: fixed pools of roots on the surface of the head, as points on triangles."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields, replace

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from flame_pytorch.lbs import fixed_order_sum
from synthforge.landmarks import LEFT_BROW
from synthforge.mannequin.hair.hairline import hairline_height
from synthforge.mannequin.hair.scalp import Head
from synthforge.mannequin.render.arithmetic import length, mean, sine
from synthforge.mannequin.render.fields import smoothstep
from synthforge.mannequin.render.skin_maps import PIGMENT_MAPS, TEXTURE_SIZE, skin_maps
from synthforge.mannequin.render.template import brow_curve, template
from synthforge.mesh import cross, unit
from synthforge.rasterizer import rasterize
from synthforge.regions import REGION_ID

_SCALP_ROOTS = 26000
GUIDES = 1800
_BEARD_ROOTS = 10000
_BROW_ROOTS = 1100
_SEED = 31


@dataclass(frozen=True)
class Roots:
    """N points on triangles.

    face: int64 [N]; bary: float32 [N, 3]; position: float32 [N, 3] on the neutral head.
    place: float32 [N, 2], what the growth needs to know of the place: scalp: metres above the
        hairline and 0; beard: density and 0; brow: 0-1 along it and -1-1 across it.
    guide: int64 [N], scalp only: the nearest of the first GUIDES roots.
    random: float32 [N, 12], standard normal.
    """

    face: Tensor
    bary: Tensor
    position: Tensor
    place: Tensor
    guide: Tensor
    random: Tensor

    def posed(self, values: Tensor) -> Tensor:
        """Vertex values [V, C] at the roots: [N, C]."""
        corners = values[template().faces[self.face]]
        a, b, c = (corners[:, k] * self.bary[:, k, None] for k in range(3))
        return a + b + c

    def on(self, head: Head) -> tuple[Tensor, Tensor]:
        """Roots on a posed head and its normals there, in the head's own frame: [N, 3] each."""
        return self.posed(head.vertices), unit(self.posed(head.normals))

    def take(self, index: Tensor | slice) -> Roots:
        return Roots(*(getattr(self, f.name)[index] for f in fields(self)))


def _normal(count: int, generator: torch.Generator) -> Tensor:
    """float32 [count, 12], standard normal. Drawn in float64, as float32's differ by CPU."""
    return torch.randn(count, 12, generator=generator, dtype=torch.float64).float()


def _on_surface(weight: Tensor, count: int, seed: int) -> Roots:
    """`count` roots spread by area times the faces' `weight` [F]."""
    head = template()
    generator = torch.Generator().manual_seed(seed)
    a, b, c = (head.vertices[head.faces[:, k]] for k in range(3))
    area = length(cross(b - a, c - a)) * weight
    cumulative = torch.cumsum(area.double(), 0)
    # Stratified along the list of faces, then shuffled: any leading part is evenly spread.
    pick = torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)
    place = (pick / count).double() * cumulative[-1]
    face = torch.searchsorted(cumulative, place).clamp(max=len(area) - 1)
    u, v = torch.rand(2, count, generator=generator)
    fold = u + v > 1
    u, v = torch.where(fold, 1 - u, u), torch.where(fold, 1 - v, v)
    bary = torch.stack([1 - u - v, u, v], -1)
    return _roots(face, bary, torch.zeros(count, 2), _normal(count, generator))


def _roots(face: Tensor, bary: Tensor, place: Tensor, random: Tensor) -> Roots:
    """Without guides."""
    roots = Roots(face, bary, bary, place, torch.zeros_like(face), random)
    return replace(roots, position=roots.posed(template().vertices))


@functools.cache
def scalp_roots() -> Roots:
    """Roots of the scalp's hair; the first GUIDES are the guides."""
    head = template()
    near = hairline_height(mean(head.vertices[head.faces], 1)) > -0.012
    outside = [REGION_ID[n] for n in ("scalp", "forehead", "face", "neck", "neck_back")]
    grows = near & torch.isin(head.region, torch.tensor(outside))
    roots = _on_surface(grows.float(), _SCALP_ROOTS, _SEED)
    above = hairline_height(roots.position)
    roots = replace(roots, place=torch.stack([above, 0 * above], -1))
    kept = roots.take(above + 0.0015 * roots.random[:, 11] > 0)
    _, nearest = cKDTree(kept.position[:GUIDES].numpy()).query(kept.position.numpy())
    return replace(kept, guide=torch.from_numpy(nearest))


@functools.cache
def beard_roots() -> Roots:
    """Roots of beard and moustache."""
    head = template()
    zone = skin_maps().pigments[PIGMENT_MAPS.index("beard_shadow")]
    uv = mean(head.uvs[head.uv_faces], 1)
    column = (uv[:, 0] * TEXTURE_SIZE).long().clamp(0, TEXTURE_SIZE - 1)
    row = ((1 - uv[:, 1]) * TEXTURE_SIZE).long().clamp(0, TEXTURE_SIZE - 1)
    density = zone[row * TEXTURE_SIZE + column]
    x, y, _ = mean(head.vertices[head.faces], 1).unbind(-1)
    mouth_parts = [REGION_ID[n] for n in ("upper_lip", "lower_lip", "inner_mouth")]
    lips = torch.isin(head.region, torch.tensor(mouth_parts))
    density = torch.where(lips | head.eyeball[head.faces[:, 0]], 0.0, density)
    density = density * smoothstep(-0.036, -0.012, y - head.landmarks[8, 1])
    density = torch.where(density > 0.12, density, 0.0)
    mouth = head.landmarks[54]
    moustache = (y > mouth[1]) & (x.abs() < mouth[0])
    roots = _on_surface(density * (1 + 1.5 * moustache), _BEARD_ROOTS, _SEED + 1)
    return replace(roots, place=torch.stack([density[roots.face], roots.place[:, 1]], -1))


@functools.cache
def brow_roots() -> Roots:
    """Roots of both brows, the subject's left first."""
    generator = torch.Generator().manual_seed(_SEED + 2)
    curve = brow_curve()
    along = torch.rand(_BROW_ROOTS, generator=generator)
    across = 2 * torch.rand(_BROW_ROOTS, generator=generator) - 1
    random = _normal(_BROW_ROOTS, generator)
    knot = (along * (len(curve) - 1)).long().clamp(max=len(curve) - 2)
    width = 0.0050 * (0.75 + 0.45 * sine(along * 2.2 + 0.5)) * (1 - along**3 * 0.8)
    width = width * (0.55 + 0.45 * smoothstep(0.0, 0.22, along))
    point = curve[knot].clone()
    point[:, 1] += across * width
    both = torch.cat([point, point * torch.tensor([-1.0, 1.0, 1.0])])
    place = torch.stack([along, across], -1)
    return _roots(*_project_front(both), place.repeat(2, 1), random.repeat(2, 1))


def _project_front(points: Tensor) -> tuple[Tensor, Tensor]:
    """The triangle seen from the front at each point's (x, y), and barycentrics there."""
    head = template()
    extent, size = 0.1, 768
    center = mean(head.landmarks[LEFT_BROW], 0) * torch.tensor([0.0, 1.0, 0.0])
    ndc = (head.vertices - center) * torch.tensor([-1.0, 1.0, -1.0]) / extent
    ndc[:, 2] += 3
    fragments = rasterize(
        ndc[None], head.faces, size, size, perspective_correct=False, cull_backfaces=False
    )
    place = (points - center) / extent
    column = ((1 + place[:, 0]) * size / 2).long().clamp(0, size - 1)
    row = ((1 - place[:, 1]) * size / 2).long().clamp(0, size - 1)
    bary = fragments.barycentrics[0, row, column]
    return fragments.face_ids[0, row, column].clamp(min=0), bary / fixed_order_sum(bary, 1)[:, None]
