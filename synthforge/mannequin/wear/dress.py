"""Dresses one posed head: what its latent says is worn, built to fit it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from synthforge.mannequin.draws import Draws
from synthforge.mannequin.hair.scalp import Head
from synthforge.mannequin.person import Person
from synthforge.mannequin.render.template import Template
from synthforge.mannequin.wear.fit import fit_of
from synthforge.mannequin.wear.glasses import glasses, style_of
from synthforge.mannequin.wear.outfit import LOOK_LATENTS, outfit_of
from synthforge.mannequin.wear.parts import Lens, Part
from synthforge.mannequin.wear.shading import Worn, worn_of


@dataclass(frozen=True)
class Dress:
    """worn: the opaque parts."""

    worn: Worn
    lenses: list[Lens]


def dressed(
    z: Tensor, person: Person, head: Template, own: Head, landmarks: Tensor
) -> Dress | None:
    """None if nothing is worn. z: [512]. landmarks: [68, 3] in the head's own frame."""
    outfit = outfit_of(z)
    look = Draws(z[LOOK_LATENTS])
    parts: list[Part] = []
    lenses: list[Lens] = []
    fit = None
    if outfit.glasses:
        fit = fit_of(head, own, landmarks)
        frame, lenses = glasses(style_of(look, outfit.glasses == 2), fit)
        parts += frame
    if not parts:
        return None
    return Dress(worn_of(parts, own.frame), lenses)
