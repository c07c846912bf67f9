"""The 20 regions of a labelled face: ids, names, colours, flip pairs.

Left and right are the subject's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


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
