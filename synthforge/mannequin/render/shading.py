"""Shades the visible pixels of a posed head: skin, eyes, teeth and clothes, in linear RGB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.kernels.shading import ABOVE_CLOTH_M, shade_skin
from synthforge.mannequin.person import Person
from synthforge.mannequin.render.arithmetic import turned
from synthforge.mannequin.render.clothes import neckline_height
from synthforge.mannequin.render.eye_shading import Eye, shade_eye
from synthforge.mannequin.render.lighting import Shadow
from synthforge.mannequin.render.pixel_faces import PixelFaces
from synthforge.mannequin.render.scene import Scene
from synthforge.mannequin.render.template import Template
from synthforge.mesh import unit

# Between a face's corners the neckline rises by less.
_NEAR_NECKLINE_M = 0.010


@dataclass(frozen=True)
class Surface:
    """A posed head ready to be shaded, generator frame.

    values: float32 [V, 12], at the vertices: normal, environment irradiance, position in the shadow
        map, position.
    """

    head: Template
    values: Tensor


def shade(
    surface: Surface,
    seen: PixelFaces,
    texture: Tensor,
    person: Person,
    scene: Scene,
    shadow: Shadow,
    R_view_gen: Tensor,
    eyes: Sequence[Eye],
) -> Tensor:
    """float32 [3, P], linear RGB of the P pairs of pixels and faces.

    texture: [8, T, T] of albedo.skin_texture. eyes: the right and the left one; without them
    eyeballs are black, as what is not the head is.
    """
    head = surface.head
    colors = torch.zeros(3, len(seen))
    key = turned(R_view_gen.T, R_view_gen.new_tensor(scene.key.direction))
    viewer = R_view_gen[2]
    axes = torch.stack([key, viewer, unit(key + viewer)])
    tints = torch.tensor([scene.key.color, person.clothing])
    arrays = (
        seen.face, seen.weights.T, _above_neckline(head, seen, person), head.faces, head.uv_faces,
        head.uvs, head.eye, surface.values, texture.permute(1, 2, 0), shadow.solid_depth,
        shadow.hair,
    )  # fmt: skip
    shade_skin(
        *(array.contiguous().numpy() for array in arrays),
        shadow.radius,
        axes.numpy(),
        tints.numpy(),
        scene.key.softness,
        person.oiliness,
        person.lip_gloss,
        colors.numpy(),
    )
    of_eye = F.pad(head.eye, (0, 1)).index_select(0, seen.face.clamp(max=len(head.faces)))
    of_eyes = torch.nonzero(of_eye).squeeze(1)
    for k, eye in enumerate(eyes, 1):
        pairs = of_eyes[of_eye.index_select(0, of_eyes) == k]
        if len(pairs) == 0:
            continue
        values = _at_pairs(surface.values, head, seen, pairs)
        globe = _at_pairs(head.eye_local, head, seen, pairs)
        lit = shadow.lit(values[:, 6:9].T)
        color = shade_eye(person, scene, eye, globe, values[:, 3:6], 0.4 + 0.6 * lit)
        colors.index_copy_(1, pairs, color.T)
    return colors


def _above_neckline(head: Template, seen: PixelFaces, person: Person) -> Tensor:
    """Metres above the border of the clothes at the pairs [P]; infinite far above."""
    heights = neckline_height(person, head.vertices.T).index_select(0, head.faces.flatten())
    near = heights.view(-1, 3).amin(1) < ABOVE_CLOTH_M + _NEAR_NECKLINE_M
    near = torch.nonzero(near.index_select(0, seen.face.clamp(max=len(near) - 1))).squeeze(1)
    above = torch.full((len(seen),), torch.inf)
    place = _at_pairs(head.vertices, head, seen, near)
    return above.index_copy_(0, near, neckline_height(person, place.T.contiguous()))


def _at_pairs(values: Tensor, head: Template, seen: PixelFaces, pairs: Tensor) -> Tensor:
    """Values [V, C] at the vertices, at some of the pairs: [N, C]."""
    face = seen.face.index_select(0, pairs).clamp_(max=len(head.faces) - 1)
    corners = head.faces.index_select(0, face)
    a, b, c = (values.index_select(0, corner) for corner in corners.unbind(1))
    wa, wb, wc = seen.weights.T.index_select(0, pairs).T[..., None]
    return a * wa + b * wb + c * wc
