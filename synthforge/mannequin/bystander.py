"""Another person in the background: who it is, where they stand, and how the lens blurs them."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synthforge.distributions import Range
from synthforge.frames import place_in_generator
from synthforge.head import pose_flame
from synthforge.mannequin.draws import Draws, scaled, seed_of
from synthforge.mannequin.head.built_in_flame import built_in_flame
from synthforge.mannequin.people import PERSON_LATENTS, draw_people
from synthforge.mannequin.render.body import Posed
from synthforge.mannequin.render.maps import defocused, resized
from synthforge.mannequin.render.scene import Scene
from synthforge.mannequin.wear.outfit import LOOK
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

# They are drawn at half the image's size: they are out of focus.
BYSTANDER_SIZE = 256
# How large their face is beside the subject's: the inverse of how far they are.
_SIZE = (0.36, 0.68)
# Their eyes' level below the subject's, image widths.
_LEVEL = (-0.02, 0.14)
# Wherever they stand, so much of the image's width lies between its border and their nose.
_INSIDE = 0.03
# Rows above the bust's end whose colour continues below it.
_HEM = 3


@dataclass(frozen=True)
class Bystander(Posed):
    """Somebody else, in their own generator frame, which `camera` sees where they stand.

    nearness: how large they are beside the subject, 0 to 1.
    """

    nearness: float

    def lit_by(self, scene: Scene) -> Scene:
        """The scene's light where they stand."""
        if not scene.fills:
            return scene
        # The key is a lamp or a flash near the subject, and not the place's own light.
        dimmed = scaled(scene.key.color, self.nearness * self.nearness)
        return replace(scene, key=replace(scene.key, color=dimmed))

    def out_of_focus(self, shares: Tensor, scene: Scene, size: int) -> Tensor:
        """Their colour and coverage [4, S, S] as an image of `size` has it, the subject in focus.

        The bust ends; below, its colours continue to the image's border.
        """
        rows = torch.arange(len(shares[3]))[:, None]
        end = torch.where(shares[3] > 0.5, rows, -1).amax(0)
        below = (rows > end - _HEM) & (end >= _HEM)
        source = torch.where(below, end - _HEM, rows)
        shares = shares.gather(1, source.expand(4, -1, -1))
        radius = scene.surroundings.defocus * (1 - self.nearness) * BYSTANDER_SIZE
        blurred = resized(defocused(shares, max(radius, 1.0)), size, size).clamp_(min=0)
        blurred[3].clamp_(max=1)
        return blurred


def bystander_of(z: Tensor, marks: Tensor) -> Bystander:
    """Who stands behind, and beside the head that is there.

    z: [512], the subject's. marks: [68, 2], the subject's landmarks, image widths.
    """
    d = Draws(z[LOOK["bystanders"]])
    nearness = d.u(*_SIZE)
    low, high = marks.amin(0).tolist(), marks.amax(0).tolist()
    subject = max(high[0] - low[0], high[1] - low[1])
    size = min(max(nearness * subject, 0.06), 1.0)
    config = replace(
        MANNEQUIN_SAMPLING,
        face_size=Range(size, size),
        offset_x=None,
        offset_y=None,
        mask=0.0,
        occluders=0.0,
        bystanders=0.0,
    )
    drawn = draw_people([SampleId(seed_of(z[PERSON_LATENTS:]), 0)], config)
    # More often where there is more room.
    left, right = max(low[0], 0.05), max(1 - high[0], 0.05)
    beside = 0.35 * subject + size * d.u(0.5, 1.1)
    is_left = d.chance(left * left / (left * left + right * right))
    x = low[0] - beside if is_left else high[0] + beside
    x = min(max(x, _INSIDE), 1 - _INSIDE)
    y = 0.5 * (low[1] + high[1]) + d.u(*_LEVEL)
    shift = torch.tensor([x - 0.5, y - 0.5])
    drawn = replace(drawn, center=drawn.center + shift)
    posed = pose_flame(_flame(), drawn, drawn.camera)
    vertices, landmarks = (place_in_generator(points[0]).float() for points in posed)
    return Bystander(drawn.z[0], vertices, landmarks, drawn.camera, nearness)


_flame = functools.cache(built_in_flame)
