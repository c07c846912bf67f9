"""The scene's light on the posed head: environment irradiance, the key light and its shadow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.occlusion import (
    DIRECTIONS,
    directions,
    look_from,
    neighbour_mean,
    visibility,
)
from synthforge.mannequin.scene import Light, Scene
from synthforge.rasterizer import rasterize

_SHADOW_SIZE = 320
_HAIR_SHADOW_SIZE = 128
_FAR = 9.0
# Half the width of the shadow map, generator units.
_SHADOW_EXTENT = 0.62
_SHADOW_BIAS = 0.008
_POISSON = (
    (-0.33, -0.12), (0.42, 0.10), (0.05, 0.48), (-0.10, -0.60),
    (0.72, -0.50), (-0.80, 0.30), (-0.42, 0.82), (0.55, 0.78), (-0.70, -0.66),
)  # fmt: skip


def unit(x: Tensor) -> Tensor:
    """Vectors [N, 3] scaled to length 1; several times faster than F.normalize on a CPU."""
    a, b, c = x.unbind(-1)
    return x * torch.rsqrt(a * a + b * b + c * c + 1e-20)[:, None]


def fit_rotation(source: Tensor, target: Tensor) -> Tensor:
    """The rotation [3, 3] that best turns source [N, 3] into target [N, 3] (Kabsch 1976)."""
    a = (source - source.mean(0)).double()
    b = (target - target.mean(0)).double()
    u, _, vt = torch.linalg.svd(b.T @ a)
    sign = torch.sign(torch.linalg.det(u @ vt))
    flip = torch.diag(torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign]))
    return (u @ flip @ vt).float()


def radiance(scene: Scene, view_directions: Tensor) -> Tensor:
    """Light arriving from directions [N, 3] (viewer axes): linear RGB [N, 3], without the key."""
    like = view_directions.new_tensor
    height = (0.5 + 0.5 * view_directions[:, 1:2]).clamp(0, 1)
    total = like(scene.ground) * (1 - height) + like(scene.sky) * height
    for light in scene.fills:
        cosine = (view_directions @ like(light.direction)).clamp(min=0)[:, None]
        # A lobe whose irradiance on a facing surface is the light's colour.
        total = total + like(light.color) * 2.5 * cosine**4
    return total


def irradiance(
    scene: Scene,
    normals: Tensor,
    faces: Tensor,
    openness: Tensor,
    R_view_head: Tensor,
    R_gen_head: Tensor,
) -> Tensor:
    """Environment light at every vertex, with its shadows: linear RGB [V, 3].

    normals: [V, 3] of the posed head and then of the trunk, generator frame. faces: the head's.
    openness: [V], scales the light of the trunk, whose visibility is not known. Light scatters
    below the skin, red light farthest: neighbours share it, red most.
    """
    device = normals.device
    head_directions = directions().to(device)
    light = radiance(scene, head_directions @ R_view_head.T)
    cosine = (normals @ (head_directions @ R_gen_head.T).T).clamp(min=0)
    seen = visibility(str(device))
    cosine[: len(seen)] *= seen
    result = (cosine @ light) * (4 / DIRECTIONS * openness[:, None])
    near = neighbour_mean(result, faces)
    far = neighbour_mean(near, faces)
    share = result.new_tensor([0.75, 0.45, 0.25])
    scattered = result + share * (0.5 * near + 0.5 * far - result)
    return torch.cat([scattered[: len(seen)], result[len(seen) :]])


@dataclass(frozen=True)
class Shadow:
    """Depth of the first surface from the key light.

    rotation: [3, 3] generator to light axes; center: [3]; depth: [S, S], hair included; radius:
    of the soft edge, generator units. solid_depth: [S, S], without hair. hair_depth,
    hair_density: [H, H], where the hair begins and how much of it there is, blurred.
    """

    rotation: Tensor
    center: Tensor
    depth: Tensor
    radius: float
    solid_depth: Tensor
    hair_depth: Tensor
    hair_density: Tensor

    def to_light(self, points_gen: Tensor) -> Tensor:
        """[..., 3] generator -> shadow map: x left, y up in [-1, 1], depth away from the light."""
        return _to_light(points_gen, self.rotation, self.center)

    def lit(self, points_light: Tensor, bias: float = _SHADOW_BIAS) -> Tensor:
        """Share of the key light that reaches points [N, 3] of `to_light` on skin: [N]."""
        size = self.depth.shape[0]
        scale = self.radius / _SHADOW_EXTENT
        total = torch.zeros_like(points_light[:, 0])
        limit = points_light[:, 2] - bias / _SHADOW_EXTENT
        flat = self.solid_depth.view(-1)
        for dx, dy in _POISSON:
            column = ((1 - points_light[:, 0] + dx * scale) * (size / 2)).long().clamp(0, size - 1)
            row = ((1 - points_light[:, 1] + dy * scale) * (size / 2)).long().clamp(0, size - 1)
            total += flat.index_select(0, row * size + column) >= limit
        grid = -points_light[None, None, :, :2]
        hair = torch.stack([self.hair_depth, self.hair_density])[None]
        depth, density = F.grid_sample(hair, grid, align_corners=False)[0, :, 0]
        behind = ((points_light[:, 2] - depth) * (_SHADOW_EXTENT / 0.03)).clamp(0, 1)
        return total / len(_POISSON) * torch.exp(-behind * density.clamp(max=1.1))

    def transmitted(self, points_light: Tensor, reach: float = 0.022) -> Tensor:
        """Light that gets through hair to points [N, 3]: fades over `reach` behind the first."""
        size = self.depth.shape[0]
        scale = max(self.radius, 0.01) / _SHADOW_EXTENT
        total = torch.zeros_like(points_light[:, 0])
        flat = self.depth.view(-1)
        for dx, dy in _POISSON[:5]:
            column = ((1 - points_light[:, 0] + dx * scale) * (size / 2)).long().clamp(0, size - 1)
            row = ((1 - points_light[:, 1] + dy * scale) * (size / 2)).long().clamp(0, size - 1)
            behind = points_light[:, 2] - flat.index_select(0, row * size + column)
            total += torch.exp(-(behind * _SHADOW_EXTENT - 0.004).clamp(min=0) / reach)
        return total / 5


def ambient_cube(scene: Scene, R_view_gen: Tensor) -> Tensor:
    """Irradiance on surfaces facing +x, +y, +z, -x, -y, -z of the generator frame: [6, 3]."""
    around = directions().to(R_view_gen.device)
    light = radiance(scene, around @ R_view_gen.T)
    cosine = torch.cat([around.T, -around.T]).clamp(min=0)
    return cosine @ light * (4 / DIRECTIONS)


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
    direction = R_view_gen.T @ R_view_gen.new_tensor(key.direction)
    rotation = look_from(direction)
    radius = 0.010 + 0.045 * key.softness
    ndc = _to_light(vertices_gen, rotation, center)[None]
    fragments = rasterize(
        ndc, faces, _SHADOW_SIZE, _SHADOW_SIZE, perspective_correct=False, cull_backfaces=True
    )
    solid = torch.where(fragments.covered[0], fragments.z[0], _FAR)
    points = _to_light(strands_gen, rotation, center)
    depth = solid.clone().view(-1)
    depth.scatter_reduce_(0, _texel(points, _SHADOW_SIZE), points[:, 2], "amin")
    hair_texel = _texel(points, _HAIR_SHADOW_SIZE)
    cells = _HAIR_SHADOW_SIZE**2
    count = torch.zeros(cells, device=points.device).index_add_(
        0, hair_texel, torch.ones_like(points[:, 0])
    )
    first = torch.full((cells,), _FAR, device=points.device)
    first.scatter_reduce_(0, hair_texel, points[:, 2], "amin")
    # Empty texels must not pull the blurred depth of their neighbours away.
    has = (count > 0).float()
    maps = torch.stack([first * has, has, count]).view(3, _HAIR_SHADOW_SIZE, -1)
    blurred = _box(maps, max(radius, 0.03))
    texel_area = (2 * _SHADOW_EXTENT / _HAIR_SHADOW_SIZE) ** 2
    return Shadow(
        rotation,
        center,
        depth.view(_SHADOW_SIZE, _SHADOW_SIZE),
        radius,
        solid,
        hair_depth=torch.where(blurred[1] > 0, blurred[0] / blurred[1].clamp(min=1e-6), _FAR),
        hair_density=blurred[2] * (opacity / texel_area),
    )


def _box(maps: Tensor, radius: float) -> Tensor:
    """[C, S, S] averaged twice over squares of about `radius` generator units."""
    reach = 1 + round(radius / (2 * _SHADOW_EXTENT / maps.shape[-1]))
    for _ in range(2):
        maps = F.avg_pool2d(maps[None], 2 * reach + 1, 1, padding=reach)[0]
    return maps


def _to_light(points_gen: Tensor, rotation: Tensor, center: Tensor) -> Tensor:
    turned = (points_gen - center) @ rotation.T / _SHADOW_EXTENT
    return turned + turned.new_tensor([0.0, 0.0, 2.0])


def _texel(points_light: Tensor, size: int) -> Tensor:
    """Row-major index of the shadow map's texel under points [N, 3]: int64 [N]."""
    column, row = ((1 - points_light[:, :2]) * (size / 2)).long().clamp(0, size - 1).unbind(-1)
    return row * size + column
