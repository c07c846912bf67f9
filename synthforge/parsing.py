"""Face parsing as the sets have it that people train for: classes of theirs from ours.

Names, order and sides are as their authors publish them:

- LaPa: labelmap.txt of github.com/jd-opensource/lapa-dataset. Its skin holds the ears, as FaRL
  reads it.
- CelebAMask-HQ: face_parsing/Data_preprocessing/g_mask.py of
  github.com/switchablenorms/CelebAMask-HQ.
- Face Synthetics: README.md of github.com/microsoft/FaceSynthetics.

None says whose left its left is. docs/formats.md has what is known of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthforge.visible import VISIBLE

# What nobody may learn from: `unknown`, and what a set has no word for.
IGNORE = 255


@dataclass(frozen=True)
class Parsing:
    """The classes of one set.

    classes: in its order, each with the classes of synthforge.visible that it holds.
    ignored: of these, what is stored as IGNORE; all others are class 0, the background.
    """

    classes: Mapping[str, tuple[str, ...]]
    ignored: tuple[str, ...]
    sides: str

    @property
    def table(self) -> NDArray[np.uint8]:
        """uint8 [32]: the set's class for each of synthforge.visible."""
        of = {ours: i for i, names in enumerate(self.classes.values()) for ours in names}
        of |= dict.fromkeys(self.ignored, IGNORE)
        return np.array([of.get(visible.name, 0) for visible in VISIBLE], np.uint8)

    @property
    def not_drawn(self) -> list[str]:
        """The set's classes that no image has."""
        return [name for name, ours in self.classes.items() if not ours]

    def as_json(self) -> dict[str, Any]:
        """As dataset.json has it."""
        return {
            "classes": {name: i for i, name in enumerate(self.classes)},
            "ignore": IGNORE,
            "left_and_right": self.sides,
            "not_drawn": self.not_drawn,
        }


_SKIN = (
    "face", "forehead", "eye_region", "eye_region+forehead", "right_eye_region", "left_eye_region",
    "scalp",
)  # fmt: skip
_NECK = ("neck", "neck_back")
_IMAGE, _SUBJECT = "the image's", "the subject's"

PARSINGS = {
    "parsing_lapa": Parsing(
        {
            "background": ("background",),
            "skin": (*_SKIN, "right_ear", "left_ear", "facial_hair", "glasses", "lens", "earring"),
            "left eyebrow": ("right_eyebrow",),
            "right eyebrow": ("left_eyebrow",),
            "left eye": ("right_eyeball",),
            "right eye": ("left_eyeball",),
            "nose": ("nose",),
            "upper lip": ("upper_lip",),
            "inner mouth": ("inner_mouth",),
            "lower lip": ("lower_lip",),
            "hair": ("hair",),
        },
        ignored=("unknown",),
        sides=_IMAGE,
    ),
    "parsing_celebamask": Parsing(
        {
            "background": ("background",),
            "skin": (*_SKIN, "facial_hair"),
            "nose": ("nose",),
            "eye_g": ("glasses", "lens"),
            "l_eye": ("right_eyeball",),
            "r_eye": ("left_eyeball",),
            "l_brow": ("right_eyebrow",),
            "r_brow": ("left_eyebrow",),
            "l_ear": ("right_ear",),
            "r_ear": ("left_ear",),
            "mouth": ("inner_mouth",),
            "u_lip": ("upper_lip",),
            "l_lip": ("lower_lip",),
            "hair": ("hair",),
            "hat": ("headwear",),
            "ear_r": ("earring",),
            "neck_l": (),
            "neck": _NECK,
            "cloth": ("clothes",),
        },
        ignored=("unknown",),
        sides=_IMAGE,
    ),
    "parsing_facesynthetics": Parsing(
        {
            "BACKGROUND": ("background", "other_person"),
            "SKIN": _SKIN,
            "NOSE": ("nose",),
            "RIGHT_EYE": ("right_eyeball",),
            "LEFT_EYE": ("left_eyeball",),
            "RIGHT_BROW": ("right_eyebrow",),
            "LEFT_BROW": ("left_eyebrow",),
            "RIGHT_EAR": ("right_ear",),
            "LEFT_EAR": ("left_ear",),
            "MOUTH_INTERIOR": ("inner_mouth",),
            "TOP_LIP": ("upper_lip",),
            "BOTTOM_LIP": ("lower_lip",),
            "NECK": _NECK,
            "HAIR": ("hair",),
            "BEARD": ("facial_hair",),
            "CLOTHING": ("clothes",),
            "GLASSES": ("glasses", "lens"),
            "HEADWEAR": ("headwear",),
            "FACEWEAR": ("mask",),
        },
        ignored=("hand", "object", "earring", "unknown"),
        sides=_SUBJECT,
    ),
}
