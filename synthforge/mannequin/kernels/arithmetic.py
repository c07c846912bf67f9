"""The loops of arithmetic.py, compiled as those of `raster_kernel` are."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import math

import numpy as np

from synthforge.raster_kernel import compiled, inlined

# float32 constants: with Python's floats numba would compute in float64.
_F = np.float32
_ONE = _F(1)
# sin(2 pi t) / t, a power series in t^2, lowest power first.
_SINE = np.array(
    [(-1) ** k * math.tau ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(9)], np.float32
)


@inlined
def _exp(x):
    """The 64th power of a short series."""
    y = max(x * _F(1 / 64), _F(-1.25))
    power = y * _F(1 / 24)
    power = (power + _F(1 / 6)) * y
    power = (power + _F(1 / 2)) * y
    power = (power + _ONE) * y + _ONE
    for _ in range(6):
        power = power * power
    return power


@compiled("float32[::1]", "float32[::1]")
def exps(x, result):
    """e^x of x [N] into result [N]."""
    for i in range(len(x)):
        result[i] = _exp(x[i])


@compiled("float32[::1]", "float32[::1]")
def sigmoids(x, result):
    """1 / (1 + e^-x) of x [N] into result [N]."""
    for i in range(len(x)):
        result[i] = _ONE / (_ONE + _exp(-x[i]))


@compiled("float32[::1]", "float32[::1]")
def sines(x, result):
    """Sines of x [N], radians, into result [N]."""
    for i in range(len(x)):
        turns = x[i] * _F(1 / math.tau)
        turns -= np.rint(turns)
        square = turns * turns
        value = square * _SINE[8]
        for k in range(7, 0, -1):
            value = (value + _SINE[k]) * square
        result[i] = turns * (value + _SINE[0])


@compiled("float32[:,:]", "float32[:,::1]", "float32[:,::1]")
def turn_points(R, points, result):
    """Set result [N, 3] to R [3, 3] @ each of the points [N, 3]."""
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        for k in range(3):
            result[i, k] = R[k, 0] * x + R[k, 1] * y + R[k, 2] * z


@compiled("float32[:,:]", "float32[:,:]", "float32[:,::1]")
def turn_rows(R, rows, result):
    """Set result [3, N] to R [3, 3] @ rows [3, N]."""
    for k in range(3):
        a, b, c = R[k, 0], R[k, 1], R[k, 2]
        for i in range(rows.shape[1]):
            result[k, i] = a * rows[0, i] + b * rows[1, i] + c * rows[2, i]
