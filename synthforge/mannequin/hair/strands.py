"""Draws strands of hair: thousands of curves, splatted as points into a z-buffer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flame_pytorch.lbs import fixed_order_sum
from synthforge.camera import Camera
from synthforge.mannequin.kernels import run
from synthforge.mannequin.kernels.shading import SHADOW_EXTENT, shade_hair
from synthforge.mannequin.kernels.strands import CELL, draw_strands, gather_seen
from synthforge.mannequin.render.arithmetic import exp, length, product, turned
from synthforge.mannequin.render.lighting import Shadow, ambient_cube
from synthforge.mannequin.render.scene import Scene
from synthforge.visible import HAIR


@dataclass(frozen=True)
class Strands:
    """N curves of T control points, root first.

    points: float32 [N, T, 3], generator frame.
    color: float32 [N, 3], linear RGB albedo.
    exposed: float32 [N], 0 deep inside the hair to 1 on its outside.
    shine: strength of the highlights.
    depth: optical depth of one strand over a pixel at its root and at its tip: about its width.
    kind: class of synthforge.visible, of all or uint8 [N].
    """

    points: Tensor
    color: Tensor
    exposed: Tensor
    shine: float
    depth: tuple[float, float]
    kind: int | Tensor = HAIR

    @property
    def mean_length(self) -> Tensor:
        """Generator units; of every 16th strand."""
        points = self.points[::16]
        spans = length(points[:, 1:] - points[:, :-1])
        return fixed_order_sum(spans.flatten(), 0) / len(spans)

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Splat:
    """The P pixels in which a group is seen, [P] each.

    pixel; strand; along: 0 at the root to 1 at the tip; passed: share of the light from behind
    that the strands over one another there let through; z: z-depth of the strand.
    """

    pixel: Tensor
    strand: Tensor
    along: Tensor
    passed: Tensor
    z: Tensor


def splat(groups: list[Strands], camera: Camera, size: int, z_behind: Tensor) -> list[Splat]:
    """Visible strands of each group in an image of `size` squared, in front of `z_behind` [S*S]."""
    cells = -(-size // CELL)
    layers = torch.zeros(cells, cells)
    behind = z_behind.view(size, size)
    nearest, along = behind.clone(), torch.empty_like(behind)
    strands = torch.full((size, size), -1, dtype=torch.int32)
    R, K = camera.R_gen_cam[0].T, camera.K[0] * camera.K.new_tensor([[size], [size], [1]])
    turn = product(K, R)
    projection = torch.cat([turn, -turned(turn, camera.center_gen)[0, :, None]], 1)
    ends = list(itertools.accumulate(len(group) for group in groups))
    for group, end in zip(groups, ends, strict=True):
        run(
            draw_strands, group.points, projection, end - len(group), behind, nearest, strands,
            along, layers,
        )  # fmt: skip

    layers = F.avg_pool2d(layers[None], 3, 1, 1)[0] / CELL**2
    pixel = torch.empty(size * size, dtype=torch.int64)
    strand, numbers = torch.empty(size * size, dtype=torch.int32), torch.empty(3, size * size)
    counts = torch.zeros(len(groups), dtype=torch.int64)
    last = torch.tensor(ends)
    run(gather_seen, strands, along, nearest, layers, last, counts, pixel, strand, numbers)
    result, (*cuts, found) = [], counts.cumsum(0).tolist()
    parts = (array[..., :found].tensor_split(cuts, -1) for array in (pixel, strand, numbers))
    for group, own_pixel, own_strand, (place, z, layer) in zip(groups, *parts, strict=True):
        root, tip = group.depth
        passed = exp((-root - (tip - root) * place) * layer.clamp(min=1))
        result.append(Splat(own_pixel, own_strand, place, passed, z))
    return result


def shade_strands(
    image: Tensor,
    covered: Tensor,
    group: Strands,
    seen: Splat,
    scene: Scene,
    shadow: Shadow,
    R_view_gen: Tensor,
    center: Tensor,
) -> None:
    """Paint the seen strands into image [3, S * S], linear RGB, and its coverage [S * S].

    Two shifted highlights after Kajiya & Kay (1989) and Marschner et al. (2003): a white one
    towards the root, a coloured one towards the tip. center: [3], middle of the head.
    """
    key = turned(R_view_gen.T, torch.tensor(scene.key.direction))
    run(
        shade_hair, seen.pixel, seen.strand, seen.along, seen.passed, group.points, group.color,
        group.exposed, group.shine, ambient_cube(scene, R_view_gen),
        torch.stack([key, R_view_gen[2]]), torch.tensor(scene.key.color), center,
        shadow.rotation * (1 / SHADOW_EXTENT), shadow.center, shadow.depth, shadow.radius, image,
        covered,
    )  # fmt: skip
