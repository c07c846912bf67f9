"""Shades the visible pixels of a posed head: skin, eyes, teeth and clothes, in linear RGB."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.kernels import run
from synthforge.mannequin.kernels.shading import ABOVE_CLOTH_M, shade_skin
from synthforge.mannequin.person import Person
from synthforge.mannequin.render.arithmetic import turned
from synthforge.mannequin.render.body import neckline_height
from synthforge.mannequin.render.eye_shading import Eye, shade_eye
from synthforge.mannequin.render.lighting import Shadow
from synthforge.mannequin.render.pixel_faces import PixelFaces
from synthforge.mannequin.render.scene import Scene
from synthforge.mannequin.render.template import Template
from synthforge.mesh import unit

# Between a face's corners the neckline rises by less.
NEAR_NECKLINE_M = 0.010


def shade(
    head: Template,
    surface: Tensor,
    seen: PixelFaces,
    texture: Tensor,
    person: Person,
    scene: Scene,
    shadow: Shadow,
    R_view_gen: Tensor,
    eyes: Sequence[Eye],
) -> Tensor:
    """float32 [3, P], linear RGB of the P pairs of pixels and faces.

    surface: [V, 12] of body.surface_of. texture: [8, T, T] of albedo.skin_texture. eyes: the right
    and the left one; without them eyeballs are black, as what is not the head is.
    """
    colors = torch.zeros(3, len(seen))
    key = turned(R_view_gen.T, R_view_gen.new_tensor(scene.key.direction))
    viewer = R_view_gen[2]
    axes = torch.stack([key, viewer, unit(key + viewer)])
    tints = torch.tensor([scene.key.color, person.clothing])
    run(
        shade_skin, seen.face, seen.weights.T.contiguous(), _above_neckline(head, seen, person),
        head.faces, head.uv_faces, head.uvs, head.eye, surface,
        texture.permute(1, 2, 0).contiguous(), shadow.solid_depth, shadow.hair, shadow.radius, axes,
        tints, scene.key.softness, person.oiliness, person.lip_gloss, colors,
    )  # fmt: skip
    of_eye = F.pad(head.eye, (0, 1)).index_select(0, seen.face.clamp(max=len(head.faces)))
    of_eyes = torch.nonzero(of_eye).squeeze(1)
    for k, eye in enumerate(eyes, 1):
        pairs = of_eyes[of_eye.index_select(0, of_eyes) == k]
        if len(pairs) == 0:
            continue
        values = seen.at(pairs, surface, head.faces)
        globe = seen.at(pairs, head.eye_local, head.faces)
        lit = shadow.lit(values[:, 6:9].T)
        color = shade_eye(person, scene, eye, globe, values[:, 3:6], 0.4 + 0.6 * lit)
        colors.index_copy_(1, pairs, color.T)
    return colors


def _above_neckline(head: Template, seen: PixelFaces, person: Person) -> Tensor:
    """Metres above the border of the clothes at the pairs [P]; infinite far above."""
    heights = neckline_height(person, head.vertices.T).index_select(0, head.faces.flatten())
    near = heights.view(-1, 3).amin(1) < ABOVE_CLOTH_M + NEAR_NECKLINE_M
    near = torch.nonzero(near.index_select(0, seen.face.clamp(max=len(near) - 1))).squeeze(1)
    above = torch.full((len(seen),), torch.inf)
    place = seen.at(near, head.vertices, head.faces)
    return above.index_copy_(0, near, neckline_height(person, place.T))
