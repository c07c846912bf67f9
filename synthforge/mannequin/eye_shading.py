"""Eyeballs, shaded analytically: iris and pupil behind a wet cornea, sclera with fine veins."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.fields import smoothstep
from synthforge.mannequin.lighting import radiance
from synthforge.mannequin.person import Person
from synthforge.mannequin.scene import Scene

# In eyeball radii (about 12 mm).
_IRIS_RADIUS = 0.475
_PUPIL_RADIUS = 0.185
_IRIS_DEPTH = 0.10
_SCLERA = (0.68, 0.63, 0.59)
_VEINS = (0.62, 0.24, 0.20)
_TABLE = (48, 512)


@functools.cache
def _tables(device: torch.device | str) -> Tensor:
    """float32 [1, 2, R, T], polar noise with zero mean: iris fibres and veins of the sclera."""
    generator = torch.Generator().manual_seed(71)
    fibres = torch.randn(1, 1, _TABLE[0] // 12, _TABLE[1], generator=generator)
    fibres = F.interpolate(fibres, _TABLE, mode="bilinear", align_corners=True)
    broad = torch.randn(1, 1, _TABLE[0] // 6, _TABLE[1] // 8, generator=generator)
    broad = F.interpolate(broad, _TABLE, mode="bilinear", align_corners=True)
    veins = torch.randn(1, 1, 6, 64, generator=generator)
    veins = F.interpolate(veins, _TABLE, mode="bilinear", align_corners=True)
    veins = torch.exp(-((veins / 0.16) ** 2))
    return torch.cat([0.6 * fibres + 0.5 * broad, veins], 1).to(device)


def shade_eyes(
    person: Person,
    scene: Scene,
    eye_local: Tensor,
    R_view_eye: Tensor,
    ambient: Tensor,
    key_lit: Tensor,
) -> Tensor:
    """Linear RGB [N, 3] of eyeball pixels.

    eye_local: [N, 3], position in eyeball radii, eyeball frame. R_view_eye: [N, 3, 3].
    ambient: [N, 3] environment irradiance; key_lit: [N] share of the key that arrives.
    """
    like = eye_local.new_tensor
    # The viewer is along +z of the viewer axes: the last row of R is where they are, eye frame.
    towards_viewer = R_view_eye[:, 2]
    plane = (
        eye_local[:, :2]
        - _IRIS_DEPTH
        * towards_viewer[:, :2]
        * smoothstep(_IRIS_RADIUS * 1.1, 0.25, eye_local[:, :2].norm(dim=-1))[:, None]
    )
    r = plane.norm(dim=-1) + (eye_local[:, 2] < 0).float()
    theta = torch.atan2(plane[:, 1], plane[:, 0]) / torch.pi
    radius = _IRIS_RADIUS * person.iris_size
    spin = 2 * person.eye_pattern
    grid = torch.stack([(theta + spin + 1) % 2 - 1, 2 * (r / radius).clamp(0, 1) - 1], -1)
    fibre = F.grid_sample(
        _tables(eye_local.device), grid[None, None], align_corners=True, padding_mode="border"
    )[0, :, 0]
    inner = smoothstep(0.75, 0.35, r / radius)[:, None]
    iris = like(person.iris)
    iris = iris * (1 - 0.35 * inner) + 0.35 * inner * like((0.14, 0.075, 0.03))
    iris = iris * (1 + 0.38 * fibre[0, :, None]).clamp(0.3, 2.0)
    iris = iris * (1 - 0.82 * smoothstep(0.80, 1.0, r / radius)[:, None])
    pupil = smoothstep(_PUPIL_RADIUS + 0.03, _PUPIL_RADIUS - 0.015, r)[:, None]
    iris = iris * (1 - pupil) + 0.004 * pupil
    corner = smoothstep(0.5, 0.95, eye_local[:, 0].abs())
    vein_grid = torch.stack([(theta * 3 + 1) % 2 - 1, r.clamp(0, 1) * 2 - 1], -1)
    vein = F.grid_sample(
        _tables(eye_local.device), vein_grid[None, None], align_corners=True, padding_mode="border"
    )[0, 1, 0]
    red = (
        corner * (0.22 + 0.5 * person.sclera_redness)
        + 0.25 * vein * (0.2 + person.sclera_redness) * smoothstep(0.5, 0.9, r)
    ).clamp(0, 0.7)
    sclera = like(_SCLERA) + (like(_VEINS) - like(_SCLERA)) * red[:, None]
    on_iris = smoothstep(radius + 0.022, radius - 0.022, r)[:, None]
    albedo = sclera + (iris - sclera) * on_iris

    # Lids and lashes keep light from above away.
    shade = (
        1
        - 0.62 * smoothstep(0.12, 0.46, eye_local[:, 1])
        - 0.25 * smoothstep(-0.2, -0.5, eye_local[:, 1])
    )
    shade = shade * (1 - 0.35 * smoothstep(0.45, 0.95, eye_local[:, 0].abs()))
    view = F.normalize(eye_local, dim=-1)
    normal = (R_view_eye @ view[..., None])[..., 0]
    key = like(scene.key.direction)
    diffuse = (0.35 + 0.65 * (normal @ key)).clamp(0) * key_lit
    light = ambient + like(scene.key.color) * diffuse[:, None]
    color = albedo * light * shade[:, None]

    # The cornea bulges: its normal leaves the axis faster than the globe's.
    bulge = smoothstep(_IRIS_RADIUS * 1.25, _IRIS_RADIUS * 0.8, r)[:, None]
    wet = view * torch.cat([1 + 0.55 * bulge, 1 + 0.55 * bulge, torch.ones_like(bulge)], -1)
    wet = (R_view_eye @ F.normalize(wet, dim=-1)[..., None])[..., 0]
    mirror = wet * (2 * wet[:, 2:]) - like((0.0, 0.0, 1.0))
    fresnel = 0.025 + 0.975 * (1 - wet[:, 2].clamp(0, 1)) ** 5
    reflected = radiance(scene, mirror) * 0.9
    for light_, gain in ((scene.key, 26.0), (scene.fills[0], 14.0)):
        size = 0.10 + 0.16 * light_.softness
        window = smoothstep(
            1 - 0.5 * (size * 1.5) ** 2,
            1 - 0.5 * (size * 0.9) ** 2,
            mirror @ like(light_.direction),
        )
        reflected = (
            reflected + like(light_.color) * (gain * window * (0.35 + 0.65 * key_lit))[:, None]
        )
    return color + reflected * (fresnel * shade.clamp(0.25))[:, None]
