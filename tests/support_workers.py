"""Runs with worker processes on the fake generator, which dies or fails where it is told to."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from support_fake_generator import A, B, FakeGenerator, fake_rig, picky
from support_signals import sigint_as

from synthforge.cli.launch import started
from synthforge.cli.options import Command
from synthforge.config import RunConfig
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.sink import FolderSink
from synthforge.dataset.write import DatasetWriter
from synthforge.pipeline import InProcess, generate_dataset
from synthforge.workers import Workers

TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Deaths:
    """The process that draws `index` dies, so many `times`. counter: a file that counts them."""

    index: int
    times: int
    counter: Path

    def __call__(self, indices):
        if self.index not in indices:
            return
        with open(self.counter, "ab") as counter:
            if counter.tell() < self.times:
                counter.write(b"x")
                counter.flush()
                os.kill(os.getpid(), signal.SIGKILL)


def fail(indices):
    if 1 in indices:
        raise ZeroDivisionError


def fail_to_build():
    os._exit(7)


def slowly(indices):
    time.sleep(0.3)


class TroubledGenerator(FakeGenerator):
    trouble = None

    def draw(self, ids, config):
        if self.trouble is not None:
            self.trouble([id.index for id in ids])
        return super().draw(ids, config)


def build(trouble=None):
    generator = TroubledGenerator(A, B, 32)
    generator.trouble = trouble
    return fake_rig(picky, generator)


class SlowSink(FolderSink):
    """So slow that samples wait to be written."""

    def write(self, sample):
        time.sleep(1)
        super().write(sample)


class FullSink(FolderSink):
    def write(self, sample):
        raise DatasetError(f"cannot write to {self.root}: No space left on device; correct this")


def config(root, num_images, **settings):
    return RunConfig(output_dir=root, num_images=num_images, seed=1, **settings)


def run(root, workers, num_images=12, trouble=None, sink_class=FolderSink, **settings):
    """A run into `root`, in this process or in so many others; its summary."""
    run = config(root, num_images, **{"batch_size": 2} | settings)
    writer = DatasetWriter(root, {"recipe": {}})
    writer.open()
    try:
        sink = sink_class(**vars(writer.sink))
        builds = [partial(build, trouble)] * workers
        engine = Workers(builds, run, sink) if workers > 1 else InProcess(build(), run, sink)
        return generate_dataset(run, writer, engine)
    finally:
        writer.close()


@click.command(cls=Command)
@click.argument("root", type=Path)
@click.argument("num_images", type=int)
@click.option("--slow_sink", is_flag=True)
def command(root, num_images, slow_sink):
    started()
    run(root, 2, num_images, slowly, SlowSink if slow_sink else FolderSink)


def start(root, num_images, *options):
    """The same with two slow workers, as a command in a process group of its own."""
    code = "from synthforge.cli.launch import launch; launch('support_workers', 'command')"
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    with sigint_as(signal.default_int_handler):
        return subprocess.Popen(
            [sys.executable, "-c", code, str(root), str(num_images), *options],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def children(pid):
    """Processes that a process has started and that live."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def annotations(root):
    return list(root.glob("annotations/*.json"))
