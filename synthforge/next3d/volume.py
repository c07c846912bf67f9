"""Volume rendering of three feature planes (EG3D, Chan et al. 2022, section 4).

Samples are drawn at the middle of their bins, so a render is a function of its inputs alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synthforge.next3d.config import Next3DConfig
from synthforge.next3d.layers import FullyConnected
from synthforge.next3d.networks import FEATURES

_HIDDEN = 64
# Widens the sigmoid so that colours can reach 0 and 1 (mip-NeRF).
_COLOR_PADDING = 0.001
# Colour axes of the planes: (column, row) of (x, y, z).
_PLANE_AXES = ((0, 1), (0, 2), (2, 1))
# Rays rendered at once.
_CHUNK = {"cpu": 1024, "cuda": 1 << 16}


class Decoder(nn.Module):
    """Plane features to density and colour."""

    def __init__(self, config: Next3DConfig):
        super().__init__()
        lr_mul = config.decoder_lr_mul
        self.net = nn.Sequential(
            FullyConnected(FEATURES, _HIDDEN, lr_mul=lr_mul),
            nn.Softplus(),
            FullyConnected(_HIDDEN, 1 + FEATURES, lr_mul=lr_mul),
        )

    @property
    def _last(self) -> FullyConnected:
        return cast(FullyConnected, self.net[2])

    def hidden(self, features: Tensor) -> Tensor:
        """[..., 32] -> [..., 64]"""
        return self.net[1](self.net[0](features))

    def density(self, hidden: Tensor) -> Tensor:
        """[..., 64] -> [...], before the softplus of the marching"""
        last = self._last
        return hidden @ last.scaled_weight[0] + last.scaled_bias[0]

    def color(self, hidden: Tensor) -> Tensor:
        """[..., 64] -> [..., 32] in about [0, 1]"""
        last = self._last
        color = F.linear(hidden, last.scaled_weight[1:], last.scaled_bias[1:])
        return color.sigmoid_().mul_(1 + 2 * _COLOR_PADDING).sub_(_COLOR_PADDING)


class PlaneSampler:
    """Samples three planes at points: the mean of three bilinear samples, zero outside.

    A texel's 32 features lie together in memory, so a lookup is a weighted sum of 12 table rows.
    """

    def __init__(self, planes: Tensor, box_warp: float):
        """planes: float32 [B, 3, 32, S, S]"""
        batch, count, channels, size, _ = planes.shape
        # A border of zeros stands for everything outside.
        padded = planes.new_zeros(batch, size + 2, size + 2, count, channels)
        padded[:, 1:-1, 1:-1] = planes.permute(0, 3, 4, 1, 2)
        self._table = padded.view(-1, channels)
        self._size = size
        self._scale = size / box_warp
        self._rows_per_image = count * (size + 2) ** 2

    def __call__(self, points_gen: Tensor, image: Tensor) -> Tensor:
        """points_gen [3, P], one row an axis, and the image each lies in [P] -> [P, 32]"""
        texel = (points_gen * self._scale + (self._size + 1) / 2).clamp(0, self._size + 1)
        texel = texel.nan_to_num_()  # NaN points must not index outside the table
        low = texel.floor().clamp(max=self._size)
        high_weight = texel - low
        weight = torch.stack([1 - high_weight, high_weight])
        step_column, step_row = 3, 3 * (self._size + 2)
        index, first = low.int(), (image * self._rows_per_image).int()

        corners, weights = [], []
        for plane, (column, row) in enumerate(_PLANE_AXES):
            corner = first + index[row] * step_row + index[column] * step_column + plane
            for i in (0, 1):
                for j in (0, 1):
                    corners.append(corner + (i * step_row + j * step_column))
                    weights.append(weight[i, row] * weight[j, column])
        return F.embedding_bag(
            torch.stack(corners, 1),
            self._table,
            mode="sum",
            per_sample_weights=torch.stack(weights, 1).div_(3),
        )


@dataclass(frozen=True)
class VolumeRender:
    """M rays of each of B images, with S coarse samples a ray.

    features: [B, M, 32] in about [-1, 1], the first three a coarse image.
    distance: [B, M], along the ray, generator units; meaningless where weights are nearly 0.
    weights: [B, M] in [0, 1], opacity.
    coarse_depths: [S], along any ray; coarse_points: [B, M, S, 3], the generator's world.
    coarse_density: [B, M, S], before the softplus of the marching.
    """

    features: Tensor
    distance: Tensor
    weights: Tensor
    coarse_depths: Tensor
    coarse_points: Tensor
    coarse_density: Tensor


def render(
    planes: Tensor, decoder: Decoder, origins: Tensor, directions: Tensor, config: Next3DConfig
) -> VolumeRender:
    """planes [B, 3, 32, S, S]; origins, unit directions [B, M, 3] in the generator's world."""
    batch, rays = directions.shape[:2]
    sampler = PlaneSampler(planes, config.box_warp)
    depths = coarse_depths(config, planes.device)
    image = torch.arange(batch, device=planes.device).repeat_interleave(rays)
    chunk = _CHUNK.get(planes.device.type, _CHUNK["cuda"])
    parts = [
        _render_rays(sampler, decoder, i, o, d, depths, config.depth_resolution_importance)
        for i, o, d in zip(
            image.split(chunk),
            origins.reshape(-1, 3).split(chunk),
            directions.reshape(-1, 3).split(chunk),
            strict=True,
        )
    ]
    features, distance, weights, density = (
        torch.cat(part).view(batch, rays, *part[0].shape[1:]) for part in zip(*parts, strict=True)
    )
    points = origins[:, :, None] + depths[:, None] * directions[:, :, None]
    return VolumeRender(features, distance, weights, depths, points, density)


def density_at(planes: Tensor, decoder: Decoder, points_gen: Tensor, box_warp: float) -> Tensor:
    """planes [B, 3, 32, S, S], points_gen [B, M, 3] -> density [B, M]"""
    batch, count = points_gen.shape[:2]
    image = torch.arange(batch, device=planes.device).repeat_interleave(count)
    sampler = PlaneSampler(planes, box_warp)
    chunk = _CHUNK.get(planes.device.type, _CHUNK["cuda"]) * 48
    parts = [
        decoder.density(decoder.hidden(sampler(points.t().contiguous(), i)))
        for points, i in zip(
            points_gen.reshape(-1, 3).split(chunk), image.split(chunk), strict=True
        )
    ]
    return torch.cat(parts).view(batch, count)


def coarse_depths(config: Next3DConfig, device: torch.device) -> Tensor:
    """[S], the same for every ray: the middles of S bins, the last of which ends past the ray."""
    count = config.depth_resolution
    step = (config.ray_end - config.ray_start) / (count - 1)
    return torch.linspace(config.ray_start, config.ray_end, count, device=device) + 0.5 * step


def _render_rays(
    sampler: PlaneSampler,
    decoder: Decoder,
    image: Tensor,
    origins: Tensor,
    directions: Tensor,
    depths: Tensor,
    fine_count: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features, distance, weights and coarse densities of rays [N]."""

    def hidden_at(depths: Tensor) -> Tensor:
        points = origins.t()[..., None] + depths * directions.t()[..., None]
        repeated = image[:, None].expand_as(depths).flatten()
        return decoder.hidden(sampler(points.flatten(1), repeated)).unflatten(0, depths.shape)

    coarse = depths.expand(len(origins), -1)
    hidden = hidden_at(coarse)
    coarse_density = density = decoder.density(hidden)
    all_depths, order = coarse, None
    if fine_count:
        fine = importance_depths(coarse, march_weights(coarse, density), fine_count)
        fine_hidden = hidden_at(fine)
        all_depths, order = torch.cat([coarse, fine], 1).sort(1)
        density = torch.cat([density, decoder.density(fine_hidden)], 1).gather(1, order)

    weights = march_weights(all_depths, density)
    distance = mean_depth(all_depths, weights).clamp(depths[0], depths[-1])

    # An interval's colour is the mean of its ends: each sample gets half of either neighbour.
    share = (F.pad(weights, (1, 0)) + F.pad(weights, (0, 1))) / 2
    if order is None:
        features = _composite(share, decoder.color(hidden))
    else:
        share = torch.zeros_like(share).scatter_(1, order, share)
        coarse_share, fine_share = share.split([len(depths), fine_count], 1)
        features = _composite(coarse_share, decoder.color(hidden))
        features = features + _composite(fine_share, decoder.color(fine_hidden))
    return features * 2 - 1, distance, weights.sum(1), coarse_density


def _composite(share: Tensor, color: Tensor) -> Tensor:
    return (share[:, None] @ color)[:, 0]


def march_weights(depths: Tensor, density: Tensor) -> Tensor:
    """Depths and densities [N, S] of sorted samples -> the S - 1 intervals' weights [N, S - 1]."""
    step = depths[:, 1:] - depths[:, :-1]
    middle = (density[:, 1:] + density[:, :-1]) / 2
    alpha = 1 - torch.exp(-F.softplus(middle - 1) * step)
    passed = torch.cumprod(1 - alpha + 1e-10, 1)
    return alpha * F.pad(passed[:, :-1], (1, 0), value=1.0)


def mean_depth(depths: Tensor, weights: Tensor) -> Tensor:
    """Depths [N, S], the intervals' weights [N, S - 1] -> [N], infinite where all weights are 0."""
    middle = (depths[:, 1:] + depths[:, :-1]) / 2
    return ((weights * middle).sum(1) / weights.sum(1)).nan_to_num(math.inf)


def importance_depths(depths: Tensor, weights: Tensor, count: int) -> Tensor:
    """`count` depths a ray where `weights` [N, S - 1] of the intervals of [N, S] are large.

    Mid-quantile samples of the weights after EG3D's smoothing. As in its code the intervals are
    taken one off: fine samples lie between the middles of the first and the last but one.
    """
    padded = F.pad(weights, (1, 1))
    widened = torch.maximum(padded[:, 1:], padded[:, :-1])
    smooth = (widened[:, 1:] + widened[:, :-1]) / 2 + 0.01
    bins = (depths[:, 1:] + depths[:, :-1]) / 2

    density = smooth[:, 1:-1] + 1e-5
    cdf = F.pad(torch.cumsum(density / density.sum(1, keepdim=True), 1), (1, 0))
    u = (torch.arange(count, device=depths.device) + 0.5) / count
    u = u.expand(len(depths), count).contiguous()
    above = torch.searchsorted(cdf, u, right=True)
    low, high = (above - 1).clamp(min=0), above.clamp(max=cdf.shape[1] - 1)
    cdf_low, cdf_high = cdf.gather(1, low), cdf.gather(1, high)
    width = cdf_high - cdf_low
    width = torch.where(width < 1e-5, torch.ones_like(width), width)
    bin_low, bin_high = bins.gather(1, low), bins.gather(1, high)
    return bin_low + (u - cdf_low) / width * (bin_high - bin_low)
