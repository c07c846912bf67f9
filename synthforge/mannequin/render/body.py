"""The posed head and the clothes painted on it, with all that shading reads of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.camera import Camera
from synthforge.frames import UNITS_PER_METRE
from synthforge.mannequin.head.baked import Piece
from synthforge.mannequin.kernels import filled
from synthforge.mannequin.kernels.vertices import sum_normals
from synthforge.mannequin.person import Person
from synthforge.mannequin.render.arithmetic import length, mean, product, turned
from synthforge.mannequin.render.eye_shading import Eye
from synthforge.mannequin.render.fields import bell, smooth_curve, smoothstep
from synthforge.mannequin.render.lighting import Shadow, fit_rotation
from synthforge.mannequin.render.template import Template
from synthforge.mesh import unit

# Shadows are looked up this far above the skin, generator units, and so much farther where the
# light grazes it: it must not shade itself.
_SHADOW_LIFT, _GRAZING_LIFT = 0.010, 0.022
_SHUT_DEPTH = 0.06
_CLOTH_M = 0.0035
# The pit of the neck, the depth of its sides, how far a round neckline rises from one to the other,
# and where the shoulders begin, metres.
_PIT_Y_M, _PIT_Z_M, _SIDES_Z_M = -0.178, -0.030, -0.100
_RISE_M = 0.050
_SHOULDER_X_M = 0.075
# Lips that are so far apart let light into the mouth: all of it, none.
_PARTED_M = (0.0068, 0.0018)
# The landmarks on the upper and the lower margin of the lids, x ascending.
_LIDS = {
    Piece.RIGHT_EYEBALL: ((36, 37, 38, 39), (36, 41, 40, 39)),
    Piece.LEFT_EYEBALL: ((42, 43, 44, 45), (42, 47, 46, 45)),
}
_LID_POINTS = 24


@dataclass(frozen=True)
class Posed:
    """A person before a camera. z: [512]. vertices: [V, 3] and landmarks: [68, 3], generator frame.

    camera: of one image.
    """

    z: Tensor
    vertices: Tensor
    landmarks: Tensor
    camera: Camera


@dataclass(frozen=True)
class Body:
    """A posed, clothed head, generator frame.

    vertices, normals: [V, 3].
    shut: [V], 1 behind closed lips, 0 behind parted ones and elsewhere.
    """

    vertices: Tensor
    normals: Tensor
    shut: Tensor


def clothed(head: Template, person: Person, vertices: Tensor, landmarks: Tensor) -> Body:
    """Dress a posed head: vertices [V, 3], landmarks [68, 3]."""
    normals = unit(filled(sum_normals, vertices.shape, vertices.contiguous(), head.faces))
    neckline = neckline_height(person, head.vertices.T)
    thickness = _CLOTH_M * UNITS_PER_METRE * smoothstep(0.003, -0.006, neckline)
    parted = length(landmarks[62] - landmarks[66]) / UNITS_PER_METRE
    shut = head.in_mouth * smoothstep(*_PARTED_M, parted)
    return Body(vertices + thickness[:, None] * normals, normals, shut)


def surface_of(body: Body, light: Tensor, shadow: Shadow) -> Tensor:
    """What shading reads of a posed head, at its vertices: float32 [V, 12], generator frame.

    Normal, environment irradiance, position in the shadow map, position. light: [V, 3], irradiance
    before closed lips keep it out.
    """
    grazing = 1 - turned(shadow.rotation, body.normals)[:, 2:].abs()
    lift = _SHADOW_LIFT + _GRAZING_LIFT * grazing - _SHUT_DEPTH * body.shut[:, None]
    lifted = body.vertices + lift * body.normals
    light = light * (1 - body.shut[:, None])
    in_shadow = shadow.to_light(lifted.T).T
    return torch.cat([body.normals, light, in_shadow, body.vertices], 1)


def eyes_of(
    head: Template, vertices: Tensor, landmarks: Tensor, R_view_gen: Tensor, R_gen_head: Tensor
) -> list[Eye]:
    """The right and the left eye of a posed head, generator frame."""
    eyes = []
    for piece, (upper, lower) in _LIDS.items():
        ball = (head.piece == piece).nonzero().squeeze(1)
        R_gen_eye = fit_rotation(head.vertices[ball], vertices[ball])
        center = mean(vertices[ball], 0)
        radius = mean(length(vertices[ball] - center), 0)
        margins = [
            turned(R_gen_head.T, landmarks[[*margin]] - center)[:, :2] / radius
            for margin in (upper, lower)
        ]
        eyes.append(
            Eye(
                product(R_view_gen, R_gen_eye),
                product(R_gen_head.T, R_gen_eye),
                *(smooth_curve(margin, _LID_POINTS) for margin in margins),
            )
        )
    return eyes


def neck_y(x: Tensor, z: Tensor) -> Tensor:
    """y where neck and trunk meet at x and z, all [N], on the neutral head."""
    border = _PIT_Y_M + _RISE_M * smoothstep(_PIT_Z_M, _SIDES_Z_M, z)
    return border + 0.6 * (x.abs() - _SHOULDER_X_M).clamp(min=0)


def neckline_height(person: Person, places: Tensor) -> Tensor:
    """Metres above the border of the clothes, [N]; negative where cloth covers the skin.

    places: [3, N], on the neutral head.
    """
    x, y, z = places
    border = neck_y(x, z)
    wide, front = person.neckline, smoothstep(-0.09, -0.04, z)
    match person.collar:
        case "round":
            border = border + 0.004 - 0.016 * wide
        case "v":
            border = border - (0.030 + 0.050 * wide) * bell(x, 0.030) * front
        case "high":
            border = border + 0.030 + 0.030 * wide
        case "shirt":
            border = border + 0.012 - (0.030 + 0.035 * wide) * bell(x, 0.018) * front
        case "hood":
            border = border + 0.010 - 0.010 * wide
        case _:
            border = border - 0.014 - 0.016 * wide
    return y - border
