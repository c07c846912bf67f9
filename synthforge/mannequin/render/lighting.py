"""The scene's light on the posed head: environment irradiance, the key light and its shadow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.draws import RGB
from synthforge.mannequin.kernels import filled, run
from synthforge.mannequin.kernels.shading import SHADOW_EXTENT, lit
from synthforge.mannequin.kernels.strands import cast_strands
from synthforge.mannequin.kernels.vertices import fit, gather_light
from synthforge.mannequin.render.arithmetic import dot, mean, product, turned, weighted_sum
from synthforge.mannequin.render.occlusion import directions, look_from, neighbour_mean, visibility
from synthforge.mannequin.render.scene import Light, Scene
from synthforge.rasterizer import rasterize

# Share of the key's light on what surrounds a fold.
_KEY_ON_FOLDS = 0.35
# Share of red, green and blue light that neighbours in skin exchange.
_SCATTERED = torch.tensor([0.75, 0.45, 0.25])
_SHADOW_SIZE = 368
_HAIR_SHADOW_SIZE = 128
_FAR = 9.0


def fit_rotation(source: Tensor, target: Tensor) -> Tensor:
    """The rotation [3, 3] that best turns source [N, 3] into target [N, 3] (Kabsch 1976).

    The polar factor of their covariance. Neither set may be flat, nor one the other's mirror image.
    """
    R = torch.zeros(3, 3, dtype=torch.float64)
    run(fit, source.contiguous(), target.contiguous(), R)
    return R.float()


def radiance(scene: Scene, view_directions: Tensor) -> Tensor:
    """Light arriving from directions [N, 3] (viewer axes): linear RGB [N, 3], without the key."""
    total = scene.surroundings.radiance(view_directions)
    for light in scene.fills:
        cosine = dot(view_directions, torch.tensor(light.direction)).clamp(min=0)[:, None]
        # A lobe whose irradiance on a facing surface is the light's colour.
        total = total + torch.tensor(light.color) * 2.5 * (cosine**2) ** 2
    return total


def schlick(f0: float, cosine: Tensor) -> Tensor:
    """Share of light that a surface mirrors at an angle (Schlick 1994)."""
    grazing = 1 - cosine.clamp(0, 1)
    return f0 + (1 - f0) * (grazing**2) ** 2 * grazing


def irradiance(
    scene: Scene, skin: RGB, normals: Tensor, R_view_gen: Tensor, R_gen_head: Tensor
) -> Tensor:
    """Environment light at every vertex, with its shadows: linear RGB [V, 3].

    skin: albedo; folds are lit by the skin round them. normals: [V, 3] of the posed head, generator
    frame.
    """
    light = radiance(scene, turned(product(R_view_gen, R_gen_head), directions()))
    arrays = normals.T.contiguous(), turned(R_gen_head, directions()), light, visibility()
    *colors, sky = filled(gather_light, (4, len(normals)), *arrays) * (4 / len(directions()))
    bare, blocked = torch.stack(colors, 1), (1 - sky).clamp_(min=0)[:, None]
    key = torch.tensor(scene.key.color)
    bare += blocked * (torch.tensor(skin) * (mean(bare, 0) + _KEY_ON_FOLDS * key))
    near = neighbour_mean(bare)
    far = neighbour_mean(near)
    return bare + _SCATTERED * (0.5 * near + 0.5 * far - bare)


@dataclass(frozen=True)
class Shadow:
    """Depth of the first surface from the key light.

    rotation: [3, 3] generator to light axes; center: [3]; depth: [S, S], hair included; radius:
    of the soft edge, generator units. solid_depth: [S, S], without hair. hair: [H, H, 2], where it
    begins and how much of it there is, blurred.
    """

    rotation: Tensor
    center: Tensor
    depth: Tensor
    radius: float
    solid_depth: Tensor
    hair: Tensor

    def to_light(self, points_gen: Tensor) -> Tensor:
        """[3, N] generator -> [3, N]: x left, y up in [-1, 1] of the map, depth from the light."""
        return _to_light(points_gen, self.rotation, self.center)

    def lit(self, points_light: Tensor) -> Tensor:
        """Share of the key light that reaches points [3, N] of `to_light` on skin: [N]."""
        maps = self.solid_depth, self.hair, self.radius
        return filled(lit, points_light.shape[1:], points_light.contiguous(), *maps)


def ambient_cube(scene: Scene, R_view_gen: Tensor) -> Tensor:
    """Irradiance on surfaces facing +x, +y, +z, -x, -y, -z of the generator frame: [6, 3]."""
    light = radiance(scene, turned(R_view_gen, directions()))
    cosine = torch.cat([directions(), -directions()], 1).clamp(min=0)
    return (weighted_sum(cosine, light) * (4 / len(directions()))).T.contiguous()


def key_shadow(
    key: Light,
    R_view_gen: Tensor,
    vertices_gen: Tensor,
    faces: Tensor,
    center: Tensor,
    strands_gen: Tensor,
    opacity: Tensor,
) -> Shadow:
    """The key light's shadow map of a mesh [V, 3] and of points of its hair [N, 3].

    opacity: [], how much light one point of the hair stops, in squared generator units.
    """
    direction = turned(R_view_gen.T, R_view_gen.new_tensor(key.direction))
    rotation = look_from(direction)
    radius = 0.010 + 0.045 * key.softness
    ndc = _to_light(vertices_gen.T, rotation, center).T.contiguous()[None]
    fragments = rasterize(
        ndc, faces, _SHADOW_SIZE, _SHADOW_SIZE, perspective_correct=False, cull_backfaces=True
    )
    solid = torch.where(fragments.covered[0], fragments.z[0], _FAR)
    # What lies beside the map is looked up on its border: it is lit.
    solid[[0, -1]] = solid[:, [0, -1]] = _FAR
    depth = solid.clone()
    first = torch.full((_HAIR_SHADOW_SIZE, _HAIR_SHADOW_SIZE), _FAR)
    count = torch.zeros_like(first)
    to_map = rotation * (1 / SHADOW_EXTENT)
    run(cast_strands, strands_gen.contiguous(), to_map, center, depth, first, count)
    # Empty texels must not pull the blurred depth of their neighbours away.
    has = (count > 0).float()
    maps = torch.stack([first * has, has, count])
    blurred = _box(maps, max(radius, 0.03))
    texel_area = (2 * SHADOW_EXTENT / _HAIR_SHADOW_SIZE) ** 2
    begins = torch.where(blurred[1] > 0, blurred[0] / blurred[1].clamp(min=1e-6), _FAR)
    hair = torch.stack([begins, blurred[2] * (opacity / texel_area)], -1)
    return Shadow(rotation, center, depth, radius, solid, hair)


def _box(maps: Tensor, radius: float) -> Tensor:
    """[C, S, S] averaged twice over squares of about `radius` generator units."""
    reach = 1 + round(radius / (2 * SHADOW_EXTENT / maps.shape[-1]))
    for side, beyond in 2 * (((2 * reach + 1, 1), (reach, 0)), ((1, 2 * reach + 1), (0, reach))):
        maps = F.avg_pool2d(maps[None], side, 1, beyond)[0]
    return maps


def _to_light(points_gen: Tensor, rotation: Tensor, center: Tensor) -> Tensor:
    """[3, N] generator -> [3, N] of `Shadow.to_light`."""
    turned = product(rotation * (1 / SHADOW_EXTENT), points_gen - center[:, None])
    turned[2] += 2.0
    return turned
