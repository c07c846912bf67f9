"""The scene that z asks for, z[256:]: light, camera and backdrop."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from synthforge.mannequin.draws import RGB, Draws, mix, scaled, seed_of


@dataclass(frozen=True)
class Light:
    """A soft light: direction towards it in viewer axes (x right, y up, z to the viewer)."""

    direction: tuple[float, float, float]
    color: RGB
    softness: float


@dataclass(frozen=True)
class Scene:
    """The light, the camera's settings and what is behind the person."""

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


def scene_from(z: Tensor) -> Scene:
    """z: [256], z[256:] of a sample's latent."""
    d = Draws(z)
    warm = d.bell(0, 1.0)
    key_color = _temperature(warm)
    azimuth, elevation = d.bell(0, 1.25), d.bell(0.55, 0.65)
    softness = d.u() ** 0.8
    key_strength = d.u(0.55, 1.5) * (1.25 - 0.45 * softness)
    key = Light(_direction(azimuth, elevation), scaled(key_color, key_strength), softness)
    fill_azimuth = -math.copysign(d.u(0.4, 1.6), azimuth)
    fill = Light(
        _direction(fill_azimuth, d.u(-0.2, 0.8)),
        scaled(_temperature(d.bell(-warm * 0.4, 0.8)), d.u(0.05, 0.55)),
        1.0,
    )
    rim_side = 1 if d.u() > 0.5 else -1
    rim = Light(
        _direction(rim_side * d.u(2.0, 2.8), d.u(0.1, 0.9)),
        scaled(_temperature(d.bell(0, 1.2)), d.u() ** 2 * 1.6),
        1.0,
    )
    ambient = d.u(0.14, 0.50)
    tint = _temperature(d.bell(-0.5 * warm, 0.8))
    ground_tint = d.color(0.5, 1.0)
    backdrop = d.pick({"studio": 0.22, "room": 0.30, "bokeh": 0.18, "foliage": 0.18, "sky": 0.12})
    return Scene(
        key=key,
        fills=(fill, rim),
        sky=scaled(tint, ambient * 1.25),
        ground=scaled(mix(tint, ground_tint, 0.4), ambient * d.u(0.25, 0.75)),
        exposure=math.exp(d.bell(0.02, 0.36)),
        white_balance=_temperature(-0.85 * warm + d.bell(0, 0.35)),
        contrast=d.bell(1.0, 0.16),
        saturation=d.bell(0.90, 0.18),
        vignette=d.u() ** 2 * 0.35,
        grain=0.004 + 0.018 * d.u() ** 2,
        blur=0.35 + 0.55 * d.u() ** 2,
        backdrop=backdrop,
        backdrop_colors=tuple(d.color(0.6, 0.8) for _ in range(5)),
        backdrop_brightness=math.exp(d.bell(-0.2, 0.9)),
        seed=seed_of(z),
    )


def _temperature(warm: float) -> RGB:
    """A light's colour from cool (-1) to warm (1), green kept at 1."""
    return math.exp(0.22 * warm), 1.0, math.exp(-0.32 * warm)


def _direction(azimuth: float, elevation: float) -> tuple[float, float, float]:
    """Unit vector; azimuth 0 is from the camera, positive to the right."""
    return (
        math.sin(azimuth) * math.cos(elevation),
        math.sin(elevation),
        math.cos(azimuth) * math.cos(elevation),
    )
