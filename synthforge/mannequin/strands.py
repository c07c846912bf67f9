"""Draws strands of hair: thousands of curves, splatted as points into a z-buffer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.camera import Camera
from synthforge.mannequin.lighting import Shadow, ambient_cube, unit
from synthforge.mannequin.scene import Scene

_EMPTY = torch.iinfo(torch.int64).max
_POINTS_AT_ONCE = {"cpu": 1 << 16, "cuda": 1 << 22}
_PIXELS_AT_ONCE = {"cpu": 1 << 14, "cuda": 1 << 22}


@dataclass(frozen=True)
class Strands:
    """N curves of T control points, root first.

    points: float32 [3, N, T], generator frame.
    color: float32 [N, 3], linear RGB albedo.
    exposed: float32 [N], 0 deep inside the hair to 1 on its outside.
    samples: points drawn along a curve.
    shine: strength of the highlights.
    """

    points: Tensor
    color: Tensor
    exposed: Tensor
    samples: int
    shine: float

    @property
    def mean_length(self) -> Tensor:
        """Generator units; of every 16th strand."""
        points = self.points[:, ::16]
        return (points[:, :, 1:] - points[:, :, :-1]).norm(dim=0).sum(1).mean()

    def __len__(self) -> int:
        return self.points.shape[1]


def _polyline_weights(knots: int, samples: int, device: torch.device) -> Tensor:
    """[T, K]: weights of the control points at K places evenly along the curve."""
    place = torch.linspace(0, knots - 1, samples, device=device)
    return (1 - (place - torch.arange(knots, device=device)[:, None]).abs()).clamp(min=0)


@dataclass(frozen=True)
class Splat:
    """The P pixels in which a group is seen: pixel, index (strand * samples + sample): [P]."""

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
    shift = -R @ camera.center_gen[0]
    K = camera.K[0]
    base = 0
    for group in groups:
        weights = _polyline_weights(group.points.shape[2], group.samples, device)
        per_chunk = max(1, _POINTS_AT_ONCE.get(device.type, 1 << 18) // group.samples)
        along = torch.arange(group.samples, device=device)
        for first in range(0, len(group), per_chunk):
            part = group.points[:, first : first + per_chunk]
            flat = torch.addmm(shift[:, None], R, part.reshape(3, -1)).view(part.shape)
            x, y, z = flat.unbind(0)
            u = ((K[0, 0] * x + K[0, 1] * y) / z + K[0, 2]) * size
            v = (K[1, 1] * y / z + K[1, 2]) * size
            u, v, z = u @ weights, v @ weights, z @ weights
            inside = (u >= 0) & (u < size) & (v >= 0) & (v < size) & (z > 0)
            pixel = torch.where(inside, v.int() * size + u.int(), size * size).long()
            strand = torch.arange(first, first + part.shape[1], device=device)
            index = (base + strand[:, None] * group.samples) + along
            key = (z.view(torch.int32).long() << 32) | index
            keys.scatter_reduce_(0, pixel.flatten(), key.flatten(), "amin")
        base += len(group) * group.samples
    index = keys[:-1] & 0xFFFFFFFF
    result, base = [], 0
    for group in groups:
        count = len(group) * group.samples
        pixel = torch.nonzero((index >= base) & (index < base + count)).squeeze(1)
        result.append(Splat(pixel, index[pixel] - base))
        base += count
    return result


def shade_strands(
    image: Tensor,
    group: Strands,
    seen: Splat,
    scene: Scene,
    shadow: Shadow,
    R_view_gen: Tensor,
    center: Tensor,
) -> None:
    """Paint the seen strands into image [S * S, 3], linear RGB.

    Two shifted highlights after Kajiya & Kay (1989) and Marschner et al. (2003): a white one
    towards the root, a coloured one towards the tip. center: [3], middle of the head.
    """
    like = image.new_tensor
    key = R_view_gen.T @ like(scene.key.direction)
    viewer = R_view_gen[2]
    key_color = like(scene.key.color)
    cube = ambient_cube(scene, R_view_gen)
    knots = group.points.shape[2]
    points = group.points.permute(1, 2, 0).reshape(-1, 3)
    split = _PIXELS_AT_ONCE.get(image.device.type, 1 << 18)
    for pixel, index in zip(seen.pixel.split(split), seen.index.split(split), strict=True):
        strand = torch.div(index, group.samples, rounding_mode="floor")
        along = (index - strand * group.samples).float() / max(group.samples - 1, 1)
        place = along * (knots - 1)
        knot = place.long().clamp(max=knots - 2)
        start = points.index_select(0, strand * knots + knot)
        end = points.index_select(0, strand * knots + knot + 1)
        tangent = unit(end - start)
        position = start + (end - start) * (place - knot)[:, None]
        outward = unit(position - center)
        color = group.color.index_select(0, strand)
        exposed = group.exposed.index_select(0, strand)

        cos_tl, cos_tv = tangent @ key, tangent @ viewer
        sin_tl = torch.sqrt((1 - cos_tl**2).clamp(min=0))
        sin_tv = torch.sqrt((1 - cos_tv**2).clamp(min=0))
        lit = shadow.transmitted(shadow.to_light(position))
        facing = (0.35 + 0.65 * (outward @ key)).clamp(0.03, 1)
        arrived = lit * facing
        white = _lobe(cos_tl, sin_tl, cos_tv, sin_tv, -0.10, 55.0)
        tinted = _lobe(cos_tl, sin_tl, cos_tv, sin_tv, 0.16, 16.0)
        glow = (0.75 * sin_tl * color.T + group.shine * (0.05 * white + 0.8 * tinted * color.T)).T
        ambient = (outward.clamp(min=0) ** 2) @ cube[:3] + ((-outward).clamp(min=0) ** 2) @ cube[3:]
        shade = 0.38 + 0.62 * exposed * (0.45 + 0.55 * along)
        total = glow * key_color * arrived[:, None] + color * ambient * 1.1
        image.index_copy_(0, pixel, total * shade[:, None])


def _lobe(
    cos_tl: Tensor, sin_tl: Tensor, cos_tv: Tensor, sin_tv: Tensor, shift: float, power: float
) -> Tensor:
    """Highlight of a fibre with its scales tilted by `shift` radians."""
    tilted = cos_tl + shift
    cosine = (sin_tl * sin_tv - tilted * cos_tv).clamp(0, 1)
    return cosine**power
