"""Head and bust joined into one posed mesh, with all that shading reads of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.alignment import UNITS_PER_METRE
from synthforge.mannequin.albedo import skin_log_albedo
from synthforge.mannequin.bust import bust_of
from synthforge.mannequin.lighting import Shadow, fit_rotation
from synthforge.mannequin.parts import Part
from synthforge.mannequin.person import Person
from synthforge.mannequin.shading import Surface, surface_gradients
from synthforge.mannequin.template import Template, vertex_normals
from synthforge.regions import REGION_ID

# Shadows are looked up this far above the skin, generator units: it must not shade itself.
_SHADOW_LIFT = 0.012
# Linear RGB albedo, replaces the texture wholly, gloss.
_PART_MATERIALS = {
    Part.TEETH: (0.74, 0.68, 0.58, 1.0, 0.7),
    Part.GUMS: (0.42, 0.12, 0.11, 1.0, 0.5),
    Part.TONGUE: (0.40, 0.13, 0.12, 1.0, 0.4),
}


@dataclass(frozen=True)
class Body:
    """Head and bust as one posed mesh, generator frame; the head's vertices and faces first.

    vertices, normals: [V, 3]; faces: [F, 3]. open: [V], how freely ambient light reaches the
    bust's vertices; 1 on the head. cloth: bool, of the bust's faces.
    """

    vertices: Tensor
    normals: Tensor
    faces: Tensor
    open: Tensor
    cloth: Tensor


def with_bust(head: Template, person: Person, vertices: Tensor) -> Body:
    """Set the bust under a posed head [V, 3], as its neck's lower end lies."""
    bust = bust_of(person, head)
    trunk, posed = head.vertices[head.trunk], vertices[head.trunk]
    R = fit_rotation(trunk, posed)
    # A thick neck has broad shoulders.
    own = (posed - posed.mean(0)) @ R / UNITS_PER_METRE
    stretch = own.abs().mean(0) / (trunk - trunk.mean(0)).abs().mean(0)
    stretch[1] = 1.0
    below = ((bust.vertices - trunk.mean(0)) * stretch) @ R.T * UNITS_PER_METRE + posed.mean(0)
    normals = torch.cat([vertex_normals(vertices, head.faces), vertex_normals(below, bust.faces)])
    return Body(
        vertices=torch.cat([vertices, below]),
        normals=normals,
        faces=torch.cat([head.faces, bust.faces + len(vertices)]),
        open=torch.cat([torch.ones_like(vertices[:, 0]), bust.open]),
        cloth=bust.cloth,
    )


def surface_of(
    head: Template, person: Person, body: Body, light: Tensor, shadow: Shadow
) -> Surface:
    """light: [V, 3], environment irradiance at the body's vertices."""
    extra = len(body.faces) - len(head.faces)
    eye_local = F.pad(head.eye_local, (0, 0, 0, len(body.vertices) - len(head.vertices)))
    lifted = body.vertices + _SHADOW_LIFT * body.normals
    attributes = torch.cat([body.normals, light, shadow.to_light(lifted), eye_local], 1)
    face_uvs = F.pad(head.uvs[head.uv_faces], (0, 0, 0, 0, 0, extra))
    material = torch.zeros(len(body.faces), 5, device=light.device)
    on_head, on_bust = material[: len(head.faces)], material[len(head.faces) :]
    part = head.part[head.faces[:, 0]]
    for kind, look in _PART_MATERIALS.items():
        on_head[part == kind] = material.new_tensor(look)
    skin = torch.tensor(skin_log_albedo(person)).exp().tolist()
    on_bust[:] = material.new_tensor([*skin, 1.0, 0.25])
    on_bust[body.cloth] = material.new_tensor([*person.clothing, 1.0, 0.0])
    eye = torch.zeros(len(body.faces), dtype=torch.long, device=light.device)
    eye[: len(head.faces)][head.region == REGION_ID["right_eyeball"]] = 1
    eye[: len(head.faces)][head.region == REGION_ID["left_eyeball"]] = 2
    return Surface(
        corners=attributes[body.faces],
        face_uvs=face_uvs,
        gradients=surface_gradients(body.vertices / UNITS_PER_METRE, body.faces, face_uvs),
        material=material,
        eye=eye,
    )


def eye_rotation(head: Template, vertices: Tensor, side: int) -> Tensor:
    """How one eyeball is turned, [3, 3]; side: 1 the subject's left, -1 their right."""
    ball = (head.eyeball & (head.vertices[:, 0] * side > 0)).nonzero().squeeze(1)
    return fit_rotation(head.vertices[ball], vertices[ball])
