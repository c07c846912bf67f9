"""The scene that z asks for, z[256:]: light, camera and backdrop."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from synthforge.mannequin.draws import RGB, Draws, mix, scaled, seed_of
from synthforge.mannequin.render.panoramas import Place, Vector, panoramas

# Shares of scenes: lit by a flash on the camera; taken at half the resolution and compressed; black
# and white; with each kind of backdrop.
_FLASHED = 0.33
_SMALL = 0.38
_MONOCHROME = 0.03
_BACKDROPS = {"place": 0.68, "wall": 0.16, "room": 0.16}
# Frequency of places that one recognises when they come again; 1 for all others.
_RARELY = {"lobby": 0.3, "apartment": 0.5, "night": 0.5, "sky": 0.4, "esplanade": 0.6}
# A place's strongest light is the key where it comes this much from the camera's side and is this
# strong beside the rest.
_KEY_FROM_FRONT = 0.25
_KEY_SHARE = 0.3
# A light of this size is as soft as can be.
_SOFT_SPREAD_RAD = 0.2


@dataclass(frozen=True)
class Light:
    """A soft light: direction towards it in viewer axes (x right, y up, z to the viewer).

    color: linear RGB, radiance of a uniform sphere that lights a surface as the light does.
    """

    direction: Vector
    color: RGB
    softness: float


@dataclass(frozen=True)
class Scene:
    """The light, the camera's settings and what is behind the person.

    key: casts shadows; fills: add to the surroundings' light. blur: pixels. small: the camera's
    resolution is half the image's; then compression is the JPEG quantization of luma, in levels of
    the lowest frequency. backdrop: the place, or what is painted of backdrop_colors, at a mean
    image value of about backdrop_brightness.
    """

    surroundings: Place
    key: Light
    fills: tuple[Light, ...]
    exposure: float
    white_balance: RGB
    contrast: float
    saturation: float
    sharpening: float
    vignette: float
    grain: float
    coarse_grain: bool
    blur: float
    small: bool
    compression: float
    backdrop: str
    backdrop_colors: tuple[RGB, ...]
    backdrop_brightness: float
    seed: int


def scene_from(z: Tensor) -> Scene:
    """z: [256], z[256:] of a sample's latent."""
    d = Draws(z)
    backdrop = d.pick(_BACKDROPS)
    colors = tuple(d.color(0.6, 0.8) for _ in range(5))
    exposure = d.bell(-0.12, 0.40)
    # A few are far too dark or too bright.
    dark, bright, amount = d.chance(0.10), d.chance(0.05), d.u()
    exposure += bright * (0.15 + 0.30 * amount) - dark * (0.2 + 0.4 * amount)
    flashed = d.chance(_FLASHED)
    place, key, fills, white_balance = _lighting(d, flashed)
    coarse, small, defocus = d.chance(0.4), d.chance(_SMALL), d.u()
    return Scene(
        surroundings=place,
        key=key,
        fills=fills,
        white_balance=white_balance,
        exposure=math.exp(exposure),
        contrast=d.bell(1.0, 0.16),
        saturation=0.0 if d.chance(_MONOCHROME) else d.bell(0.84, 0.24),
        sharpening=0.9 * d.u() ** 2,
        vignette=d.u() ** 2 * 0.35,
        grain=(0.003 + 0.012 * d.u() ** 2 + 0.015 * d.u() ** 8) * (0.65 if coarse else 1.0),
        coarse_grain=coarse,
        # Some are out of focus or shaken.
        blur=0.35 + 0.8 * defocus**2 + (0.0 if small else 1.6) * defocus**6,
        small=small,
        compression=1.5 + 8.0 * d.u() ** 2,
        backdrop=backdrop,
        backdrop_colors=colors,
        backdrop_brightness=math.exp(d.bell(-0.5, 1.0)) * (0.4 if flashed else 1.0),
        seed=seed_of(z),
    )


def _lighting(d: Draws, flashed: bool) -> tuple[Place, Light, tuple[Light, ...], RGB]:
    """Surroundings, key, fills and the camera's white balance."""
    places = {panorama.name: panorama for panorama in panoramas()}
    panorama = places[d.pick({name: _RARELY.get(name, 1.0) for name in places})]
    key_x, _, key_z = panorama.key_direction
    # Half of the photographers look away from the strongest light.
    azimuth = math.atan2(-key_x, key_z) + d.bell(0, 1.4)
    azimuth = d.u(-math.pi, math.pi) if d.chance(0.5) else azimuth
    place = Place(
        panorama=panorama,
        rotation=rotation_of_camera(azimuth, d.bell(0.02, 0.20), d.bell(0, 0.08)),
        half_width=d.u(0.35, 0.85),
        defocus=0.005 + 0.035 * d.u() ** 1.7,
    )
    around = sum(place.facing) / 3
    sun = scaled(panorama.key_irradiance, 1 / math.pi)
    strength = sum(sun) / 3
    spread = panorama.key_spread_rad / _SOFT_SPREAD_RAD + 0.3 * d.u() ** 2
    # Walls and the photographer's reflector lighten the shadows.
    limit = min(1.0, d.u(1.5, 4.0) * around / max(strength, 1e-6))
    strongest = Light(place.key_direction, scaled(sun, limit), min(1.0, spread))
    from_front = place.key_direction[2] > _KEY_FROM_FRONT and strength > _KEY_SHARE * around
    lamp = _flash(d, around) if flashed else _lamp(d, place)
    key = strongest if from_front and not flashed else lamp
    fills = () if key is strongest else (strongest,)
    lit = [f + 0.62 * k for f, k in zip(place.facing, key.color, strict=True)]
    # The camera takes out most of the light's tint; now and then it leaves or adds much.
    share = d.u(0.55, 1.0)
    r, g, b = (math.exp(share * math.log(lit[1] / channel)) for channel in lit)
    tint = _temperature(1.2 * d.bell(0, 1) ** 3)
    return place, key, fills, (r * tint[0], g * tint[1], b * tint[2])


def _flash(d: Draws, around: float) -> Light:
    """On the camera, beside surroundings of radiance `around`."""
    color = scaled(_temperature(d.bell(-0.1, 0.4)), d.u(1.5, 7.0) * around)
    return Light(_direction(d.bell(0, 0.2), d.bell(0.12, 0.14)), color, 0.25)


def _lamp(d: Draws, place: Place) -> Light:
    """A window, wall or reflector where a place has no light for the face."""
    around, behind = sum(place.facing) / 3, sum(place.behind) / 3
    color = mix(_temperature(d.bell(0, 0.6)), scaled(place.facing, 1 / around), 0.5)
    softness = d.u(0.1, 1.0)
    strength = d.u(0.5, 1.8) * max(around, 0.5 * behind) * (1.25 - 0.45 * softness)
    towards = _direction(d.bell(0, 1.25), d.bell(0.42, 0.6))
    return Light(towards, scaled(color, strength), softness)


def rotation_of_camera(azimuth: float, pitch: float, roll: float) -> tuple[Vector, Vector, Vector]:
    """Of a camera turned to its right, down and clockwise: rows, its axes to the unturned."""
    sa, ca, sp, cp = math.sin(azimuth), math.cos(azimuth), math.sin(pitch), math.cos(pitch)
    sr, cr = math.sin(roll), math.cos(roll)
    # About y after about x after about z.
    return (
        (ca * cr - sa * sp * sr, ca * sr + sa * sp * cr, -sa * cp),
        (-cp * sr, cp * cr, sp),
        (sa * cr + ca * sp * sr, sa * sr - ca * sp * cr, ca * cp),
    )


def _temperature(warm: float) -> RGB:
    """A light's colour from cool (-1) to warm (1), green kept at 1."""
    return math.exp(0.22 * warm), 1.0, math.exp(-0.32 * warm)


def _direction(azimuth: float, elevation: float) -> Vector:
    """Unit vector; azimuth 0 is from the camera, positive to the right."""
    level = math.cos(elevation)
    return math.sin(azimuth) * level, math.sin(elevation), math.cos(azimuth) * level
