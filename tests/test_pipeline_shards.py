"""--format webdataset: the same samples as in folders, in shards whose bytes are fixed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import support_workers
import torch
from click.testing import CliRunner
from support_fake_generator import FakeGenerator, FakeHead
from support_shards import contents, empty_memory, make_shards, shard_writer

from synthforge import assembly
from synthforge.alignment import AlignmentMLP
from synthforge.assembly import Rig
from synthforge.cli import run_options
from synthforge.cli.generate import generate
from synthforge.config import RunConfig, Shard
from synthforge.dataset.read import Dataset
from synthforge.dataset.shards.write import ShardWriter
from synthforge.dataset.target import open_target
from synthforge.detectors import Detector
from synthforge.pipeline import InProcess, generate_dataset
from synthforge.sampling_config import NEXT3D_SAMPLING
from synthforge.workers import Workers

ROOT = Path(__file__).parent.parent
A = torch.eye(3)
B = torch.zeros(3)
WEBDATASET = ("--format", "webdataset", "--samples_per_tar", 3)
REJECTED = [{"index": 1, "attempt": 0}, {"index": 4, "attempt": 0}, {"index": 4, "attempt": 1}]


def fake_rig(never=()):
    """Draws 1 and 4 are rejected once and twice; those of `never` always."""
    generator = FakeGenerator(A, B, 16)
    generator.name = "mannequin"
    drawn = []
    real = generator.draw

    def draw(ids, config):
        drawn[:] = ids
        return real(ids, config)

    def detector(images):
        rejected = [{"index": id.index, "attempt": id.attempt} in REJECTED for id in drawn]
        return [
            None if gone or id.index in never else torch.full((68, 2), 256.0)
            for id, gone in zip(drawn, rejected, strict=True)
        ]

    generator.draw = draw
    head = FakeHead(8)
    head.has_uvs = True
    return Rig(
        torch.device("cpu"),
        head,
        generator,
        AlignmentMLP.from_affine(A, B),
        Detector("fake", detector, 500),
        NEXT3D_SAMPLING,
    )


@pytest.fixture(autouse=True)
def small_rig(monkeypatch):
    monkeypatch.setattr(assembly, "build_rig", lambda *_, **__: fake_rig())
    empty_memory()


def run(where, *arguments, expect=0):
    options = ["--output_dir", where, "--num_images", 7, "--seed", 3, *arguments]
    result = CliRunner().invoke(generate, [str(option) for option in options])
    assert result.exit_code == expect, result.output
    return result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "build_rig", lambda *_, **__: fake_rig())
        output = run(root, *WEBDATASET, "--extras", "depth16,uv")
    return root, output


def test_shards_hold_the_samples_of_the_folder_format(made, tmp_path):
    root, output = made
    assert "7 samples written" in output
    assert "rejected: no_face 3" in output
    assert f"Contact sheet: {root / 'contact_sheet.png'}" in output
    assert {path.name for path in root.iterdir()} == {
        *("dataset.json", "README.md", "index.json", "contact_sheet.png"),
        *("shards", "records", "rejections"),
    }
    run(tmp_path / "folder", "--extras", "depth16,uv")
    shards, folder = Dataset(root), Dataset(tmp_path / "folder")
    assert shards.indices == folder.indices == [*range(7)]
    for read, expected in zip(shards, folder, strict=True):
        assert read.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(read[name], array, err_msg=name)
    sheets = [data.root / "contact_sheet.png" for data in (shards, folder)]
    assert sheets[0].read_bytes() == sheets[1].read_bytes()
    rows = [
        json.loads(line)
        for path in sorted((root / "rejections").iterdir())
        for line in path.read_text().splitlines()
    ]
    log = (tmp_path / "folder" / "rejections.jsonl").read_text().splitlines()
    assert sorted(map(str, rows)) == sorted(str(json.loads(line)) for line in log)
    assert [{"index": row["index"], "attempt": row["attempt"]} for row in rows] == REJECTED


@pytest.mark.parametrize("batch_size", [1, 3])
def test_shards_are_the_same_bytes_in_any_batch_and_continued(made, tmp_path, batch_size):
    settings = (*WEBDATASET, "--extras", "uv,depth16", "--batch_size", batch_size)
    run(tmp_path / "b", *settings, "--start_index", 3, "--num_images", 2)
    output = run(tmp_path / "b", *settings)
    assert "7 samples written" in output  # a shard that was too short is drawn as a whole
    output = run(tmp_path / "b", *settings)
    assert "0 samples written" in output and "7 were there" in output
    assert contents(tmp_path / "b") == contents(made[0])


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_a_url_takes_the_same_bytes(made, tmp_path, monkeypatch, protocol):
    monkeypatch.setattr(run_options, "OF_THE_PROCESS", "no://")  # it stands for a store here
    where = "memory://faces/a" if protocol == "memory" else f"file://{tmp_path}/a"
    output = run(where, *WEBDATASET, "--extras", "depth16,uv")
    assert "/a/contact_sheet.png" in output
    assert contents(where) == contents(made[0])
    assert "0 samples written" in run(where, *WEBDATASET, "--extras", "depth16,uv")
    assert len(Dataset(where)) == 7
    assert "another seed" in run(where, *WEBDATASET, "--seed", 4, expect=2)


def test_memory_that_ends_with_the_process_is_refused():
    output = run("memory://faces/a", *WEBDATASET, expect=2)
    assert "memory://faces/a is memory of this process, which ends with it; give a" in output


def test_a_missing_shard_is_drawn_again(made):
    root, _ = made
    before = contents(root)
    (root / "shards" / "000001.tar").unlink()
    (root / "index.json").unlink()
    output = run(root, *WEBDATASET, "--extras", "depth16,uv")
    assert "3 samples written" in output and "4 were there" in output
    assert contents(root) == before


def test_an_index_that_is_given_up_is_told_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(assembly, "build_rig", lambda *_, **__: fake_rig(never=[5]))
    for written, there in ((6, ""), (0, "6 were there")):
        output = run(tmp_path / "a", *WEBDATASET, "--max_attempts", 3, expect=2)
        assert f"{written} samples written" in output and there in output
        assert "1 of 7 images was rejected 3 times each; see " in output
        assert f"{tmp_path / 'a' / 'rejections'}. Raise --max_attempts" in output
    assert Dataset(tmp_path / "a").indices == [0, 1, 2, 3, 4, 6]
    monkeypatch.setattr(assembly, "build_rig", lambda *_, **__: fake_rig())
    output = run(tmp_path / "a", *WEBDATASET, "--max_attempts", 4)
    assert "3 samples written" in output and "4 were there" in output
    run(tmp_path / "b", *WEBDATASET, "--max_attempts", 4)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


BAD = {
    "folder format": ("s3://b/a", ["--format", "folder"], "--format folder writes to local"),
    "unknown protocol": ("hal://a", WEBDATASET, "hal:// is no file system that fsspec knows"),
    "missing package": ("s3://b/a", WEBDATASET, "s3://b/a needs another package: pip install s3fs"),
    "middle": ("a", [*WEBDATASET, "--start_index", 4], "in the middle of a shard"),
    "size": ("a", [*WEBDATASET, "--samples_per_tar", 0], "--samples_per_tar must be at least 1"),
    "unknown format": ("a", ["--format", "zip"], "'zip' is not one of"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_target_ends_in_one_line_before_any_work(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(assembly, "build_rig", None)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    where, arguments, said = BAD[case]
    output = run(where, *arguments, expect=2)
    assert said in output
    assert len([line for line in output.splitlines() if line.startswith("Error")]) == 1
    assert not list(tmp_path.iterdir())


def test_the_disk_of_a_complete_dataset_may_be_read_only(made, monkeypatch):
    root, _ = made
    before = contents(root)

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    for name in ("mkdir", "replace", "link", "utime"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.R_OK)
    assert "7 were there" in run(root, *WEBDATASET, "--extras", "depth16,uv")
    assert contents(root) == before


_CHILD = """
import sys
sys.path[:0] = {paths}
import test_pipeline_shards
from synthforge import assembly
from synthforge.cli.generate import generate
assembly.build_rig = lambda *_, **__: test_pipeline_shards.fake_rig()
generate({arguments})
"""


def start(where, count=30):
    arguments = ["--output_dir", where, "--num_images", count, *WEBDATASET, "--batch_size", 2]
    arguments += ["--workers", 1]
    paths = [str(ROOT / "tests"), str(ROOT), *sys.path]
    script = _CHILD.format(paths=paths, arguments=[str(argument) for argument in arguments])
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.mark.slow
def test_a_killed_run_leaves_whole_shards_and_is_continued_to_the_same_bytes(tmp_path):
    for _ in range(2):
        child = start(tmp_path / "a")
        shards = tmp_path / "a" / "shards"
        before = len(list(shards.glob("*"))) if shards.exists() else 0
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and child.poll() is None:
            if shards.is_dir() and len(list(shards.glob("*"))) > before:
                break
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert all(path.suffix == ".tar" for path in shards.iterdir())
    files = contents(tmp_path / "a")
    assert "index.json" not in files
    for process in (start(tmp_path / "a"), start(tmp_path / "b")):
        assert process.wait() == 0
    made = contents(tmp_path / "b")
    assert {name: made[name] for name in files} == files
    assert contents(tmp_path / "a") == made
    assert not (tmp_path / "a" / ".partial").exists()


@pytest.mark.slow
def test_workers_make_the_same_shards_also_where_one_dies(tmp_path):
    def draw(root, workers, trouble=None):
        run = RunConfig(root, 10, format="webdataset", samples_per_tar=3, seed=1, batch_size=2)
        writer = ShardWriter(open_target(root), {"recipe": {}}, run)
        writer.open()
        rig = support_workers.build()
        builds = [partial(support_workers.build, trouble)] * workers
        engine = Workers(builds, run, writer.sink) if workers else InProcess(rig, run, writer.sink)
        summary = generate_dataset(run, writer, engine)
        writer.close()
        return summary

    alone = draw(tmp_path / "alone", 0)
    died = draw(tmp_path / "died", 2, support_workers.Deaths(4, 1, tmp_path / "deaths"))
    assert (tmp_path / "deaths").read_bytes() == b"x"
    assert (alone.written, died.written) == (10, 10)
    assert alone.rejected == died.rejected and alone.rejected.total() > 0
    assert contents(tmp_path / "died") == contents(tmp_path / "alone")


def test_a_part_of_a_run_is_whole_shards():
    runs = [
        RunConfig("memory://a", 7, 6, 3, format="webdataset", samples_per_tar=3, shard=Shard(i, 2))
        for i in range(2)
    ]
    assert [run.indices for run in runs] == [range(3, 6), range(6, 10)]


def test_what_a_dead_writer_has_stored_is_a_shard_or_nothing(tmp_path):
    make_shards(tmp_path)
    writer = shard_writer(tmp_path, 9)
    writer.open()
    (tmp_path / "records" / "000001.json").unlink()
    stored = [writer.sink.stored(range(start, start + 3)).tolist() for start in (0, 3, 6)]
    assert stored == [[0, 1, 2], [], []]
    other = replace(writer.sink, recipe="other")
    assert other.stored(range(3)).tolist() == []


@pytest.mark.slow
def test_two_runs_at_once_make_one_dataset(tmp_path):
    for process in [
        start(tmp_path / "a", 12),
        start(tmp_path / "a", 12),
        start(tmp_path / "b", 12),
    ]:
        assert process.wait() == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not (tmp_path / "a" / ".partial").exists()
