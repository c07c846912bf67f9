"""The loop that mixes a person's skin, compiled as those of `raster_kernel` are."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import numpy as np

from synthforge.raster_kernel import compiled, inlined

# What is mixed at once: fits a core's innermost cache.
TEXELS_AT_ONCE = 1 << 6
# float32 constants: with Python's floats numba would compute in float64.
_F = np.float32
_ZERO, _ONE = _F(0), _F(1)


@inlined
def _exp(x):
    """arithmetic.exp; not shared with shading.py, as numba's cache sees one file."""
    y = max(x * _F(1 / 64), _F(-1.25))
    power = y * _F(1 / 24)
    power = (power + _F(1 / 6)) * y
    power = (power + _F(1 / 2)) * y
    power = (power + _ONE) * y + _ONE
    for _ in range(6):
        power = power * power
    return power


@inlined
def _clamped(x):
    return min(max(x, _ZERO), _ONE)


@compiled("int64[::1]", "int64[:,::1]", "float32[:,::1]", "int64", "uint8[::1]")
def mark_runs(face, uv_faces, uvs, size, wanted):
    """Set wanted [R] to 1 for the runs of a texture [size, size] that faces [P] may show."""
    marked = np.zeros(len(uv_faces), np.uint8)
    runs_a_row = size // TEXELS_AT_ONCE
    for f in face:
        if f >= len(uv_faces) or marked[f] > 0:
            continue
        marked[f] = 1
        a, b, c = uv_faces[f, 0], uv_faces[f, 1], uv_faces[f, 2]
        left = min(uvs[a, 0], uvs[b, 0], uvs[c, 0]) * size
        right = max(uvs[a, 0], uvs[b, 0], uvs[c, 0]) * size
        top = (1 - max(uvs[a, 1], uvs[b, 1], uvs[c, 1])) * size
        bottom = (1 - min(uvs[a, 1], uvs[b, 1], uvs[c, 1])) * size
        # Texels lie between whole numbers, and what is read reaches one farther.
        first, last = max(int(left) - 2, 0), min(int(right) + 2, size - 1)
        for row in range(max(int(top) - 2, 0), min(int(bottom) + 2, size - 1) + 1):
            for run in range(first // TEXELS_AT_ONCE, last // TEXELS_AT_ONCE + 1):
                wanted[row * runs_a_row + run] = 1


@compiled(
    "float32[:,::1]", "uint8[:,::1]", "float32[:,::1]", "float32[:,::1]", "float32[::1]",
    "float32[::1]", "float32[:,:,::1]", "float32[::1]", "float32[:,::1]", "uint8[::1]",
    "float32[:,::1]",
)  # fmt: skip
def mix_skin(
    pigments, present, amounts, hairline, hair, tint, bumps, heights, gloss, wanted, texture
):
    """Set the wanted runs of texture [N, 8]: albedo, bump gradient, gloss.

    pigments, amounts: [K, N] and log-albedo of each at full strength [K, 3]. present: [R, K], 0
    where a run of TEXELS_AT_ONCE has none of a pigment.
    hairline: [3, N] of SkinMaps. hair: by how much it is high and thin, metres in which its shade
    begins, 1 where it is but a rim over the ears, and 1 / the most that it recedes. tint:
    log-albedo of its shade.
    bumps, heights: maps [M, 2, N] and strengths of each. gloss: [3, N].
    """
    kinds, runs = len(pigments), len(present)
    log = np.empty((3, TEXELS_AT_ONCE), np.float32)
    high, thin, soft, rim = hair[0], hair[1], hair[2], hair[3]
    for run in range(runs):
        if wanted[run] == 0:
            continue
        first = run * TEXELS_AT_ONCE
        for channel in range(3):
            for i in range(TEXELS_AT_ONCE):
                log[channel, i] = _ZERO
        for kind in range(kinds):
            if present[run, kind] == 0:
                continue
            strength = pigments[kind, first : first + TEXELS_AT_ONCE]
            for channel in range(3):
                amount = amounts[kind, channel]
                for i in range(TEXELS_AT_ONCE):
                    log[channel, i] += amount * strength[i]
        height = hairline[0, first : first + TEXELS_AT_ONCE]
        recedes = hairline[1, first : first + TEXELS_AT_ONCE]
        thins = hairline[2, first : first + TEXELS_AT_ONCE]
        for i in range(TEXELS_AT_ONCE):
            above = height[i] - high * recedes[i] - thin * thins[i]
            covered = _clamped((above + _F(0.002)) / soft)
            over_ears = _clamped((_F(0.040) - height[i]) / _F(0.03)) * (_ONE - recedes[i] * hair[4])
            covered *= _ONE + rim * (over_ears * _F(0.18) - _ONE)
            for channel in range(3):
                value = log[channel, i] + tint[channel] * covered
                log[channel, i] = _exp(min(max(value, _F(-6.0)), _F(-0.08)))
        for i in range(TEXELS_AT_ONCE):
            texel = texture[first + i]
            for channel in range(3):
                texel[channel] = log[channel, i]
                texel[5 + channel] = gloss[channel, first + i]
            for way in range(2):
                slope = _ZERO
                for layer in range(len(bumps)):
                    slope += bumps[layer, way, first + i] * heights[layer]
                texel[3 + way] = slope
