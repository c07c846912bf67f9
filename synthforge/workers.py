"""Draws with several processes of this machine.

Each process builds its own parts, then takes one range after the other. One that dies is replaced,
and what its range lacks is drawn again, a sample at a time: so the index that a process dies of is
known. Samples are the same bytes whoever draws them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

import torch

from synthforge.assembly import Rig
from synthforge.config import RunConfig
from synthforge.cpus import one_thread
from synthforge.dataset.sink import Sink
from synthforge.errors import picklable
from synthforge.ledger import Drawing, Ledger, check_deaths
from synthforge.pipeline import Report, draw_into

# How long a process may take to finish its writes when it is told to end.
_LAST_WRITES_S = 10.0

# The only state of a process that is safe to start from a process with threads or a GPU.
_spawn = multiprocessing.get_context("spawn")


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
        crew = _Crew(self, Ledger(self.run, self.sink, ranges, report))
        try:
            crew.start()
            while crew.hand_out():
                crew.listen()
        finally:
            crew.end()


@dataclass
class _Crew:
    """The processes of a run."""

    engine: Workers
    ledger: Ledger
    workers: list[_Worker] = field(default_factory=list)

    def start(self) -> None:
        for build in self.engine.builds:
            self.workers.append(_Worker(build, self.engine.run, self.engine.sink))

    def hand_out(self) -> bool:
        """Give ranges to those that wait for one. False if all are drawn."""
        for worker in self.workers:
            if worker.is_idle and (drawing := self.ledger.hand_out()):
                worker.give(drawing)
        is_at_work = any(worker.drawing for worker in self.workers)
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
                worker.drawing, worker.is_idle, worker.failed_starts = None, True, 0
                continue
            assert worker.drawing
            self.ledger.count(worker.drawing, *message)

    def replace(self, worker: _Worker) -> None:
        """Put a process in the place of one that died. Raises WorkerError if too many did."""
        worker.end(_LAST_WRITES_S)
        if worker.drawing:
            self.ledger.bury(worker.drawing, worker.death)
        elif not worker.is_idle:
            worker.failed_starts += 1
            check_deaths(worker.failed_starts, worker.death, "before they could draw")
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

    is_idle: waits for a range. failed_starts: of processes in its place, one after the other.
    """

    build: Callable[[], Rig]
    run: RunConfig
    sink: Sink
    failed_starts: int = 0
    drawing: Drawing | None = None
    is_idle: bool = False

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

    def give(self, drawing: Drawing) -> None:
        self.drawing, self.is_idle = drawing, False
        with contextlib.suppress(OSError):  # it died: the next read tells
            self.connection.send((drawing.indices, drawing.batch_size))

    @property
    def death(self) -> str:
        """How it died."""
        code = self.process.exitcode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

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
        while True:
            connection.send(None)
            indices, batch_size = connection.recv()
            drawn = draw_into(sink, indices, rig, replace(run, batch_size=batch_size))
            with contextlib.closing(drawn) as reports:
                for written, rejections in reports:
                    connection.send((written, rejections))
    except Exception as error:
        error.add_note(f"In a worker:\n{traceback.format_exc()}")
        with contextlib.suppress(OSError):  # the parent is gone
            connection.send(picklable(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
