"""Shades the visible pixels of what is worn, in linear RGB."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.frames import UNITS_PER_METRE
from synthforge.mannequin.hair.scalp import Frame
from synthforge.mannequin.kernels import filled
from synthforge.mannequin.kernels.vertices import sum_normals
from synthforge.mannequin.render.arithmetic import dot, turned
from synthforge.mannequin.render.lighting import Shadow, ambient_cube, radiance, schlick
from synthforge.mannequin.render.pixel_faces import PixelFaces
from synthforge.mannequin.render.scene import Scene
from synthforge.mannequin.wear.parts import Part
from synthforge.mannequin.wear.shapes import joined
from synthforge.mesh import unit

# Above the surface, generator units: it must not shade itself.
_SHADOW_LIFT = 0.012


@dataclass(frozen=True)
class Worn:
    """All opaque parts as one mesh, generator frame.

    vertices, normals, color: float32 [V, 3]. shade: [V]. faces: int64 [F, 3]. kind: uint8 [F],
    classes of synthforge.visible. reflection: float32 [4, F]: roughness, mirrored share, 1 where
    metal, wrap. over_hair: float32 [F], see Part, generator units.
    """

    vertices: Tensor
    normals: Tensor
    color: Tensor
    shade: Tensor
    faces: Tensor
    kind: Tensor
    reflection: Tensor
    over_hair: Tensor


def worn_of(parts: list[Part], frame: Frame) -> Worn:
    """frame: of the head, see scalp.Frame."""
    whole = joined([part.shape for part in parts])
    vertices = frame.from_local(whole.vertices)
    counts = [len(part.shape.faces) for part in parts]
    each = torch.arange(len(parts), device=vertices.device).repeat_interleave(
        torch.tensor(counts, device=vertices.device)
    )
    like = vertices.new_tensor
    reflection = like([
        (m.roughness, m.mirror, float(m.metal), m.wrap)
        for m in (part.material for part in parts)
    ])  # fmt: skip
    return Worn(
        vertices=vertices,
        normals=unit(filled(sum_normals, vertices.shape, vertices, whole.faces)),
        color=torch.cat([part.colors for part in parts]),
        shade=torch.cat([part.shades for part in parts]),
        faces=whole.faces,
        kind=torch.tensor([part.kind for part in parts], dtype=torch.uint8, device=vertices.device)[
            each
        ],
        reflection=reflection[each].T.contiguous(),
        over_hair=like([part.over_hair for part in parts])[each] * UNITS_PER_METRE,
    )


def shade_worn(
    colors: Tensor,
    worn: Worn,
    seen: PixelFaces,
    first: int,
    scene: Scene,
    shadow: Shadow,
    R_view_gen: Tensor,
) -> None:
    """Set colours [3, P] of the pairs of pixels and faces that see something worn.

    first: number of the first worn face among those of `seen`.
    """
    pairs = torch.nonzero(seen.face >= first).squeeze(1)
    if not len(pairs):
        return
    face, weights = (
        seen.face.index_select(0, pairs) - first,
        seen.weights.T.index_select(0, pairs).T,
    )
    attributes = torch.cat([worn.vertices, worn.normals, worn.color, worn.shade[:, None]], 1).T
    corners = worn.faces.index_select(0, face).T
    value = sum(
        (
            w * attributes.index_select(1, corner)
            for w, corner in zip(weights, corners, strict=True)
        ),
        torch.zeros(()),
    )
    position, normal, albedo, shade = value.split((3, 3, 3, 1))
    normal = unit(normal, 0)
    roughness, mirrored, metal, wrap = worn.reflection.index_select(1, face)
    like = colors.new_tensor
    key, viewer = turned(R_view_gen.T, like(scene.key.direction)), R_view_gen[2]
    key_color = like(scene.key.color)[:, None]
    lit = shadow.lit(shadow.to_light(position + _SHADOW_LIFT * normal))
    reach = wrap + 0.5 * scene.key.softness
    diffuse = ((dot(normal, key, 0) + reach) / (1 + reach)).clamp(0) * lit
    ambient = _from_cube(ambient_cube(scene, R_view_gen), normal) * shade

    facing = dot(normal, viewer, 0).clamp(0, 1)
    fresnel = schlick(0.0, facing) * (1 - roughness)
    base = mirrored * (1 + metal * (albedo - 1))
    share = base + (1 - base) * fresnel * (mirrored * 12).clamp(max=1)
    # In viewer axes, where the viewer is (0, 0, 1).
    towards = turned(R_view_gen, normal.T)
    mirror = towards * (2 * towards[:, 2:]) - like((0.0, 0.0, 1.0))
    sharp = scene.surroundings.reflected(mirror).T
    blurred = radiance(scene, mirror).T
    surroundings = (blurred + (1 - roughness * 2).clamp(0) * (sharp - blurred)) * shade
    cosine = dot(normal, unit(key + viewer), 0).clamp(0)
    alpha = (roughness + 0.15 * scene.key.softness) ** 2
    a2 = alpha * alpha
    d = cosine * cosine * (a2 - 1) + 1
    glint = 0.25 * a2 / (d * d) * lit * dot(normal, key, 0).clamp(0, 1)
    color = albedo * (1 - metal) * (ambient + key_color * diffuse)
    color = color + share * (surroundings + key_color * glint)
    colors.index_copy_(1, pairs, color)


def _from_cube(cube: Tensor, normal: Tensor) -> Tensor:
    """Irradiance [3, N] on surfaces facing `normal` [3, N], from `ambient_cube`."""
    faces = [face * face for face in (*normal.clamp(min=0), *normal.clamp(max=0))]
    light = [color[:, None] * face for color, face in zip(cube, faces, strict=True)]
    return sum(light[1:], light[0])
