"""Which of the labelled regions each face of the built-in head belongs to."""

from __future__ import annotations

import numpy as np

from synthforge.mannequin import eyes, mouth
from synthforge.mannequin.assembly import Assembly
from synthforge.mannequin.parts import Part
from synthforge.mannequin.profiles import MM, Array, curve
from synthforge.regions import REGION_ID

# Lower edge of the hair by how far round the head a point lies from the midline, mm.
_HAIRLINE = curve([(0, 84), (20, 85), (38, 80), (50, 66), (58, 48), (66, 36), (80, 34)])
# Middle line and half height of the brow strip by frontal x, mm.
_BROW = curve([(9, 38.2), (20, 42.0), (32, 43.8), (43, 42.5), (55, 36.5)])
_BROW_HALF = curve([(9, 2.6), (20, 3.3), (35, 2.9), (46, 2.3), (55, 1.2)])
_BROW_X = (9.5 * MM, 54.5 * MM)


def face_regions(assembly: Assembly) -> Array:
    """int64 (F,) of region ids; the right half is the left's with left and right swapped."""
    half = len(assembly.faces) // 2
    faces = assembly.faces[:half]
    x, y, z = assembly.vertices[faces].mean(1).T
    parts = assembly.parts[faces]
    region = np.full(half, REGION_ID["face"])

    def paint(name: str, where: Array) -> None:
        region[where] = REGION_ID[name]

    skin = (parts == Part.SKIN).any(1)
    paint("forehead", (y > 34 * MM) & (z > -12 * MM))
    around_eyes = (y > 4 * MM) & (y < 50 * MM) & (z > 3 * MM) & (x < 62 * MM)
    paint("eye_region", around_eyes)
    paint("eye_region+forehead", around_eyes & (y > 37 * MM))
    paint("scalp", is_scalp(x, y, z))
    neck = y < neck_line(z)
    paint("neck", neck)
    paint("neck_back", neck & (z < -62 * MM))
    nose_half_width = np.interp(y / MM, (-28, -16, -6, 10, 24), (13.5, 19.0, 15.5, 10.5, 9.0)) * MM
    paint("nose", (x < nose_half_width) & (y > -27.5 * MM) & (y < 24 * MM) & (z > 20 * MM))
    distance = eyes.distance_to_margin(x, y)
    paint("left_eye_region", (distance < 8.5 * MM) & (x > 11 * MM) & (z > 10 * MM) & skin)
    brow = (np.abs(y - brow_height(x)) < _BROW_HALF(x)) & (z > 10 * MM)
    paint("left_eyebrow", brow & (x > _BROW_X[0]) & (x < _BROW_X[1]) & skin)
    paint("left_eye_region", (parts == Part.LID_MARGIN).any(1))
    paint("nose", (parts == Part.NOSTRIL).any(1))
    paint("left_ear", (parts == Part.EAR).sum(1) > 1)
    lips = (parts == Part.LIPS).all(1)
    paint("upper_lip", lips & (y >= mouth.contact_height(x)))
    paint("lower_lip", lips & (y < mouth.contact_height(x)))
    inside = (Part.INNER_MOUTH, Part.TEETH, Part.GUMS, Part.TONGUE)
    paint("inner_mouth", np.isin(parts, inside).any(1))
    paint("left_eyeball", (parts == Part.LEFT_EYEBALL).any(1))
    return np.concatenate([region, _swapped(region)])


def brow_height(x: Array) -> Array:
    """Middle line of the left brow strip at frontal x, metres."""
    return _BROW(x)


def is_scalp(x: Array, y: Array, z: Array) -> Array:
    """Where hair grows: above the hairline in front, above the nape behind."""
    above = y > _HAIRLINE(np.abs(x))
    behind = (z < -14 * MM) & (y > 36 * MM)
    behind_ear = (z < -58 * MM) & (y > nape_line(z))
    return above | behind | behind_ear


def nape_line(z: Array) -> Array:
    return np.interp(z / MM, (-125.0, -58.0), (-52.0, -10.0)) * MM


def neck_line(z: Array) -> Array:
    """Height below which skin is neck: under the jaw, from chin to gonion to nape."""
    knots = ((-130, -52), (-90, -36), (-60, -22), (-45, -35), (-32, -58), (0, -80), (44, -98))
    return np.interp(z / MM, *np.array(knots, float).T) * MM


def _swapped(region: Array) -> Array:
    swap = np.arange(len(REGION_ID))
    for left, right in (
        ("left_eye_region", "right_eye_region"),
        ("left_eyeball", "right_eyeball"),
        ("left_eyebrow", "right_eyebrow"),
        ("left_ear", "right_ear"),
    ):
        swap[REGION_ID[left]], swap[REGION_ID[right]] = REGION_ID[right], REGION_ID[left]
    return swap[region]
