"""Draws the lenses of glasses over what is behind them: tinted, and mirroring the surroundings."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from synthforge.camera import Camera
from synthforge.mannequin.hair.scalp import Frame
from synthforge.mannequin.render.arithmetic import dot, turned
from synthforge.mannequin.render.fields import smoothstep
from synthforge.mannequin.render.layers import Cover
from synthforge.mannequin.render.lighting import schlick
from synthforge.mannequin.render.scene import Scene
from synthforge.mannequin.wear.parts import Lens
from synthforge.mesh import unit
from synthforge.rasterizer import rasterize
from synthforge.visible import VISIBLE_ID

# Of a lamp that a lens mirrors: its least and its softest radius, radians, and its radiance beside
# that of a uniform sphere that lights a face alike.
_LAMP, _SOFT_LAMP = 0.06, 0.22
_BRIGHTEST = 16.0


def draw_lenses(
    image: Tensor,
    covered: Tensor,
    nearest: Tensor,
    lenses: list[Lens],
    frame: Frame,
    scene: Scene,
    camera: Camera,
    size: int,
) -> list[Cover]:
    """Paint lenses into image [3, S * S], linear RGB, and its coverage [S * S].

    nearest: [S * S], z of what is seen: lenses behind it are hidden. Returns what each lens covers,
    in the order painted, the nearer one last.
    """
    placed = []
    for lens in lenses:
        vertices = frame.from_local(lens.shape.vertices)
        placed.append((camera.to_ndc(vertices[None])[0], lens))
    placed.sort(key=lambda pair: -float(pair[0][:, 2].amin()))
    R_view_gen = camera.R_view_gen[0]
    covers = []
    for ndc, lens in placed:
        cover, normal, height = _seen(ndc, lens, nearest, size)
        normal = turned(R_view_gen, turned(frame.rotation, normal))
        covers.append(_paint(image, covered, cover, lens, normal, height, scene))
    return covers


def _seen(ndc: Tensor, lens: Lens, nearest: Tensor, size: int) -> tuple[Cover, Tensor, Tensor]:
    """Samples in which a lens at ndc [V, 3] is seen, its normals [P, 3] and heights [P] there."""
    low, high = ndc[:, :2].amin(0), ndc[:, :2].amax(0)
    # A square of whole samples that holds it.
    left, top = (int((1 - edge) * (size / 2)) for edge in high.tolist())
    right, bottom = (int((1 - edge) * (size / 2)) for edge in low.tolist())
    left, top = min(max(left, 0), size - 1), min(max(top, 0), size - 1)
    cells = max(min(right, size - 1) - left, min(bottom, size - 1) - top, 0) + 1
    place = ((1 - ndc[:, :2]) * (size / 2) - ndc.new_tensor((left, top))) * (2 / cells)
    own = torch.cat([1 - place, ndc[:, 2:]], 1)[None]
    seen = rasterize(own, lens.shape.faces, cells, cells, perspective_correct=True)
    at = torch.nonzero(seen.covered.view(-1)).squeeze(1)
    row, column = at // cells + top, at % cells + left
    inside = (row < size) & (column < size)
    at, sample = at[inside], (row * size + column)[inside]
    z = seen.z.view(-1).index_select(0, at)
    front = z < nearest.index_select(0, sample)
    at, sample, z = at[front], sample[front], z[front]
    corners = torch.cat([lens.normals, lens.height[:, None]], 1)[lens.shape.faces]
    value = seen.interpolate(corners).view(-1, 4).index_select(0, at)
    kind = torch.full_like(sample, VISIBLE_ID["lens"], dtype=torch.uint8)
    return Cover(sample, kind, z, z), unit(value[:, :3]), value[:, 3]


def _paint(
    image: Tensor,
    covered: Tensor,
    cover: Cover,
    lens: Lens,
    normal: Tensor,
    height: Tensor,
    scene: Scene,
) -> Cover:
    """normal: [P, 3], viewer axes. Returns the cover with what it lets pass."""
    # From behind, too, it mirrors towards the viewer.
    normal = normal * torch.where(normal[:, 2:] < 0, -1.0, 1.0)
    like = image.new_tensor
    lower, upper = (like(color)[:, None] for color in lens.passed)
    through = lower + (upper - lower) * smoothstep(-0.8, 0.8, height)
    mirror = like(lens.mirror)[:, None]
    share = mirror + (1 - mirror) * schlick(0.0, normal[:, 2])
    through = through * (1 - share)
    light = share * _mirrored(scene, normal).T
    behind = image.index_select(1, cover.sample)
    image.index_copy_(1, cover.sample, behind * through + light)
    passed = (through[0] + through[1] + through[2]) * (1 / 3)
    hidden = 1 - covered.index_select(0, cover.sample)
    covered.index_copy_(0, cover.sample, 1 - passed * hidden)
    return replace(cover, passed=passed)


def _mirrored(scene: Scene, normal: Tensor) -> Tensor:
    """Light from where a surface facing `normal` [N, 3], viewer axes, mirrors to: [N, 3]."""
    like = normal.new_tensor
    towards = normal * (2 * normal[:, 2:]) - like((0.0, 0.0, 1.0))
    light = scene.surroundings.reflected(towards)
    for lamp in (scene.key, *scene.fills):
        radius = _LAMP + (_SOFT_LAMP - _LAMP) * lamp.softness
        # Cosines of its edge, and how bright so small a lamp must be.
        outer, inner = 1 - 0.5 * (1.15 * radius) ** 2, 1 - 0.5 * (0.85 * radius) ** 2
        gain = min(_BRIGHTEST, 1 / (radius * radius))
        window = gain * smoothstep(outer, inner, dot(towards, like(lamp.direction)))
        light = light + like(lamp.color) * window[:, None]
    return light
