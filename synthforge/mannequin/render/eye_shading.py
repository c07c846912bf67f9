"""Eyeballs, shaded analytically: iris and pupil behind a wet cornea."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.person import Person
from synthforge.mannequin.render.albedo import skin_albedo
from synthforge.mannequin.render.arithmetic import dot, turned
from synthforge.mannequin.render.fields import interpolate, smoothstep
from synthforge.mannequin.render.lighting import schlick
from synthforge.mannequin.render.scene import Scene
from synthforge.mesh import unit

# In radii of a human globe, 12 mm; the mesh's are larger.
_MESH_GLOBE = 16.6 / 12
_IRIS_RADIUS = 0.475
_PUPIL_RADIUS = 0.185
_IRIS_DEPTH = 0.10
_SCLERA = torch.tensor([0.50, 0.455, 0.43])
_SCLERA_PIGMENT = torch.tensor([0.16, 0.18, 0.22])
_VEINS = torch.tensor([0.62, 0.24, 0.20])
_COLLAR = torch.tensor([0.14, 0.075, 0.03])
_TO_VIEWER = torch.tensor([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Eye:
    """One posed eye. rotation: [3, 3], eyeball to viewer. head_rotation: [3, 3], eyeball to head.

    upper_lid, lower_lid: [K, 2], x (ascending) and y of the lids' margins, head frame, from the
        globe's centre in its radii.
    """

    rotation: Tensor
    head_rotation: Tensor
    upper_lid: Tensor
    lower_lid: Tensor


def shade_eye(
    person: Person, scene: Scene, eye: Eye, globe: Tensor, ambient: Tensor, key_lit: Tensor
) -> Tensor:
    """Linear RGB [N, 3] of an eyeball's pixels.

    globe: [N, 3], position in eyeball radii, eyeball frame.
    ambient: [N, 3] environment irradiance; key_lit: [N] share of the key that arrives.
    """
    shade, poking = _under_lids(eye, turned(eye.head_rotation, globe))
    place = globe * _MESH_GLOBE
    # Where the sight line meets the iris behind the cornea.
    depth = _IRIS_DEPTH * smoothstep(_IRIS_RADIUS * 1.1, 0.25, _radius(place))
    seen = place[:, :2] - depth[:, None] * eye.rotation[2, :2]
    r = _radius(seen) + (place[:, 2] < 0).float()
    radius = _IRIS_RADIUS * person.iris_size
    iris = _iris(person, r / radius, r)
    sclera = _sclera(person, place[:, 0].abs())
    albedo = sclera + (iris - sclera) * smoothstep(radius + 0.022, radius - 0.022, r)[:, None]

    cosine = dot(turned(eye.rotation, globe), torch.tensor(scene.key.direction))
    diffuse = (0.35 + 0.65 * cosine).clamp(0) * key_lit
    light = ambient + torch.tensor(scene.key.color) * diffuse[:, None]

    # The cornea bulges: its normal leaves the axis faster than the globe's.
    bulge = 1.1 * smoothstep(_IRIS_RADIUS * 1.25, _IRIS_RADIUS * 0.8, r)[:, None]
    cornea = unit(globe * torch.cat([1 + bulge, 1 + bulge, 1 + 0 * bulge], -1))
    glint = _reflection(scene, turned(eye.rotation, cornea), key_lit)
    color = albedo * light * shade[:, None] + glint * shade.clamp(0.25)[:, None]
    skin = torch.tensor(skin_albedo(person)) * light
    return color + (skin - color) * poking[:, None]


def _under_lids(eye: Eye, place: Tensor) -> tuple[Tensor, Tensor]:
    """Share of light [N] that lids and lashes leave, most taken from above; place: [N, 3].

    And 1 where the globe pokes through a lid, which is to be seen as skin, [N].
    """
    x, y, _ = place.unbind(-1)
    below_upper = interpolate(x, *eye.upper_lid.unbind(1)) - y
    above_lower = y - interpolate(x, *eye.lower_lid.unbind(1))
    inner, outer = eye.upper_lid[0, 0], eye.upper_lid[-1, 0]
    to_corner = (2 * x - inner - outer).abs() / (outer - inner)
    shade = (
        (1 - 0.45 * smoothstep(0.24, 0.0, below_upper))
        * (1 - 0.22 * smoothstep(0.10, 0.0, above_lower))
        * (1 - 0.35 * smoothstep(0.5, 1.0, to_corner))
    )
    return shade, smoothstep(-0.04, -0.09, torch.minimum(below_upper, above_lower))


def _radius(place: Tensor) -> Tensor:
    """Distance from the optical axis, [N]; place: [N, 2] or [N, 3]."""
    x, y = place[:, :2].unbind(1)
    return torch.sqrt(x * x + y * y)


def _iris(person: Person, relative: Tensor, r: Tensor) -> Tensor:
    """Albedo [N, 3]: a brown collar round the pupil, a dark limbus."""
    collar = 0.35 * smoothstep(0.75, 0.35, relative)[:, None]
    color = torch.tensor(person.iris) * (1 - collar) + collar * _COLLAR
    color = color * (1 - 0.82 * smoothstep(0.80, 1.0, relative)[:, None])
    pupil = smoothstep(_PUPIL_RADIUS + 0.03, _PUPIL_RADIUS - 0.015, r)[:, None]
    return color * (1 - pupil) + 0.004 * pupil


def _sclera(person: Person, sideways: Tensor) -> Tensor:
    """Albedo [N, 3]: off-white, less so with dark skin, redder in the corners."""
    red = smoothstep(0.5, 0.95, sideways)[:, None] * (0.25 + 0.45 * person.sclera_redness)
    white = _SCLERA - person.melanin * _SCLERA_PIGMENT
    return white + (_VEINS - white) * red


def _reflection(scene: Scene, normal: Tensor, key_lit: Tensor) -> Tensor:
    """What the wet surface mirrors, [N, 3]: the surroundings and two windows."""
    mirror = normal * (2 * normal[:, 2:]) - _TO_VIEWER
    light = scene.surroundings.reflected(mirror) * 0.9
    for lamp, gain in zip((scene.key, *scene.fills), (40.0, 18.0), strict=False):
        size = 0.09 + 0.13 * lamp.softness
        edge = 1 - 0.5 * (size * 1.5) ** 2, 1 - 0.5 * (size * 0.9) ** 2
        window = gain * smoothstep(*edge, dot(mirror, torch.tensor(lamp.direction)))
        light = light + torch.tensor(lamp.color) * (window * (0.35 + 0.65 * key_lit))[:, None]
    return light * schlick(0.025, normal[:, 2])[:, None]
