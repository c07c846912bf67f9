"""Shades the visible pixels of a posed head: skin, eyes, teeth and clothes, in linear RGB."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.albedo import ALBEDO, BUMP, LIP, OIL, WET
from synthforge.mannequin.eye_shading import shade_eyes
from synthforge.mannequin.fields import bell
from synthforge.mannequin.lighting import Shadow, unit
from synthforge.mannequin.person import Person
from synthforge.mannequin.scene import Scene
from synthforge.rasterizer import Fragments

# Pixels shaded at once: their intermediates stay in a core's cache.
_CHUNK = {"cpu": 1 << 14, "cuda": 1 << 22}
# How far light creeps round the terminator, by channel: red scatters farthest in skin
# (d'Eon & Luebke 2007, "Advanced techniques for realistic real-time skin rendering").
_SKIN_WRAP = (0.42, 0.22, 0.15)
_F0 = 0.028


@dataclass(frozen=True)
class Surface:
    """A posed mesh ready to be shaded, generator frame.

    faces: int64 [F, 3]; face_uvs: [F, 3, 2].
    corners: float32 [F, 3, 13], what is interpolated: normal, environment irradiance, position in
        the shadow map, position in the eyeball, metres above the border of the clothes.
    gradients: float32 [F, 6], the surface gradients of u and of v, per metre.
    material: float32 [F, 5], an albedo (RGB) that replaces the texture's, by how much, and the
        gloss of that material.
    eye: int64 [F], 0 none, 1 right eyeball, 2 left eyeball.
    """

    corners: Tensor
    face_uvs: Tensor
    gradients: Tensor
    material: Tensor
    eye: Tensor


def surface_gradients(vertices: Tensor, faces: Tensor, face_uvs: Tensor) -> Tensor:
    """Gradients of u and v over each face, [F, 6], per unit of `vertices`."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    e1, e2 = b - a, c - a
    normal = torch.linalg.cross(e1, e2)
    area = (normal * normal).sum(-1, keepdim=True).clamp(min=1e-18)
    duv1, duv2 = face_uvs[:, 1] - face_uvs[:, 0], face_uvs[:, 2] - face_uvs[:, 0]
    # Gradients of the two barycentric coordinates that e1 and e2 span.
    g1 = torch.linalg.cross(e2, normal) / area
    g2 = torch.linalg.cross(normal, e1) / area
    return torch.cat([duv1[:, k : k + 1] * g1 + duv2[:, k : k + 1] * g2 for k in range(2)], 1)


def shade(
    surface: Surface,
    fragments: Fragments,
    texture: Tensor,
    person: Person,
    scene: Scene,
    shadow: Shadow,
    R_view_gen: Tensor,
    R_gen_eyes: Tensor,
) -> Tensor:
    """float32 [S * S, 3] linear RGB; 0 where nothing is seen. One image.

    texture: [1, 8, T, T] of albedo.skin_texture. R_gen_eyes: [2, 3, 3], right and left eyeball.
    """
    face_ids = fragments.face_ids[0].view(-1)
    weights = fragments.barycentrics[0].view(-1, 3)
    image = torch.zeros(len(face_ids), 3, device=weights.device)
    covered = torch.nonzero(face_ids >= 0).squeeze(1)
    like = image.new_tensor
    key = R_view_gen.T @ like(scene.key.direction)
    viewer = R_view_gen[2]
    halfway = F.normalize(key + viewer, dim=0)
    key_color, cloth_color = like(scene.key.color), like(person.clothing)
    fresnel = _F0 + (1 - _F0) * (1 - (halfway @ viewer).clamp(0, 1)) ** 5
    flat_uvs = surface.face_uvs.flatten(1)
    flat_corners = surface.corners.flatten(1)
    for pixels in covered.split(_CHUNK.get(image.device.type, 1 << 18)):
        face = face_ids.index_select(0, pixels)
        w = weights.index_select(0, pixels)
        value = _blend(w, flat_corners.index_select(0, face).view(-1, 3, 13))
        uv = _blend(w, flat_uvs.index_select(0, face).view(-1, 3, 2))
        grid = uv * uv.new_tensor([2.0, -2.0]) + uv.new_tensor([-1.0, 1.0])
        texel = F.grid_sample(
            texture, grid[None, None], align_corners=False, padding_mode="border"
        )[0, :, 0]
        material = surface.material.index_select(0, face)
        cloth, crease = _cloth(value[:, 12])
        replaced = torch.maximum(material[:, 3:4], cloth)
        plain = material[:, :3] + cloth * (cloth_color - material[:, :3])
        albedo = (texel[ALBEDO].T * (1 - replaced) + plain * replaced) * crease
        normal = unit(value[:, :3])
        gradient = surface.gradients.index_select(0, face)
        bump = texel[BUMP, :, None] * (1 - replaced[None])
        detailed = unit(normal - bump[0] * gradient[:, :3] - bump[1] * gradient[:, 3:])
        ambient = value[:, 3:6]
        lit = shadow.lit(value[:, 6:9])

        fine = detailed @ key
        diffuse = _diffuse(normal @ key, fine, scene.key.softness, replaced)
        # Scattered light passes into the shadow's edge, red farthest.
        passed = lit[:, None] ** (1 - 0.45 * like(_SKIN_WRAP))
        light = ambient + key_color * diffuse * passed

        oil, lip, wet = texel[OIL] * (1 - replaced[:, 0]), texel[LIP], texel[WET]
        gloss = (
            oil * (0.25 + 0.55 * person.oiliness) * (1 - 0.5 * lip)
            + lip * person.lip_gloss * 0.9
            + material[:, 4]
        ) * (1 - cloth[:, 0])
        sharpening = 0.10 * lip * person.lip_gloss
        highlight = _highlight(detailed @ halfway, gloss, scene.key.softness, sharpening)
        highlight = highlight * fresnel * lit * fine.clamp(0, 1) ** 0.5
        grazing = (1 - (detailed @ viewer).clamp(0, 1)) ** 4
        sheen = (0.02 + 0.30 * grazing) * (0.25 + 0.6 * gloss) + 0.07 * wet
        color = albedo * light + highlight[:, None] * key_color + ambient * sheen[:, None]

        eye = surface.eye.index_select(0, face)
        balls = torch.nonzero(eye).squeeze(1)
        if len(balls):
            R_view_eye = (R_view_gen @ R_gen_eyes)[eye[balls] - 1]
            color[balls] = shade_eyes(
                person,
                scene,
                value[balls, 9:12],
                R_view_eye,
                ambient[balls],
                0.4 + 0.6 * lit[balls],
            )
        image.index_copy_(0, pixels, color)
    return image


def _blend(weights: Tensor, corners: Tensor) -> Tensor:
    """[N, 3] barycentrics and [N, 3, C] corner values -> [N, C]."""
    a, b, c = corners.unbind(1)
    return weights[:, :1] * a + weights[:, 1:2] * b + weights[:, 2:] * c


def _cloth(above: Tensor) -> tuple[Tensor, Tensor]:
    """From metres above the neckline [N]: 1 where cloth is, and shade of hem and seam: [N, 1]."""
    cloth = (above < 0).float()
    hem_shadow = 0.45 * bell(above, 0.0035) * (1 - cloth)
    seam = 0.30 * bell(above + 0.014, 0.0008)
    return cloth[:, None], (1 - hem_shadow - seam)[:, None]


def _diffuse(smooth: Tensor, fine: Tensor, softness: float, replaced: Tensor) -> Tensor:
    """Key light scattered by skin, [N, 3], from the cosines [N] of the smooth and fine normals.

    Blue sees the fine normal, red mostly the smooth one. A soft key is a broad source: it reaches
    farther round. replaced: [N, 1], 1 where the material is not skin.
    """
    cosine = torch.stack([0.6 * smooth + 0.4 * fine, 0.2 * smooth + 0.8 * fine, fine], -1)
    width = (fine.new_tensor(_SKIN_WRAP) + 0.35 * softness) * (1 - 0.5 * replaced)
    return ((cosine + width) / (1 + width)).clamp(0) ** 1.4


def _highlight(cosine: Tensor, gloss: Tensor, softness: float, sharpening: Tensor) -> Tensor:
    """Key light mirrored by skin, [N]: a broad lobe and, where it is oily, a tight one.

    cosine: between the normal and halfway, [N]. sharpening: taken off the tight lobe's roughness.
    """
    cosine = cosine.clamp(0)
    broad = _ggx(cosine, 0.42 + 0.10 * softness)
    tight = _ggx(cosine, 0.25 + 0.10 * softness - sharpening)
    return 0.6 * (0.60 * broad + 0.40 * gloss * tight) * (0.30 + 0.75 * gloss)


def _ggx(cosine: Tensor, roughness: Tensor | float) -> Tensor:
    """GGX distribution over pi, for alpha = roughness squared (Walter et al. 2007)."""
    a2 = roughness**4
    d = cosine * cosine * (a2 - 1) + 1
    return a2 / (torch.pi * d * d)
