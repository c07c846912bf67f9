"""Samples are the same bytes where a Ray cluster draws them, whatever dies or stops meanwhile."""

import itertools
import signal

import pytest
import support_ray
import support_workers
from support_shards import contents
from support_workers import Deaths, FullSink, annotations, lives, until

from synthforge.config import RunConfig
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.shards.write import ShardWriter
from synthforge.dataset.target import open_target
from synthforge.pipeline import InProcess, generate_dataset
from synthforge.ray_tasks import RayTasks

ray = pytest.importorskip("ray")


@pytest.mark.slow
def test_a_cluster_of_two_nodes(tmp_path):
    """In one test, as a cluster takes a while to start. The node that dies stays dead."""
    steps = [
        a_task_with_backpressure_waits_until_its_report_is_heard,
        shards_are_the_same_bytes,
        a_full_disk_is_the_same_error_as_in_one_process,
        ctrl_c_ends_the_tasks_and_leaves_whole_samples,
        a_process_and_then_a_node_die_and_the_bytes_are_the_same,
    ]
    with support_ray.cluster() as both:
        for step in steps:
            folder = tmp_path / step.__name__
            folder.mkdir()
            step(both, folder)
        processes = support_ray.processes(both)
        assert len(processes) > 5
    until(lambda: not any(map(lives, processes)))


def files(root):
    return {path.relative_to(root): path.read_bytes() for path in root.glob("*/*.*")}


def rejections(root):
    return sorted((root / "rejections.jsonl").read_text().splitlines())


def a_task_with_backpressure_waits_until_its_report_is_heard(cluster, tmp_path):
    """So the index that a process dies of is known exactly."""

    def steps():
        for i in itertools.count():
            (tmp_path / str(i)).touch()
            yield i

    task = ray.remote(max_retries=0, num_returns="streaming")(steps)
    reports = task.options(_generator_backpressure_num_objects=1).remote()
    assert [ray.get(next(reports)) for _ in range(3)] == [0, 1, 2]
    ray.wait([reports])
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2", "3"}
    ray.cancel(reports)


def shards_are_the_same_bytes(cluster, tmp_path):
    def draw(root, on_cluster):
        run = RunConfig(root, 8, format="webdataset", samples_per_tar=3, seed=1, batch_size=2)
        writer = ShardWriter(open_target(root), {"recipe": {}}, run)
        writer.open()
        build = support_workers.build
        if on_cluster:
            engine = RayTasks(build, run, writer.sink)
        else:
            engine = InProcess(build(), run, writer.sink)
        summary = generate_dataset(run, writer, engine)
        writer.close()
        return summary

    assert draw(tmp_path / "a", False) == draw(tmp_path / "b", True)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def a_full_disk_is_the_same_error_as_in_one_process(cluster, tmp_path):
    with pytest.raises(DatasetError, match="No space left on device; correct this") as raised:
        support_ray.run(tmp_path, num_images=4, sink_class=FullSink)
    assert "On node" in "".join(raised.value.__notes__)
    assert not (tmp_path / ".partial").exists()


def ctrl_c_ends_the_tasks_and_leaves_whole_samples(cluster, tmp_path):
    heard = []

    def report(written, rejections):
        heard.append(written)
        signal.raise_signal(signal.SIGINT)

    run = support_workers.config(tmp_path, 400, batch_size=2)
    with support_ray.opened(run, support_workers.slowly) as (_, engine):
        with (
            support_workers.sigint_as(signal.default_int_handler),
            pytest.raises(KeyboardInterrupt),
        ):
            engine.draw(iter([range(200), range(200, 400)]), report)
        there = annotations(tmp_path)
        assert 400 > len(there) >= sum(heard)
        assert not list(engine.sink.claim.iterdir())
    assert {path.stem for path in tmp_path.glob("*/*.*")} == {path.stem for path in there}
    assert not (tmp_path / ".partial").exists()


def a_process_and_then_a_node_die_and_the_bytes_are_the_same(cluster, tmp_path):
    nodes = cluster.list_all_nodes()
    head = support_ray.raylet(cluster.head_node)
    process = Deaths(3, 1, tmp_path / "counter")
    trouble = support_ray.DeathOfNode(process, 12, head, tmp_path / "killed")
    made = support_ray.run(tmp_path / "set", 24, trouble)
    alone = support_workers.run(tmp_path / "alone", 1, 24)
    assert process.counter.read_bytes() == b"x" and trouble.killed.exists()
    assert [lives(support_ray.raylet(node)) for node in nodes].count(True) == 1
    assert made == alone and made.written == 24 and made.rejected["no_face"] > 3
    assert files(tmp_path / "set") == files(tmp_path / "alone")
    assert rejections(tmp_path / "set") == rejections(tmp_path / "alone")
    assert not (tmp_path / "set" / ".partial").exists()
