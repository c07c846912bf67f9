"""Which indices a run must draw, as ranges: a plan of 100 million images is a few numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def inside(wanted: range, there: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the ascending numbers `there` that are in `wanted`."""
    if not wanted:
        return there[:0]
    first = np.searchsorted(there, wanted[0])
    return there[first : np.searchsorted(there, wanted[-1], side="right")]


def plan(wanted: range, there: NDArray[np.int64], size: int) -> Iterator[range]:
    """Ranges of the indices in `wanted` that are not `there`, ascending.

    there: ascending numbers.
    No range crosses a multiple of `size`, wherever `wanted` begins and whatever is there: so
    ranges may stand for shards.
    """
    for gap in _gaps(wanted, inside(wanted, there)):
        while gap:
            left = size - gap.start % size
            yield gap[:left]
            gap = gap[left:]


def _gaps(wanted: range, there: NDArray[np.int64]) -> Iterator[range]:
    """What lies between the numbers; may be empty at both ends."""
    if not len(there):
        yield wanted
        return
    yield range(wanted.start, int(there[0]))
    for i in np.flatnonzero(np.diff(there) > 1).tolist():
        yield range(int(there[i]) + 1, int(there[i + 1]))
    yield range(int(there[-1]) + 1, wanted.stop)
