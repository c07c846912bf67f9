"""Identity components: what tells people apart, in steps of about one standard deviation.

The first five are the axes by which a person is described at a glance; the others are local.
Figures in mm for a coefficient of 1, left half, mirrored. Sizes follow the spread of facial
measures between adults (Farkas 1994), damped so that a draw of all at once stays a likely face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthforge.mannequin import lids
from synthforge.mannequin.assembly import Assembly
from synthforge.mannequin.displacement import (
    Anchors,
    Push,
    Triple,
    evened,
    one_sided,
    scale,
    scale_eyes,
    symmetric,
)
from synthforge.mannequin.lids import LidMap
from synthforge.mannequin.profiles import MM, Array

_EYE: Triple = (31.5, 23.5, 22.8)
_HEAD: Triple = (0, 10, -40)
_EAR: Triple = (73, 4, -50)
_EAR_REACH: Triple = (24, 42, 30)


@dataclass(frozen=True)
class Trait:
    """One identity component.

    pushes: mirrored; left_pushes: on the left only. eye, ear and head: growth as a share.
    upper_lid, lower_lid: motion of the margins, mm, from the inner to the outer canthus.
    """

    pushes: tuple[Push, ...] = ()
    left_pushes: tuple[Push, ...] = ()
    eye: float = 0.0
    ear: float = 0.0
    head: float = 0.0
    upper_lid: tuple[float, ...] = (0.0, 0.0)
    lower_lid: tuple[float, ...] = (0.0, 0.0)


def _push(center: Triple, radius: Triple, by: Triple) -> Push:
    return Push(center, radius, by)


# Named places: centre and reach.
_BROW = ((20, 39, 46), (26, 9, 20))
_JAW_ANGLE = ((54, -58, -14), (22, 26, 40))
_CHIN = ((0, -85, 46), (20, 15, 28))
_CHIN_SIDE = ((13, -86, 42), (13, 12, 24))
_WING = ((15.5, -20, 54), (8.5, 8.5, 13))
_TIP = ((0, -16, 69), (12, 11, 16))
_BRIDGE = ((0, 8, 50), (10, 16, 15))
_NASION = ((0, 22, 44), (13, 10, 15))
_NOSE_BASE = ((0, -26, 56), (17, 8, 18))
_UPPER_VERMILION = ((6, -40.2, 57), (15, 4.2, 14))
_LOWER_VERMILION = ((6, -57, 55), (15, 4.6, 14))
_LIPS = ((0, -48, 55), (24, 15, 18))
_MOUTH_CORNER = ((25, -48.2, 44), (9, 9, 14))
_CHEEK = ((50, -30, 20), (20, 26, 34))
_APPLE = ((35, -7, 42), (16, 14, 18))
_ZYGOMA = ((56, 2, 24), (17, 15, 26))
_JOWL = ((38, -74, 18), (17, 15, 28))
_UNDER_CHIN = ((0, -104, 18), (28, 12, 26))
_NECK = ((55, -138, -55), (42, 46, 80))
_THROAT = ((0, -128, -2), (10, 11, 18))
_FOREHEAD = ((0, 72, 47), (44, 24, 30))
_TEMPLE = ((66, 46, 8), (16, 22, 26))
_CRANIUM_SIDE = ((75, 60, -45), (42, 70, 80))
_OCCIPUT = ((0, 45, -138), (80, 70, 55))
_CROWN = ((0, 132, -43), (80, 50, 90))
_LOWER_FACE = ((0, -90, 45), (46, 30, 50))
_EYE_SOCKET = ((31, 34, 38), (19, 9, 16))
_EYE_BAG = ((30, 11.5, 37), (12, 4, 14))

_AXES = {
    "masculinity": Trait(
        (
            _push((18, 39, 46), (24, 9, 20), (0, -1.0, 1.3)),
            _push(*_JAW_ANGLE, (2.3, -0.9, 0.3)),
            _push(*_CHIN_SIDE, (1.5, -1.0, 0.4)),
            _push(*_LOWER_FACE, (0, -1.5, 0.2)),
            _push((0, -14, 66), (14, 18, 20), (0, -0.4, 1.3)),
            _push(*_WING, (0.7, 0, 0.1)),
            _push(*_BRIDGE, (0, 0, 0.7)),
            _push(*_UPPER_VERMILION, (0, -0.6, -0.4)),
            _push(*_LOWER_VERMILION, (0, 0.6, -0.5)),
            _push(*_FOREHEAD, (0, 0, -1.3)),
            _push(*_NECK, (3.0, 0, 0)),
            _push(*_THROAT, (0, 0, 1.5)),
            _push(*_APPLE, (-0.3, 0, -0.9)),
        ),
        eye=-0.025,
        ear=0.02,
        head=0.012,
        upper_lid=(0, -0.5, -0.35, 0),
    ),
    "age": Trait(
        (
            _push(*_JOWL, (0.4, -1.9, 0.7)),
            _push(*_APPLE, (0, -1.6, -1.5)),
            _push((46, -30, 26), (16, 18, 26), (-1.5, 0, -1.2)),
            _push(*_EYE_BAG, (0, -0.5, 0.8)),
            _push((22, 7, 40), (8, 5, 14), (0, 0, -0.8)),
            _push((43, 40, 38), (15, 9, 18), (0, -1.3, 0)),
            _push(*_EYE_SOCKET, (0, -0.4, -0.5)),
            _push((0, -17, 68), (14, 13, 22), (0, -1.3, 1.5)),
            _push((0, -40, 45), (70, 42, 70), (0, -0.9, 0)),
            _push(*_NOSE_BASE, (0, -1.0, 0)),
            _push(*_WING, (0.8, -0.3, 0)),
            _push(*_BRIDGE, (0, 0, 0.7)),
            _push(*_UPPER_VERMILION, (0, -0.7, -0.6)),
            _push(*_LOWER_VERMILION, (0, 0.6, -0.6)),
            _push(*_MOUTH_CORNER, (0.3, -1.0, -0.3)),
            _push(*_LOWER_FACE, (0, -2.8, 0.8)),
            _push((0, 75, 45), (55, 36, 45), (0, -0.6, -1.5)),
            _push(*_JAW_ANGLE, (0.6, -0.4, 0)),
            _push((0, -104, 20), (22, 11, 24), (0, -1.7, 0)),
            _push(*_TEMPLE, (-0.9, 0, -0.5)),
            _push(*_NECK, (3.2, 0, 0)),
            _push((28, -34, 48), (5, 14, 14), (0, 0, -0.9)),
        ),
        eye=-0.06,
        ear=0.05,
        head=0.01,
        upper_lid=(0, -0.4, -0.6, 0),
        lower_lid=(0, -0.2, -0.2, 0),
    ),
    "weight": Trait(
        (
            _push(*_CHEEK, (3.3, -0.4, 1.5)),
            _push((44, -74, 12), (24, 20, 36), (2.8, -1.6, 0.8)),
            _push(*_UNDER_CHIN, (0, -3.4, 1.4)),
            _push(*_NECK, (4.2, 0, 0)),
            _push((0, -134, -4), (34, 32, 32), (0, 0, 2.4)),
            _push(*_APPLE, (0.9, 0.3, 1.3)),
            _push((66, -4, -12), (26, 34, 40), (1.6, 0, 0)),
            _push(*_CHIN, (0, 0, 0.6)),
            _push(*_WING, (0.4, 0, 0)),
            _push((31, 33, 38), (16, 6, 14), (0, -0.2, 0.6)),
            _push(*_LIPS, (0, 0, 0.4)),
        ),
        upper_lid=(0, -0.15, -0.15, 0),
        lower_lid=(0, 0.2, 0.2, 0),
    ),
    "african": Trait(
        (
            _push(*_WING, (2.3, 0.3, -0.3)),
            _push((7, -16, 66), (8, 9, 14), (1.2, 0, -0.4)),
            _push(*_TIP, (0, 0, -1.0)),
            _push(*_BRIDGE, (0, 0, -1.6)),
            _push((8, 4, 47), (7, 16, 14), (0.8, 0, 0.2)),
            _push(*_UPPER_VERMILION, (0.3, 1.2, 1.1)),
            _push(*_LOWER_VERMILION, (0.3, -1.3, 1.2)),
            _push(*_LIPS, (0, 0, 1.7)),
            _push(*_MOUTH_CORNER, (0.9, 0, 0.3)),
            _push((0, -44, 50), (34, 26, 45), (0, 0, 1.7)),
            _push((0, -84, 48), (20, 13, 28), (0, 0, -0.7)),
            _push(*_FOREHEAD, (0, 0, 0.8)),
            _push(*_ZYGOMA, (0.6, 0, 0.5)),
        ),
    ),
    "east_asian": Trait(
        (
            _push(*_BRIDGE, (0, 0, -1.9)),
            _push(*_NASION, (0, 0, -1.1)),
            _push(*_BROW, (0, 0.5, -1.2)),
            _push(*_ZYGOMA, (2.1, 0, 0.9)),
            _push(*_APPLE, (0.3, 0.4, 1.4)),
            _push((70, -12, -15), (30, 50, 44), (1.2, 0, 0)),
            _push(*_WING, (0.6, 0, 0)),
            _push(*_TIP, (0, 0, -1.0)),
            _push((30, 31.5, 36), (14, 4.5, 14), (0, -0.4, 1.1)),
            _push(*_EYE_SOCKET, (0, 0, 1.3)),
            _push((17, 24, 34), (5, 5, 12), (0.4, -0.6, 0.7)),
            _push((0, -82, 48), (20, 14, 26), (0, 0, -0.5)),
            _push(*_OCCIPUT, (0, 0, 2.4)),
            _push(*_CRANIUM_SIDE, (1.2, 0, 0)),
        ),
        upper_lid=(-0.7, -0.95, -0.55, 0.3),
        lower_lid=(-0.5, 0.25, 0.3, 0.35),
    ),
}

_DETAILS = {
    "face_width": Trait((_push((68, -10, -15), (34, 60, 60), (1.6, 0, 0)),)),
    "face_length": Trait((_push(*_LOWER_FACE, (0, -2.2, 0)),)),
    "midface_length": Trait((_push((0, -40, 45), (70, 42, 70), (0, -1.4, 0)),)),
    "head_size": Trait(head=0.018),
    "cranium_width": Trait((_push(*_CRANIUM_SIDE, (2.2, 0, 0)),)),
    "cranium_depth": Trait((_push(*_OCCIPUT, (0, 0, -3.4)),)),
    "cranium_height": Trait((_push(*_CROWN, (0, 3.2, 0)),)),
    "forehead_slope": Trait((_push((0, 80, 43), (55, 26, 34), (0, 0, 1.8)),)),
    "forehead_bulge": Trait((_push((0, 62, 48), (36, 15, 24), (0, 0, 1.1)),)),
    "temples": Trait((_push(*_TEMPLE, (1.2, 0, 0.5)),)),
    "brow_ridge": Trait((_push(*_BROW, (0, 0, 1.1)),)),
    "brow_height": Trait((_push((31, 42, 43), (28, 9, 18), (0, 1.3, 0)),)),
    "brow_slant": Trait(
        (
            _push((15, 41, 46), (12, 8, 18), (0, -0.9, 0)),
            _push((46, 40, 38), (12, 8, 18), (0, 1.0, 0)),
        )
    ),
    "eye_spacing": Trait((_push(_EYE, (19, 17, 40), (1.2, 0, 0)),)),
    "eye_height": Trait((_push(_EYE, (22, 16, 40), (0, 0.9, 0)),)),
    "eye_depth": Trait((_push(_EYE, (20, 16, 40), (0, 0, -1.0)),)),
    "eye_size": Trait(eye=0.035),
    "eye_opening": Trait(upper_lid=(0, 0.5, 0.4, 0), lower_lid=(0, -0.25, -0.25, 0)),
    "eye_slant": Trait(upper_lid=(-0.5, -0.1, 0.3, 0.6), lower_lid=(-0.5, -0.1, 0.3, 0.6)),
    "lid_arch": Trait(upper_lid=(0, 0.5, -0.4, 0), lower_lid=(0, 0.2, -0.2, 0)),
    "lid_fold": Trait((_push((31, 32, 36), (14, 4, 14), (0, -0.3, 0.8)),)),
    "eye_bags": Trait((_push(*_EYE_BAG, (0, 0, 0.7)),)),
    "nose_width": Trait((_push(*_WING, (1.1, 0, 0)),)),
    "nose_length": Trait(
        (
            _push((0, -18, 66), (16, 12, 24), (0, -1.6, 0)),
            _push(*_NOSE_BASE, (0, -0.7, 0)),
        )
    ),
    "nose_projection": Trait((_push((0, -16, 68), (13, 15, 22), (0, 0, 1.7)),)),
    "nose_bridge": Trait((_push(*_BRIDGE, (0, 0, 1.0)),)),
    "nose_hump": Trait((_push((0, 3, 56), (8, 7, 14), (0, 0, 0.9)),)),
    "nasion_depth": Trait((_push(*_NASION, (0, 0, 0.9)),)),
    "bridge_width": Trait((_push((8, 6, 46), (6, 16, 14), (0.8, 0, 0)),)),
    "tip_turn": Trait((_push((0, -17, 70), (9, 8, 11), (0, 1.3, 0.3)),)),
    "tip_width": Trait((_push((6.5, -16, 66), (7, 8, 12), (0.9, 0, 0)),)),
    "wing_height": Trait((_push(*_WING, (0, 1.0, 0)),)),
    "mouth_width": Trait((_push((25, -48, 44), (13, 12, 20), (1.8, 0, -0.3)),)),
    "mouth_height": Trait((_push((0, -49, 52), (34, 14, 28), (0, 1.2, 0)),)),
    "mouth_projection": Trait((_push((0, -47, 52), (28, 20, 30), (0, 0, 1.2)),)),
    "upper_lip_height": Trait((_push(*_UPPER_VERMILION, (0, 0.8, 0.4)),)),
    "lower_lip_height": Trait((_push(*_LOWER_VERMILION, (0, -0.9, 0.5)),)),
    "cupids_bow": Trait((_push((5.5, -39.5, 57), (4.2, 3.5, 10), (0, 0.5, 0.2)),)),
    "mouth_corners": Trait((_push(*_MOUTH_CORNER, (0, 0.8, 0)),)),
    "philtrum": Trait((_push((0, -34, 54), (4, 6, 12), (0, 0, -0.5)),)),
    "chin_projection": Trait((_push((0, -84, 48), (22, 15, 30), (0, 0, 1.6)),)),
    "chin_width": Trait((_push((17, -86, 38), (13, 13, 26), (1.7, 0, 0)),)),
    "chin_height": Trait((_push((0, -91, 44), (24, 14, 30), (0, -1.6, 0)),)),
    "chin_fold": Trait((_push((0, -65, 49), (16, 5, 14), (0, 0, -0.8)),)),
    "jaw_width": Trait((_push((54, -55, -12), (22, 28, 42), (2.0, 0, 0)),)),
    "jaw_angle": Trait((_push(*_JAW_ANGLE, (0.5, -2.0, -0.6)),)),
    "cheekbones": Trait((_push(*_ZYGOMA, (1.3, 0, 0.8)),)),
    "cheekbone_height": Trait((_push((50, 2, 30), (20, 16, 26), (0, 1.5, 0)),)),
    "cheek_fullness": Trait((_push(*_CHEEK, (1.5, 0, 0.9)),)),
    "cheek_apples": Trait((_push(*_APPLE, (0, 0, 1.0)),)),
    "neck_width": Trait((_push(*_NECK, (2.6, 0, 0)),)),
    "throat": Trait((_push((0, -106, 14), (26, 13, 26), (0, -1.6, 0)),)),
    "ear_size": Trait(ear=0.055),
    "ear_stand": Trait((_push((86, 12, -66), (22, 36, 24), (2.0, 0, 0)),)),
    "ear_height": Trait((_push(_EAR, (26, 44, 34), (0, 1.4, 0)),)),
    "ear_lobe": Trait((_push((72, -22, -48), (12, 9, 16), (0, -1.3, 0)),)),
    "face_taper": Trait(
        (
            _push((60, 50, 10), (40, 40, 70), (1.0, 0, 0)),
            _push((45, -75, 5), (40, 36, 60), (-1.4, 0, 0)),
        )
    ),
    "profile_bow": Trait(
        (
            _push((0, -20, 50), (50, 34, 50), (0, 0, 1.2)),
            _push((0, -92, 44), (40, 24, 40), (0, 0, -1.0)),
            _push((0, 80, 44), (55, 30, 40), (0, 0, -1.0)),
        )
    ),
    "face_flatness": Trait((_push((52, -5, 25), (22, 50, 34), (0.6, 0, 1.2)),)),
    "brow_uneven": Trait(left_pushes=(_push((32, 42, 43), (24, 9, 18), (0, 0.7, 0)),)),
    "mouth_uneven": Trait(left_pushes=(_push((22, -48, 46), (14, 12, 20), (0, 0.6, 0)),)),
    "nose_askew": Trait(left_pushes=(_push((0, -14, 68), (15, 18, 22), (0.7, 0, 0)),)),
    "jaw_uneven": Trait(left_pushes=(_push((40, -70, 15), (30, 30, 44), (0.7, -0.5, 0)),)),
}

TRAITS = _AXES | _DETAILS
NAMES = tuple(TRAITS)


def components(assembly: Assembly, where: Anchors, lid_map: LidMap) -> Array:
    """(V, 3, len(NAMES)) metres for a coefficient of 1."""
    found = []
    for trait in TRAITS.values():
        directions = _component(trait, where, lid_map)
        found.append(directions if trait.left_pushes else evened(assembly, directions))
    return np.stack(found, -1)


def _component(trait: Trait, where: Anchors, lid_map: LidMap) -> Array:
    total = symmetric(where, trait.pushes) + one_sided(where, trait.left_pushes)
    if trait.eye:
        total += scale_eyes(where, trait.eye)
    if trait.ear:
        total += scale(where, _EAR, _EAR_REACH, trait.ear)
    if trait.head:
        total += trait.head * (where.position - np.array(_HEAD) * MM)
    if any(trait.upper_lid) or any(trait.lower_lid):
        total += lids.slide(lid_map, trait.upper_lid, trait.lower_lid)
    return total
