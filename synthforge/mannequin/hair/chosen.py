"""Hair that was asked for by name. z carries it to where the person is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from synthforge.sampling_config import HAIR, SamplingConfig

# Entries of z: this and the place of the style and the colour in HAIR. Where nothing was asked for
# they keep their normal draws, which are no such numbers.
HAIR_LATENTS = {"hair": 246, "hair_color": 247}
_CHOSEN = 100


def choose_hair(
    z: NDArray[np.float32], rng: np.random.Generator, config: SamplingConfig
) -> dict[str, NDArray[np.int64]]:
    """Set z's entries to one name of each of config's lists. Returns the places in HAIR."""
    labels = {}
    for (option, known), u in zip(HAIR.items(), rng.random(len(HAIR)), strict=True):
        names: tuple[str, ...] | None = getattr(config, option)
        if names is not None:
            place = known.index(names[int(u * len(names))])
            z[HAIR_LATENTS[option]] = _CHOSEN + place
            labels[option] = np.asarray(place, np.int64)
    return labels


def chosen_hair(z: Tensor) -> tuple[str | None, str | None]:
    """Style and colour by name; None for what was not asked for. z: float32 [256] or longer."""
    names: list[str | None] = []
    for option, known in HAIR.items():
        place = float(z[HAIR_LATENTS[option]]) - _CHOSEN
        names.append(known[int(place)] if place in range(len(known)) else None)
    style, color = names
    return style, color
