"""Shapes to paint with: steps, bells, distances to curves, smooth noise over points in space."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from synthforge.mannequin.render.arithmetic import exp, steps


def smoothstep(low: float, high: float, x: Tensor) -> Tensor:
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def bell(x: Tensor, width: float) -> Tensor:
    return exp(-((x / width) ** 2))


def interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear through (knots, values), ascending; level beyond the ends."""
    knots = knots.contiguous()
    index = torch.searchsorted(knots, x.contiguous()).clamp(1, len(knots) - 1)
    low, high = knots[index - 1], knots[index]
    t = ((x - low) / (high - low)).clamp(0, 1)
    return values[index - 1] + t * (values[index] - values[index - 1])


def segment_distance(points: Tensor, polyline: Tensor) -> Tensor:
    """Distance of [N, D] points to a polyline [M, D]: [N]."""
    best = torch.full((len(points),), math.inf)
    columns = points.T.contiguous()
    for a, b in itertools.pairwise(polyline):
        ab = b - a
        offset = [column - a[k] for k, column in enumerate(columns)]
        t = (sum(o * ab[k] for k, o in enumerate(offset)) / sum(ab * ab)).clamp(0, 1)
        square = sum((o - t * ab[k]) ** 2 for k, o in enumerate(offset))
        best = torch.minimum(best, square)
    return best.sqrt()


def inside_polygon(points: Tensor, polygon: Tensor) -> Tensor:
    """Even-odd test of [N, 2] points in a closed polygon [M, 2]: bool [N]."""
    inside = torch.zeros(len(points), dtype=torch.bool)
    for a, b in zip(polygon, polygon.roll(-1, 0), strict=True):
        crosses = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
        x = a[0] + (points[:, 1] - a[1]) / (b[1] - a[1] + 1e-12) * (b[0] - a[0])
        inside ^= crosses & (points[:, 0] < x)
    return inside


def smooth_curve(points: Tensor, samples: int, closed: bool = False) -> Tensor:
    """Catmull-Rom curve through [M, D] points: [samples, D]."""
    if closed:
        padded = torch.cat([points[-1:], points, points[:2]])
        spans = len(points)
    else:
        padded = torch.cat([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
        spans = len(points) - 1
    t = steps(0, spans, samples).clamp(max=spans - 1e-4)
    i = t.long()
    f = (t - i)[:, None]
    p0, p1, p2, p3 = (padded[i + k] for k in range(4))
    return 0.5 * (
        2 * p1
        + (p2 - p0) * f
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * f**2
        + (3 * p1 - p0 - 3 * p2 + p3) * f**3
    )


def value_noise(points: Tensor, wavelength: float, octaves: int, seed: int) -> Tensor:
    """Smooth noise over [N, 3] points in metres, about zero mean and unit variance: [N]."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(len(points))
    power = 0.0
    for octave in range(octaves):
        size, amplitude = 48, 0.6**octave
        lattice = torch.randn(size, size, size, generator=generator, dtype=torch.float64).float()
        lattice = F.pad(lattice[None, None], (0, 1, 0, 1, 0, 1), mode="circular")[0, 0]
        cell = points * (2**octave / wavelength) / size
        noise = _between(lattice, (cell - torch.floor(cell)) * size)
        total += amplitude * noise
        power += (0.55 * amplitude) ** 2
    return total / math.sqrt(power)


def _between(lattice: Tensor, places: Tensor) -> Tensor:
    """Trilinear values [N] of a cube [S, S, S] at places [N, 3], x along its last axis."""
    size = len(lattice)
    flat, result = lattice.flatten(), []
    # A cache's worth at a time.
    for part in places.split(1 << 14):
        x, y, z = part.T.contiguous()
        i, j, k = (axis.long().clamp_(max=size - 2) for axis in (x, y, z))
        first = (k * size + j) * size + i
        x, y, z = x - i, y - j, z - k
        corners = [
            flat.index_select(0, first + (c * size + b) * size + a)
            for c, b, a in itertools.product((0, 1), repeat=3)
        ]
        for t in (x, y, z):
            pairs = zip(corners[::2], corners[1::2], strict=True)
            corners = [low + t * (high - low) for low, high in pairs]
        result.append(corners[0])
    return torch.cat(result)
