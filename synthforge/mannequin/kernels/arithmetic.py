"""The loops of arithmetic.py, compiled as those of `raster_kernel` are."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import math

import numpy as np

from synthforge.raster_kernel import compiled

# float32 constants: with Python's floats numba would compute in float64.
_F = np.float32
_ONE = _F(1)
# sin(2 pi t) / t, a power series in t^2, lowest power first.
_SINE = np.array(
    [(-1) ** k * math.tau ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(9)], np.float32
)


@compiled("float32[::1]", "float32[::1]")
def exps(x, result):
    """The 64th power of a short series."""
    for i in range(len(x)):
        y = max(x[i] * _F(1 / 64), _F(-1.25))
        power = y * _F(1 / 24)
        power = (power + _F(1 / 6)) * y
        power = (power + _F(1 / 2)) * y
        power = (power + _ONE) * y + _ONE
        for _ in range(6):
            power = power * power
        result[i] = power


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
