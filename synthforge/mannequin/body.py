"""The posed head and its clothes, with all that shading reads of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.alignment import UNITS_PER_METRE
from synthforge.mannequin.clothes import neckline_height
from synthforge.mannequin.fields import smoothstep
from synthforge.mannequin.head.pieces import Piece
from synthforge.mannequin.lighting import Shadow, fit_rotation
from synthforge.mannequin.person import Person
from synthforge.mannequin.shading import Surface, surface_gradients
from synthforge.mannequin.template import Template
from synthforge.mesh import vertex_normals

# Shadows are looked up this far above the skin, generator units: it must not shade itself.
_SHADOW_LIFT = 0.012
_CLOTH_M = 0.0035
# Linear RGB albedo, replaces the texture wholly, gloss.
_MATERIALS = {
    Piece.UPPER_TEETH: (0.80, 0.73, 0.61, 1.0, 0.4),
    Piece.LOWER_TEETH: (0.80, 0.73, 0.61, 1.0, 0.4),
    Piece.TONGUE: (0.40, 0.13, 0.12, 1.0, 0.4),
}


@dataclass(frozen=True)
class Body:
    """A posed, clothed head, generator frame.

    vertices, normals: [V, 3]. neckline: [V], metres above the border of the clothes.
    """

    vertices: Tensor
    normals: Tensor
    neckline: Tensor


def clothed(head: Template, person: Person, vertices: Tensor) -> Body:
    """Dress a posed head [V, 3]."""
    normals = vertex_normals(vertices, head.topology)
    neckline = neckline_height(person, head)
    thickness = _CLOTH_M * UNITS_PER_METRE * smoothstep(0.003, -0.006, neckline)
    return Body(vertices + thickness[:, None] * normals, normals, neckline)


def surface_of(head: Template, body: Body, light: Tensor, shadow: Shadow) -> Surface:
    """light: [V, 3], environment irradiance at the body's vertices."""
    faces = head.faces
    lifted = body.vertices + _SHADOW_LIFT * body.normals
    attributes = torch.cat(
        [body.normals.T, light.T, shadow.to_light(lifted.T), body.neckline[None]]
    )
    at_corners = attributes.index_select(1, faces.T.flatten()).unflatten(1, (3, -1))
    face_uvs = head.uvs[head.uv_faces]
    material = torch.zeros(5, len(faces), device=light.device)
    piece = head.piece[faces[:, 0]]
    for kind, look in _MATERIALS.items():
        material[:, piece == kind] = material.new_tensor(look)[:, None]
    eye = (piece == Piece.RIGHT_EYEBALL).long() + 2 * (piece == Piece.LEFT_EYEBALL).long()
    return Surface(
        corners=torch.cat([at_corners, face_uvs.permute(2, 1, 0)]),
        eye_local=head.eye_local[faces],
        gradients=surface_gradients(body.vertices / UNITS_PER_METRE, faces, face_uvs),
        material=material,
        eye=eye,
    )


def eye_rotation(head: Template, vertices: Tensor, side: int) -> Tensor:
    """How one eyeball is turned, [3, 3]; side: 1 the subject's left, -1 their right."""
    ball = (head.eyeball & (head.vertices[:, 0] * side > 0)).nonzero().squeeze(1)
    return fit_rotation(head.vertices[ball], vertices[ball])
