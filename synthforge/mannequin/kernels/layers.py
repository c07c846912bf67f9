"""The loop of render/layers.py, compiled as those of `raster_kernel` are."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import numpy as np

from synthforge.raster_kernel import compiled
from synthforge.regions import BACKGROUND
from synthforge.visible import FACIAL_HAIR, FIRST_OVER

# A beard lets skin through: so much of a pixel of the head makes it beard.
_BEARD = np.float32(0.25)
_ZERO, _ONE, _QUARTER = np.float32(0), np.float32(1), np.float32(0.25)


@compiled(
    "int64[::1]",
    "uint8[::1]",
    "float32[::1]",
    "int32[:,::1]",
    "uint8[::1]",
    "float32[::1]",
    "float32[::1]",
    "uint8[:,::1]",
    "uint8[:,::1]",
    "float32[:,::1]",
    "float32[:,::1]",
)
def compose(
    of_sample, pair_kind, pair_z, slots, kind, passed, z, behind, ids, cover, depth
):  # fmt: skip
    """Add up what the four samples of each pixel show, front to back.

    of_sample: [4 S^2], the pair of each sample; as many as there are pairs for none.
    slots: [C, 4 S^2], index into kind, passed and z of the cover over a sample, the frontmost last;
    -1 for none. behind: [S, S], class of the background. Set: ids, cover, depth, [S, S] each.
    """
    size = len(ids)
    covers = len(slots)
    none = len(pair_kind)
    most = 4 * (covers + 1)
    classes = np.empty(most, np.uint8)
    shares = np.empty(most, np.float32)
    nearest = np.empty(most, np.float32)
    for row in range(size):
        for column in range(size):
            top, below = 4 * row * size + 2 * column, (4 * row + 2) * size + 2 * column
            pair = of_sample[top]
            alone = (
                pair == of_sample[top + 1]
                and pair == of_sample[below]
                and pair == of_sample[below + 1]
            )
            for step in range(covers):
                # -1 & -1 is -1, and a slot leaves it positive.
                alone &= slots[step, top] & slots[step, top + 1] == -1
                alone &= slots[step, below] & slots[step, below + 1] == -1
            if alone:
                shown, shown_z = behind[row, column], _ZERO
                if pair < none:
                    shown, shown_z = pair_kind[pair], pair_z[pair]
                ids[row, column], depth[row, column] = shown, shown_z
                cover[row, column] = _ONE if shown >= FIRST_OVER else _ZERO
                continue
            count = 0
            covered = _ZERO
            for k in range(4):
                sample = (top, top + 1, below, below + 1)[k]
                through = _ONE
                for step in range(covers + 1):
                    if step < covers:
                        slot = slots[covers - 1 - step, sample]
                        if slot < 0:
                            continue
                        share = through * (_ONE - passed[slot])
                        through = through * passed[slot]
                        shown, shown_z, is_over = kind[slot], z[slot], True
                    else:
                        pair = of_sample[sample]
                        share = through
                        if pair < none:
                            shown, shown_z = pair_kind[pair], pair_z[pair]
                        else:
                            shown, shown_z = behind[row, column], _ZERO
                        is_over = shown >= FIRST_OVER
                    if is_over:
                        covered += share
                    place = 0
                    while place < count and classes[place] != shown:
                        place += 1
                    if place == count:
                        classes[place], shares[place], nearest[place] = shown, share, shown_z
                        count += 1
                    else:
                        shares[place] += share
                        nearest[place] = min(nearest[place], shown_z)
            most_shown = 0
            for place in range(1, count):
                if shares[place] > shares[most_shown]:
                    most_shown = place
            if classes[most_shown] < BACKGROUND:
                for place in range(count):
                    if classes[place] == FACIAL_HAIR and shares[place] * _QUARTER >= _BEARD:
                        most_shown = place
            ids[row, column] = classes[most_shown]
            depth[row, column] = nearest[most_shown]
            cover[row, column] = covered * _QUARTER
