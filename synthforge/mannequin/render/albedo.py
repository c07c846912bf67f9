"""A person's skin texture: pigments laid over the maps of skin_maps.py by Beer-Lambert's law.

Log-albedo is linear in the amount of pigment: a texture is a weighted sum of maps.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge.mannequin.draws import RGB, mix
from synthforge.mannequin.hair.hairline import RECESSION_M
from synthforge.mannequin.kernels import run
from synthforge.mannequin.kernels.skin import mark_runs, mix_skin
from synthforge.mannequin.person import Person
from synthforge.mannequin.render.pixel_faces import PixelFaces
from synthforge.mannequin.render.skin_maps import PIGMENT_MAPS, TEXTURE_SIZE, skin_maps
from synthforge.mannequin.render.template import template

# Log linear-RGB albedo of the fairest skin, and what pigments at full strength add to it.
# Fitted by eye to published skin reflectances (Krishnaswamy & Baranoski 2004, figure 5).
_FAIR = np.array([-0.27, -0.68, -0.90])
_MELANIN = np.array([-2.00, -2.38, -2.66])
_BLOOD = np.array([-0.05, -0.36, -0.30])
# Lips have less melanin above their blood: a cooler red.
_LIP_BLOOD = np.array([-0.06, -0.40, -0.24])
_CAROTENE = np.array([0.0, -0.04, -0.15])
_VEIN = np.array([-0.34, -0.30, -0.20])
_BEARD = np.array([-0.42, -0.36, -0.26])
_BLACK = np.array([-1.7, -1.8, -1.8])
# Linear RGB.
_EYE_SHADOW = (0.09, 0.06, 0.06)
_WATERLINE, _MOUTH, _GUM = (0.46, 0.22, 0.19), (0.24, 0.060, 0.055), (0.42, 0.12, 0.11)
_TOOTH = (0.72, 0.65, 0.53)
# Under grey hair.
_GREY_ROOTS = (0.13, 0.125, 0.12)

TEXTURE_CHANNELS = 8
Pigment = NDArray[np.float64]


def skin_log_albedo(person: Person) -> Pigment:
    """Log linear-RGB albedo of plain skin: (3,)."""
    return (
        _FAIR + _MELANIN * person.melanin + _BLOOD * person.redness + _CAROTENE * person.yellowness
    )


def skin_albedo(person: Person) -> RGB:
    """Linear RGB of plain skin."""
    r, g, b = map(math.exp, skin_log_albedo(person))
    return r, g, b


def _towards(color: RGB, base: Pigment) -> Pigment:
    """The pigment that turns skin of log-albedo `base` into `color` (linear RGB)."""
    return np.array([math.log(max(c, 1e-3)) for c in color]) - base


def pigments(person: Person) -> dict[str, Pigment | RGB]:
    """Log-albedo that each map adds at its full strength."""
    skin = skin_log_albedo(person)
    dark, pale = person.melanin, 1 - person.melanin
    lip = _LIP_BLOOD * (1.05 * pale + 0.5) + _MELANIN * (0.12 * dark + 0.05)
    lipstick = _towards(person.lip_color, skin)
    return {
        "base": skin,
        "mottling_red": _BLOOD * (0.075 * person.mottling * person.patches[0]),
        "mottling_brown": _MELANIN * (0.009 * person.mottling * person.patches[1]),
        "blush": _BLOOD * (0.5 * person.blush * (0.5 + 0.5 * pale)),
        "nose_red": _BLOOD * (0.65 * (0.3 + person.redness) * (0.4 + 0.6 * pale))
        + _MELANIN * 0.055,
        "ear_red": _BLOOD * 0.45,
        "under_eye": _VEIN * (0.9 * person.under_eye + 0.08) + _MELANIN * (0.06 * dark),
        "lid": _BLOOD * 0.28 + _MELANIN * (0.02 + 0.03 * dark),
        "lip": lip * (1 - person.lipstick) + lipstick * person.lipstick,
        "lip_line": (-0.75, -0.85, -0.8),
        **{f"freckles_{k}": _MELANIN * (0.24 * x) for k, x in enumerate(person.freckles)},
        **{f"spots_{k}": _MELANIN * (0.07 * x) for k, x in enumerate(person.spots)},
        **{f"moles_{k}": _MELANIN * (0.5 * x) for k, x in enumerate(person.moles)},
        "pores": _MELANIN * (-0.022 * person.pores) + _BLOOD * (-0.08 * person.pores),
        "beard_shadow": _BEARD * (0.62 * person.stubble * pale + 0.2 * person.stubble),
        "brow_shadow": _towards(person.brow_color, skin) * (0.26 * person.brow_density),
        "lash_line": _BLACK * (0.36 + 0.35 * person.eyeliner),
        "eye_shadow": _towards(_EYE_SHADOW, skin) * (0.24 * person.eye_shadow),
        "eyeliner": _BLACK * (1.3 * person.eyeliner),
        "waterline": _towards(_WATERLINE, skin) * 0.6,
        "nostril": (-1.3, -1.7, -1.7),
        "mouth_dark": _towards(_MOUTH, skin),
        "tooth": _towards(_TOOTH, skin),
        "gum": _towards(_GUM, skin),
        "teeth_back": (-0.7, -0.8, -0.9),
        "wrinkles": _BLOOD * (0.30 * person.wrinkles) + _MELANIN * (0.07 * person.wrinkles),
    }


def _scalp_shade(person: Person) -> tuple[Tensor, Tensor]:
    """Roots under the skin and the scalp's shadow below the hair: `hair`, `tint` of mix_skin."""
    hair = person.hair
    cover, soft = (0.62, 0.007) if hair.style == "buzz" else (0.75, 0.012)
    roots = _towards(mix(hair.color, _GREY_ROOTS, hair.grey), skin_log_albedo(person))
    border = hair.hairline, hair.thinning, soft, float(hair.style == "bald"), 1 / RECESSION_M
    return torch.tensor(border), torch.tensor(roots * (cover * (1 - 0.3 * hair.grey))).float()


def skin_texture(person: Person, seen: PixelFaces | None = None) -> Tensor:
    """float32 [8, S, S]: linear RGB albedo, bump gradient (u, v), oil, lip and wet gloss.

    seen: only what these show is set. Channels lie side by side in memory.
    """
    maps = skin_maps()
    wanted = torch.ones(len(maps.present), dtype=torch.uint8)
    if seen is not None:
        head = template()
        run(mark_runs, seen.face, head.uv_faces, head.uvs, TEXTURE_SIZE, wanted.zero_())
    table = pigments(person)
    texture = torch.empty(TEXTURE_SIZE, TEXTURE_SIZE, TEXTURE_CHANNELS)
    amounts = torch.tensor(np.array([table[name] for name in PIGMENT_MAPS])).float()
    hair, tint = _scalp_shade(person)
    heights = torch.tensor([person.wrinkles, person.pores, 1.0])
    run(
        mix_skin, maps.pigments, maps.present, amounts, maps.hairline, hair, tint, maps.bumps,
        heights, maps.gloss, wanted, texture.view(-1, TEXTURE_CHANNELS),
    )  # fmt: skip
    return texture.permute(2, 0, 1)
