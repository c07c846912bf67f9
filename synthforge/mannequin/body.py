"""Head, trunk and clothes as one posed mesh, with all that shading reads of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.alignment import UNITS_PER_METRE
from synthforge.mannequin.arithmetic import mean, turned
from synthforge.mannequin.clothes import neckline_height, trunk_below
from synthforge.mannequin.fields import smoothstep
from synthforge.mannequin.lighting import Shadow, fit_rotation
from synthforge.mannequin.parts import Part
from synthforge.mannequin.person import Person
from synthforge.mannequin.shading import Surface, surface_gradients
from synthforge.mannequin.template import Template, template
from synthforge.mesh import Topology, vertex_normals
from synthforge.regions import REGION_ID

# Shadows are looked up this far above the skin, generator units: it must not shade itself.
_SHADOW_LIFT = 0.012
_CLOTH_M = 0.0035
_FAR_M = 1.0
# Linear RGB albedo, replaces the texture wholly, gloss.
_PART_MATERIALS = {
    Part.TEETH: (0.80, 0.73, 0.61, 1.0, 0.4),
    Part.GUMS: (0.42, 0.12, 0.11, 1.0, 0.5),
    Part.TONGUE: (0.40, 0.13, 0.12, 1.0, 0.4),
}


@dataclass(frozen=True)
class Body:
    """A clothed head and trunk as one posed mesh, generator frame; the head's vertices first.

    vertices, normals: [V, 3]; faces: [F, 3]. neckline: [V], metres above the border of the
    clothes. open: [V], how freely ambient light reaches the trunk's vertices; 1 on the head.
    """

    vertices: Tensor
    normals: Tensor
    faces: Tensor
    neckline: Tensor
    open: Tensor


def clothed(head: Template, person: Person, vertices: Tensor) -> Body:
    """Set the trunk under a posed head [V, 3], as its neck's lower end lies, and dress both."""
    trunk, posed = head.vertices[head.trunk], vertices[head.trunk]
    R = fit_rotation(trunk, posed)
    lower, topology = _trunk(str(vertices.device))
    lower = turned(R, lower - mean(trunk, 0)) * UNITS_PER_METRE + mean(posed, 0)
    bare = torch.cat([vertices, lower])
    normals = vertex_normals(bare, topology)
    neckline = F.pad(neckline_height(person, head), (0, len(lower)), value=-_FAR_M)
    thickness = _CLOTH_M * UNITS_PER_METRE * smoothstep(0.003, -0.006, neckline)
    return Body(
        vertices=bare + thickness[:, None] * normals,
        normals=normals,
        faces=topology.faces,
        neckline=neckline,
        open=F.pad(torch.ones_like(vertices[:, 0]), (0, len(lower)), value=0.7),
    )


@functools.cache
def _trunk(device: str) -> tuple[Tensor, Topology]:
    """The trunk's own vertices [N, 3], metres, neutral; and the triangles of head and trunk."""
    head = template(device)
    lower, faces = trunk_below(head)
    uv_faces = F.pad(head.uv_faces, (0, 0, 0, len(faces)))
    return lower, Topology(torch.cat([head.faces, faces]), head.uvs, uv_faces)


def surface_of(head: Template, body: Body, light: Tensor, shadow: Shadow) -> Surface:
    """light: [V, 3], environment irradiance at the body's vertices."""
    extra = len(body.faces) - len(head.faces)
    eye_local = F.pad(head.eye_local[head.faces], (0, 0, 0, 0, 0, extra))
    lifted = body.vertices + _SHADOW_LIFT * body.normals
    attributes = torch.cat(
        [body.normals.T, light.T, shadow.to_light(lifted.T), body.neckline[None]]
    )
    at_corners = attributes.index_select(1, body.faces.T.flatten()).unflatten(1, (3, -1))
    face_uvs = F.pad(head.uvs[head.uv_faces], (0, 0, 0, 0, 0, extra))
    material = torch.zeros(5, len(body.faces), device=light.device)
    part = head.part[head.faces[:, 0]]
    for kind, look in _PART_MATERIALS.items():
        material[:, : len(part)][:, part == kind] = material.new_tensor(look)[:, None]
    eye = torch.zeros(len(body.faces), dtype=torch.long, device=light.device)
    eye[: len(head.faces)][head.region == REGION_ID["right_eyeball"]] = 1
    eye[: len(head.faces)][head.region == REGION_ID["left_eyeball"]] = 2
    return Surface(
        corners=torch.cat([at_corners, face_uvs.permute(2, 1, 0)]),
        eye_local=eye_local,
        gradients=surface_gradients(body.vertices / UNITS_PER_METRE, body.faces, face_uvs),
        material=material,
        eye=eye,
    )


def eye_rotation(head: Template, vertices: Tensor, side: int) -> Tensor:
    """How one eyeball is turned, [3, 3]; side: 1 the subject's left, -1 their right."""
    ball = (head.eyeball & (head.vertices[:, 0] * side > 0)).nonzero().squeeze(1)
    return fit_rotation(head.vertices[ball], vertices[ball])
