"""What a run does with Ray: which tasks it submits, what it makes of their ends, and its errors."""

import socket
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import support_workers
import test_pipeline_shards
from click.testing import CliRunner
from support_fake_ray import Died, FakeRay
from support_ray import opened
from support_shards import contents, shard_writer
from support_workers import Deaths, annotations

from synthforge import assembly, engines, ray_tasks
from synthforge.cli.generate import generate
from synthforge.config import PartsConfig, RunConfig
from synthforge.dataset.folder import DatasetError
from synthforge.engines import pick_engine, task_device
from synthforge.errors import ConfigError
from synthforge.ledger import WorkerError
from synthforge.pipeline import generate_dataset
from synthforge.ray_tasks import RayTasks, join


@pytest.fixture
def ray(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    ray_tasks._rig.cache_clear()
    return FakeRay().install(monkeypatch)


@pytest.fixture
def mortal(monkeypatch):
    """Processes that kill themselves only end their task."""

    def die(*_):
        raise Died

    monkeypatch.setattr(support_workers.os, "kill", die)


def draw(root, trouble=None, num_images=12, **settings):
    run = support_workers.config(root, num_images, **{"batch_size": 4} | settings)
    with opened(run, trouble) as (writer, engine):
        return generate_dataset(run, writer, engine)


def test_where_tasks_die_the_bytes_and_counts_are_the_same(ray, mortal, tmp_path):
    made = draw(tmp_path / "set", Deaths(6, 2, tmp_path / "counter"))
    alone = support_workers.run(tmp_path / "alone", 1)
    assert made == alone and made.rejected.total() > 3
    files = [
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*/*.*")}
        for name in ("set", "alone")
    ]
    assert files[0] == files[1]
    redrawn = ["_generator_backpressure_num_objects" in options for options in ray.tasks]
    assert redrawn == [False] * 3 + [True] * 2


def test_an_index_that_tasks_die_of_is_named(ray, mortal, tmp_path):
    with pytest.raises(WorkerError, match=r"3 .* \(WorkerCrashedError\) while they drew image 6;"):
        draw(tmp_path / "set", Deaths(6, 99, tmp_path / "counter"))
    assert len((tmp_path / "counter").read_bytes()) == 4  # the first in a batch of four
    assert {"000000", "000005"} <= {path.stem for path in annotations(tmp_path / "set")}


def lacking():
    raise ImportError("No module named 'numba'")


def test_a_node_that_cannot_draw_is_told_in_a_line(ray, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_tasks, "_draw", lambda *_: (lacking() for _ in "x"))
    with pytest.raises(WorkerError, match=r"cannot draw: ModuleNotFoundError: No module .*; inst"):
        draw(tmp_path)


def test_an_error_of_a_task_is_the_runs_and_ends_the_others(ray, tmp_path):
    with pytest.raises(ZeroDivisionError) as raised:
        draw(tmp_path, support_workers.fail)
    assert (
        "On node" in raised.value.__notes__[0] and "support_workers.py" in raised.value.__notes__[0]
    )
    assert ray.cancelled


@pytest.mark.parametrize(
    ("resources", "cluster", "asked", "workers", "most"),
    [
        ({"num_cpus": 1}, {"CPU": 3.0}, None, 3, 6),
        ({"num_cpus": 2}, {"CPU": 7.0}, None, 3, 6),
        ({"num_cpus": 1, "num_gpus": 1}, {"CPU": 9.0, "GPU": 2.0}, None, 2, 4),
        ({"num_cpus": 1}, {"CPU": 9.0}, 2, 2, 2),
        ({"num_cpus": 1}, {}, None, 1, 2),
    ],
)
def test_as_many_tasks_wait_as_are_drawn(ray, tmp_path, resources, cluster, asked, workers, most):
    ray.cluster = cluster
    run = support_workers.config(tmp_path, 100)
    engine = RayTasks(support_workers.build, run, None, resources, asked)
    assert engine.workers == workers
    tasks = ray_tasks._Tasks(
        engine, SimpleNamespace(hand_out=lambda: SimpleNamespace(indices=range(4), batch_size=4))
    )
    tasks.hand_out()
    assert len(tasks.at_work) == most


def test_what_a_task_is_given(ray, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    draw(tmp_path, num_images=1)
    (options,) = ray.tasks
    assert options["runtime_env"]["env_vars"] == {
        "OMP_NUM_THREADS": "3",
        "OPENCV_FOR_THREADS_NUM": "3",
    }
    assert options["num_cpus"] == 1
    assert (options["max_retries"], options["max_calls"]) == (0, 0)


@pytest.mark.parametrize("where", ["folder", "shards", "memory"])
def test_a_node_that_does_not_see_the_folder_writes_nothing(ray, tmp_path, where):
    run = support_workers.config(tmp_path / "set", 4)
    writer = shard_writer("memory://set" if where == "memory" else tmp_path / "set", 4)
    if where == "folder":
        with opened(run) as (writer, engine):
            sink = engine.sink
            assert sink.is_seen()
        root = tmp_path / "moved"
        sink = replace(sink, root=root, claim=root / ".partial" / "claim")
    else:
        writer.open()
        sink = writer.sink
        assert sink.is_seen()
        target = sink.target
        if where == "memory":
            sink = replace(sink, target=replace(target, path="/other"))
        else:
            claim = tmp_path / "moved" / ".partial" / "claim"
            sink = replace(sink, target=replace(target, root=tmp_path / "moved", claim=claim))
        writer.close()
    (error,) = ray_tasks._draw(None, sink, run, range(4), "/")
    assert isinstance(error, DatasetError) and "does not see" in str(error)
    assert not (tmp_path / "moved").exists()


JOINING = {
    "no port": ("localhost", "--ray_address must be auto or HOST:PORT"),
    "client": ("ray://localhost:10001", "--ray_address must be auto or HOST:PORT"),
    "port": ("localhost:99999", "no Ray cluster answers at --ray_address localhost:99999"),
    "digits": ("localhost:" + "9" * 5000, "--ray_address must be auto or HOST:PORT"),
    "empty": ("", "--ray_address must be auto or HOST:PORT"),
    "null": ("a\0b:1", "no Ray cluster answers"),
    "nobody": ("127.0.0.1:1", "no Ray cluster answers at --ray_address 127.0.0.1:1: "),
}


@pytest.mark.parametrize("case", JOINING)
def test_an_address_of_no_cluster_is_refused(ray, case):
    address, said = JOINING[case]
    with pytest.raises(ConfigError, match=said):
        join(address)
    assert not ray.joined


def test_joining(ray, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        join(address)
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        join("auto")
        monkeypatch.setenv("RAY_ADDRESS", address)
        join("auto")
    assert ray.joined == [address, "auto", address]
    monkeypatch.setattr(ray, "init", lambda **_: (_ for _ in ()).throw(ConnectionError("a\nnone")))
    monkeypatch.delenv("RAY_ADDRESS")
    with pytest.raises(ConfigError, match="joined at --ray_address auto: none; start one with"):
        join("auto")
    with pytest.raises(ConfigError, match="names a GPU of one machine"):
        join("auto", "cuda:1")


@pytest.mark.parametrize(
    ("device", "gpus", "one_thread", "expected"),
    [
        ("auto", 8, False, "cuda"),
        ("auto", 8, True, "cpu"),
        ("auto", 0, False, "cpu"),
        ("cpu", 8, False, "cpu"),
        ("cuda", 0, True, "cuda"),
    ],
)
def test_device_of_a_task(device, gpus, one_thread, expected):
    assert task_device(device, gpus, one_thread) == expected


@pytest.mark.parametrize("name", ["next3d", "mannequin"])
def test_a_run_with_an_address_is_drawn_by_ray(ray, tmp_path, name, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    ray.cluster = {"CPU": 32.0, "GPU": 8.0}
    rig = SimpleNamespace(parts=PartsConfig(), generator=SimpleNamespace(name=name))
    writer = SimpleNamespace(sink="sink", recipe={})
    run, told = RunConfig(tmp_path, 100, ray_address="auto"), []
    engine = pick_engine(run, rig, writer, 100, told.append)
    on_gpus = name == "next3d"
    assert engine.resources == ({"num_cpus": 1, "num_gpus": 1} if on_gpus else {"num_cpus": 1})
    assert engine.build.args[2].device == ("cuda" if on_gpus else "cpu")
    assert engine.build.args[2].generator == name
    assert told == [
        "Ray: 8 tasks at once, a GPU each" if on_gpus else "Ray: 32 tasks at once, a core each"
    ]
    few = pick_engine(replace(run, workers=3), rig, writer, 100, told.append)
    assert few.workers == 3


def command(*arguments, expect=0):
    options = ["--output_dir", "a", "--num_images", 7, "--seed", 3, *arguments]
    result = CliRunner().invoke(generate, [str(option) for option in options])
    assert result.exit_code == expect, result.output
    return result.output


@pytest.mark.parametrize("format", ["folder", "webdataset"])
def test_the_command_draws_the_same_bytes(ray, tmp_path, monkeypatch, format):
    for module in (assembly, engines):
        monkeypatch.setattr(module, "build_rig", lambda *_, **__: test_pipeline_shards.fake_rig())
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    options = ("--format", format, "--samples_per_tar", 3, "--workers", 1)
    output = command(*options, "--ray_address", "auto")
    assert ray.joined == ["auto"] and len(ray.tasks) == (1 if format == "folder" else 3)
    assert "Ray: 1 task at" in output and "7 samples written" in output and "no_face 3" in output
    made = contents(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    command(*options)
    assert contents(tmp_path / "a") == made


def test_without_ray_the_command_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    output = command("--ray_address", "auto", expect=2)
    assert len(output.splitlines()) == 1
    assert "pip install 'synthforge[ray]' on every node" in output
    assert not list(Path().iterdir())
