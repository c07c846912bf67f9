"""Turns entries of z, standard normal, into named draws; and small sums with colours.

Every entry is pushed through the normal CDF to a uniform.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor

# Linear RGB.
RGB = tuple[float, float, float]
Pair = tuple[float, float]
Share = TypeVar("Share", float, Tensor)


class Draws:
    """Hands out the entries of one part of z in order, so a trait's entry is where it is read."""

    def __init__(self, z: Tensor) -> None:
        self._uniform = [0.5 * math.erfc(-value / math.sqrt(2)) for value in z.tolist()]
        self._next = 0

    def u(self, low: float = 0.0, high: float = 1.0) -> float:
        """Uniform in [low, high]."""
        value = self._uniform[self._next]
        self._next += 1
        return low + (high - low) * value

    def bell(self, mean: float, spread: float) -> float:
        """Triangular-ish around mean: the mean of two uniforms, within +-spread."""
        return mean + spread * (self.u() + self.u() - 1)

    def chance(self, probability: float) -> bool:
        return self.u() < probability

    def pick(self, weights: dict[str, float]) -> str:
        """A key with probability proportional to its weight."""
        threshold = self.u() * sum(weights.values())
        for name, weight in weights.items():
            threshold -= weight
            if threshold < 0:
                return name
        return name

    def color(self, saturation: float, value: float) -> RGB:
        """A linear RGB of any hue; saturation and value up to the bounds given."""
        hue, s, v = (
            self.u() * 6,
            self.u() ** 1.5 * saturation,
            (0.03 + 0.97 * self.u() ** 1.5) * value,
        )
        channel = [max(0.0, min(1.0, abs((hue + shift) % 6 - 3) - 1)) for shift in (0.0, 4.0, 2.0)]
        r, g, b = (v * (1 - s + s * c) for c in channel)
        return r, g, b


def seed_of(z: Tensor) -> int:
    """A 31-bit seed from the bits of z."""
    bits = z.float().contiguous().view(torch.int32).long()
    weights = torch.arange(1, len(bits) + 1) * 2654435761
    return int((bits * weights).sum()) & 0x7FFFFFFF


def ramp(low: float, high: float, x: float) -> float:
    """Smoothstep."""
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3 - 2 * t)


def between(pair: Pair, share: Share) -> Share:
    return pair[0] + (pair[1] - pair[0]) * share


def mix(a: RGB, b: RGB, t: float) -> RGB:
    r, g, bl = (x + (y - x) * t for x, y in zip(a, b, strict=True))
    return r, g, bl


def along(ramp: tuple[RGB, ...], t: float) -> RGB:
    position = min(max(t, 0.0), 1.0) * (len(ramp) - 1)
    index = min(int(position), len(ramp) - 2)
    return mix(ramp[index], ramp[index + 1], position - index)


def scaled(color: RGB, factor: float) -> RGB:
    r, g, b = (c * factor for c in color)
    return r, g, b
