"""Draws strands of hair: thousands of curves, splatted as points into a z-buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flame_pytorch.lbs import fixed_order_sum
from synthforge.camera import Camera
from synthforge.mannequin.render.arithmetic import dot, exp, length, turned, turned_planes
from synthforge.mannequin.render.lighting import Shadow, ambient_cube
from synthforge.mannequin.render.scene import Scene
from synthforge.mesh import unit

# Points of a span, to choose from; a point's index is span * _MOST + its number.
_POINTS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256)
_MOST = _POINTS[-1]
# Points are counted in cells of so many pixels' side; where a span has many, one of so many.
_CELL = 4
_POINTS_AT_ONCE = {"cpu": 1 << 16, "cuda": 1 << 22}
_PIXELS_AT_ONCE = {"cpu": 1 << 14, "cuda": 1 << 22}


@dataclass(frozen=True)
class Strands:
    """N curves of T control points, root first.

    points: float32 [3, N, T], generator frame.
    color: float32 [N, 3], linear RGB albedo.
    exposed: float32 [N], 0 deep inside the hair to 1 on its outside.
    shine: strength of the highlights.
    depth: optical depth of one strand over a pixel at its root and at its tip: about its width.
    """

    points: Tensor
    color: Tensor
    exposed: Tensor
    shine: float
    depth: tuple[float, float]

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
    that the strands over one another there let through.
    """

    pixel: Tensor
    strand: Tensor
    along: Tensor
    passed: Tensor


def splat(groups: list[Strands], camera: Camera, size: int, z_behind: Tensor) -> list[Splat]:
    """Visible strands of each group in an image of `size` squared, in front of `z_behind` [S*S]."""
    projected = [_projected(group, camera, size, z_behind) for group in groups]
    start, step, in_sight = (torch.cat(part, -1) for part in zip(*projected, strict=True))
    longest = step[:2].abs().amax(0)
    choice = torch.searchsorted(longest.new_tensor(_POINTS[:-1]), longest)
    spans = torch.nonzero(in_sight).squeeze(1)
    chosen, order = torch.sort(choice.index_select(0, spans))
    numbers = torch.bincount(chosen, minlength=len(_POINTS)).tolist()
    by_count = spans.index_select(0, order).split(numbers)
    index, layers = _race(start, step, by_count, size, z_behind)

    seen = torch.nonzero(index != 0xFFFFFFFF).squeeze(1)
    index = index.index_select(0, seen)
    result, first = [], 0
    for group in groups:
        end = first + len(group) * group.spans
        own = torch.nonzero((index >= first * _MOST) & (index < end * _MOST)).squeeze(1)
        pixel, point = seen.index_select(0, own), index.index_select(0, own)
        span = torch.div(point, _MOST, rounding_mode="floor")
        count = choice.new_tensor(_POINTS)[choice.index_select(0, span)]
        share = (point - span * _MOST).float() / count
        strand = torch.div(span - first, group.spans, rounding_mode="floor")
        along = (span - first - strand * group.spans + share) * (1 / group.spans)
        root, tip = group.depth
        over = layers.index_select(0, pixel).clamp_(min=1)
        result.append(Splat(pixel, strand, along, exp((-root - (tip - root) * along) * over)))
        first = end
    return result


def _projected(
    group: Strands, camera: Camera, size: int, z_behind: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Start and step of its S spans, [3, S] each, u and v in pixels and z; which may be seen [S].

    Not seen are those whose two ends are behind the surface or beyond the same border, and those
    that reach behind the camera.
    """
    R, K = camera.R_gen_cam[0].T, camera.K[0]
    x, y, z = turned_planes(R, group.points) - turned(R, camera.center_gen[0])[:, None, None]
    u = ((K[0, 0] * x + K[0, 1] * y) / z + K[0, 2]) * size
    v = (K[1, 1] * y / z + K[1, 2]) * size
    pixel = v.long().clamp(0, size - 1) * size + u.long().clamp(0, size - 1)
    behind = z > z_behind.index_select(0, pixel.flatten()).view_as(z)
    out = [behind, u < 0, u >= size, v < 0, v >= size]
    both = [ends[:, :-1] & ends[:, 1:] for ends in out]
    hidden = torch.stack([*both, z[:, :-1] <= 0, z[:, 1:] <= 0]).any(0)
    knots = torch.stack([u, v, z])
    step = knots[..., 1:] - knots[..., :-1]
    return knots[..., :-1].flatten(1), step.flatten(1), ~hidden.flatten()


def _race(
    start: Tensor, step: Tensor, by_count: Sequence[Tensor], size: int, z_behind: Tensor
) -> tuple[Tensor, Tensor]:
    """Cut spans into points, which race for their pixel with (z, index) packed into one integer.

    by_count: for each of _POINTS, the spans that are cut into so many: a pixel apart or less.
    Returns by pixel, [S * S]: index of the first point, 2^32 - 1 where it is the surface; about
    how many strands lie over one another.
    """
    device = start.device
    # A border of one pixel takes the points outside the image.
    side = size + 2
    edge = F.pad(z_behind.view(1, size, size), (1, 1, 1, 1)).view(-1)
    keys = (edge.view(torch.int32).long() << 32) | 0xFFFFFFFF
    cells = -(-side // _CELL)
    counted: dict[int, list[Tensor]] = {1: [], _CELL: []}
    for count, chosen in zip(_POINTS, by_count, strict=True):
        point = torch.arange(count, device=device)[:, None]
        every = _CELL if count % _CELL == 0 else 1
        for spans in chosen.split(max(1, _POINTS_AT_ONCE.get(device.type, 1 << 18) // count)):
            at, along = start.index_select(1, spans), step.index_select(1, spans)
            u, v, z = (a + point * (1 / count) * b for a, b in zip(at, along, strict=True))
            column, row = (axis.add_(1).clamp_(0, side - 1).int() for axis in (u, v))
            key = (z.view(torch.int32).long() << 32) | (spans * _MOST + point)
            keys.scatter_reduce_(0, (row * side + column).long().flatten(), key.flatten(), "amin")
            cell = _cell(row[::every]) * cells + _cell(column[::every])
            counted[every].append(cell.flatten())
    layers = torch.zeros(cells * cells, device=device)
    for every, parts in counted.items():
        if parts:
            layers += torch.bincount(torch.cat(parts), minlength=len(layers)) * every
    layers = F.avg_pool2d(layers.view(1, cells, cells), 3, 1, 1)[0] / _CELL**2
    layers = layers.repeat_interleave(_CELL, 0).repeat_interleave(_CELL, 1)
    inner = slice(1, size + 1)
    index = (keys & 0xFFFFFFFF).view(side, side)
    return index[inner, inner].reshape(-1), layers[inner, inner].reshape(-1)


def _cell(pixel: Tensor) -> Tensor:
    return torch.div(pixel, _CELL, rounding_mode="floor")


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
