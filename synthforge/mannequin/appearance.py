"""What z says: the person (z[:256], the same in every picture) and the scene (z[256:]).

Every entry of z is pushed through the normal CDF to a uniform "draw" with a name; traits are
functions of draws. The first five draws are the head's own first shape coefficients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LATENT_SIZE = 512
PERSON_LATENTS = 256
# z[0:5] are shape coefficients, uniform in about +-1.5: masculinity, age, weight, african, east asian.
SHAPE_LATENTS = 5
SHAPE_RANGE = 1.6

HAIR_STYLES = ("bald", "buzz", "crop", "side_part", "swept_back", "curly", "afro", "bob", "long", "bun")

# Linear RGB albedo of hair, dark to light, as the amount of melanin falls.
_HAIR_RAMP = (
    (0.010, 0.008, 0.008),
    (0.028, 0.017, 0.012),
    (0.070, 0.038, 0.022),
    (0.150, 0.085, 0.045),
    (0.300, 0.190, 0.095),
    (0.480, 0.350, 0.190),
)
_GINGER = (0.260, 0.085, 0.028)
_GREY = (0.420, 0.415, 0.410)
# Linear RGB of irises: dark brown, brown, hazel, green, blue, grey.
_IRISES = (
    (0.035, 0.016, 0.008),
    (0.100, 0.045, 0.018),
    (0.170, 0.110, 0.040),
    (0.150, 0.180, 0.090),
    (0.140, 0.230, 0.340),
    (0.250, 0.290, 0.310),
)

RGB = tuple[float, float, float]


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
    hairline: float
    thinning: float


@dataclass(frozen=True)
class Person:
    """Everything about a person's look but the geometry. Amounts are 0 (none) to 1 unless said."""

    masculinity: float
    age: float
    melanin: float
    redness: float
    yellowness: float
    oiliness: float
    blush: float
    under_eye: float
    freckles: float
    spots: float
    moles: float
    mottling: float
    wrinkles: float
    pores: float
    lip_color: RGB
    lipstick: float
    lip_gloss: float
    eye_shadow: float
    eye_shadow_color: RGB
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
    clothing_accent: RGB
    neckline: float
    collar: int
    clothing_pattern: int
    map_offset: tuple[int, int]
    seed: int


@dataclass(frozen=True)
class Light:
    """A soft light: direction towards it in viewer axes (x right, y up, z to the viewer)."""

    direction: tuple[float, float, float]
    color: RGB
    softness: float


@dataclass(frozen=True)
class Scene:
    """The light, the camera's film and what is behind the person."""

    key: Light
    fills: tuple[Light, ...]
    sky: RGB
    ground: RGB
    exposure: float
    white_balance: RGB
    contrast: float
    saturation: float
    vignette: float
    grain: float
    blur: float
    backdrop: str
    backdrop_colors: tuple[RGB, ...]
    backdrop_brightness: float
    seed: int


class _Draws:
    """Hands out the entries of one part of z in order, so a trait's entry is where it is read."""

    def __init__(self, z: Tensor) -> None:
        self._uniform = (0.5 * torch.erfc(-z.double() / math.sqrt(2))).tolist()
        self._next = 0

    def u(self, low: float = 0.0, high: float = 1.0) -> float:
        """Uniform in [low, high]."""
        value = self._uniform[self._next]
        self._next += 1
        return low + (high - low) * value

    def bell(self, mean: float, spread: float) -> float:
        """Triangular-ish around mean: the mean of two uniforms, within +-spread."""
        return mean + spread * (self.u() + self.u() - 1)

    def chance(self, probability: float) -> bool:
        return self.u() < probability

    def pick(self, weights: dict[str, float]) -> str:
        """A key with probability proportional to its weight."""
        threshold = self.u() * sum(weights.values())
        for name, weight in weights.items():
            threshold -= weight
            if threshold < 0:
                return name
        return name

    def color(self, saturation: float, value: float) -> RGB:
        """A linear RGB of any hue; saturation and value up to the bounds given."""
        hue, s, v = self.u() * 6, self.u() ** 1.5 * saturation, (0.03 + 0.97 * self.u() ** 1.5) * value
        channel = [max(0.0, min(1.0, abs((hue + shift) % 6 - 3) - 1)) for shift in (0.0, 4.0, 2.0)]
        r, g, b = (v * (1 - s + s * c) for c in channel)
        return r, g, b


def _seed(z: Tensor) -> int:
    """A 31-bit seed from the bits of z."""
    bits = z.float().contiguous().view(torch.int32).long()
    weights = torch.arange(1, len(bits) + 1, device=z.device) * 2654435761
    return int((bits * weights).sum().item() & 0x7FFFFFFF)


def _ramp(low: float, high: float, x: float) -> float:
    """Smoothstep."""
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3 - 2 * t)


def mix(a: RGB, b: RGB, t: float) -> RGB:
    r, g, bl = (x + (y - x) * t for x, y in zip(a, b, strict=True))
    return r, g, bl


def _along(ramp: tuple[RGB, ...], t: float) -> RGB:
    position = min(max(t, 0.0), 1.0) * (len(ramp) - 1)
    index = min(int(position), len(ramp) - 2)
    return mix(ramp[index], ramp[index + 1], position - index)


def person_from(z: Tensor) -> Person:
    """z: [256], z[:256] of a sample's latent."""
    shape = [max(-1.0, min(1.0, float(c) / SHAPE_RANGE)) for c in z[:SHAPE_LATENTS]]
    masculinity = shape[0]
    age, weight, african, asian = ((c + 1) / 2 for c in shape[1:])
    del weight
    d = _Draws(z[SHAPE_LATENTS:])
    male = _ramp(-0.35, 0.35, masculinity + d.bell(0, 0.25))
    old = _ramp(0.45, 1.0, age)

    melanin = min(1.0, max(0.0, 0.05 + 0.80 * african**1.7 + 0.05 * asian + d.bell(0, 0.13)))
    dark = _ramp(0.25, 0.55, melanin)
    fair = 1 - _ramp(0.05, 0.30, melanin)

    hair_melanin = d.u() ** (0.8 + 2.5 * max(dark, _ramp(0.5, 0.8, asian)))
    dark_haired = max(dark, _ramp(0.45, 0.75, asian))
    lightness = (1 - dark_haired) * (0.15 + 0.85 * hair_melanin) + dark_haired * 0.22 * hair_melanin
    natural = _along(_HAIR_RAMP, lightness)
    ginger, gingerness = d.chance(0.09 * fair), d.u(0.6, 1.0)
    natural = mix(natural, _GINGER, gingerness if ginger else 0.0)
    grey = min(1.0, _ramp(0.50, 0.95, age + d.bell(0, 0.22)) * d.u(0.6, 1.15))
    dyed, grey_left, dye = d.chance(0.5 * (1 - male)), d.u(0, 0.4), _along(_HAIR_RAMP, d.u())
    hair_color = mix(natural, dye, 0.8 * (1 - dark_haired)) if dyed else natural
    grey *= grey_left if dyed else 1.0
    hair = _hair(d, male, age, dark, hair_color, grey)

    brow_color = mix(mix(natural, _HAIR_RAMP[1], 0.55), _GREY, grey * 0.6)
    made_up = (1 - male) * (d.u() ** 1.2)
    lip_red = d.u()
    lipstick_color = mix((0.36, 0.022, 0.032), (0.42, 0.12, 0.11), lip_red)
    lipstick_color = mix(lipstick_color, (0.16, 0.018, 0.045), 0.8 * d.u() ** 3)
    lipstick = made_up * _ramp(0.35, 0.8, d.u()) * 0.9
    stubble = male * (0.25 + 0.75 * d.u()) * _ramp(0.05, 0.2, age + 0.1) * (1 - 0.5 * grey)
    bearded, fullness = d.chance(0.34), d.u(0.25, 1.0)
    beard = fullness if bearded and male > 0.75 else 0.0
    iris = _along(_IRISES, (d.u() ** 1.3) * (1 - dark_haired) + 0.12 * dark_haired * d.u())

    return Person(
        masculinity=masculinity,
        age=age,
        melanin=melanin,
        redness=d.bell(0.42, 0.45) * (1 - 0.4 * dark),
        yellowness=min(1.0, 0.5 * d.u() + 0.55 * asian * (1 - dark)),
        oiliness=d.u(0.15, 1.0),
        blush=d.u() * (0.5 + 0.5 * fair) * (1 + 0.7 * made_up),
        under_eye=d.u() ** 1.5 * (0.45 + 0.6 * old),
        freckles=_ramp(0.72, 1.0, d.u()) * fair,
        spots=0.8 * old * d.u() ** 1.5 + 0.10 * d.u() ** 4,
        moles=d.u() ** 3,
        mottling=d.u(0.35, 1.0) * (0.7 + 0.6 * old),
        wrinkles=_ramp(0.35, 1.0, age) * d.u(0.6, 1.0) + 0.06,
        pores=d.u(0.3, 1.0),
        lip_color=lipstick_color,
        lipstick=lipstick,
        lip_gloss=d.u(0.2, 0.7) + 0.5 * made_up * d.u(),
        eye_shadow=made_up * _ramp(0.5, 1.0, d.u()),
        eye_shadow_color=mix((0.10, 0.06, 0.05), d.color(0.6, 0.3), 0.5 * d.u()),
        eyeliner=made_up * _ramp(0.3, 0.9, d.u()),
        lash_length=0.0040 + 0.0030 * (1 - male) * d.u() + 0.0015 * d.u(),
        brow_thickness=d.bell(0.42 + 0.30 * male, 0.28),
        brow_density=d.u(0.55, 1.0) * (1 - 0.35 * old * (1 - male)),
        brow_color=brow_color,
        iris=iris,
        iris_size=d.bell(1.0, 0.06),
        sclera_redness=d.u() ** 2 * (0.5 + 0.5 * old),
        stubble=stubble,
        beard=beard,
        beard_style=int(d.u(0, 3.999)),
        hair=hair,
        clothing=d.color(0.75, 0.6),
        clothing_accent=d.color(0.8, 0.7),
        neckline=d.u(),
        collar=int(d.u(0, 3.999)),
        clothing_pattern=int(d.u(0, 3.999)),
        map_offset=(int(d.u(0, 1023)), int(d.u(0, 1023))),
        seed=_seed(z[SHAPE_LATENTS:]),
    )


def _hair(d: _Draws, male: float, age: float, dark: float, color: RGB, grey: float) -> Hair:
    """Style by sex, age and ancestry; the numbers are frequencies by eye, not statistics."""
    masculine = {
        "bald": 0.02 + 0.30 * _ramp(0.45, 1.0, age),
        "buzz": 0.14 + 0.25 * dark,
        "crop": 0.34 - 0.14 * dark,
        "side_part": 0.24 * (1 - dark),
        "swept_back": 0.16 * (1 - 0.8 * dark),
        "curly": 0.08 + 0.05 * dark,
        "afro": 0.28 * dark,
        "long": 0.04 * (1 - dark),
    }
    feminine = {
        "buzz": 0.01 + 0.06 * dark,
        "crop": 0.04 + 0.14 * _ramp(0.5, 1.0, age),
        "side_part": 0.03,
        "curly": 0.10 + 0.08 * dark,
        "afro": 0.30 * dark,
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
        volume=d.u(),
        wave=d.u() ** 1.5,
        frizz=d.u(),
        part_side=d.u(-1, 1),
        hairline=d.bell(0.25, 0.5) + 0.4 * male * _ramp(0.3, 1.0, age) * d.u(),
        thinning=male * _ramp(0.4, 1.0, age) * d.u(),
    )


def scene_from(z: Tensor) -> Scene:
    """z: [256], z[256:] of a sample's latent."""
    d = _Draws(z)
    warm = d.bell(0, 1.0)
    key_color = _temperature(warm)
    azimuth, elevation = d.bell(0, 1.25), d.bell(0.55, 0.65)
    softness = d.u() ** 0.8
    key_strength = d.u(0.55, 1.5) * (1.25 - 0.45 * softness)
    key = Light(_direction(azimuth, elevation), _scaled(key_color, key_strength), softness)
    fill_azimuth = -math.copysign(d.u(0.4, 1.6), azimuth)
    fill = Light(
        _direction(fill_azimuth, d.u(-0.2, 0.8)),
        _scaled(_temperature(d.bell(-warm * 0.4, 0.8)), d.u(0.05, 0.55)),
        1.0,
    )
    rim_side = 1 if d.u() > 0.5 else -1
    rim = Light(
        _direction(rim_side * d.u(2.0, 2.8), d.u(0.1, 0.9)),
        _scaled(_temperature(d.bell(0, 1.2)), d.u() ** 2 * 1.6),
        1.0,
    )
    ambient = d.u(0.22, 0.62)
    tint = _temperature(d.bell(-0.5 * warm, 0.8))
    ground_tint = d.color(0.5, 1.0)
    backdrop = d.pick({"studio": 0.22, "room": 0.30, "bokeh": 0.18, "foliage": 0.18, "sky": 0.12})
    return Scene(
        key=key,
        fills=(fill, rim),
        sky=_scaled(tint, ambient * 1.25),
        ground=_scaled(mix(tint, ground_tint, 0.4), ambient * d.u(0.25, 0.75)),
        exposure=math.exp(d.bell(0.0, 0.42)),
        white_balance=_temperature(-0.65 * warm + d.bell(0, 0.4)),
        contrast=d.bell(1.0, 0.16),
        saturation=d.bell(0.97, 0.18),
        vignette=d.u() ** 2 * 0.35,
        grain=0.004 + 0.018 * d.u() ** 2,
        blur=0.35 + 0.55 * d.u() ** 2,
        backdrop=backdrop,
        backdrop_colors=tuple(d.color(0.6, 0.8) for _ in range(5)),
        backdrop_brightness=math.exp(d.bell(-0.2, 0.9)),
        seed=_seed(z),
    )


def _temperature(warm: float) -> RGB:
    """A light's colour from cool (-1) to warm (1), green kept at 1."""
    return math.exp(0.22 * warm), 1.0, math.exp(-0.32 * warm)


def _scaled(color: RGB, factor: float) -> RGB:
    r, g, b = (c * factor for c in color)
    return r, g, b


def _direction(azimuth: float, elevation: float) -> tuple[float, float, float]:
    """Unit vector; azimuth 0 is from the camera, positive to the right."""
    return (
        math.sin(azimuth) * math.cos(elevation),
        math.sin(elevation),
        math.cos(azimuth) * math.cos(elevation),
    )
