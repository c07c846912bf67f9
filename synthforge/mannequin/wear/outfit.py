"""What is worn, what is before the face and who is behind: drawn for each sample, carried by z."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from torch import Tensor

from synthforge.mannequin.draws import ramp
from synthforge.sampling_config import WEAR, SamplingConfig

# Entries of z: which are numbers of what is worn, and which vary the look of each.
WORN_LATENTS = slice(248, 248 + len(WEAR))
LOOK = {
    "glasses": slice(160, 190),
    "headwear": slice(190, 215),
    "mask": slice(215, 225),
    "earrings": slice(225, 235),
    "bystanders": slice(480, 490),
    "occluders": slice(490, 510),
}

GLASSES = ("none", "clear", "tinted")
HEADWEAR = ("none", "cap", "beanie", "hat", "headscarf")
MASK = ("none", "medical")
EARRINGS = ("none", "studs", "hoops", "pendants")
OCCLUDERS = ("none", "microphone", "phone", "cup")
BYSTANDERS = ("none", "one")

# Of those who wear glasses, how many's are tinted.
_TINTED = 0.22


@dataclass(frozen=True)
class Outfit:
    """Places in the tuples above, by the fields of SamplingConfig that hold their shares."""

    glasses: int = 0
    headwear: int = 0
    mask: int = 0
    earrings: int = 0
    occluders: int = 0
    bystanders: int = 0

    @property
    def is_bare(self) -> bool:
        """Nothing is worn, and nothing is before the face."""
        return replace(self, bystanders=0) == Outfit()


def outfit_of(z: Tensor) -> Outfit:
    """What z [512] says is worn. An entry that is no kind's number counts as none."""
    numbers = z[WORN_LATENTS].tolist()
    kinds = (GLASSES, HEADWEAR, MASK, EARRINGS, OCCLUDERS, BYSTANDERS)
    return Outfit(
        *(
            int(number) if number in range(1, len(known)) else 0
            for number, known in zip(numbers, kinds, strict=True)
        )
    )


def draw_outfit(
    person: np.random.Generator,
    scene: np.random.Generator,
    config: SamplingConfig,
    sex: float,
) -> Outfit:
    """What is worn, in the shares of config; sex, 0 female to 1 male, tells of which kind.

    A mask, what is before the face and who is behind are the scene's.
    """
    u = person.random(8)
    v = scene.random(4)
    male = ramp(0.3, 0.7, sex)
    glasses = headwear = mask = earrings = occluder = 0
    if u[0] < config.glasses:
        glasses = 2 if u[1] < _TINTED else 1
    if u[2] < config.headwear:
        shares = {1: 0.30 + 0.15 * male, 2: 0.25, 3: 0.15, 4: 0.35 * (1 - male)}
        headwear = _pick(u[3], shares)
    if v[0] < config.mask:
        mask = 1
    if u[4] < config.earrings:
        earrings = _pick(u[5], {1: 0.5, 2: 0.3 * (1.2 - male), 3: 0.3 * (1 - male)})
    if v[1] < config.occluders:
        occluder = _pick(v[2], {1: 0.3, 2: 0.35, 3: 0.35})
    return Outfit(glasses, headwear, mask, earrings, occluder, int(v[3] < config.bystanders))


def _pick(u: float, shares: Mapping[int, float]) -> int:
    threshold = u * sum(shares.values())
    for number, share in shares.items():
        threshold -= share
        if threshold < 0:
            return number
    return number


def numbers_of(outfit: Outfit) -> list[int]:
    """In the order of WEAR."""
    return [getattr(outfit, entry.name) for entry in fields(outfit)]
