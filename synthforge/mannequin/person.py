"""Who z says the person is: z[:256], the same in every image of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from synthforge.mannequin.draws import RGB, Draws, along, mix, ramp
from synthforge.mannequin.hair.chosen import chosen_hair
from synthforge.mannequin.people import ATTRIBUTE_LATENTS

# Linear RGB albedo of hair, dark to light, as the amount of melanin falls.
_HAIR_RAMP = (
    (0.016, 0.013, 0.012), (0.034, 0.021, 0.015), (0.070, 0.038, 0.022),
    (0.150, 0.085, 0.045), (0.300, 0.190, 0.095), (0.480, 0.350, 0.190),
)  # fmt: skip
_GINGER = (0.260, 0.085, 0.028)
_GREY_BROW = (0.310, 0.305, 0.300)
# Colour, and how grey, of hair that was asked for by these names.
_NAMED_HAIR = {
    "black": (_HAIR_RAMP[0], 0.0),
    "dark_brown": (along(_HAIR_RAMP, 0.36), 0.0),
    "brown": (along(_HAIR_RAMP, 0.54), 0.0),
    "light_brown": (along(_HAIR_RAMP, 0.70), 0.0),
    "blond": (along(_HAIR_RAMP, 0.94), 0.0),
    "red": (_GINGER, 0.0),
    "grey": ((0.070, 0.066, 0.062), 0.6),
    "white": ((0.300, 0.295, 0.290), 1.0),
}
# Linear RGB of irises: dark brown, brown, hazel, green, blue, grey.
_IRISES = (
    (0.035, 0.016, 0.008), (0.100, 0.045, 0.018), (0.170, 0.110, 0.040),
    (0.150, 0.180, 0.090), (0.140, 0.230, 0.340), (0.250, 0.290, 0.310),
)  # fmt: skip


# Of clothes, and their shares: the first four are painted necklines.
_COLLARS = {"round": 0.16, "v": 0.16, "high": 0.16, "wide": 0.16, "shirt": 0.24, "hood": 0.12}


@dataclass(frozen=True)
class Hair:
    """Scalp hair. Lengths in metres."""

    style: str
    color: RGB
    grey: float
    length: float
    volume: float
    wave: float
    frizz: float
    part_side: float
    fringe: bool
    hairline: float
    thinning: float


@dataclass(frozen=True)
class Person:
    """Everything about a person's look but the geometry. Amounts are 0 (none) to 1 unless said.

    freckles, spots, moles: one amount for each of the maps that hold them; patches: -1 to 1, for
    each map of blotches.
    """

    melanin: float
    redness: float
    yellowness: float
    oiliness: float
    blush: float
    under_eye: float
    freckles: tuple[float, float]
    spots: tuple[float, float]
    moles: tuple[float, float]
    patches: tuple[float, float]
    mottling: float
    wrinkles: float
    pores: float
    lip_color: RGB
    lipstick: float
    lip_gloss: float
    eye_shadow: float
    eyeliner: float
    lash_length: float
    brow_thickness: float
    brow_density: float
    brow_color: RGB
    iris: RGB
    iris_size: float
    sclera_redness: float
    stubble: float
    beard: float
    beard_style: int
    hair: Hair
    clothing: RGB
    neckline: float
    collar: str


def person_from(z: Tensor) -> Person:
    """z: [256], z[:256] of a sample's latent; it begins with the attributes (see people.py)."""
    years, sex, _, african, asian, caucasian = z[:ATTRIBUTE_LATENTS].tolist()
    d = Draws(z[ATTRIBUTE_LATENTS:])
    grown, old = ramp(12, 19, years), ramp(42, 80, years)
    male = ramp(0.3, 0.7, sex + d.bell(0, 0.15))

    # Within each ancestry skins differ: caucasian is from Sweden to Sri Lanka.
    average = 0.72 * african + 0.12 * asian + 0.04 * caucasian
    browner = (0.10 * asian + 0.32 * caucasian) * d.u() ** 2.5
    melanin = min(1.0, max(0.0, average + browner + d.bell(0, 0.06 + 0.1 * african)))
    dark = ramp(0.25, 0.55, melanin)
    fair = 1 - ramp(0.05, 0.30, melanin)

    dark_haired = max(dark, ramp(0.3, 0.6, asian))
    hair_melanin = d.u() ** (0.8 + 2.5 * dark_haired)
    lightness = (1 - dark_haired) * (0.15 + 0.85 * hair_melanin) + dark_haired * 0.22 * hair_melanin
    # Fair children darken.
    natural = along(_HAIR_RAMP, lightness + 0.2 * (1 - grown) * (1 - dark_haired))
    ginger, gingerness = d.chance(0.09 * fair), d.u(0.6, 1.0)
    natural = mix(natural, _GINGER, gingerness if ginger else 0.0)
    grey = min(1.0, ramp(36, 76, years + d.bell(0, 15)) * d.u(0.6, 1.15))
    grey *= ramp(0.0, 0.15, grey)
    # What is left of the colour fades as hair turns grey.
    level = 0.6 * natural[0] + 0.4 * natural[2]
    natural = mix(natural, (level, level, level), 0.85 * grey)
    dyed, grey_left, dye = d.chance(0.5 * (1 - male) * grown), d.u(0, 0.4), along(_HAIR_RAMP, d.u())
    hair_color = mix(natural, dye, 0.8 * (1 - dark_haired)) if dyed else natural
    grey *= grey_left if dyed else 1.0
    hair = _hair(d, male, (years - 15) / 70, dark, hair_color, grey)

    style, color = chosen_hair(z)
    if style is not None:
        hair = replace(hair, style=style)
    if color is not None:
        natural, grey = _NAMED_HAIR[color]
        hair = replace(hair, color=natural, grey=grey)
    brow_color = mix(mix(natural, _HAIR_RAMP[1], 0.55), _GREY_BROW, grey * 0.5)
    made_up = (1 - male) * ramp(15, 19, years) * d.u() ** 1.2
    lipstick_color = mix((0.36, 0.022, 0.032), (0.42, 0.12, 0.11), d.u())
    lipstick_color = mix(lipstick_color, (0.16, 0.018, 0.045), 0.8 * d.u() ** 3)
    lipstick = made_up * ramp(0.35, 0.8, d.u()) * 0.9
    stubble = ramp(0.45, 0.95, male) * ramp(15, 23, years) * (1 - 0.5 * grey)
    stubble *= 0.10 + 0.85 * d.u() ** 1.5
    bearded, fullness = d.chance(0.34), d.u(0.25, 1.0)
    beard = fullness if bearded and male > 0.75 and years > 19 else 0.0
    iris = along(_IRISES, (d.u() ** 1.3) * (1 - dark_haired) + 0.12 * dark_haired * d.u())

    freckled = ramp(0.70, 0.95, d.u()) * fair * 1.2 * (1 - 0.8 * asian)
    spotted = 1.2 * old * d.u() ** 1.5 + 0.15 * grown * d.u() ** 4
    mole, other_mole = (ramp(0.72, 1.0, d.u()) * (0.3 + 0.7 * grown) for _ in range(2))
    thick_brows = d.bell(0.25 + (0.1 + 0.35 * male) * grown, 0.2 + 0.18 * grown)
    return Person(
        melanin=melanin,
        redness=d.bell(0.42, 0.45) * (1 - 0.4 * dark),
        yellowness=min(1.0, 0.5 * d.u() + 0.55 * asian * (1 - dark)),
        oiliness=d.u(0.15, 1.0) * (0.6 + 0.4 * grown),
        blush=d.u() * (0.5 + 0.5 * fair) * (1 + 0.7 * made_up),
        under_eye=d.u() ** 1.5 * (0.15 + 0.3 * grown + 0.6 * old),
        freckles=(freckled * d.u(), freckled * d.u()),
        spots=(spotted * d.u(), spotted * d.u()),
        moles=(mole, other_mole),
        patches=(d.u(-1, 1), d.u(-1, 1)),
        mottling=d.u(0.35, 1.0) * (0.35 + 0.35 * grown + 0.6 * old),
        wrinkles=ramp(32, 82, years) * d.u(0.6, 1.0) + 0.06 * grown,
        pores=d.u(0.3, 1.0) * (0.2 + 0.8 * grown),
        lip_color=lipstick_color,
        lipstick=lipstick,
        lip_gloss=d.u(0.2, 0.7) + 0.5 * made_up * d.u(),
        eye_shadow=made_up * ramp(0.5, 1.0, d.u()),
        eyeliner=made_up * ramp(0.3, 0.9, d.u()),
        lash_length=0.0040 + 0.0030 * (1 - male) * d.u() + 0.0015 * d.u(),
        brow_thickness=min(1.0, max(0.0, thick_brows)),
        brow_density=d.u(0.55, 1.0) * (1 - 0.35 * old * (1 - male)),
        brow_color=brow_color,
        iris=iris,
        iris_size=d.bell(1.0, 0.06),
        sclera_redness=d.u() ** 2 * (0.2 + 0.3 * grown + 0.5 * old),
        stubble=stubble,
        beard=beard,
        beard_style=int(d.u(0, 3.999)),
        hair=hair,
        clothing=d.color(0.75, 0.6),
        neckline=d.u(),
        collar=d.pick(_COLLARS),
    )


def _hair(d: Draws, male: float, age: float, dark: float, color: RGB, grey: float) -> Hair:
    """Style by sex, age and ancestry; the numbers are frequencies by eye, not statistics."""
    # Children's hair is fine and lies flat.
    young = 1 - ramp(-0.10, 0.03, age)
    masculine = {
        "bald": 0.02 * ramp(0.03, 0.15, age) + 0.30 * ramp(0.45, 1.0, age),
        "buzz": (0.14 + 0.25 * dark) * (1 - 0.5 * young),
        "crop": 0.34 - 0.14 * dark,
        "side_part": 0.24 * (1 - dark),
        "swept_back": 0.16 * (1 - 0.8 * dark) * (1 - 0.8 * young),
        "curly": 0.06 + 0.08 * dark,
        "afro": 0.22 * dark,
        "long": 0.04 * (1 - dark),
    }
    feminine = {
        "buzz": 0.01 + 0.06 * dark,
        "crop": 0.04 + 0.14 * ramp(0.5, 1.0, age),
        "side_part": 0.03,
        "curly": 0.08 + 0.10 * dark,
        "afro": 0.24 * dark,
        "bob": 0.24 - 0.1 * dark,
        "long": 0.40 - 0.15 * dark,
        "bun": 0.18,
    }
    style = d.pick(masculine if d.u() < male else feminine)
    return Hair(
        style=style,
        color=color,
        grey=grey,
        length=d.u(),
        volume=d.u() * (1 - 0.6 * young),
        wave=d.u() ** 1.5,
        frizz=d.u() * (1 - 0.6 * young),
        part_side=d.u(-1, 1),
        fringe=d.chance(0.35 + 0.25 * young),
        hairline=d.bell(0.25 - 0.2 * young, 0.5) + 0.4 * male * ramp(0.3, 1.0, age) * d.u(),
        thinning=male * ramp(0.4, 1.0, age) * d.u(),
    )
