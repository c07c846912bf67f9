"""Identity-independent maps of the skin in UV space, made once from the neutral head.

A person's skin is a linear mix of these in log-albedo (albedo.py): each map tells where a pigment
or a surface feature sits, between 0 and 1 or as zero-mean noise.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from synthforge.mannequin.kernels.skin import TEXELS_AT_ONCE
from synthforge.mannequin.render.skin_features import Points, skin_features
from synthforge.mannequin.render.template import template
from synthforge.rasterizer import rasterize

TEXTURE_SIZE = 768

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

    bumps: float32 [3, 2, S * S], of wrinkles, pores, lips: d(height)/d(u, v) in metres per texture
        width.
    gloss: float32 [3, S * S]: how oily the skin is by place, lips, wet (waterline, inner mouth).
    hairline: float32 [3, S * S], metres above the border of the scalp hair, and how far that
        border recedes where the hairline is high and where hair thins.
    present: uint8 [R, K], 1 where a pigment is not 0 throughout a run of TEXELS_AT_ONCE.
    """

    pigments: Tensor
    bumps: Tensor
    gloss: Tensor
    hairline: Tensor
    present: Tensor


@functools.cache
def skin_maps() -> SkinMaps:
    """All maps at TEXTURE_SIZE."""
    points, of_texel = _charted()
    features = skin_features(points)

    def layers(*names: str) -> Tensor:
        return torch.stack([features[name].index_select(0, of_texel) for name in names])

    pigments = layers(*PIGMENT_MAPS)
    heights = layers("wrinkle_height", "pore_height", "lip_height")
    runs = pigments.unflatten(1, (-1, TEXELS_AT_ONCE))
    return SkinMaps(
        pigments=pigments,
        bumps=torch.stack([_gradient(height) for height in heights]),
        gloss=layers("oil", "lip", "wet"),
        hairline=layers("hair", "high", "thin"),
        present=(runs != 0).any(2).T.to(torch.uint8).contiguous(),
    )


def _charted() -> tuple[Points, Tensor]:
    """The surface at the N texels that some chart of the UV layout covers; row 0 is v = 1.

    And which of them each texel of the texture shows, int64 [S * S]: outside the charts the nearest
    one, so that filtering never bleeds.
    """
    head = template()
    u, v = head.uvs.unbind(1)
    ndc = torch.stack([1 - 2 * u, 2 * v - 1, torch.ones_like(u)], 1)[None]
    seen = rasterize(ndc, head.uv_faces, TEXTURE_SIZE, TEXTURE_SIZE, perspective_correct=False)
    corners = torch.cat([head.vertices, head.normals], 1)[head.faces]
    covered = seen.covered[0]
    texel = covered.flatten().nonzero().squeeze(1)
    values = seen.interpolate(corners).view(-1, 6)[texel]
    face = seen.face_ids.flatten()[texel]
    piece = head.piece[head.faces[face, 0]]
    rows, columns = ndimage.distance_transform_edt(
        ~covered.numpy(), return_distances=False, return_indices=True
    )
    nearest = torch.from_numpy(rows.astype("int64") * TEXTURE_SIZE + columns).flatten()
    number = torch.cumsum(covered.flatten(), 0) - 1
    return Points(values[:, :3], values[:, 3:], head.region[face], piece), number[nearest]


def _gradient(height: Tensor) -> Tensor:
    """[S * S] heights in metres -> d/du, d/dv per texture width, [2, S * S]."""
    size = TEXTURE_SIZE
    padded = F.pad(height.view(1, 1, size, size), (1, 1, 1, 1), mode="replicate")[0, 0]
    du = (padded[1:-1, 2:] - padded[1:-1, :-2]) * (size / 2)
    dv = (padded[:-2, 1:-1] - padded[2:, 1:-1]) * (size / 2)
    return torch.stack([du.flatten(), dv.flatten()]).clamp(-0.6, 0.6)
