"""The mannequin: draws the built-in head as a believable person. A Generator without weights."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.alignment import UNITS_PER_METRE, place_in_generator
from synthforge.camera import Camera
from synthforge.generator import GeneratorOutput
from synthforge.mannequin.albedo import skin_log_albedo, skin_texture
from synthforge.mannequin.appearance import (
    LATENT_SIZE,
    PERSON_LATENTS,
    SHAPE_LATENTS,
    Person,
    person_from,
    scene_from,
)
from synthforge.mannequin.background import background
from synthforge.mannequin.bust import bust_of
from synthforge.mannequin.facial_hair import facial_hair
from synthforge.mannequin.film import develop
from synthforge.mannequin.hair import grow_hair, head_in_own_frame
from synthforge.mannequin.lighting import Shadow, fit_rotation, irradiance, key_shadow
from synthforge.mannequin.parts import Part
from synthforge.mannequin.shading import Surface, shade, surface_gradients
from synthforge.mannequin.strands import shade_strands, splat
from synthforge.mannequin.template import Template, template, vertex_normals
from synthforge.mesh import Mesh
from synthforge.rasterizer import rasterize, resolve, visible
from synthforge.regions import REGION_ID

# Raise when a picture of the same z changes.
RENDERER_VERSION = 1

_IMAGE_SIZE = 512
_SUPERSAMPLING = 2
_DEPTH_SIZE = 128
# Linear RGB albedo, replaces the texture wholly, gloss.
_PART_MATERIALS = {
    Part.TEETH: (0.66, 0.60, 0.50, 1.0, 0.7),
    Part.GUMS: (0.42, 0.12, 0.11, 1.0, 0.5),
    Part.TONGUE: (0.40, 0.13, 0.12, 1.0, 0.4),
}


class Mannequin:
    """Draws heads of the built-in topology. See synthforge.generator.Generator.

    displacement: (A [3, 3], b [3]) in generator units: the head is drawn at x A^T + b instead of
        where the mesh is placed, as a neural generator would draw it; for testing alignment.
    """

    name = "mannequin"
    latent_size = LATENT_SIZE
    shape_latents = SHAPE_LATENTS

    def __init__(
        self,
        device: torch.device | str = "cpu",
        displacement: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.displacement = displacement

    @property
    def fingerprint(self) -> str:
        return _fingerprint()

    @torch.no_grad()
    def generate(self, z: Tensor, mesh_flame: Mesh, camera: Camera) -> GeneratorOutput:
        """z: float32 [B, 512]. Samples are drawn one by one, so none depends on the batch."""
        head = template(str(self.device))
        if mesh_flame.vertices.shape[1] != len(head.vertices):
            raise ValueError(
                f"the mannequin draws its own head of {len(head.vertices)} vertices, got a mesh of "
                f"{mesh_flame.vertices.shape[1]}; build the mesh from mannequin.build.build_head"
            )
        vertices = self._placed(mesh_flame.vertices)
        landmarks = self._placed(mesh_flame.landmarks)
        camera = camera.to(self.device)
        pictures = [
            self._picture(head, z[i], vertices[i], landmarks[i], camera[i : i + 1]) for i in range(len(z))
        ]
        z_depth, covered = _head_depth(head, vertices, camera)
        ray_distance = camera.ray_distance(z_depth)
        axis = (torch.arange(_DEPTH_SIZE, device=self.device) + 0.5).float()
        rows, columns = torch.meshgrid(axis, axis, indexing="ij")
        pixels = torch.stack([columns, rows], -1).view(1, -1, 2)
        points = camera.unproject(
            pixels.expand(len(z), -1, -1), z_depth.flatten(1), _DEPTH_SIZE
        )
        return GeneratorOutput(
            image=torch.stack(pictures),
            ray_distance=ray_distance,
            opacity=covered,
            points_gen=points,
            density=covered.flatten(1),
        )

    def _placed(self, points_flame: Tensor) -> Tensor:
        points = place_in_generator(points_flame.to(self.device).float())
        if self.displacement is not None:
            A, b = (t.to(points) for t in self.displacement)
            x, y, z = points.unsqueeze(-1).unbind(-2)
            points = x * A[:, 0] + y * A[:, 1] + z * A[:, 2] + b
        return points

    def _picture(
        self, head: Template, z: Tensor, vertices: Tensor, landmarks: Tensor, camera: Camera
    ) -> Tensor:
        person, scene = person_from(z[:PERSON_LATENTS].cpu()), scene_from(z[PERSON_LATENTS:].cpu())
        texture = skin_texture(person, device=str(self.device))
        R_view_gen = camera.R_view_gen[0]
        R_gen_head = fit_rotation(head.vertices[head.skull], vertices[head.skull])
        body = _with_bust(head, person, vertices)
        own = head_in_own_frame(head, vertices, body.normals, R_gen_head, UNITS_PER_METRE)
        marks = (landmarks - own.origin_gen) @ own.rotation / own.scale + own.origin_head
        groups = grow_hair(person, head, own) + facial_hair(person, head, own, marks)
        center = own.origin_gen
        cast = groups[0].points[:, ::2, ::2].reshape(3, -1).T
        shadow = key_shadow(scene.key, R_view_gen, body.vertices, body.faces, center, cast)
        light = irradiance(
            scene, body.normals, head.faces, body.open, R_view_gen @ R_gen_head, R_gen_head
        )
        surface = _surface(head, person, body, light, shadow)
        R_gen_eyes = torch.stack([_eye_rotation(head, vertices, side) for side in (-1, 1)])

        size = _IMAGE_SIZE * _SUPERSAMPLING
        ndc = camera.to_ndc(body.vertices[None])
        face_ids = visible(
            ndc, body.faces, size, size, perspective_correct=True, cull_backfaces=True
        )
        fragments = resolve(ndc, body.faces, face_ids, perspective_correct=True)
        image = shade(
            surface, fragments, texture, person, scene, shadow, R_view_gen, R_gen_eyes
        )
        covered = fragments.covered.view(-1).float()
        z_behind = torch.where(covered > 0, fragments.z.view(-1), 99.0)
        for group, seen in zip(groups, splat(groups, camera, size, z_behind), strict=True):
            shade_strands(image, group, seen, scene, shadow, R_view_gen, center)
            covered[seen.pixel] = 1.0
        layers = torch.cat([image.T, covered[None]]).view(1, 4, size, size)
        layers = F.avg_pool2d(layers, _SUPERSAMPLING)[0]
        behind = background(scene, _IMAGE_SIZE, self.device)
        return develop(scene, layers[:3] + (1 - layers[3:]) * behind)


@dataclass(frozen=True)
class Body:
    """Head and bust as one posed mesh, generator frame; the head's vertices and faces first.

    open: [V], how freely ambient light reaches the bust's vertices; 1 on the head.
    """

    vertices: Tensor
    normals: Tensor
    faces: Tensor
    open: Tensor
    cloth: Tensor


def _with_bust(head: Template, person: Person, vertices: Tensor) -> Body:
    bust = bust_of(person, head)
    trunk, posed = head.vertices[head.trunk], vertices[head.trunk]
    R = fit_rotation(trunk, posed)
    below = ((bust.vertices - trunk.mean(0)) @ R.T) * UNITS_PER_METRE + posed.mean(0)
    bust_faces = bust.faces
    normals = torch.cat([vertex_normals(vertices, head.faces), vertex_normals(below, bust_faces)])
    return Body(
        vertices=torch.cat([vertices, below]),
        normals=normals,
        faces=torch.cat([head.faces, bust_faces + len(vertices)]),
        open=torch.cat([torch.ones_like(vertices[:, 0]), bust.open]),
        cloth=bust.cloth,
    )


def _surface(head: Template, person: Person, body: Body, light: Tensor, shadow: Shadow) -> Surface:
    extra = len(body.faces) - len(head.faces)
    eye_local = F.pad(head.eye_local, (0, 0, 0, len(body.vertices) - len(head.vertices)))
    attributes = torch.cat([body.normals, light, shadow.to_light(body.vertices), eye_local], 1)
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


def _eye_rotation(head: Template, vertices: Tensor, side: int) -> Tensor:
    ball = (head.eyeball & (head.vertices[:, 0] * side > 0)).nonzero().squeeze(1)
    return fit_rotation(head.vertices[ball], vertices[ball])


def _head_depth(head: Template, vertices: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """z-depth and coverage of the bare head, float32 [B, 1, h, h] each."""
    fragments = rasterize(
        camera.to_ndc(vertices), head.faces, _DEPTH_SIZE, _DEPTH_SIZE, perspective_correct=True
    )
    covered = fragments.covered[:, None]
    return torch.where(covered, fragments.z[:, None], 0.0), covered.float()


@functools.cache
def _fingerprint() -> str:
    head = template()
    digest = hashlib.sha256(f"mannequin-{RENDERER_VERSION}".encode())
    for array in (head.vertices, head.faces, head.uvs, head.region):
        digest.update(array.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
