"""The neural texture drawn over the head mesh, seen orthographically along three axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from synthforge.next3d.config import Next3DConfig
from synthforge.rasterizer import Fragments, rasterize

SIZE = 256

# Screen axes (right, up, near) of a point's x, y, z: the head from the front, from +x, from -x and
# from above.
_VIEWS: dict[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]] = {
    "front": lambda x, y, z: (x, -y, z),
    "left": lambda x, y, z: (-z, -y, x),
    "right": lambda x, y, z: (z, -y, -x),
    "top": lambda x, y, z: (x, z, y),
}
# Distance of the views' image plane from the head, in screen half-widths: keeps depth positive.
_DISTANCE = 10.0
# Off the CPU, front faces over a pixel, on average over a view: below 1 on heads.
_MAX_LAYERS = 3
# Rounds of `_propagate`. A label's reach about doubles each round; the longest corridors that fit
# in 256 x 256 pixels (spirals, serpentines, perfect mazes) converge within 16.
_ROUNDS = 24


@dataclass(frozen=True)
class UvLayout:
    """What the rasterizer knows of the head's surface.

    faces: int64 [F, 3], clockwise seen from outside, which the views' mirrored NDC turns round.
    face_uvs: float32 [F, 3, 2], the corners' texture coordinates in [-1, 1], v running down.
    mask: float32 [1, 1, 256, 256] in [0, 1], texels that the views may draw.
    """

    faces: Tensor
    face_uvs: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Rendering:
    """One view. Row 0 is the bottom of the head: rows grow with y.

    features: float32 [B, 32, 256, 256]; the background holds the texture's centre. Off the CPU NaN
        where the mesh has more than `_MAX_LAYERS` layers.
    alpha: float32 [B, 1, 256, 256] in [0, 1].
    """

    features: Tensor
    alpha: Tensor


def to_screen(points_flame: Tensor, view: str, config: Next3DConfig) -> Tensor:
    """[B, N, 3] metres -> [B, N, 3] screen half-widths: x right, y up (row 0 is +1), z near."""
    axes = zip(_VIEWS[view](*points_flame.unbind(-1)), config.orth_shift, strict=True)
    return torch.stack([config.orth_scale * (axis + shift) for axis, shift in axes], -1)


def rasterize_view(
    vertices_flame: Tensor, layout: UvLayout, view: str, config: Next3DConfig
) -> Fragments:
    """The face at every pixel of a view; faces and corners as in `layout`."""
    right, up, near = to_screen(vertices_flame, view, config).unbind(-1)
    ndc = torch.stack([-right, up, _DISTANCE - near], -1)
    return rasterize(
        ndc,
        layout.faces,
        SIZE,
        SIZE,
        perspective_correct=False,
        cull_backfaces=True,
        max_layers=None if ndc.device.type == "cpu" else _MAX_LAYERS,
    )


def masked_coverage(fragments: Fragments, grid: Tensor, layout: UvLayout) -> Tensor:
    """float32 [B, 1, 256, 256]: the mask drawn over the head, 0 in the background."""
    mask = layout.mask.expand(len(grid), -1, -1, -1)
    return _sample(mask, grid) * fragments.covered[:, None]


def fill_holes(alpha: Tensor) -> Tensor:
    """Make opaque what the corner cannot reach without crossing full opacity.

    alpha: float32 [B, 1, H, W]. OpenCV's floodFill from (0, 0) with a fixed range of 254/255, as
    in the released code: holes (mouth, half-masked eyes) close, soft rims stay.
    """
    level = alpha[:, 0] * 255
    corner = level[:, :1, :1]
    outside = connected_to_corner((level >= corner) & (level <= corner + 254))
    return torch.where(outside[:, None], alpha, torch.ones_like(alpha))


def render_view(
    texture: Tensor, vertices_flame: Tensor, layout: UvLayout, view: str, config: Next3DConfig
) -> Rendering:
    """texture float32 [B, 32, 256, 256], vertices_flame float32 [B, V, 3] metres"""
    fragments = rasterize_view(vertices_flame, layout, view, config)
    grid = fragments.interpolate(layout.face_uvs)
    alpha = masked_coverage(fragments, grid, layout)
    features = _sample(texture, grid)
    features = torch.where(fragments.complete[:, None, None, None], features, torch.nan)
    return Rendering(features, fill_holes(alpha) if config.fill_mouth else alpha)


def combine_sides(left: Rendering, right: Rendering) -> Rendering:
    """The two side views as the released network was trained on them.

    They are mirror images of each other and yet summed, backgrounds too, and only the left one's
    coverage counts.
    """
    return Rendering(left.features + right.features, (left.alpha != 0).to(left.alpha.dtype))


def _sample(image: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(image, grid, align_corners=False)


def connected_to_corner(passable: Tensor) -> Tensor:
    """bool [B, H, W] -> bool [B, H, W]: 4-connected to pixel (0, 0) through passable pixels.

    The corner itself always counts as passable.
    """
    passable = passable.clone()
    passable[:, 0, 0] = True
    if passable.device.type == "cpu":
        labels = [torch.from_numpy(ndimage.label(image)[0]) for image in passable.numpy()]
        return torch.stack([image == image[0, 0] for image in labels])
    return _propagate(passable)


def _propagate(passable: Tensor) -> Tensor:
    """`connected_to_corner` on any device, without a host sync.

    Connected components by FastSV (Zhang, Azad and Hu 2020): every pixel holds a parent; pixels
    and their parents hook to the least grandparent of their neighbours, then skip a generation.
    The corner has the least label of its image, so its component ends up with that label.
    """
    walls = passable.numel()
    label = torch.arange(walls, device=passable.device).view_as(passable)
    parent = F.pad(torch.where(passable, label, walls).flatten(), (0, 1), value=walls)
    grandparent = parent
    for _ in range(_ROUNDS):
        around = F.pad(grandparent[:-1].view_as(passable), (1, 1, 1, 1), value=walls)
        beside = torch.minimum(around[:, 1:-1, :-2], around[:, 1:-1, 2:])
        above = torch.minimum(around[:, :-2, 1:-1], around[:, 2:, 1:-1])
        least = torch.where(passable, torch.minimum(beside, above), walls).flatten()
        hooked = parent.scatter_reduce(0, parent[:-1], least, "amin")
        hooked[:-1] = torch.minimum(torch.minimum(hooked[:-1], least), grandparent[:-1])
        hooked[-1] = walls
        parent, grandparent = hooked, hooked[hooked]
    return grandparent[:-1].view_as(passable) == label[:, :1, :1]
