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
# An outline cuts a face if it passes within this share of the way from its centre to a corner.
_REACH = 0.6
# Of the length of the borders, for a face to change.
_LEAST_GAIN = 0.01 * MM


def face_regions(assembly: Assembly) -> Array:
    """int64 (F,) of region ids; the right half is the left's with left and right swapped.

    A face that an outline cuts goes to the side that makes the border shorter.
    """
    half = len(assembly.faces) // 2
    faces = assembly.faces[:half]
    corners = assembly.vertices[faces]
    center = corners.mean(1)
    eye_ring = assembly.vertices[assembly.rings["eye_region"], :2]
    region = _outlined(center, eye_ring)
    choices = np.zeros((half, len(REGION_ID)), bool)
    for corner in (corners * _REACH + center[:, None] * (1 - _REACH)).transpose(1, 0, 2):
        choices[np.arange(half), _outlined(corner, eye_ring)] = True

    def paint(name: str, where: Any) -> None:
        region[where] = REGION_ID[name]
        choices[where] = False

    parts = assembly.parts[faces]
    paint("nose", (parts == Part.NOSTRIL).any(1))
    paint("left_ear", (parts == Part.EAR).all(1))
    lips = (parts == Part.LIPS).all(1)
    upper = assembly.jaw[faces].sum(1) > 0
    paint("upper_lip", lips & upper)
    paint("lower_lip", lips & ~upper)
    paint("inner_mouth", np.isin(parts, _INSIDE_MOUTH).any(1))
    paint("left_eyeball", (parts == Part.LEFT_EYEBALL).any(1))
    region = _straightened(region, choices, faces, assembly.vertices)
    return np.concatenate([region, _swapped(region)])


def _outlined(points: Array, eye_ring: Array) -> Array:
    """Region of points (N, 3) of the left half's skin."""
    x, y, z = points.T
    front = np.asarray(z > 2 * MM)
    region = np.full(len(points), REGION_ID["face"])

    def paint(name: str, where: Any) -> None:
        region[where] = REGION_ID[name]

    eye_region = region_outlines.is_eye_region(x, y) & front
    paint("forehead", (y > region_outlines.BROW_BAND_Y) & (z > -20 * MM))
    paint("eye_region", eye_region)
    paint("eye_region+forehead", eye_region & (y > region_outlines.BROW_BAND_Y))
    paint("scalp", region_outlines.is_scalp(points))
    paint("neck", region_outlines.is_neck(points))
    paint("neck_back", region_outlines.is_neck_back(points))
    paint("nose", region_outlines.is_nose(x, y) & front)
    paint("left_eye_region", Path(eye_ring).contains_points(points[:, :2]) & front)
    paint("left_eyebrow", region_outlines.is_brow(x, y) & front)
    return region


def _straightened(region: Array, choices: Array, faces: Array, vertices: Array) -> Array:
    """Give faces to the region next to them while that shortens the borders, best first.

    choices: bool (F, regions), what each face may become.
    """
    neighbour, length = _neighbours(faces, vertices)
    region = region.copy()
    while True:
        beside = np.where(neighbour >= 0, region[neighbour], region[:, None])
        shared = (length[:, None] * (beside[:, :, None] == beside[:, None])).sum(2)
        kept = (length * (beside == region[:, None])).sum(1)
        allowed = np.take_along_axis(choices, beside, 1)
        gain = np.where(allowed, shared - kept[:, None], 0.0)
        face, side = np.unravel_index(gain.argmax(), gain.shape)
        if gain[face, side] < _LEAST_GAIN:
            return region
        region[face] = beside[face, side]


def _neighbours(faces: Array, vertices: Array) -> tuple[Array, Array]:
    """For the three edges of each face: the face beyond, or -1, and the length if there is one."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]], -1).reshape(-1, 2)
    order = np.lexsort(edges.T)
    first = np.flatnonzero((edges[order[1:]] == edges[order[:-1]]).all(1))
    a, b = order[first], order[first + 1]
    neighbour, length = np.full(len(edges), -1), np.zeros(len(edges))
    neighbour[a], neighbour[b] = b // 3, a // 3
    length[a] = length[b] = np.linalg.norm(np.diff(vertices[edges[a]], axis=1)[:, 0], axis=-1)
    return neighbour.reshape(-1, 3), length.reshape(-1, 3)


def _swapped(region: Array) -> Array:
    swap = np.arange(len(REGION_ID))
    for a, b in FLIP_PAIRS:
        swap[a], swap[b] = b, a
    return swap[region]
