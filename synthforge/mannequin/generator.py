"""The mannequin: draws the built-in head as a believable person. A Generator without weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from synthforge.camera import Camera
from synthforge.fingerprint import fingerprint
from synthforge.frames import apply_affine, place_in_generator
from synthforge.generator import GeneratorOutput, Layers
from synthforge.mannequin.bystander import BYSTANDER_SIZE, bystander_of
from synthforge.mannequin.hair.facial_hair import facial_hair
from synthforge.mannequin.hair.hair import grow_hair
from synthforge.mannequin.hair.scalp import head_in_own_frame
from synthforge.mannequin.hair.strands import shade_strands, splat
from synthforge.mannequin.head.baked import baked_head
from synthforge.mannequin.people import LATENT_SIZE, PERSON_LATENTS, draw_people
from synthforge.mannequin.person import person_from
from synthforge.mannequin.render.albedo import skin_albedo, skin_texture
from synthforge.mannequin.render.background import background
from synthforge.mannequin.render.body import Posed, clothed, eyes_of, surface_of
from synthforge.mannequin.render.layers import Cover, cover_of_strands, kinds_of_pairs, layers_of
from synthforge.mannequin.render.lighting import fit_rotation, irradiance, key_shadow
from synthforge.mannequin.render.pixel_faces import PixelFaces, averaged, on_samples, pixel_faces
from synthforge.mannequin.render.scene import Scene, scene_from
from synthforge.mannequin.render.shading import shade
from synthforge.mannequin.render.template import template
from synthforge.mannequin.render.tone_mapping import exposure, metered, tone_map
from synthforge.mannequin.wear.dress import dressed
from synthforge.mannequin.wear.lenses import draw_lenses
from synthforge.mannequin.wear.outfit import outfit_of
from synthforge.mannequin.wear.shading import shade_worn
from synthforge.mesh import Mesh
from synthforge.rasterizer import rasterize, visible
from synthforge.regions import BACKGROUND
from synthforge.sampling import SAMPLE_FORMAT, Parameters, SampleId
from synthforge.sampling_config import SamplingConfig
from synthforge.visible import OTHER_PERSON

_IMAGE_SIZE = 512
_DEPTH_SIZE = 128
# Of a drawn strand, generator units: it stands for several hairs.
_STRAND_WIDTH = 0.0012


class Mannequin:
    """Draws heads of the built-in topology. See synthforge.generator.Generator.

    displacement: (A [3, 3], b [3]) in generator units: the head is drawn at x A^T + b instead of
        where the mesh is placed, as a neural generator would draw it; for testing alignment.
    """

    name = "mannequin"
    latent_size = LATENT_SIZE

    def __init__(
        self, device: torch.device | str = "cpu", displacement: tuple[Tensor, Tensor] | None = None
    ) -> None:
        self.device = torch.device(device)
        self.displacement = displacement

    @property
    def is_aligned(self) -> bool:
        return self.displacement is None

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with the built-in head, the displacement and SAMPLE_FORMAT,
        which stands for the code that draws."""
        head = baked_head()
        arrays = vars(head) | vars(head.model) | vars(head.embedding)
        tensors = {n: torch.from_numpy(a) for n, a in arrays.items() if isinstance(a, np.ndarray)}
        if self.displacement is not None:
            tensors |= dict(zip(("A", "b"), self.displacement, strict=True))
        return fingerprint(tensors, SAMPLE_FORMAT)

    def draw(self, ids: Sequence[SampleId], config: SamplingConfig) -> Parameters:
        """See synthforge.mannequin.people.draw_people."""
        return draw_people(ids, config)

    @torch.no_grad()
    def generate(self, z: Tensor, mesh_flame: Mesh, camera: Camera) -> GeneratorOutput:
        """z: float32 [B, 512]. Samples are drawn one by one, so none depends on the batch.

        On the CPU, whatever the device: most of it are compiled loops. Results go to the device.
        """
        head = template()
        if mesh_flame.vertices.shape[1] != len(head.vertices):
            raise ValueError(
                f"the mannequin draws its own head of {len(head.vertices)} vertices, got a mesh of "
                f"{mesh_flame.vertices.shape[1]}; build the mesh from mannequin.baked_head"
            )
        vertices = self._placed(mesh_flame.vertices)
        landmarks = self._placed(mesh_flame.landmarks)
        z, camera = z.cpu(), camera.to("cpu")
        cameras = [camera[i : i + 1] for i in range(len(z))]
        subjects = map(Posed, z, vertices, landmarks, cameras)
        images, layers = zip(*map(_draw, subjects), strict=True)
        # Depth and coverage of the bare head.
        seen = rasterize(
            camera.to_ndc(vertices), head.faces, _DEPTH_SIZE, _DEPTH_SIZE, perspective_correct=True
        )
        covered = seen.covered[:, None].float()
        z_depth = torch.where(seen.covered, seen.z, 0.0)[:, None]
        axis = torch.arange(_DEPTH_SIZE) + 0.5
        rows, columns = torch.meshgrid(axis, axis, indexing="ij")
        pixels = torch.stack([columns, rows], -1).view(1, -1, 2)
        points = camera.unproject(pixels.expand(len(z), -1, -1), z_depth.flatten(1), _DEPTH_SIZE)
        return GeneratorOutput(
            image=torch.stack(images).to(self.device),
            ray_distance=camera.ray_distance(z_depth).to(self.device),
            opacity=covered.to(self.device),
            points_gen=points.to(self.device),
            density=covered.flatten(1).to(self.device),
            layers=Layers.cat(layers).to(self.device),
        )

    def _placed(self, points_flame: Tensor) -> Tensor:
        points = place_in_generator(points_flame.cpu().float())
        if self.displacement is not None:
            A, b = (part.to(points) for part in self.displacement)
            points = apply_affine(A, b, points)
        return points


def _draw(subject: Posed) -> tuple[Tensor, Layers]:
    """The image [3, S, S] and its layers [1, S, S]."""
    z = subject.z
    skin = skin_albedo(person_from(z[:PERSON_LATENTS]))
    scene = metered(scene_from(z[PERSON_LATENTS:]), skin)
    shares, seen, kinds, covers = _draw_person(subject, scene, _IMAGE_SIZE)
    behind, classes = background(scene, _IMAGE_SIZE), None
    if outfit_of(z).bystanders:
        marks, _ = subject.camera.project(subject.landmarks[None], 1)
        other = bystander_of(z, marks[0])
        theirs, *_ = _draw_person(other, other.lit_by(scene), BYSTANDER_SIZE)
        theirs = other.out_of_focus(theirs, scene, _IMAGE_SIZE)
        behind = _before(theirs, behind, scene)
        classes = torch.where(theirs[3] > 0.5, OTHER_PERSON, BACKGROUND).to(torch.uint8)
    layers = layers_of(seen, kinds, covers, shares[3], classes)
    return tone_map(scene, _before(shares, behind, scene)), layers


def _draw_person(
    posed: Posed, scene: Scene, image_size: int
) -> tuple[Tensor, PixelFaces, Tensor, list[Cover]]:
    """A person before nothing: scene-linear RGB and coverage [4, S, S]; and what `layers_of`
    takes: pairs, their classes and covers."""
    head, person = template(), person_from(posed.z[:PERSON_LATENTS])
    R_view_gen = posed.camera.R_view_gen[0]
    R_gen_head = fit_rotation(head.vertices[head.skull], posed.vertices[head.skull])
    body = clothed(head, person, posed.vertices, posed.landmarks)
    own = head_in_own_frame(posed.vertices, body.normals, R_gen_head)
    marks = own.frame.to_local(posed.landmarks)
    dress = dressed(posed.z, person, head, own, marks)
    vertices, faces, rim = body.vertices, head.faces, None
    if dress is not None:
        person, rim = replace(person, hair=dress.hair), dress.rim
        vertices = torch.cat([vertices, dress.worn.vertices])
        faces = torch.cat([dress.head_faces, dress.worn.faces + len(body.vertices)])
    groups = grow_hair(person, own, rim) + facial_hair(person, own, marks)
    center = own.frame.origin
    cast = groups[0].points[::2, ::2]
    # A strand's area, shared by its points.
    opacity = 2 * _STRAND_WIDTH * groups[0].mean_length / cast.shape[1]
    shadow = key_shadow(scene.key, R_view_gen, vertices, faces, center, cast.flatten(0, 1), opacity)
    light = irradiance(scene, skin_albedo(person), body.normals, R_view_gen, R_gen_head)
    if dress is not None:
        light = light * dress.shade[:, None]
    surface = surface_of(body, light, shadow)
    eyes = eyes_of(head, posed.vertices, posed.landmarks, R_view_gen, R_gen_head)

    size = 2 * image_size
    ndc = posed.camera.to_ndc(vertices[None])
    face_ids = visible(ndc, faces, size, size, perspective_correct=True, cull_backfaces=True)
    seen = pixel_faces(ndc[0], faces, face_ids[0])
    texture = skin_texture(person, seen)
    colors = shade(head, surface, seen, texture, person, scene, shadow, R_view_gen, eyes)
    z_seen, kinds = seen.z, head.region.to(torch.uint8)
    if dress is not None:
        first = len(head.faces)
        shade_worn(colors, dress.worn, seen, first, scene, shadow, R_view_gen)
        z_seen = dress.z_for_hair(z_seen, seen.face, first)
        kinds = torch.cat([kinds, dress.worn.kind])
    image, covered, z_behind = on_samples(replace(seen, z=z_seen), colors)
    strands = splat(groups, posed.camera, size, z_behind)
    for group, splats in zip(groups, strands, strict=True):
        shade_strands(image, covered, group, splats, scene, shadow, R_view_gen, center)
    covers = [cover_of_strands(groups, strands)]
    if dress is not None:
        nearest = z_behind.index_copy_(0, covers[0].sample, covers[0].z)
        covers += draw_lenses(
            image, covered, nearest, dress.lenses, own.frame, scene, posed.camera, size
        )
    return averaged(image, covered), seen, kinds_of_pairs(kinds, seen, head, person), covers


def _before(shares: Tensor, behind: Tensor, scene: Scene) -> Tensor:
    """Colour and coverage [4, S, S] over what is behind, [3, S, S]: scene-linear RGB."""
    # Mixed as tones, not as light: a bright backdrop would eat edges and thin hair.
    behind = behind / (shares[3:] * exposure(scene) * behind).add_(1)
    return behind.mul_(1 - shares[3:]).add_(shares[:3])
