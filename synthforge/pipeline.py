"""A run: plan -> draw -> sink, batch by batch.

`draw_into` is the unit of work: it needs a Rig, which each process builds from its PartsConfig, a
RunConfig, a range and a sink. An engine has the ranges drawn, in this process (`InProcess`), in
others (synthforge.workers) or on a cluster (synthforge.ray_tasks). The plan, the card, the log and
the bar are the run's.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Protocol

import torch
from tqdm import tqdm

from synthforge.assembly import Rig
from synthforge.batches import Batch, Rejection, finish_batch, start_batch
from synthforge.config import RunConfig
from synthforge.dataset.sample import Sample
from synthforge.dataset.sink import Sink, Writer
from synthforge.plan import inside, plan
from synthforge.sampling import SampleId

# Several workers get that many ranges each, so that all end at about the same time; longer ranges
# gain nothing from so many batches on.
_RANGES_A_WORKER = 16
_MOST_BATCHES_A_RANGE = 16
# Batches that are queued on the device before the results of one are read back, by device.
AHEAD = {"cpu": 0, "cuda": 1}


@dataclass
class Summary:
    """What a run did. given_up: indices without a sample after max_attempts draws."""

    written: int = 0
    already_there: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    given_up: list[int] = field(default_factory=list)

    @property
    def acceptance(self) -> float:
        drawn = self.written + self.rejected.total()
        return self.written / drawn if drawn else 1.0

    def count(self, written: int, rejections: Sequence[Rejection], max_attempts: int) -> None:
        self.written += written
        self.rejected.update(rejection.reject.reason for rejection in rejections)
        self.given_up += [row.id.index for row in rejections if row.is_last(max_attempts)]


# Called with the number of a batch's samples, and its rejections.
Report = Callable[[int, Sequence[Rejection]], None]


class Engine(Protocol):
    """Has ranges drawn into the run's sink."""

    @property
    def workers(self) -> int:
        """How many ranges are drawn at the same time."""
        ...

    def draw(self, ranges: Iterator[range], report: Report) -> None:
        """Draw every index of the ranges, in any order; report each batch, in this thread.

        All samples are stored when this returns. Raises what `draw_into` raises.
        """
        ...


@dataclass(frozen=True)
class InProcess:
    """The engine that draws in this process."""

    rig: Rig
    run: RunConfig
    sink: Sink
    workers: int = 1

    def draw(self, ranges: Iterator[range], report: Report) -> None:
        """See `Engine`."""
        first: int | None = 1  # alone, so that the bar soon moves
        for indices in ranges:
            drawn = draw_into(self.sink, indices, self.rig, self.run, first)
            with contextlib.closing(drawn) as reports:
                for written, rejections in reports:
                    report(written, rejections)
            first = None


def range_size(batch_size: int, missing: int, workers: int) -> int:
    """Indices a range: whole batches, and ranges enough that several workers end together."""
    batches = missing // (batch_size * workers * _RANGES_A_WORKER) if workers > 1 else missing
    return batch_size * min(max(batches, 1), _MOST_BATCHES_A_RANGE)


def generate_dataset(run: RunConfig, writer: Writer, engine: Engine) -> Summary:
    """Have every sample of the run that the dataset lacks drawn, with a bar and a log."""
    summary = Summary(already_there=len(inside(run.indices, writer.there)))
    missing = len(run.indices) - summary.already_there
    size = range_size(run.batch_size, missing, engine.workers)
    if run.format == "webdataset":
        size = run.samples_per_tar
    with tqdm(
        total=len(run.indices),
        initial=summary.already_there,
        unit="img",
        desc="SynthForge",
        smoothing=0.1,
    ) as bar:

        def report(written: int, rejections: Sequence[Rejection]) -> None:
            writer.log_rejections([rejection.as_row() for rejection in rejections])
            summary.count(written, rejections, run.max_attempts)
            bar.set_postfix(accepted=f"{summary.acceptance:.0%}", refresh=False)
            bar.update(written)

        engine.draw(plan(run.indices, writer.there, size), report)
    return summary


def draw_into(
    sink: Sink, indices: range, rig: Rig, run: RunConfig, first: int | None = None
) -> Generator[tuple[int, list[Rejection]]]:
    """Draw a range of samples into a sink: the unit of work.

    Yields the number of each batch's samples, and its rejections. All samples are stored when it
    has ended; close it if you stop before. first: as in `draw`.
    """
    with sink.open(indices) as add:
        for samples, rejections in draw(indices, rig, run, first):
            add(samples, [rejection.as_row() for rejection in rejections])
            yield len(samples), rejections


def draw(
    indices: range, rig: Rig, run: RunConfig, first: int | None = None
) -> Iterator[tuple[list[Sample], list[Rejection]]]:
    """The samples of a range in batches, with the draws that the quality gate rejected.

    A rejected draw is drawn again with the next attempt number, up to run.max_attempts.
    first: size of the first batch, where it is another than run.batch_size.

    On CUDA a batch is queued, on a stream of the generator's own, before the one before it is read
    back: the device generates while the host judges, labels and encodes. That holds two batches.
    """
    fresh = (SampleId(run.seed, index) for index in indices)
    retries: list[SampleId] = []
    size = first or run.batch_size
    stream = _generator_stream(rig.device) if rig.device.type == "cuda" else None
    # One at a time, what is drawn is what is reported next: see `synthforge.ledger`.
    ahead = AHEAD[rig.device.type] if run.batch_size > 1 else 0
    started: deque[Batch] = deque()
    while (ids := [*retries, *islice(fresh, size - len(retries))]) or started:
        retries = []
        size = run.batch_size
        if ids:
            started.append(start_batch(ids, rig, stream))
            if len(started) <= ahead:
                continue
        samples, rejections = finish_batch(started.popleft(), rig, run.extras, run.keypoints)
        yield samples, rejections
        retries = [
            rejection.id.next_attempt()
            for rejection in rejections
            if not rejection.is_last(run.max_attempts)
        ]


@cache
def _generator_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all ranges: torch keeps freed memory for the stream that it was allocated on."""
    return torch.cuda.Stream(device)
