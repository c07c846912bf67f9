"""What a run knows of ranges that other processes draw: what they reported, and what they died of.

What the range of a dead process lacks is drawn again, a sample at a time: so the index that
processes die of is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from synthforge.batches import Rejection
from synthforge.config import RunConfig
from synthforge.dataset.sink import Sink
from synthforge.errors import UserError
from synthforge.pipeline import Report
from synthforge.plan import plan
from synthforge.sampling import SampleId

# Processes that may die of one index, or one after the other before they are ready.
DEATHS = 3


class WorkerError(UserError, RuntimeError):
    """Processes that draw die again and again; the message says of which index."""


@dataclass(eq=False)
class Drawing:
    """A range that a process draws. written, given_up, rejected: what it has reported so far."""

    indices: range
    batch_size: int
    written: int = 0
    given_up: int = 0
    rejected: set[SampleId] = field(default_factory=set)

    @property
    def current(self) -> int:
        """The index that is drawn, exactly so if one at a time."""
        return self.indices[min(self.written + self.given_up, len(self.indices) - 1)]


@dataclass
class Ledger:
    """The ranges of a run, handed out to processes.

    left: of ranges whose process died. rejected: draws of those ranges that are reported already.
    deaths: by index.
    """

    run: RunConfig
    sink: Sink
    ranges: Iterator[range]
    report: Report
    left: list[range] = field(default_factory=list)
    rejected: set[SampleId] = field(default_factory=set)
    deaths: Counter[int] = field(default_factory=Counter)

    def hand_out(self) -> Drawing | None:
        """The next range to draw, if there is one."""
        if self.left:
            return Drawing(self.left.pop(), batch_size=1)
        indices = next(self.ranges, None)
        return Drawing(indices, self.run.batch_size) if indices else None

    def count(self, drawing: Drawing, written: int, rejections: Sequence[Rejection]) -> None:
        """Take a process's report of a batch."""
        drawing.written += written
        drawing.given_up += sum(row.is_last(self.run.max_attempts) for row in rejections)
        drawing.rejected |= {row.id for row in rejections}
        self.report(written, [row for row in rejections if row.id not in self.rejected])

    def bury(self, drawing: Drawing, how: str) -> None:
        """Its process died; what is not stored will be drawn again.

        Raises WorkerError if too many died of that index. how: they died.
        """
        index = drawing.current
        self.deaths[index] += 1
        check_deaths(
            self.deaths[index],
            how,
            f"while they drew image {index}; --workers 1 --start_index {index} --num_images 1 "
            "draws it alone",
        )
        stored = self.sink.stored(drawing.indices)
        self.report(len(stored) - drawing.written, [])
        self.left += plan(drawing.indices, stored, drawing.indices.stop)
        self.rejected |= drawing.rejected


def check_deaths(deaths: int, how: str, when: str) -> None:
    """Raises WorkerError if that many are too many."""
    if deaths >= DEATHS:
        raise WorkerError(
            f"{deaths} worker processes died ({how}) {when}. If memory ran out, give fewer "
            "--workers or a smaller --batch_size"
        )
