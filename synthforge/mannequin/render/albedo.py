"""A person's skin texture: pigments laid over the maps of skin_maps.py by Beer-Lambert's law.

Log-albedo is linear in the amount of pigment: a texture is a weighted sum of maps.
"""

from __future__ import annotations

import math

import torch
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
_FAIR = (-0.27, -0.68, -0.90)
_MELANIN = (-2.00, -2.38, -2.66)
_HEMOGLOBIN = (-0.05, -0.36, -0.30)
# Lips have less melanin above their blood: a cooler red.
_LIP_BLOOD = (-0.06, -0.40, -0.24)
_CAROTENE = (0.0, -0.04, -0.15)
_VEIN = (-0.34, -0.30, -0.20)
_BEARD = (-0.42, -0.36, -0.26)
_EYE_SHADOW = (0.09, 0.06, 0.06)
# Linear RGB under grey hair.
_GREY_ROOTS = (0.13, 0.125, 0.12)

TEXTURE_CHANNELS = 8


def _plus(*terms: tuple[RGB, float]) -> RGB:
    r, g, b = (sum(color[k] * amount for color, amount in terms) for k in range(3))
    return r, g, b


def skin_log_albedo(person: Person) -> RGB:
    """Log linear-RGB albedo of plain skin."""
    return _plus(
        (_FAIR, 1.0),
        (_MELANIN, person.melanin),
        (_HEMOGLOBIN, person.redness),
        (_CAROTENE, person.yellowness),
    )


def skin_albedo(person: Person) -> RGB:
    """Linear RGB of plain skin."""
    r, g, b = (math.exp(channel) for channel in skin_log_albedo(person))
    return r, g, b


def _towards(color: RGB, base: RGB) -> RGB:
    """The pigment that turns skin of log-albedo `base` into `color` (linear RGB)."""
    r, g, b = (math.log(max(c, 1e-3)) - s for c, s in zip(color, base, strict=True))
    return r, g, b


def pigments(person: Person) -> dict[str, RGB]:
    """Log-albedo that each map adds at its full strength."""
    skin = skin_log_albedo(person)
    dark = person.melanin
    pale = 1 - dark
    blood = _HEMOGLOBIN
    lip_natural = _plus((_LIP_BLOOD, 1.05 * pale + 0.5), (_MELANIN, 0.12 * dark + 0.05))
    lip_painted = _towards(person.lip_color, skin)
    black = (-1.7, -1.8, -1.8)
    return {
        "base": skin,
        "mottling_red": _plus((blood, 0.075 * person.mottling * person.patches[0])),
        "mottling_brown": _plus((_MELANIN, 0.009 * person.mottling * person.patches[1])),
        "blush": _plus((blood, 0.5 * person.blush * (0.5 + 0.5 * pale))),
        "nose_red": _plus(
            (blood, 0.65 * (0.3 + person.redness) * (0.4 + 0.6 * pale)), (_MELANIN, 0.055)
        ),
        "ear_red": _plus((blood, 0.45)),
        "under_eye": _plus((_VEIN, 0.9 * person.under_eye + 0.08), (_MELANIN, 0.06 * dark)),
        "lid": _plus((blood, 0.28), (_MELANIN, 0.02 + 0.03 * dark)),
        "lip": _plus((lip_natural, 1 - person.lipstick), (lip_painted, person.lipstick)),
        "lip_line": (-0.75, -0.85, -0.8),
        **{f"freckles_{k}": _plus((_MELANIN, 0.24 * x)) for k, x in enumerate(person.freckles)},
        **{f"spots_{k}": _plus((_MELANIN, 0.07 * x)) for k, x in enumerate(person.spots)},
        **{f"moles_{k}": _plus((_MELANIN, 0.5 * x)) for k, x in enumerate(person.moles)},
        "pores": _plus((_MELANIN, -0.022 * person.pores), (blood, -0.08 * person.pores)),
        "beard_shadow": _plus((_BEARD, 0.62 * person.stubble * pale + 0.2 * person.stubble)),
        "brow_shadow": _plus((_towards(person.brow_color, skin), 0.26 * person.brow_density)),
        "lash_line": _plus((black, 0.36 + 0.35 * person.eyeliner)),
        "eye_shadow": _plus((_towards(_EYE_SHADOW, skin), 0.24 * person.eye_shadow)),
        "eyeliner": _plus((black, 1.3 * person.eyeliner)),
        "waterline": _plus((_towards((0.46, 0.22, 0.19), skin), 0.6)),
        "nostril": (-1.3, -1.7, -1.7),
        "mouth_dark": _plus((_towards((0.24, 0.060, 0.055), skin), 1.0)),
        "tooth": _towards((0.72, 0.65, 0.53), skin),
        "gum": _towards((0.42, 0.12, 0.11), skin),
        "teeth_back": (-0.7, -0.8, -0.9),
        "wrinkles": _plus((blood, 0.30 * person.wrinkles), (_MELANIN, 0.07 * person.wrinkles)),
    }


def _scalp_shade(person: Person) -> tuple[list[float], list[float]]:
    """Roots under the skin and the scalp's shadow below the hair: `hair`, `tint` of mix_skin."""
    hair = person.hair
    shaved, bald = hair.style == "buzz", hair.style == "bald"
    cover = (0.62 if shaved else 0.75) * (1 - 0.3 * hair.grey)
    pigment = _towards(mix(hair.color, _GREY_ROOTS, hair.grey), skin_log_albedo(person))
    soft = 0.007 if shaved else 0.012
    border = [hair.hairline, hair.thinning, soft, float(bald), 1 / RECESSION_M]
    return border, [cover * channel for channel in pigment]


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
    amounts = torch.tensor([table[name] for name in PIGMENT_MAPS])
    hair, tint = (torch.tensor(numbers) for numbers in _scalp_shade(person))
    heights = torch.tensor([person.wrinkles, person.pores, 1.0])
    run(
        mix_skin, maps.pigments, maps.present, amounts, maps.hairline, hair, tint, maps.bumps,
        heights, maps.gloss, wanted, texture.view(-1, TEXTURE_CHANNELS),
    )  # fmt: skip
    return texture.permute(2, 0, 1)
