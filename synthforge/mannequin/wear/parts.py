"""What a worn thing is made of, ready to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.draws import RGB
from synthforge.mannequin.wear.shapes import Shape


@dataclass(frozen=True)
class Material:
    """How a surface reflects.

    roughness: of its highlights. mirror: share of light that it mirrors face on; of a metal, in its
    own colour.
    """

    roughness: float
    mirror: float
    metal: bool = False
    wrap: float = 0.0


PLASTIC = Material(0.28, 0.045)
METAL = Material(0.48, 0.9, metal=True)
SILICONE = Material(0.45, 0.03)
CLOTH = Material(0.95, 0.006)
SKIN = Material(0.55, 0.028, wrap=0.25)


@dataclass(frozen=True)
class Part:
    """An opaque part, metres in the head's own frame.

    kind: class of synthforge.visible.
    color: linear RGB albedo of all of it, or of each vertex, [V, 3]. shade: share of the
    surroundings' light that reaches it, of all of it or of each vertex, [V]. over_hair: hair that
    is no more than so many metres before it is hidden by it.
    """

    kind: int
    shape: Shape
    color: RGB | Tensor
    material: Material
    shade: float | Tensor = 1.0
    over_hair: float = 0.0

    @property
    def colors(self) -> Tensor:
        """[V, 3]"""
        like = self.shape.vertices
        if isinstance(self.color, Tensor):
            return self.color
        return like.new_tensor(self.color).expand_as(like)

    @property
    def shades(self) -> Tensor:
        """[V]"""
        if isinstance(self.shade, Tensor):
            return self.shade
        return torch.full_like(self.shape.vertices[:, 0], self.shade)


@dataclass(frozen=True)
class Lens:
    """A lens of a pair of glasses, in the head's own frame.

    normals: [V, 3], of its curved front. height: [V], -1 at its lower edge to 1 at its upper one.
    passed: linear RGB, share of light that it lets through at its lower and at its upper edge.
    mirror: linear RGB, share that it mirrors face on.
    """

    shape: Shape
    normals: Tensor
    height: Tensor
    passed: tuple[RGB, RGB]
    mirror: RGB
