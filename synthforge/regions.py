"""The 20 regions of a labelled face: ids, names, colours, flip pairs.

Left and right are the subject's.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flame_pytorch.errors import FileFormatError
from flame_pytorch.model import FloatArray, IntArray
from synthforge.landmarks import INNER_LIP, LEFT_BROW, RIGHT_BROW


class Region(NamedTuple):
    id: int
    name: str
    color: str


REGIONS = tuple(
    Region(i, name, color)
    for i, (name, color) in enumerate(
        [
            ("face", "f5dccb"),
            ("forehead", "440f85"),
            ("eye_region", "9dab3b"),
            ("neck", "e4f18f"),
            ("right_eye_region", "757ae4"),
            ("left_eye_region", "e5a5e7"),
            ("right_eyeball", "0000ff"),
            ("left_eyeball", "f600ff"),
            ("left_eyebrow", "8fa9d3"),
            ("right_eyebrow", "d38f8f"),
            ("eye_region+forehead", "656b38"),
            ("left_ear", "00ff3c"),
            ("right_ear", "fcff00"),
            ("lower_lip", "008880"),
            ("upper_lip", "d91717"),
            ("inner_mouth", "002f99"),
            ("nose", "c602ac"),
            ("scalp", "683516"),
            ("neck_back", "50443d"),
            ("background", "454545"),
        ]
    )
)
REGION_ID = {region.name: region.id for region in REGIONS}
BACKGROUND = REGION_ID["background"]

# Regions that trade places when an image is mirrored.
FLIP_PAIRS = ((4, 5), (6, 7), (8, 9), (11, 12))

# uint8 (20, 3), RGB.
PALETTE: NDArray[np.uint8] = np.array(
    [list(bytes.fromhex(region.color)) for region in REGIONS], dtype=np.uint8
)


def region_ids(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Region ids [...] of palette colours [..., 3]; 255 for any other colour."""
    wide = colors.astype(np.uint32)
    return _ids_of_codes()[(wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]]


@functools.cache
def _ids_of_codes() -> NDArray[np.uint8]:
    """Region id of each of the 2^24 colours."""
    ids = np.full(1 << 24, 255, np.uint8)
    ids[PALETTE.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)] = range(len(PALETTE))
    return ids


# Half-height of the strip along the brow landmarks that counts as brow, metres.
_BROW_HALF_WIDTH_M = 0.005
# Lip faces this far behind the inner lip's landmarks are inside the mouth, metres.
_INNER_MOUTH_DEPTH_M = 0.004

# FLAME's masks overlap: painted in this order, the later over the earlier.
_MASK_ORDER = (
    ("face", "face"),
    ("scalp", "scalp"),
    ("neck", "neck"),
    ("boundary", "neck"),
    ("forehead", "forehead"),
    ("eye_region", "eye_region"),
    ("nose", "nose"),
    ("left_ear", "left_ear"),
    ("right_ear", "right_ear"),
    ("left_eye_region", "left_eye_region"),
    ("right_eye_region", "right_eye_region"),
    ("left_eyeball", "left_eyeball"),
    ("right_eyeball", "right_eyeball"),
)


def paint_masks(
    masks: Mapping[str, IntArray],
    vertices: FloatArray,
    faces: IntArray,
    landmarks: FloatArray,
    neck_joint: FloatArray,
) -> IntArray:
    """Region of each face from FLAME_masks.pkl: int64 (F,).

    masks: name -> vertex indices. vertices: (V, 3) and landmarks: (68, 3) of the mean head, metres.
    What the masks lack is told from landmarks: brows, the two lips, the inner mouth; and the back
    of the neck is what lies behind `neck_joint` (3,).
    """
    regions = np.full(len(faces), REGION_ID["face"], np.int64)
    inside = {name: np.isin(faces, np.asarray(index)).sum(1) >= 2 for name, index in masks.items()}
    nowhere = np.zeros(len(faces), bool)
    for mask, region in _MASK_ORDER:
        regions[inside.get(mask, nowhere)] = REGION_ID[region]
    overlap = inside.get("eye_region", nowhere) & inside.get("forehead", nowhere)
    regions[overlap] = REGION_ID["eye_region+forehead"]

    centers = vertices[faces].mean(1)
    neck = regions == REGION_ID["neck"]
    regions[neck & (centers[:, 2] < neck_joint[2])] = REGION_ID["neck_back"]

    brow_bearing = np.isin(
        regions, [REGION_ID[name] for name in ("face", "forehead", "eye_region")]
    ) | (regions == REGION_ID["eye_region+forehead"])
    for name, points in (("right_eyebrow", RIGHT_BROW), ("left_eyebrow", LEFT_BROW)):
        near = _distance_to_polyline(centers, landmarks[points]) < _BROW_HALF_WIDTH_M
        regions[brow_bearing & near] = REGION_ID[name]

    lips = inside.get("lips", nowhere)
    inner = landmarks[INNER_LIP]
    parting = np.interp(
        centers[:, 0], *_sorted_by_x((inner[[0, 1, 2, 3, 4]] + inner[[0, 7, 6, 5, 4]]) / 2)
    )
    regions[lips] = np.where(
        centers[lips, 1] > parting[lips], REGION_ID["upper_lip"], REGION_ID["lower_lip"]
    )
    regions[lips & (centers[:, 2] < inner[:, 2].min() - _INNER_MOUTH_DEPTH_M)] = REGION_ID[
        "inner_mouth"
    ]
    return regions


def _sorted_by_x(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(points[:, 0])
    return points[order, 0], points[order, 1]


def _distance_to_polyline(points: FloatArray, line: FloatArray) -> FloatArray:
    """Distance of points (N, 3) to the segments joining (M, 3)."""
    start, step = line[:-1], np.diff(line, axis=0)
    offset = points[:, None] - start
    along = np.clip((offset * step).sum(-1) / (step * step).sum(-1), 0, 1)
    return np.linalg.norm(offset - along[..., None] * step, axis=-1).min(1)


def paint_texture(texture: NDArray[np.uint8], face_uvs: FloatArray) -> IntArray:
    """Region of each face from a painted segmentation in UV space: int64 (F,).

    texture: uint8 (H, W, 3) RGB, nearly palette colours (antialiased edges go to the nearest).
    face_uvs: (F, 3, 2), v running up. Each face takes the colour at its centre.

    Raises FileFormatError if too many of these are no palette colours.
    """
    height, width = texture.shape[:2]
    u, v = face_uvs.mean(1).T
    column = np.clip((u * width).astype(int), 0, width - 1)
    row = np.clip(((1 - v) * height).astype(int), 0, height - 1)
    seen = texture[row, column].astype(int)
    colors = np.concatenate([PALETTE[:BACKGROUND].astype(int), _TEXTURE_COLORS])
    difference = seen[:, None] - colors
    painted = (np.abs(difference).max(-1).min(1) <= _COLOR_TOLERANCE).mean()
    if painted < _MIN_PAINTED:
        raise FileFormatError(
            f"is no painted segmentation: {1 - painted:.0%} of the triangles have colours that "
            "are not in the palette"
        )
    nearest = (difference**2).sum(-1).argmin(1)
    return np.concatenate([np.arange(BACKGROUND), _TEXTURE_REGIONS])[nearest]


# Two colours of SynthForge's painted texture that are no region of their own: the base of the
# neck, and what its author left unmapped.
_TEXTURE_COLORS = np.array([[0x00, 0xFF, 0xF1], [0xD1, 0x82, 0x3D]])
_TEXTURE_REGIONS = np.array([REGION_ID["neck"], REGION_ID["face"]])
# Levels a channel, and the least part of the faces that have a colour of the palette; the others
# lie on antialiased edges.
_COLOR_TOLERANCE = 4
_MIN_PAINTED = 0.5
