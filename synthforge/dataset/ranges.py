"""Sets of sample numbers as ranges: a plan of 100 million samples is a few of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def merged(ranges: Iterable[range]) -> list[range]:
    """The same numbers as ranges that are ascending and do not touch."""
    apart: list[range] = []
    for part in sorted((part for part in ranges if part), key=lambda part: part.start):
        if apart and part.start <= apart[-1].stop:
            last = apart.pop()
            part = range(last.start, max(last.stop, part.stop))
        apart.append(part)
    return apart


def without(wanted: Iterable[range], there: Iterable[range]) -> Iterator[range]:
    """Numbers that are wanted and not there, ascending."""
    held = merged(there)
    for part in merged(wanted):
        start = part.start
        for other in held:
            if start < other.stop and other.start < part.stop:
                if start < other.start:
                    yield range(start, other.start)
                start = other.stop
        if start < part.stop:
            yield range(start, part.stop)


def of_numbers(numbers: NDArray[np.int64]) -> list[range]:
    """Ascending numbers as ranges."""
    import numpy as np

    if not len(numbers):
        return []
    breaks = np.flatnonzero(np.diff(numbers) > 1)
    starts = numbers[np.concatenate([[0], breaks + 1])].tolist()
    stops = numbers[np.concatenate([breaks, [len(numbers) - 1]])].tolist()
    return [range(start, stop + 1) for start, stop in zip(starts, stops, strict=True)]
