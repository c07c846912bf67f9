"""Dresses one posed head: what its latent says is worn, built to fit it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.draws import Draws
from synthforge.mannequin.hair.rim import Rim
from synthforge.mannequin.hair.scalp import Head, scalp_of, shoulders_of
from synthforge.mannequin.person import Hair, Person
from synthforge.mannequin.render.albedo import skin_albedo
from synthforge.mannequin.render.template import Template
from synthforge.mannequin.wear.collars import COLLARS, collar
from synthforge.mannequin.wear.earrings import earrings
from synthforge.mannequin.wear.fit import fit_of
from synthforge.mannequin.wear.glasses import glasses
from synthforge.mannequin.wear.glasses_style import style_of
from synthforge.mannequin.wear.headscarf import headscarf
from synthforge.mannequin.wear.headwear import headwear
from synthforge.mannequin.wear.mask import mask, under_mask
from synthforge.mannequin.wear.occluders import occluder
from synthforge.mannequin.wear.outfit import EARRINGS, HEADWEAR, LOOK, OCCLUDERS, outfit_of
from synthforge.mannequin.wear.parts import Lens, Part
from synthforge.mannequin.wear.shading import Worn, worn_of


@dataclass(frozen=True)
class Dress:
    """worn: the opaque parts. hair, rim: as hair is worn under them. shade: [V], share of the
    surroundings' light that they leave the head's vertices. head_faces: int64 [F, 3], those of
    the head as they are drawn under them."""

    worn: Worn
    lenses: list[Lens]
    hair: Hair
    rim: Rim | None
    shade: Tensor
    head_faces: Tensor

    def z_for_hair(self, z: Tensor, face: Tensor, first: int) -> Tensor:
        """z [P] of faces [P], of which those from `first` on are worn: what hair must be before."""
        nearer = torch.nn.functional.pad(self.worn.over_hair, (first, 0))
        return z - nearer.index_select(0, face)


def dressed(z: Tensor, person: Person, head: Template, own: Head, marks: Tensor) -> Dress | None:
    """None if nothing is worn. z: [512]. marks: [68, 3], landmarks in the head's own frame."""
    outfit = outfit_of(z)
    parts: list[Part] = []
    lenses: list[Lens] = []
    hair, rim = person.hair, None
    shade = torch.ones_like(own.vertices[:, 0])
    if person.collar in COLLARS and HEADWEAR[outfit.headwear] != "headscarf":
        parts += collar(person, own)
    if outfit.is_bare:
        if not parts:
            return None
        return Dress(worn_of(parts, own.frame), lenses, hair, rim, shade, head.faces)
    fit = fit_of(head, own, marks)
    if outfit.mask:
        plate, *loops = mask(Draws(z[LOOK["mask"]]), fit)
        parts += [plate, *loops]
        fit = fit.over(plate.shape)
    if outfit.earrings:
        parts += earrings(EARRINGS[outfit.earrings], Draws(z[LOOK["earrings"]]), fit)
    if outfit.glasses:
        style = style_of(Draws(z[LOOK["glasses"]]), outfit.glasses == 2)
        frame, lenses = glasses(style, fit)
        parts += frame
    if outfit.headwear:
        kind, look = HEADWEAR[outfit.headwear], Draws(z[LOOK["headwear"]])
        if kind == "headscarf":
            scalp = scalp_of(head, own, True)
            hat = headscarf(look, hair, scalp, shoulders_of(head, own), fit)
        else:
            brow_y = float(marks[[19, 24], 1].amax())
            scalp = scalp_of(head, own, False)
            hat = headwear(kind, look, hair, scalp, own.vertices, brow_y)
        parts += hat.parts
        hair, rim, shade = hat.hair, hat.rim, hat.shade
    if outfit.occluders:
        kind, look = OCCLUDERS[outfit.occluders], Draws(z[LOOK["occluders"]])
        parts += occluder(kind, look, fit, skin_albedo(person), person.clothing)
    faces = head.faces
    if outfit.mask:
        # Without extent, a face is not drawn.
        faces = torch.where(under_mask().to(faces.device)[:, None], 0, faces)
    return Dress(worn_of(parts, own.frame), lenses, hair, rim, shade, faces)
