"""Draws with several processes of this machine.

Each process builds its own parts, then takes one range after the other. One that dies is replaced,
and what its range lacks is drawn again, a sample at a time: so the index that a process dies of is
known. Samples are the same bytes whoever draws them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

import torch

from synthforge.assembly import Rig
from synthforge.config import RunConfig
from synthforge.cpus import one_thread
from synthforge.dataset.sink import Sink
from synthforge.errors import UserError
from synthforge.pipeline import Rejection, Report, draw_into
from synthforge.plan import plan
from synthforge.sampling import SampleId

# Processes that may die of one index, or one after the other before they are ready.
_DEATHS = 3
# How long a process may take to finish its writes when it is told to end.
_LAST_WRITES_S = 10.0

# The only state of a process that is safe to start from a process with threads or a GPU.
_spawn = multiprocessing.get_context("spawn")


class WorkerError(UserError, RuntimeError):
    """Processes that draw die again and again; the message says of which index."""


@dataclass(frozen=True)
class Workers:
    """The engine that draws with processes of this machine, one for each of `builds`.

    builds: what makes the parts in each process; it can be pickled.
    """

    builds: Sequence[Callable[[], Rig]]
    run: RunConfig
    sink: Sink

    @property
    def workers(self) -> int:
        return len(self.builds)

    def draw(self, ranges: Iterator[range], report: Report) -> None:
        """See `Engine`. Raises WorkerError if three processes die of one index."""
        one_thread()
        torch.cuda.empty_cache()  # of the parts that the caller built for itself
        crew = _Crew(self, ranges, report)
        try:
            crew.start()
            while crew.hand_out():
                crew.listen()
        finally:
            crew.end()


@dataclass
class _Crew:
    """The processes of a run, what they have left, and what they died of.

    left: of ranges whose process died. rejected: draws of those ranges that are reported already.
    deaths: by index.
    """

    engine: Workers
    ranges: Iterator[range]
    report: Report
    workers: list[_Worker] = field(default_factory=list)
    left: list[range] = field(default_factory=list)
    rejected: set[SampleId] = field(default_factory=set)
    deaths: Counter[int] = field(default_factory=Counter)

    def start(self) -> None:
        for build in self.engine.builds:
            self.workers.append(_Worker(build, self.engine.run, self.engine.sink))

    def hand_out(self) -> bool:
        """Give ranges to those that wait for one. False if all are drawn."""
        for worker in self.workers:
            if worker.is_idle and self.left:
                worker.give(self.left.pop(), batch_size=1)
            elif worker.is_idle and (indices := next(self.ranges, None)):
                worker.give(indices, self.engine.run.batch_size)
        is_at_work = any(worker.indices for worker in self.workers)
        return is_at_work or not any(worker.is_idle for worker in self.workers)

    def listen(self) -> None:
        """Wait for messages, and take one of each process that has sent some."""
        heard = wait([worker.connection for worker in self.workers])
        for worker in [worker for worker in self.workers if worker.connection in heard]:
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                self.replace(worker)
                continue
            if isinstance(message, Exception):
                raise message
            if message is None:
                worker.indices, worker.is_idle, worker.failed_starts = None, True, 0
                continue
            written, rejections = message
            worker.count(written, rejections)
            self.report(written, [row for row in rejections if row.id not in self.rejected])

    def replace(self, worker: _Worker) -> None:
        """Put a process in the place of one that died. Raises WorkerError if too many did."""
        worker.end(_LAST_WRITES_S)
        if worker.indices:
            index = worker.current
            self.deaths[index] += 1
            worker.check(
                self.deaths[index],
                f"while they drew image {index}; --workers 1 --start_index {index} "
                "--num_images 1 draws it alone",
            )
            stored = self.engine.sink.stored(worker.indices)
            self.report(len(stored) - worker.written, [])
            self.left += plan(worker.indices, stored, worker.indices.stop)
            self.rejected |= worker.rejected
        elif not worker.is_idle:
            worker.failed_starts += 1
            worker.check(worker.failed_starts, "before they could draw")
        self.workers[self.workers.index(worker)] = _Worker(
            worker.build, worker.run, worker.sink, worker.failed_starts
        )

    def end(self) -> None:
        """End the processes. What they have drawn is written, what they are drawing is not."""
        for worker in self.workers:
            worker.process.terminate()
        until = time.monotonic() + _LAST_WRITES_S
        for worker in self.workers:
            worker.end(max(0, until - time.monotonic()))


@dataclass(eq=False)
class _Worker:
    """A process as its parent sees it.

    indices: the range that it draws. written, given_up, rejected: what it has reported of those.
    is_idle: waits for a range. failed_starts: of processes in its place, one after the other.
    """

    build: Callable[[], Rig]
    run: RunConfig
    sink: Sink
    failed_starts: int = 0
    indices: range | None = None
    is_idle: bool = False
    written: int = 0
    given_up: int = 0
    rejected: set[SampleId] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.connection, other = _spawn.Pipe()
        self.process = _spawn.Process(
            target=_work, args=(other, self.build, self.run, self.sink), daemon=True
        )
        # It inherits that Ctrl-C is blocked: its parent ends it.
        resource_tracker.ensure_running()  # whose start would unblock it again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            other.close()

    def give(self, indices: range, batch_size: int) -> None:
        self.indices, self.is_idle = indices, False
        self.written, self.given_up, self.rejected = 0, 0, set()
        with contextlib.suppress(OSError):  # it died: the next read tells
            self.connection.send((indices, batch_size))

    def count(self, written: int, rejections: Sequence[Rejection]) -> None:
        self.written += written
        self.given_up += sum(row.is_last(self.run.max_attempts) for row in rejections)
        self.rejected |= {row.id for row in rejections}

    @property
    def current(self) -> int:
        """The index of its range that it draws, exactly so if one at a time."""
        assert self.indices is not None
        return self.indices[min(self.written + self.given_up, len(self.indices) - 1)]

    def check(self, deaths: int, when: str) -> None:
        """Raises WorkerError if that many deaths are too many."""
        code = self.process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if deaths >= _DEATHS:
            raise WorkerError(
                f"{deaths} worker processes died ({how}) {when}. If memory ran out, give fewer "
                "--workers or a smaller --batch_size"
            )

    def end(self, seconds: float) -> None:
        """Wait so long for the process, then kill it."""
        self.process.join(seconds)
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(connection: Connection, build: Callable[[], Rig], run: RunConfig, sink: Sink) -> None:
    """What a process does: it sends None when it waits for a range, and a report a batch."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        rig = build()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # open writes end first

        def report(written: int, rejections: Sequence[Rejection]) -> None:
            connection.send((written, rejections))

        while True:
            connection.send(None)
            indices, batch_size = connection.recv()
            draw_into(sink, indices, rig, replace(run, batch_size=batch_size), report)
    except Exception as error:
        error.add_note(f"In a worker:\n{traceback.format_exc()}")
        with contextlib.suppress(OSError):  # the parent is gone
            connection.send(_picklable(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _picklable(error: Exception) -> Exception:
    """The error, or one of the same text if it cannot reach another process."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        other = RuntimeError(f"{type(error).__name__}: {error}")
        other.__notes__ = error.__notes__
        return other
