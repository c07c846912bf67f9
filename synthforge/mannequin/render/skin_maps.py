"""Identity-independent maps of the skin in UV space, made once from the neutral head.

A person's skin is a linear mix of these in log-albedo (albedo.py): each map tells where a pigment
or a surface feature sits, between 0 and 1 or as zero-mean noise.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.render.skin_features import Points, skin_features
from synthforge.mannequin.render.template import template
from synthforge.mannequin.render.uv_grid import uv_grid

TEXTURE_SIZE = 768
# What is mixed at once: fits a core's cache.
TEXELS_AT_ONCE = 1 << 14

# Order of the mixed maps.
PIGMENT_MAPS = (
    "base", "mottling_red", "mottling_brown", "blush", "nose_red", "ear_red", "under_eye", "lid",
    "lip", "lip_line", "freckles_0", "freckles_1", "spots_0", "spots_1", "moles_0",
    "moles_1", "pores", "beard_shadow", "brow_shadow", "lash_line", "eye_shadow", "eyeliner",
    "waterline", "nostril", "mouth_dark", "tooth", "gum", "teeth_back", "wrinkles",
)  # fmt: skip


@dataclass(frozen=True)
class SkinMaps:
    """pigments: float32 [K, S * S] in the order of PIGMENT_MAPS.

    bump_pores, bump_wrinkles, bump_lips: float32 [2, S * S], d(height)/d(u, v) in metres per
        texture width.
    gloss: float32 [3, S * S]: how oily the skin is by place, lips, wet (waterline, inner mouth).
    hairline: float32 [3, S * S], metres above the border of the scalp hair, and how far that
        border recedes where the hairline is high and where hair thins.
    present: from the first texel of each run of TEXELS_AT_ONCE to the pigment maps that are not 0
        throughout it.
    """

    pigments: Tensor
    bump_pores: Tensor
    bump_wrinkles: Tensor
    bump_lips: Tensor
    gloss: Tensor
    hairline: Tensor
    present: Mapping[int, Sequence[int]]

    def to(self, device: torch.device | str) -> SkinMaps:
        tensors = (f.name for f in fields(self) if f.name != "present")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})


@functools.cache
def skin_maps(device: torch.device | str = "cpu") -> SkinMaps:
    """All maps at TEXTURE_SIZE on `device`."""
    if torch.device(device).type != "cpu":
        return skin_maps("cpu").to(device)
    head = template("cpu")
    grid = uv_grid(head, TEXTURE_SIZE)
    piece = head.piece[head.faces[grid.face, 0]]
    points = Points(head, grid.positions, grid.normals, head.region[grid.face], piece)
    features = skin_features(points)

    def layers(*names: str) -> Tensor:
        return torch.stack([features[name].index_select(0, grid.source) for name in names])

    pigments = layers(*PIGMENT_MAPS)
    runs = [(run != 0).any(1) for run in pigments.split(TEXELS_AT_ONCE, 1)]
    return SkinMaps(
        pigments=pigments,
        bump_pores=_gradient(layers("pore_height")),
        bump_wrinkles=_gradient(layers("wrinkle_height")),
        bump_lips=_gradient(layers("lip_height")),
        gloss=layers("oil", "lip", "wet"),
        hairline=layers("hair", "high", "thin"),
        present={
            i * TEXELS_AT_ONCE: run.nonzero().squeeze(1).tolist() for i, run in enumerate(runs)
        },
    )


def _gradient(height: Tensor) -> Tensor:
    """[1, S * S] heights in metres -> d/du, d/dv per texture width, [2, S * S]."""
    size = TEXTURE_SIZE
    padded = F.pad(height.view(1, 1, size, size), (1, 1, 1, 1), mode="replicate")[0, 0]
    du = (padded[1:-1, 2:] - padded[1:-1, :-2]) * (size / 2)
    dv = (padded[:-2, 1:-1] - padded[2:, 1:-1]) * (size / 2)
    return torch.stack([du.flatten(), dv.flatten()]).clamp(-0.6, 0.6)
