"""Two rows of teeth in their gums, and the tongue. Left halves; metres, FLAME frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthforge.mannequin.profiles import MM, Array, arc_length, gauss


@dataclass(frozen=True)
class Arch:
    """A dental arch: half an ellipse seen from above. Figures in mm (Wheeler's dental anatomy).

    up: +1 if the crowns hang down from above, -1 if they stand up.
    widths: of the crowns from the midline back; edges: how much shorter than the first each is.
    """

    up: int
    half_width: float
    depth: float
    back_z: float
    edge_y: float
    crown: float
    widths: tuple[float, ...]
    edges: tuple[float, ...]


UPPER = Arch(
    up=1,
    half_width=25.5,
    depth=41.0,
    back_z=4.0,
    edge_y=-50.6,
    crown=9.6,
    widths=(8.5, 6.7, 7.6, 7.0, 6.8, 9.5),
    edges=(0.0, 0.7, 0.2, 0.9, 1.2, 1.6),
)
LOWER = Arch(
    up=-1,
    half_width=23.0,
    depth=38.0,
    back_z=4.0,
    edge_y=-50.2,
    crown=8.4,
    widths=(5.4, 5.9, 6.8, 7.0, 7.2, 10.0),
    edges=(0.0, 0.1, 0.1, 0.6, 0.9, 1.3),
)
# Round a tooth's section: mm forward of the arch, crown heights above the edge, is gum.
_SECTION = (
    (-0.5, 1.75, True),
    (0.5, 1.40, True),
    (0.6, 1.08, True),
    (0.35, 0.92, False),
    (0.45, 0.50, False),
    (-0.25, 0.00, False),
    (-1.6, 0.06, False),
    (-4.0, 0.80, False),
    (-5.0, 1.70, True),
)
SECTION_POINTS = len(_SECTION)
# Columns of a tooth, as fractions of its width.
_COLUMNS = (0.0, 0.22, 0.78)
_TONGUE_CENTER = np.array([0, -58.5, 18.0]) * MM
_TONGUE_RADII = np.array([19.0, 8.5, 26.0]) * MM


def arch_rows(arch: Arch) -> tuple[Array, Array]:
    """Columns of sections (C, 9, 3) from the midline back, and which points are gum (C, 9)."""
    angle = np.linspace(0, np.pi / 2, 400)
    curve = np.stack([arch.half_width * np.sin(angle), arch.depth * np.cos(angle)], -1)
    length = arc_length(curve)
    starts = np.concatenate([[0], np.cumsum(arch.widths)])
    along, shape, shorter = [], [], []
    for start, width, edge in zip(starts, arch.widths, arch.edges, strict=False):
        for fraction in _COLUMNS:
            along.append(start + fraction * width)
            shape.append(1.0 if fraction else 0.0)
            shorter.append(edge)
    along.append(starts[-1])
    shape.append(0.0)
    shorter.append(arch.edges[-1])
    turn = np.interp(along, length, angle)
    forward = np.stack([arch.depth * np.sin(turn), arch.half_width * np.cos(turn)], -1)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    forward[0] = (0.0, 1.0)
    center = np.stack([np.interp(along, length, curve[:, k]) for k in range(2)], -1)
    crown = np.array(shape)
    columns = np.zeros((len(along), SECTION_POINTS, 3))
    for k, (out, height, gum) in enumerate(_SECTION):
        groove = (1 - crown) * (0.0 if gum else 0.75)
        point = center + forward * (out - groove)[:, None]
        scallop = np.where(height == 1.08, 0.05 * (1 - 2 * crown), 0.0)
        notch = (1 - crown) * 0.07 * (height < 0.5)
        shortened = np.array(shorter) * (1 - min(height, 1.0))
        rise = arch.crown * (height + scallop + notch) + shortened
        columns[:, k, 0] = point[:, 0]
        columns[:, k, 1] = arch.edge_y + arch.up * rise
        columns[:, k, 2] = arch.back_z + point[:, 1]
    columns[0, :, 0] = 0.0
    gums = np.tile([gum for _, _, gum in _SECTION], (len(along), 1))
    return columns * MM, gums


def tongue(around: int = 9, along: int = 9) -> Array:
    """(along, around, 3): rows from tip to root, each the left half of a flattened ring."""
    polar = np.linspace(0.05, 0.95, along)[:, None] * np.pi
    turn = np.linspace(0, np.pi, around)[None]
    x = np.sin(polar) ** 0.8 * np.sin(turn)
    y = np.sin(polar) ** 0.8 * np.cos(turn)
    z = np.cos(polar) + 0 * turn
    points = _TONGUE_CENTER + np.stack([x, y, z], -1) * _TONGUE_RADII
    # The groove along the middle; the back rises into the throat.
    points[..., 1] -= 1.6 * MM * gauss(points[..., 0], 0, 4 * MM) * (y > 0)
    points[:, [0, -1], 0] = 0.0
    return points
