"""Draws strands of hair: thousands of curves, splatted as points into a z-buffer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flame_pytorch.lbs import fixed_order_sum
from synthforge.camera import Camera
from synthforge.mannequin.hair.strand_kernel import CELL, draw_strands
from synthforge.mannequin.render.arithmetic import dot, exp, length, product, turned
from synthforge.mannequin.render.lighting import Shadow, ambient_cube
from synthforge.mannequin.render.scene import Scene
from synthforge.mesh import unit
from synthforge.visible import HAIR

_PIXELS_AT_ONCE = {"cpu": 1 << 14, "cuda": 1 << 22}


@dataclass(frozen=True)
class Strands:
    """N curves of T control points, root first.

    points: float32 [3, N, T], generator frame.
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
        points = self.points[:, ::16]
        spans = length(points[:, :, 1:] - points[:, :, :-1], 0)
        return fixed_order_sum(spans.flatten(), 0) / len(spans)

    @property
    def spans(self) -> int:
        """Of each curve."""
        return self.points.shape[2] - 1

    def __len__(self) -> int:
        return self.points.shape[1]


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
    """Visible strands of each group in an image of `size` squared, in front of `z_behind` [S*S].

    Done on the CPU: CUDA's curves are copied to the host, and what is seen of them back.
    """
    cells = -(-size // CELL)
    layers = torch.zeros(cells, cells)
    behind = z_behind.cpu().view(size, size)
    nearest, along = behind.clone(), torch.empty_like(behind)
    strands = torch.full((size, size), -1, dtype=torch.int32)
    images = [image.numpy() for image in (behind, nearest, strands, along, layers)]
    R, K = camera.R_gen_cam[0].T, camera.K[0] * camera.K.new_tensor([[size], [size], [1]])
    turn = product(K, R)
    projection = torch.cat([turn, -turned(turn, camera.center_gen)[0, :, None]], 1).cpu().numpy()
    ends = list(itertools.accumulate(len(group) for group in groups))
    for group, end in zip(groups, ends, strict=True):
        points = group.points.cpu().contiguous().numpy()
        draw_strands(points, projection, end - len(group), *images)

    layers = F.avg_pool2d(layers[None], 3, 1, 1)[0] / CELL**2
    layers = layers.repeat_interleave(CELL, 0)[:size].repeat_interleave(CELL, 1)[:, :size]
    seen = torch.nonzero(strands.view(-1) >= 0).squeeze(1)
    images_seen = (strands, along, layers, nearest)
    columns = (image.reshape(-1).index_select(0, seen) for image in images_seen)
    strand, along, over, z = (column.to(z_behind.device) for column in columns)
    seen = seen.to(z_behind.device)
    result = []
    for group, end in zip(groups, ends, strict=True):
        first = end - len(group)
        own = torch.nonzero((strand >= first) & (strand < end)).squeeze(1)
        pixel, place, layer, depth = (
            column.index_select(0, own) for column in (seen, along, over, z)
        )
        root, tip = group.depth
        passed = exp((-root - (tip - root) * place) * layer.clamp_(min=1))
        result.append(Splat(pixel, strand.index_select(0, own) - first, place, passed, depth))
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
    like = image.new_tensor
    key = turned(R_view_gen.T, like(scene.key.direction))
    viewer = R_view_gen[2]
    key_color = like(scene.key.color)[:, None]
    cube = ambient_cube(scene, R_view_gen)
    points, colors = group.points.flatten(1), group.color.T.contiguous()
    split = _PIXELS_AT_ONCE.get(image.device.type, 1 << 18)
    parts = (part.split(split) for part in (seen.pixel, seen.strand, seen.along, seen.passed))
    for pixel, strand, along, passed in zip(*parts, strict=True):
        place = along * group.spans
        span = place.long().clamp_(max=group.spans - 1)
        knot = strand * (group.spans + 1) + span
        start = points.index_select(1, knot)
        step = points.index_select(1, knot + 1) - start
        tangent = unit(step, 0)
        position = start + step * (place - span)
        outward = unit(position - center[:, None], 0)
        color = colors.index_select(1, strand)
        exposed = group.exposed.index_select(0, strand)

        cos_tl, cos_tv = dot(tangent, key, 0), dot(tangent, viewer, 0)
        sin_tl = torch.sqrt((1 - cos_tl * cos_tl).clamp_(min=0))
        sin_tv = torch.sqrt((1 - cos_tv * cos_tv).clamp_(min=0))
        lit = shadow.transmitted(shadow.to_light(position))
        facing = (0.35 + 0.65 * dot(outward, key, 0)).clamp_(0.03, 1)
        white = _lobe(cos_tl, sin_tl, cos_tv, sin_tv, -0.10, (16, 32))
        tinted = _lobe(cos_tl, sin_tl, cos_tv, sin_tv, 0.16, (16,))
        tint = 0.75 * sin_tl + group.shine * 0.8 * tinted
        glow = tint * color + group.shine * 0.05 * white
        ambient = _from_cube(cube, outward)
        shade = 0.38 + 0.62 * exposed * (0.45 + 0.55 * along)
        total = (glow * key_color * (lit * facing) + color * ambient * 1.1) * shade
        behind, through = image.index_select(1, pixel), covered.index_select(0, pixel)
        total += passed * (behind - total)
        covered.index_copy_(0, pixel, 1 - passed * (1 - through))
        image.index_copy_(1, pixel, total)


def _from_cube(cube: Tensor, normal: Tensor) -> Tensor:
    """Irradiance [3, N] on surfaces facing `normal` [3, N], from `ambient_cube`."""
    faces = [face * face for face in (*normal.clamp(min=0), *normal.clamp(max=0))]
    light = [color[:, None] * face for color, face in zip(cube, faces, strict=True)]
    return sum(light[1:], light[0])


def _lobe(
    cos_tl: Tensor,
    sin_tl: Tensor,
    cos_tv: Tensor,
    sin_tv: Tensor,
    shift: float,
    powers: tuple[int, ...],
) -> Tensor:
    """Highlight of a fibre with its scales tilted by `shift` radians.

    powers: of two, ascending; their sum is the highlight's exponent.
    """
    cosine = (sin_tl * sin_tv - (cos_tl + shift) * cos_tv).clamp_(0, 1)
    lobe, power = torch.ones_like(cosine), 1
    for wanted in powers:
        while power < wanted:
            cosine = cosine * cosine
            power *= 2
        lobe = lobe * cosine
    return lobe
