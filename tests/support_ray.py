"""A Ray cluster of two nodes on this machine, and runs on it with the fake generator."""

import contextlib
import os
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import support_workers
from support_workers import Deaths, children, lives, until

from synthforge.dataset.sink import FolderSink
from synthforge.dataset.write import DatasetWriter
from synthforge.pipeline import generate_dataset
from synthforge.ray_tasks import RayTasks, join

# A node that dies is missed within a second.
_QUICKLY = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 300,
    "health_check_failure_threshold": 3,
}


@contextlib.contextmanager
def cluster():
    """Two nodes of one core each; this process is the driver. All of its processes end with it."""
    import ray
    from ray.cluster_utils import Cluster

    path = os.pathsep.join([str(support_workers.TESTS), str(support_workers.TESTS.parent)])
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "RAY_USAGE_STATS_ENABLED")}
    os.environ |= {
        "PYTHONPATH": os.pathsep.join([path, before["PYTHONPATH"] or ""]),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    head = node | {"_system_config": _QUICKLY}
    both = Cluster(initialize_head=True, head_node_args=head)
    try:
        both.add_node(**node)
        join(both.address)
        yield both
    finally:
        ray.shutdown()
        both.shutdown()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def raylet(node):
    """The process of a node; those that draw there are its children."""
    return node.all_processes["raylet"][0].process.pid


def processes(cluster):
    """All processes of the cluster that live."""
    own = [
        info.process.pid
        for node in cluster.list_all_nodes()
        for infos in node.all_processes.values()
        for info in infos
    ]
    return [pid for parent in own for pid in (parent, *children(parent)) if lives(pid)]


@dataclass(frozen=True)
class DeathOfNode:
    """First a process dies; then, from image `index` on, all of the node whose raylet isn't `head`.

    killed: a file that says that it has died; the other node waits for it.
    """

    process: Deaths
    index: int
    head: int
    killed: Path

    def __call__(self, indices):
        self.process(indices)
        if max(indices) < self.index or self.killed.exists():
            return
        if os.getppid() != self.head:
            self.killed.touch()
            for pid in (os.getppid(), os.getpid()):
                os.kill(pid, signal.SIGKILL)
        until(self.killed.exists)


def run(root, num_images, trouble=None, sink_class=FolderSink):
    """A run into `root` on the cluster that this process has joined; its summary."""
    run = support_workers.config(root, num_images, batch_size=2)
    with opened(run, trouble, sink_class) as (writer, engine):
        return generate_dataset(run, writer, engine)


@contextlib.contextmanager
def opened(run, trouble=None, sink_class=FolderSink):
    """The open writer of a run, and its engine."""
    writer = DatasetWriter(run.output_dir, {"recipe": {}})
    writer.open()
    try:
        build = partial(support_workers.build, trouble)
        yield writer, RayTasks(build, run, sink_class(**vars(writer.sink)))
    finally:
        writer.close()
