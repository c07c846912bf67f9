"""Shades the visible pixels of a posed head: skin, eyes, teeth and clothes, in linear RGB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.person import Person
from synthforge.mannequin.render.albedo import ALBEDO, BUMP, LIP, OIL, WET
from synthforge.mannequin.render.arithmetic import dot, turned
from synthforge.mannequin.render.clothes import neckline_height
from synthforge.mannequin.render.eye_shading import Eye, shade_eye
from synthforge.mannequin.render.fields import bell
from synthforge.mannequin.render.lighting import Shadow, schlick
from synthforge.mannequin.render.maps import read
from synthforge.mannequin.render.pixel_faces import PixelFaces
from synthforge.mannequin.render.scene import Scene
from synthforge.mesh import cross, unit

# Pixels shaded at once: their intermediates stay in a core's cache.
_CHUNK = {"cpu": 1 << 14, "cuda": 1 << 22}
# How far light creeps round the terminator, by channel: red scatters farthest in skin
# (d'Eon & Luebke 2007, "Advanced techniques for realistic real-time skin rendering").
_SKIN_WRAP = (0.42, 0.22, 0.15)
_F0 = 0.028


@dataclass(frozen=True)
class Surface:
    """A posed mesh ready to be shaded, generator frame.

    corners: float32 [14, 3, F], what is interpolated, at the faces' corners: normal, environment
        irradiance, position in the shadow map, place on the neutral head, u, v.
    eye_local: float32 [F, 3, 3], position of the corners in the eyeball; 0 elsewhere.
    gradients: float32 [6, F], the surface gradients of u and of v, per metre.
    eye: int64 [F], 0 none, 1 right eyeball, 2 left eyeball.
    """

    corners: Tensor
    eye_local: Tensor
    gradients: Tensor
    eye: Tensor


def surface_gradients(vertices: Tensor, faces: Tensor, face_uvs: Tensor) -> Tensor:
    """Gradients of u and v over each face, [6, F], per unit of `vertices`."""
    a, b, c = (vertices.index_select(0, corner).T for corner in faces.unbind(1))
    e1, e2 = b - a, c - a
    normal = cross(e1, e2, 0)
    area = dot(normal, normal, 0).clamp(min=1e-18)
    # Gradients of the two barycentric coordinates that e1 and e2 span.
    g1, g2 = cross(e2, normal, 0) / area, cross(normal, e1, 0) / area
    duv1, duv2 = face_uvs[:, 1] - face_uvs[:, 0], face_uvs[:, 2] - face_uvs[:, 0]
    return torch.cat([duv1[:, k] * g1 + duv2[:, k] * g2 for k in range(2)])


def shade(
    surface: Surface,
    seen: PixelFaces,
    texture: Tensor,
    person: Person,
    scene: Scene,
    shadow: Shadow,
    R_view_gen: Tensor,
    eyes: Sequence[Eye],
) -> Tensor:
    """float32 [3, P], linear RGB of the P pairs of pixels and faces.

    texture: [8, T, T] of albedo.skin_texture. eyes: the right and the left one; without them
    eyeballs are black.
    """
    like = texture.new_tensor
    key = turned(R_view_gen.T, like(scene.key.direction))
    viewer = R_view_gen[2]
    halfway = unit(key + viewer)
    key_color, cloth_color = like(scene.key.color)[:, None], like(person.clothing)[:, None]
    fresnel = schlick(_F0, dot(halfway, viewer))
    creeping = 0.8 * like(_SKIN_WRAP)[:, None]
    size = texture.shape[-1]
    colors = torch.zeros(3, len(seen), device=texture.device)
    at_once = _CHUNK.get(texture.device.type, 1 << 18)
    of_eye = surface.eye.index_select(0, seen.face)
    parts = (
        (which, pairs)
        for k, which in enumerate((None, *eyes))
        for pairs in torch.nonzero(of_eye == k).squeeze(1).split(at_once)
    )
    for which, pairs in parts:
        face, w = seen.face.index_select(0, pairs), seen.weights.index_select(1, pairs)
        value = _blend(w, surface.corners.flatten(0, 1).index_select(1, face).view(14, 3, -1))
        normal, ambient, in_shadow, place, (u, v) = value.split((3, 3, 3, 3, 2))
        lit = shadow.lit(in_shadow)
        if which is not None:
            globe = _blend(w, surface.eye_local.index_select(0, face).permute(2, 1, 0)).T
            color = shade_eye(person, scene, which, globe, ambient.T, 0.4 + 0.6 * lit)
            colors.index_copy_(1, pairs, color.T)
            continue
        texel = read(texture, u * size - 0.5, (1 - v) * size - 0.5)
        cloth, crease = _cloth(neckline_height(person, place))
        skin = 1 - cloth
        albedo = (texel[ALBEDO] * skin + cloth_color * cloth) * crease
        normal = unit(normal, 0)
        gradient = surface.gradients.index_select(1, face)
        bump = texel[BUMP] * skin
        detailed = unit(normal - bump[0] * gradient[:3] - bump[1] * gradient[3:], 0)

        fine = dot(detailed, key, 0)
        diffuse = _diffuse(dot(normal, key, 0), fine, scene.key.softness, cloth)
        # Scattered light passes into the shadow's edge, red farthest.
        passed = lit + creeping * (torch.sqrt(lit) - lit)
        light = ambient + key_color * diffuse * passed

        oil, lip, wet = texel[OIL] * skin, texel[LIP], texel[WET]
        gloss = oil * (0.25 + 0.55 * person.oiliness) * (1 - 0.5 * lip) + lip * skin * (
            person.lip_gloss * 0.9
        )
        sharpening = lip * (0.10 * person.lip_gloss)
        highlight = _highlight(dot(detailed, halfway, 0), gloss, scene.key.softness, sharpening)
        highlight = highlight * fresnel * lit * torch.sqrt(fine.clamp(0, 1))
        grazing = (1 - dot(detailed, viewer, 0).clamp_(0, 1)) ** 2
        sheen = (0.02 + 0.30 * (grazing * grazing)) * (0.25 + 0.6 * gloss) + 0.07 * wet
        color = albedo * light + highlight * key_color + ambient * sheen
        colors.index_copy_(1, pairs, color)
    return colors


def _blend(weights: Tensor, corners: Tensor) -> Tensor:
    """[3, N] barycentrics and [C, 3, N] corner values -> [C, N]."""
    wa, wb, wc = weights
    a, b, c = corners.unbind(1)
    return (a * wa).add_(b * wb).add_(c * wc)


def _cloth(above: Tensor) -> tuple[Tensor, Tensor]:
    """From metres above the neckline [N]: 1 where cloth is, and shade of hem and seam: [N]."""
    cloth = (above < 0).float()
    hem_shadow = 0.45 * bell(above, 0.0035) * (1 - cloth)
    seam = 0.30 * bell(above + 0.014, 0.0008)
    return cloth, 1 - hem_shadow - seam


def _diffuse(smooth: Tensor, fine: Tensor, softness: float, cloth: Tensor) -> Tensor:
    """Key light scattered by skin, [3, N], from the cosines [N] of the smooth and fine normals.

    Blue sees the fine normal, red mostly the smooth one. A soft key is a broad source: it reaches
    farther round. cloth: [N], 1 where it is not skin.
    """
    cosine = torch.stack([0.6 * smooth + 0.4 * fine, 0.2 * smooth + 0.8 * fine, fine])
    reach = fine.new_tensor([wrap + 0.35 * softness for wrap in _SKIN_WRAP])[:, None]
    width = reach * (1 - 0.5 * cloth)
    wrapped = (cosine.add_(width) / (1 + width)).clamp_(0)
    # Close to the power 1.4.
    return wrapped * (0.2 + 0.8 * torch.sqrt(wrapped))


def _highlight(cosine: Tensor, gloss: Tensor, softness: float, sharpening: Tensor) -> Tensor:
    """Key light mirrored by skin, [N]: a broad lobe and, where it is oily, a tight one.

    cosine: between the normal and halfway, [N]. sharpening: taken off the tight lobe's roughness.
    """
    cosine = cosine.clamp(0)
    broad = _ggx(cosine, 0.42 + 0.10 * softness)
    tight = _ggx(cosine, 0.30 + 0.10 * softness - sharpening)
    return 0.6 * (0.60 * broad + 0.40 * gloss * tight) * (0.30 + 0.75 * gloss)


def _ggx(cosine: Tensor, roughness: Tensor | float) -> Tensor:
    """GGX distribution over pi, for alpha = roughness squared (Walter et al. 2007)."""
    alpha = roughness * roughness
    a2 = alpha * alpha
    d = cosine * cosine * (a2 - 1) + 1
    return a2 / (d * d * torch.pi)
