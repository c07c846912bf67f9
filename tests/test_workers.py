"""Samples are the same bytes whoever draws them, and whatever dies, fails or stops meanwhile."""

import os
import pickle
import random
import re
import signal
import time
from pathlib import Path

import pytest
import support_workers
from support_workers import (
    Deaths,
    FullSink,
    SlowSink,
    annotations,
    children,
    fail,
    fail_to_build,
    lives,
    start,
    until,
)

from synthforge import pipeline
from synthforge.dataset.folder import DatasetError
from synthforge.errors import picklable
from synthforge.ledger import WorkerError
from synthforge.workers import Workers

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux' /proc")


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.glob("*/*.*")}


def rejections(root):
    return sorted((root / "rejections.jsonl").read_text().splitlines())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    root = tmp_path_factory.mktemp("alone")
    return root, support_workers.run(root, 1)


def test_two_workers_make_the_same_bytes_as_one_process(alone, tmp_path, monkeypatch):
    """Also where two die at one index, with samples unwritten: nothing is lost or counted twice."""
    monkeypatch.setattr(pipeline, "_RANGES_A_WORKER", 1)
    whole, summary = alone
    trouble = Deaths(10, 2, tmp_path / "counter")
    made = support_workers.run(tmp_path / "set", 2, trouble=trouble, sink_class=SlowSink)
    assert contents(tmp_path / "set") == contents(whole)
    assert rejections(tmp_path / "set") == rejections(whole)
    assert made == summary
    assert summary.written == 12 and summary.rejected["no_face"] > 3
    assert not (tmp_path / "set" / ".partial").exists()
    assert len(trouble.counter.read_bytes()) == 2


def test_an_index_that_every_worker_dies_of_is_named(tmp_path):
    """And what the others draw is kept."""
    trouble = Deaths(6, 99, tmp_path / "counter")
    root = tmp_path / "set"
    with pytest.raises(
        WorkerError, match=r"3 .* died \(killed by SIGKILL\) while they drew image 6;"
    ):
        support_workers.run(root, 2, num_images=8, trouble=trouble, batch_size=4)
    assert len(trouble.counter.read_bytes()) == 4  # the first in a batch of four
    assert not (root / "annotations" / "000006.json").exists()
    assert {"000000", "000001", "000002", "000003"} <= {path.stem for path in annotations(root)}
    assert not (root / ".partial").exists()


def test_workers_that_never_start_end_the_run(tmp_path):
    run = support_workers.config(tmp_path, 4)
    with pytest.raises(WorkerError, match=r"died \(exit code 7\) before they could draw"):
        Workers([fail_to_build], run, None).draw(iter([range(4)]), lambda *_: None)


def test_a_full_disk_is_the_same_error_as_in_one_process(tmp_path):
    with pytest.raises(DatasetError, match="No space left on device; correct this") as raised:
        support_workers.run(tmp_path, 2, num_images=4, sink_class=FullSink)
    assert "In a worker" in "".join(raised.value.__notes__)
    assert not (tmp_path / ".partial").exists()


def test_a_fault_of_ours_comes_with_the_workers_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError) as raised:
        support_workers.run(tmp_path, 2, num_images=2, trouble=fail)
    assert "support_workers.py" in "".join(raised.value.__notes__)


class Unpicklable(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def test_an_error_that_cannot_be_pickled_keeps_its_text():
    error = Unpicklable(1, 2)
    error.add_note("where")
    sent = pickle.loads(pickle.dumps(picklable(error)))
    assert (str(sent), sent.__notes__) == ("Unpicklable: 1 and 2", ["where"])


@linux
def test_ctrl_c_ends_all_quietly_and_leaves_whole_samples(tmp_path):
    process = start(tmp_path / "set", 400, "--slow_sink")
    until(lambda: annotations(tmp_path / "set") or process.poll() is not None)
    others = children(process.pid)
    assert len(others) >= 2
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Stopped. Run the same command again" in errors
    assert "Traceback" not in errors and "Error" not in errors
    drawn = int(re.findall(r" (\d+)/400 ", errors)[-1])
    assert len(annotations(tmp_path / "set")) >= drawn > 0
    until(lambda: not any(map(lives, others)), 20)
    names = {path.stem for path in (tmp_path / "set").glob("*/*.*")}
    assert names == {path.stem for path in annotations(tmp_path / "set")}
    assert not (tmp_path / "set" / ".partial").exists()


@linux
def test_workers_end_with_a_killed_parent(tmp_path):
    process = start(tmp_path / "set", 400)
    until(lambda: annotations(tmp_path / "set") or process.poll() is not None)
    others = children(process.pid)
    process.kill()
    process.communicate(timeout=60)
    until(lambda: not any(map(lives, others)), 20)


def wait_for_a_sample(process, root):
    before = len(annotations(root))
    until(lambda: len(annotations(root)) > before or process.poll() is not None)


@linux
@pytest.mark.slow
def test_twenty_kills_at_random_moments_then_the_same_bytes(tmp_path):
    """Of a worker or of the run, while they start and while they draw; then two runs at once."""
    chance, root, images = random.Random(), tmp_path / "set", 100
    process = start(root, images)
    kills = 0
    while kills < 20:
        if process.poll() is not None:
            assert process.returncode in (-signal.SIGKILL, 2, 0)  # 2: too many died at one place
            process.communicate()
            process = start(root, images)
        if chance.random() < 0.6:
            wait_for_a_sample(process, root)
        time.sleep(chance.uniform(0, 2))
        pids = [process.pid] if chance.random() < 0.2 else children(process.pid)
        if pids and lives(pid := chance.choice(pids)):
            os.kill(pid, signal.SIGKILL)
            kills += 1
    process.kill()
    process.communicate()
    rest = [start(root, images) for _ in range(2)]
    assert [(run.communicate(timeout=300), run.returncode)[1] for run in rest] == [0, 0]
    support_workers.run(tmp_path / "alone", 1, num_images=images)
    assert contents(root) == contents(tmp_path / "alone")
    assert set(rejections(root)) == set(rejections(tmp_path / "alone"))
    assert not (root / ".partial").exists()
