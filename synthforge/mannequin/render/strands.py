"""Draws strands of hair: thousands of curves, splatted as points into a z-buffer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flame_pytorch.lbs import fixed_order_sum
from synthforge.camera import Camera
from synthforge.mannequin.render.arithmetic import dot, length, turned, turned_planes
from synthforge.mannequin.render.lighting import Shadow, ambient_cube
from synthforge.mannequin.render.scene import Scene
from synthforge.mesh import unit

_EMPTY = torch.iinfo(torch.int64).max
_POINTS_AT_ONCE = {"cpu": 1 << 16, "cuda": 1 << 22}
_PIXELS_AT_ONCE = {"cpu": 1 << 14, "cuda": 1 << 22}


@dataclass(frozen=True)
class Strands:
    """N curves of T control points, root first.

    points: float32 [3, N, T], generator frame.
    color: float32 [N, 3], linear RGB albedo.
    exposed: float32 [N], 0 deep inside the hair to 1 on its outside.
    samples: points drawn on each span between control points.
    shine: strength of the highlights.
    opacity: at the root and at the tip, over the skin behind; strands behind don't show through.
    """

    points: Tensor
    color: Tensor
    exposed: Tensor
    samples: int
    shine: float
    opacity: tuple[float, float] = (1.0, 1.0)

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

    @property
    def samples_each(self) -> int:
        """Points drawn along a curve."""
        return self.spans * self.samples

    def __len__(self) -> int:
        return self.points.shape[1]


@dataclass(frozen=True)
class Splat:
    """The P pixels in which a group is seen: pixel, index (strand * samples_each + sample): [P]."""

    pixel: Tensor
    index: Tensor


def splat(groups: list[Strands], camera: Camera, size: int, z_behind: Tensor) -> list[Splat]:
    """Visible strands of each group in an image of `size` squared, in front of `z_behind` [S*S].

    Points race for their pixel with (z, index) packed into one integer, as in the rasterizer.
    """
    device = z_behind.device
    # One entry more than there are pixels: points outside the image go there.
    keys = torch.full((size * size + 1,), _EMPTY, dtype=torch.int64, device=device)
    keys[:-1] = (z_behind.contiguous().view(torch.int32).long() << 32) | 0xFFFFFFFF
    R = camera.R_gen_cam[0].T
    shift = -turned(R, camera.center_gen[0])
    K = camera.K[0]
    base = 0
    for group in groups:
        x, y, z = turned_planes(R, group.points) + shift[:, None, None]
        u = ((K[0, 0] * x + K[0, 1] * y) / z + K[0, 2]) * size
        v = (K[1, 1] * y / z + K[1, 2]) * size
        knots = torch.stack([u, v, z])
        start, end = knots[..., :-1].flatten(1), knots[..., 1:].flatten(1)
        sample = torch.arange(group.samples, device=device)[:, None]
        shares = sample * (1 / group.samples)
        at_once = max(1, _POINTS_AT_ONCE.get(device.type, 1 << 18) // group.samples)
        for spans in _in_sight(knots, size, z_behind).split(at_once):
            first = start.index_select(1, spans)
            step = end.index_select(1, spans) - first
            u, v, z = (a + shares * b for a, b in zip(first, step, strict=True))
            inside = (u >= 0) & (u < size) & (v >= 0) & (v < size) & (z > 0)
            pixel = torch.where(inside, v.int() * size + u.int(), size * size).long()
            index = spans * group.samples + sample + base
            key = (z.view(torch.int32).long() << 32) | index
            keys.scatter_reduce_(0, pixel.flatten(), key.flatten(), "amin")
        base += len(group) * group.samples_each
    index = keys[:-1] & 0xFFFFFFFF
    result, base = [], 0
    for group in groups:
        count = len(group) * group.samples_each
        pixel = torch.nonzero((index >= base) & (index < base + count)).squeeze(1)
        result.append(Splat(pixel, index[pixel] - base))
        base += count
    return result


def _in_sight(knots: Tensor, size: int, z_behind: Tensor) -> Tensor:
    """int64 [S], spans of curves with knots [u, v, z] [3, N, T] that may be seen.

    Left out are those whose two ends are behind the surface or beyond the same border.
    """
    u, v, z = knots
    pixel = v.long().clamp(0, size - 1) * size + u.long().clamp(0, size - 1)
    behind = z > z_behind.index_select(0, pixel.flatten()).view_as(z)
    out = [behind, u < 0, u >= size, v < 0, v >= size]
    hidden = torch.stack([ends[:, :-1] & ends[:, 1:] for ends in out]).any(0)
    return torch.nonzero(~hidden.flatten()).squeeze(1)


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
    knots = group.points.shape[2]
    split = _PIXELS_AT_ONCE.get(image.device.type, 1 << 18)
    for pixel, index in zip(seen.pixel.split(split), seen.index.split(split), strict=True):
        strand = torch.div(index, group.samples_each, rounding_mode="floor")
        sample = index - strand * group.samples_each
        span = torch.div(sample, group.samples, rounding_mode="floor")
        knot = strand * knots + span
        start = points.index_select(1, knot)
        step = points.index_select(1, knot + 1) - start
        tangent = unit(step, 0)
        position = start + step * ((sample - span * group.samples) * (1 / group.samples))
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
        along = sample * (1 / group.samples_each)
        shade = 0.38 + 0.62 * exposed * (0.45 + 0.55 * along)
        total = (glow * key_color * (lit * facing) + color * ambient * 1.1) * shade
        if group.opacity != (1.0, 1.0):
            root, tip = group.opacity
            opacity = root + (tip - root) * along
            behind, through = image.index_select(1, pixel), covered.index_select(0, pixel)
            total = behind + opacity * (total - behind)
            covered.index_copy_(0, pixel, through + opacity * (1 - through))
        else:
            covered[pixel] = 1.0
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
