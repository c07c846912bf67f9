"""The loops of tone_mapping.py, compiled as those of `raster_kernel` are."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import numpy as np

from synthforge.raster_kernel import compiled, inlined

# float32 constants: with Python's floats numba would compute in float64.
_F = np.float32
_ZERO, _ONE = _F(0), _F(1)
_RED, _GREEN, _BLUE = _F(0.30), _F(0.59), _F(0.11)


@inlined
def _tone_curve(x):
    """Filmic toe and shoulder, Narkowicz 2015, "ACES filmic tone mapping curve"."""
    above, below = x * (_F(2.51) * x + _F(0.03)), x * (_F(2.43) * x + _F(0.59)) + _F(0.14)
    return min(max(above / below, _ZERO), _ONE)


@inlined
def _srgb(x):
    """Linear -> sRGB (IEC 61966-2-1), both in [0, 1].

    The power 1 / 2.4 by square roots, least squares: within 6e-5, a 60th of an 8-bit level.
    """
    half = np.sqrt(x)
    quarter = np.sqrt(half)
    eighth = np.sqrt(quarter)
    curve = _F(0.64455688) * half + _F(0.7099509) * quarter
    curve = curve - _F(0.33605409) * eighth - _F(0.01848497) * x
    return _F(12.92) * x if x < _F(0.0031308) else curve


@compiled("float32[:,:,::1]", "float32", "float32[:,::1]")
def expose(image, vignette, luma):
    """Turn image [3, H, W] from light into sRGB, darker in the corners; set luma [H, W]."""
    _, height, width = image.shape
    for row in range(height):
        y = _F(2 / (height - 1)) * _F(row) - _ONE
        for column in range(width):
            x = _F(2 / (width - 1)) * _F(column) - _ONE
            corner = _ONE - vignette * _F(0.5) * (x * x + y * y)
            red = _srgb(_tone_curve(image[0, row, column] * corner))
            green = _srgb(_tone_curve(image[1, row, column] * corner))
            blue = _srgb(_tone_curve(image[2, row, column] * corner))
            image[0, row, column], image[1, row, column] = red, green
            image[2, row, column] = blue
            luma[row, column] = _RED * red + _GREEN * green + _BLUE * blue


@compiled(
    "float32[:,:,::1]", "float32[:,::1]", "float32[:,:,:]", "int64", "float32", "float32",
    "float32", "float32", "float32",
)  # fmt: skip
def finish(soft, luma, noise, shift, grain, saturation, sharpening, contrast, middle):
    """Turn soft [3, H, W], the image's colours, into the image in [-1, 1].

    noise: [3, H, W], rolled down by `shift` rows.
    """
    _, height, width = soft.shape
    for row in range(height):
        noisy = row - shift if row >= shift else row - shift + height
        for column in range(width):
            red, green, blue = soft[0, row, column], soft[1, row, column], soft[2, row, column]
            light = luma[row, column]
            soft_luma = _RED * red + _GREEN * green + _BLUE * blue
            sharp = light + (light - soft_luma) * sharpening - middle
            # Grain shows in the shadows.
            amount = grain * (_F(1.2) - _F(0.7) * light)
            for k in range(3):
                value = ((soft[k, row, column] - soft_luma) * saturation + sharp) * contrast
                value += middle + noise[k, noisy, column] * amount
                soft[k, row, column] = min(max(_F(2) * value - _ONE, -_ONE), _ONE)
