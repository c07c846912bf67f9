"""Lids that slide on the globe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthforge.mannequin import eyes
from synthforge.mannequin.assembly import Assembly
from synthforge.mannequin.parts import Part
from synthforge.mannequin.profiles import MM, Array, smoothstep

# Skin follows its margin within about this distance, frontal.
_FOLLOW = 5.5 * MM


@dataclass(frozen=True)
class LidMap:
    """The left eye's lids as the vertices of the whole head see them, either side.

    across: (V,), 0 at the inner canthus, 1 at the outer. follow: (V,), share of the margin's
    motion. upper: (V,) bool. polar: (V, 3), offset from the eye's centre, x to the outside.
    """

    across: Array
    follow: Array
    upper: Array
    polar: Array


def lid_map(assembly: Assembly) -> LidMap:
    vertices, parts = assembly.vertices, assembly.parts
    side = np.where(vertices[:, 0] >= 0, 1.0, -1.0)
    left = vertices * np.stack([side, np.ones_like(side), np.ones_like(side)], -1)
    x, y, z = left.T
    across = (x - eyes.INNER_CANTHUS[0]) / (eyes.OUTER_CANTHUS[0] - eyes.INNER_CANTHUS[0])
    line = eyes.INNER_CANTHUS[1] + across * (eyes.OUTER_CANTHUS[1] - eyes.INNER_CANTHUS[1])
    upper = y > line
    near = (np.abs(x - 31 * MM) < 25 * MM) & (np.abs(y - eyes.CENTER[1]) < 20 * MM) & (z > 5 * MM)
    skin = np.flatnonzero(near & (parts == Part.SKIN))
    follow = np.zeros(len(vertices))
    distance = np.maximum(eyes.distance_to_margin(x[skin], y[skin]), 0)
    follow[skin] = np.exp(-((distance / _FOLLOW) ** 2))
    follow[parts == Part.LID_MARGIN] = 1.0
    # Ring points know their lid, however near the canthi they are.
    names = ("lid", "lid_edge", "lid_touching", "lid_hidden")
    for ids in (assembly.rings[name] for name in names):
        index = np.arange(len(ids))
        for image in (ids, assembly.mirror[ids]):
            upper[image] = index < eyes.OUTER_POINT
            across[image] = across[assembly.rings["lid"]]
    return LidMap(np.clip(across, 0, 1), follow, upper, left - eyes.CENTER)


def slide(lids: LidMap, upper_mm: tuple[float, ...], lower_mm: tuple[float, ...]) -> Array:
    """(V, 3) metres, both eyes: move the margins up (+) or down along the globe.

    upper_mm, lower_mm: frontal motion at equal steps from the inner to the outer canthus.
    The path is the globe's tangent, which never enters it.
    """
    rise = _rise(lids, upper_mm, lower_mm)
    y, z = lids.polar[:, 1], np.maximum(lids.polar[:, 2], 6 * MM)
    along_z = -rise * y / z
    return np.stack([np.zeros_like(rise), rise, along_z * (lids.follow > 0)], -1)


def _rise(lids: LidMap, upper_mm: tuple[float, ...], lower_mm: tuple[float, ...]) -> Array:
    upper, lower = (
        np.interp(lids.across, np.linspace(0, 1, len(motion)), np.array(motion) * MM)
        for motion in (upper_mm, lower_mm)
    )
    return np.where(lids.upper, upper, lower) * lids.follow


def close(lids: LidMap, upper_share: float = 0.88, lower_share: float = 0.08) -> Array:
    """(V, 3) metres, both eyes: turn the lids about the globe until their margins meet.

    The shares are of the fissure's height: what the upper lid comes down and the lower comes up;
    what is left hides in the lids' thickness.
    """
    x = lids.polar[:, 0] + eyes.CENTER[0]
    top, bottom = eyes.lid_heights(np.clip(x, eyes.INNER_CANTHUS[0], eyes.OUTER_CANTHUS[0]))
    opening = top - bottom
    rise = np.where(lids.upper, -upper_share, lower_share) * opening * lids.follow
    y, z = lids.polar[:, 1], lids.polar[:, 2]
    radius = np.hypot(y, z)
    angle = np.arctan2(y, np.maximum(z, 1e-6))
    # The straight way from open to closed cuts under the globe's arc; ends stand off a little.
    turned = angle + rise / np.maximum(radius, 8 * MM) * 1.06
    outwards = 0.9 * MM * np.clip(np.abs(rise) / (9 * MM), 0, 1)
    new_radius = radius + outwards
    moved = np.abs(rise) > 1e-9
    dy = np.where(moved, new_radius * np.sin(turned) - y, 0.0)
    dz = np.where(moved, new_radius * np.cos(turned) - z, 0.0)
    return np.stack([np.zeros_like(dy), dy, dz], -1) * smoothstep(0, 0.04, lids.follow)[:, None]
