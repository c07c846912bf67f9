"""Draws on a Ray cluster: each range is a task.

A task writes its samples itself, to a place that all nodes see, and returns numbers only: no image
goes through Ray's object store. Processes are Ray's; each builds its parts once, for all tasks that
it is given. What a task lacks whose process or node died is drawn again: see `Ledger`.

Ray is optional, so it is imported by what needs it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import pickle
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from synthforge.assembly import Rig
from synthforge.batches import Rejection
from synthforge.config import RunConfig
from synthforge.cpus import threads_a_process, threads_environment
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.sink import Sink
from synthforge.errors import ConfigError, picklable
from synthforge.ledger import Drawing, Ledger, WorkerError
from synthforge.pipeline import Report, draw_into

# How long a node may take to answer when a run begins.
_ANSWER_S = 10.0
# How long tasks may take to finish their writes when they are told to end.
_LAST_WRITES_S = 10.0


def join(address: str, device: str = "auto") -> None:
    """Become a driver of the cluster: "auto", of this machine's node, or HOST:PORT of its head.

    device: of the run's parts.
    Raises ConfigError if it is one GPU's name, Ray is not installed, or no cluster answers.
    """
    if ":" in device:
        raise ConfigError(
            f"--device {device} names a GPU of one machine, and Ray gives each task one of its "
            "own; with --ray_address give --device cuda"
        )
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            f"--ray_address needs Ray, which cannot be imported ({error}): pip install "
            "'synthforge[ray]' on every node, or leave --ray_address out to draw on this machine"
        ) from error
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address
    if address != "auto":
        _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ConfigError(
            f"no Ray cluster can be joined at --ray_address {address}: {_one_line(error)}; start "
            "one with `ray start --head`, and run this on one of its nodes"
        ) from error


def _check_answers(address: str) -> None:
    """Raises ConfigError unless something answers there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and len(port) <= 5) or "/" in host:
        raise ConfigError(
            f"--ray_address must be auto or HOST:PORT of the cluster's head, such as "
            f"10.0.0.1:6379, got {address!r}"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except (OSError, ValueError, OverflowError) as error:  # also of names that no host can have
        raise ConfigError(
            f"no Ray cluster answers at --ray_address {address}: {_one_line(error)}; start "
            "one with `ray start --head`, or correct the address"
        ) from error


@dataclass(frozen=True)
class RayTasks:
    """The engine that draws with tasks of the cluster that this process has joined.

    build: makes the parts in each process; it can be pickled.
    resources: of a task, by Ray's names: {"num_cpus": 1} or {"num_cpus": 1, "num_gpus": 1}.
    at_once: tasks that are drawn at the same time at most; None for all that there is room for.
    """

    build: Callable[[], Rig]
    run: RunConfig
    sink: Sink
    resources: Mapping[str, int] = field(default_factory=lambda: {"num_cpus": 1})
    at_once: int | None = None

    @property
    def workers(self) -> int:
        """How many tasks the cluster, as it is now, runs at the same time; at least 1."""
        room = [cluster(name) // need for name, need in self.resources.items()]
        return max(min([*room, self.at_once or room[0]]), 1)

    def draw(self, ranges: Iterator[range], report: Report) -> None:
        """See `Engine`. Raises WorkerError if three processes or nodes die of one index."""
        tasks = _Tasks(self, Ledger(self.run, self.sink, ranges, report))
        try:
            tasks.hand_out()
            while tasks.at_work:
                for reports in tasks.heard():
                    tasks.listen(reports)
        finally:
            tasks.end()


def cluster(resource: str) -> int:
    """How much of a resource, such as num_gpus, all nodes have together."""
    import ray

    name = resource.removeprefix("num_").removesuffix("s").upper()
    return int(ray.cluster_resources().get(name, 0))


@dataclass
class _Tasks:
    """The tasks of a run. at_work: those that have not ended, as Ray's generators of reports."""

    engine: RayTasks
    ledger: Ledger
    at_work: dict[Any, Drawing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import ray

        options: dict[str, Any] = {
            **self.engine.resources,
            "num_returns": "streaming",
            "max_retries": 0,  # the ledger sees to it
            "max_calls": 0,  # one process for many tasks, also on a GPU
            "runtime_env": {"env_vars": threads_environment(threads_a_process())},
        }
        self.task = ray.remote(**options)(_draw)
        self.build = pickle.dumps(self.engine.build)

    def hand_out(self) -> None:
        """Submit tasks until as many wait as are drawn: no process is idle, and clusters that grow
        on demand see what there is to do."""
        most = self.engine.at_once or 2 * self.engine.workers
        while len(self.at_work) < most and (drawing := self.ledger.hand_out()):
            task = self.task
            if drawing.batch_size == 1:  # what is reported is then what is drawn
                task = task.options(_generator_backpressure_num_objects=1)
            run = replace(self.engine.run, batch_size=drawing.batch_size)
            reports = task.remote(self.build, self.engine.sink, run, drawing.indices, os.getcwd())
            self.at_work[reports] = drawing

    def heard(self) -> list[Any]:
        """Wait until tasks have reported something or ended; these."""
        import ray

        at_work = list(self.at_work)
        ray.wait(at_work, fetch_local=False)
        ready: list[Any]
        ready, _ = ray.wait(at_work, num_returns=len(at_work), timeout=0, fetch_local=False)
        return ready

    def listen(self, reports: Any) -> None:
        """Take the next report of a task, or its end."""
        import ray
        from ray import exceptions

        drawing = self.at_work[reports]
        try:
            message = ray.get(next(reports))
        except StopIteration:
            del self.at_work[reports]
            self.hand_out()
        except (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
        ) as error:
            del self.at_work[reports]
            self.ledger.bury(drawing, type(error).__name__)
            self.hand_out()
        except exceptions.RayError as error:
            raise WorkerError(
                f"a node of the cluster cannot draw: {_one_line(error)}; install the same "
                "versions of Python, Ray and SynthForge on every node"
            ) from error
        else:
            if isinstance(message, Exception):
                raise message
            self.ledger.count(drawing, *message)

    def end(self) -> None:
        """End the tasks. What they have drawn is written, what they are drawing is not."""
        import ray

        for reports in self.at_work:
            ray.cancel(reports)
        ended = [reports.completed() for reports in self.at_work]
        if ended:
            ray.wait(ended, num_returns=len(ended), timeout=_LAST_WRITES_S, fetch_local=False)


def _draw(
    build: bytes, sink: Sink, run: RunConfig, indices: range, folder: str
) -> Iterator[tuple[int, Sequence[Rejection]] | Exception]:
    """The task: yields a report a batch, or the error that ends it.

    folder: the driver's, which relative paths are meant from; not every node needs it.
    """
    try:
        with contextlib.suppress(OSError):
            os.chdir(folder)
        if not sink.is_seen():
            raise DatasetError(
                f"node {socket.gethostname()} does not see what is in --output_dir; with "
                "--ray_address give a folder that all nodes share at the same path, or with "
                "--format webdataset a URL such as s3://bucket/faces"
            )
        yield from draw_into(sink, indices, _rig(build), run)
    except Exception as error:
        error.add_note(f"On node {socket.gethostname()}:\n{traceback.format_exc()}")
        yield picklable(error)


@functools.lru_cache(1)
def _rig(build: bytes) -> Rig:
    """The parts, built by the first task of a process."""
    made: Rig = pickle.loads(build)()
    return made


def _one_line(error: Exception) -> str:
    """The last line that says something: Ray puts tracebacks before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
