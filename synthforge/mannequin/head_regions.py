"""Which of the labelled regions each face of the built-in head belongs to."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.path import Path

from synthforge.mannequin import region_outlines
from synthforge.mannequin.assembly import Assembly
from synthforge.mannequin.parts import Part
from synthforge.mannequin.profiles import MM, Array
from synthforge.regions import FLIP_PAIRS, REGION_ID

_INSIDE_MOUTH = (Part.INNER_MOUTH, Part.TEETH, Part.GUMS, Part.TONGUE)


def face_regions(assembly: Assembly) -> Array:
    """int64 (F,) of region ids; the right half is the left's with left and right swapped."""
    half = len(assembly.faces) // 2
    faces = assembly.faces[:half]
    center = assembly.vertices[faces].mean(1)
    x, y, z = center.T
    parts = assembly.parts[faces]
    front = np.asarray(z > 2 * MM)
    region = np.full(half, REGION_ID["face"])

    def paint(name: str, where: Any) -> None:
        region[where] = REGION_ID[name]

    eye_region = region_outlines.is_eye_region(x, y) & front
    paint("forehead", (y > region_outlines.BROW_BAND_Y) & (z > -20 * MM))
    paint("eye_region", eye_region)
    paint("eye_region+forehead", eye_region & (y > region_outlines.BROW_BAND_Y))
    paint("scalp", region_outlines.is_scalp(center))
    paint("neck", region_outlines.is_neck(center))
    paint("neck_back", region_outlines.is_neck_back(center))
    paint("nose", region_outlines.is_nose(x, y) & front)
    eye_ring = assembly.vertices[assembly.rings["eye_region"], :2]
    paint("left_eye_region", Path(eye_ring).contains_points(center[:, :2]) & front)
    paint("left_eyebrow", region_outlines.is_brow(x, y) & front)
    paint("nose", (parts == Part.NOSTRIL).any(1))
    paint("left_ear", (parts == Part.EAR).all(1))
    lips = (parts == Part.LIPS).all(1)
    upper = assembly.jaw[faces].sum(1) > 0
    paint("upper_lip", lips & upper)
    paint("lower_lip", lips & ~upper)
    paint("inner_mouth", np.isin(parts, _INSIDE_MOUTH).any(1))
    paint("left_eyeball", (parts == Part.LEFT_EYEBALL).any(1))
    return np.concatenate([region, _swapped(region)])


def _swapped(region: Array) -> Array:
    swap = np.arange(len(REGION_ID))
    for a, b in FLIP_PAIRS:
        swap[a], swap[b] = b, a
    return swap[region]
