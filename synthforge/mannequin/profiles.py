"""The curves that the head is sculpted with. Arrays in, arrays of the same shape out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[Any]

MM = 1e-3


def smoothstep(low: float, high: float, x: Array) -> Array:
    """0 below `low`, 1 above `high`, a cubic between; falls when low > high."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def gauss(x: Array, center: float | Array, radius: float | Array) -> Array:
    """1 at `center`, 1/e at `radius` from it."""
    return np.exp(-(((x - center) / radius) ** 2))


def soft_max(a: Array, b: Array, width: float) -> Array:
    """max(a, b) with its crease rounded over about `width`."""
    return 0.5 * (a + b + np.sqrt((a - b) ** 2 + width * width))


def curve(x_mm: Sequence[float], y_mm: Sequence[float]) -> Callable[[Array], Array]:
    """A shape-preserving curve through knots in mm, constant outside them; metres to metres."""
    x, y = np.array(x_mm) * MM, np.array(y_mm) * MM
    spline = PchipInterpolator(x, y)
    return lambda t: spline(np.clip(t, x[0], x[-1]))


def arc_length(line: Array) -> Array:
    """Length travelled along a polyline (N, D) up to each of its points, (N,)."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)
