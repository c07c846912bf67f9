"""Styles of glasses, as people wear them: shapes of lenses, frames, colours."""

from __future__ import annotations

from dataclasses import dataclass

from synthforge.mannequin.draws import RGB, Draws, mix

# Outlines of the subject's left lens in half widths and half heights, from the temple side
# counter-clockwise as the wearer's viewer sees it mirrored: u runs to the temple, v up.
OUTLINES = {
    "round": (
        (1.00, 0.00), (0.92, 0.38), (0.71, 0.71), (0.38, 0.92), (0.00, 1.00), (-0.38, 0.92),
        (-0.71, 0.71), (-0.92, 0.38), (-1.00, 0.00), (-0.92, -0.38), (-0.71, -0.71), (-0.38, -0.92),
        (0.00, -1.00), (0.38, -0.92), (0.71, -0.71), (0.92, -0.38),
    ),
    "panto": (
        (1.00, 0.00), (0.97, 0.46), (0.80, 0.76), (0.50, 0.94), (0.00, 1.00), (-0.50, 0.94),
        (-0.80, 0.76), (-0.97, 0.46), (-1.00, 0.00), (-0.90, -0.46), (-0.71, -0.76), (-0.43, -0.94),
        (0.00, -1.00), (0.43, -0.94), (0.71, -0.76), (0.90, -0.46),
    ),
    "rectangle": (
        (1.00, 0.00), (0.99, 0.63), (0.88, 0.85), (0.66, 0.96), (0.00, 1.00), (-0.66, 0.96),
        (-0.88, 0.85), (-0.99, 0.63), (-1.00, 0.00), (-0.93, -0.63), (-0.81, -0.85), (-0.60, -0.96),
        (0.00, -1.00), (0.60, -0.96), (0.81, -0.85), (0.93, -0.63),
    ),
    "trapezoid": (
        (1.00, 0.00), (1.03, 0.62), (0.91, 0.86), (0.66, 0.98), (0.03, 1.00), (-0.60, 0.93),
        (-0.86, 0.77), (-1.00, 0.52), (-1.00, -0.05), (-0.91, -0.57), (-0.77, -0.82),
        (-0.54, -0.95), (-0.03, -1.00), (0.48, -0.95), (0.72, -0.82), (0.88, -0.57),
    ),
    "aviator": (
        (1.00, 0.00), (0.97, 0.43), (0.79, 0.73), (0.48, 0.92), (-0.03, 1.00), (-0.54, 0.96),
        (-0.84, 0.79), (-1.00, 0.50), (-1.00, 0.04), (-0.85, -0.37), (-0.62, -0.68), (-0.33, -0.89),
        (0.10, -1.00), (0.51, -0.98), (0.78, -0.83), (0.94, -0.56),
    ),
    "cat_eye": (
        (1.00, 0.06), (0.99, 0.71), (0.84, 0.95), (0.55, 1.06), (0.00, 1.00), (-0.55, 0.91),
        (-0.84, 0.73), (-0.99, 0.45), (-1.00, -0.06), (-0.90, -0.56), (-0.72, -0.83),
        (-0.46, -0.98), (0.00, -1.00), (0.46, -0.91), (0.72, -0.73), (0.90, -0.45),
    ),
}  # fmt: skip
# Height of a lens by its width.
_ASPECT = {
    "round": 1.0, "panto": 0.88, "rectangle": 0.66, "trapezoid": 0.80, "aviator": 0.88,
    "cat_eye": 0.78,
}  # fmt: skip

METALS = ((0.62, 0.61, 0.60), (0.72, 0.52, 0.24), (0.16, 0.16, 0.17), (0.70, 0.46, 0.36))
_ACETATES = (
    (0.010, 0.010, 0.011), (0.030, 0.014, 0.008), (0.012, 0.020, 0.055), (0.12, 0.012, 0.014),
    (0.30, 0.29, 0.27), (0.030, 0.045, 0.030), (0.42, 0.27, 0.18),
)  # fmt: skip
_TORTOISE = ((0.016, 0.008, 0.005), (0.17, 0.065, 0.018))
_TINTS = ((0.10, 0.10, 0.10), (0.13, 0.085, 0.055), (0.075, 0.10, 0.075), (0.06, 0.07, 0.10))
_COATINGS = ((0.10, 0.22, 0.50), (0.50, 0.30, 0.10), (0.30, 0.32, 0.34))
_HALF_WIDTH = 0.0248


@dataclass(frozen=True)
class Style:
    """A pair of glasses. Lengths in metres.

    frame: "acetate", "metal", "browline" or "rimless". rim: its width. color2: what patches of the
    frame have, in a pattern, if not the same. passed, mirror: see Lens.
    """

    outline: str
    frame: str
    color: RGB
    color2: RGB
    half_width: float
    aspect: float
    rim: float
    temple: float
    passed: tuple[RGB, RGB]
    mirror: RGB


def style_of(d: Draws, tinted: bool) -> Style:
    """Drawn as people wear them, sunglasses if `tinted`."""
    frame = d.pick(
        {"acetate": 0.42, "metal": 0.42, "browline": 0.08 - 0.02 * tinted}
        | ({} if tinted else {"rimless": 0.12})
    )
    thick = {"round": 0.15, "panto": 0.2, "rectangle": 0.3, "trapezoid": 0.3, "cat_eye": 0.12}
    thin = {"round": 0.22, "panto": 0.22, "rectangle": 0.36, "aviator": 0.12 + 0.5 * tinted}
    outline = d.pick({"panto": 0.3, "trapezoid": 0.7} if frame == "browline" else
                     thick if frame == "acetate" else thin)  # fmt: skip
    metal, acetate = _one_of(d, METALS), _one_of(d, _ACETATES)
    tortoise, black = d.chance(0.28), d.chance(0.35)
    color = metal if frame in ("metal", "rimless") else _ACETATES[0] if black else acetate
    color2 = color
    if tortoise and frame in ("acetate", "browline"):
        color, color2 = _TORTOISE
    size, tall, rim, temple = d.bell(1.0, 0.07), d.bell(1.0, 0.10), d.u(), d.u()
    return Style(
        outline,
        frame,
        color,
        color2,
        _HALF_WIDTH * size * (1.07 if tinted else 1.0),
        _ASPECT[outline] * tall * (1.08 if tinted else 1.0),
        0.0024 + 0.0034 * rim * rim if frame == "acetate" else 0.0011 + 0.0008 * rim,
        0.0036 + 0.0060 * temple * rim if frame in ("acetate", "browline") else 0.0016,
        *_lens_colors(d, tinted),
    )


def _one_of(d: Draws, colors: tuple[RGB, ...]) -> RGB:
    return colors[int(d.u(0, len(colors) - 1e-6))]


def _lens_colors(d: Draws, tinted: bool) -> tuple[tuple[RGB, RGB], RGB]:
    tint, light, gradient, coated = _one_of(d, _TINTS), d.u(), d.chance(0.35), d.chance(0.18)
    coating, clean, hue = _one_of(d, _COATINGS), d.u(), d.u()
    if not tinted:
        # An antireflection coating leaves a little green or violet.
        left = mix((0.55, 1.0, 0.75), (0.75, 0.6, 1.0), hue)
        share = 0.012 + 0.015 * clean if clean < 0.6 else 0.085
        r, g, b = (share * c for c in (left if clean < 0.6 else (1.0, 1.0, 1.0)))
        return ((0.97, 0.975, 0.965),) * 2, (r, g, b)
    upper = mix(tint, (0.55, 0.5, 0.48), 0.5 * light * light)
    lower = mix(upper, (0.85, 0.82, 0.78), 0.75) if gradient else upper
    return (lower, upper), coating if coated else (0.06, 0.06, 0.06)
