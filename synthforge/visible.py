"""The classes of what an image shows: the regions of the bare head, then what may lie before it.

Left and right are the subject's. A number is never given to another class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthforge.regions import PALETTE, REGIONS, Region

# Classes that are no region of the head. Skin of the shoulders is `neck`, hair of a brow is that
# brow, and a lash is its eye's region: all three are regions.
OVER = tuple(
    Region(len(REGIONS) + i, name, color)
    for i, (name, color) in enumerate(
        [
            ("hair", "ff8000"),
            ("facial_hair", "a04010"),
            ("clothes", "2060c0"),
            ("glasses", "00ffff"),
            ("lens", "a0ffe0"),
            ("headwear", "ffc0ff"),
            ("mask", "8000ff"),
            ("hand", "ff6080"),
            ("object", "80ff00"),
            ("other_person", "c0c0ff"),
            ("earring", "ffff80"),
            # Something stands before the head, or beside it, and the generator cannot say what.
            ("unknown", "ffffff"),
        ]
    )
)
VISIBLE = (*REGIONS, *OVER)
VISIBLE_ID = {visible.name: visible.id for visible in VISIBLE}
FIRST_OVER = len(REGIONS)
HAIR, FACIAL_HAIR, CLOTHES = (VISIBLE_ID[name] for name in ("hair", "facial_hair", "clothes"))
OTHER_PERSON, UNKNOWN = VISIBLE_ID["other_person"], VISIBLE_ID["unknown"]

# uint8 (32, 3), RGB.
VISIBLE_PALETTE: NDArray[np.uint8] = np.concatenate(
    [PALETTE, np.array([list(bytes.fromhex(over.color)) for over in OVER], np.uint8)]
)
