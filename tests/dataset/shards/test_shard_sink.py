"""Shards appear whole, with the same bytes however they were made."""

import contextlib
import errno
import hashlib
import json
import pickle
import subprocess
import sys
import tarfile
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support_dataset import sample
from support_shards import SIZE, contents, empty_memory, fill, make_shards, shard_writer
from support_workers import until

from synthforge.dataset.folder import DatasetError
from synthforge.dataset.sample import Sample
from synthforge.dataset.target import LocalTarget


def test_a_shard_and_its_record_agree(tmp_path):
    make_shards(tmp_path, 7)
    shards = sorted((tmp_path / "shards").iterdir())
    assert [path.name for path in shards] == ["000000.tar", "000001.tar", "000002.tar"]
    for number, path in enumerate(shards):
        record = json.loads((tmp_path / "records" / f"{number:06d}.json").read_text())
        content = path.read_bytes()
        assert record["size_bytes"] == len(content)
        assert record["sha256"] == hashlib.sha256(content).hexdigest()
        with tarfile.open(path) as tar:
            names = tar.getnames()
            first = [member.offset for member in tar.getmembers()][::4]
        indices = range(number * SIZE, min(number * SIZE + SIZE, 7))
        endings = ("png", "depth.png", "seg.png", "json")
        assert names == [f"{index:06d}.{ending}" for index in indices for ending in endings]
        assert record["offsets"][:-1] == first
        assert (record["start"], record["stop"]) == (indices.start, indices.stop)
        assert (record["samples"], record["given_up"]) == (len(indices), [])


def test_a_shards_bytes_do_not_depend_on_order_and_target(tmp_path):
    empty_memory()
    make_shards(tmp_path / "a")
    made = contents(make_shards("memory://b"))
    assert made == contents(tmp_path / "a")
    writer = shard_writer(tmp_path / "c")
    writer.open()
    for indices in (range(6, 7), range(3), range(3, 6), range(3)):
        with writer.sink.open(indices) as add:
            add([sample(index) for index in indices], [])
    writer.write_index()
    writer.close()
    assert contents(tmp_path / "c") == made
    assert len(made) == 3 + 3 + 3


def test_extras_lie_in_one_order(tmp_path):
    orders = {"a": ("uv", "depth16"), "b": ("depth16", "uv")}
    for name, extras in orders.items():
        writer = shard_writer(tmp_path / name, extras=extras)
        writer.open()
        fill(writer, range(2), extras=orders["a"])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    with tarfile.open(tmp_path / "a" / "shards" / "000000.tar") as tar:
        endings = [name.partition(".")[2] for name in tar.getnames()]
    assert endings == ["png", "depth.png", "depth16.png", "seg.png", "uv.png", "json"] * 2


def test_samples_that_were_not_added_are_given_up_and_rejections_kept(tmp_path):
    writer = shard_writer(tmp_path, max_attempts=2)
    writer.open()
    rows = [{"index": i, "attempt": attempt} for i in (2, 1) for attempt in (1, 0)]
    with writer.sink.open(range(3)) as add:
        add([sample(2)], rows[:2])
        add([sample(0)], rows[2:])
    record = json.loads((tmp_path / "records" / "000000.json").read_text())
    assert (record["samples"], record["given_up"], record["max_attempts"]) == (2, [1], 2)
    lines = (tmp_path / "rejections" / "000000.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows[::-1]
    with tarfile.open(tmp_path / "shards" / "000000.tar") as tar:
        assert [*dict.fromkeys(name[:6] for name in tar.getnames())] == ["000000", "000002"]


def test_a_shard_without_a_sample_is_an_empty_tar_file(tmp_path):
    writer = shard_writer(tmp_path)
    writer.open()
    fill(writer, range(3), lacking=range(3))
    with tarfile.open(tmp_path / "shards" / "000000.tar") as tar:
        assert tar.getnames() == []


@pytest.mark.parametrize("where", ["disk", "memory://a"])
def test_a_block_that_raises_leaves_no_shard(where, tmp_path):
    empty_memory()
    writer = shard_writer(tmp_path if where == "disk" else where)
    writer.open()
    before = contents(writer.target.where())
    with pytest.raises(KeyboardInterrupt), writer.sink.open(range(3)) as add:
        add([sample(0), sample(1)], [])
        raise KeyboardInterrupt
    assert contents(writer.target.where()) == before
    writer.close()
    assert not (tmp_path / ".partial").exists()


def test_samples_are_written_in_their_turn_while_the_next_are_drawn(tmp_path, monkeypatch):
    writer, written = shard_writer(tmp_path, 4, size=4), []
    writer.open()
    replacing = LocalTarget.replacing

    @contextlib.contextmanager
    def watched(target, name):
        with replacing(target, name) as file:

            def write(content):
                written.append(len(content))
                file.write(content)

            yield SimpleNamespace(write=write)

    monkeypatch.setattr(LocalTarget, "replacing", watched)
    with writer.sink.open(range(4)) as add:
        for index, expected in ((0, 1), (2, 1), (3, 1), (1, 4)):
            add([sample(index)], [])
            until(lambda expected=expected: len(written) >= expected)
            assert len(written) == expected
    assert (
        np.cumsum([0, *written[:4]]).tolist()
        == json.loads((tmp_path / "records" / "000000.json").read_text())["offsets"]
    )


@pytest.mark.parametrize("fails_at", ["shards", "records"])
def test_a_full_disk_leaves_whole_files_only(tmp_path, monkeypatch, fails_at):
    writer = shard_writer(tmp_path)
    writer.open()
    made = contents(make_shards(tmp_path / "whole"))
    replacing = LocalTarget.replacing

    def full(target, name):
        if name.startswith(fails_at):
            raise OSError(errno.ENOSPC, "No space left on device")
        return replacing(target, name)

    monkeypatch.setattr(LocalTarget, "replacing", full)
    with pytest.raises(DatasetError, match=r"No space left on device; .* run the same command"):
        fill(writer, range(3))
    assert (tmp_path / "shards" / "000000.tar").exists() == (fails_at == "records")
    assert shard_writer(tmp_path).there.tolist() == []
    monkeypatch.undo()
    fill(writer, range(3))
    assert (tmp_path / "shards" / "000000.tar").read_bytes() == made["shards/000000.tar"]
    assert shard_writer(tmp_path).there.tolist() == [0, 1, 2]


def test_memory_does_not_grow_with_the_shard(tmp_path):
    def peak(count):
        writer = shard_writer(tmp_path / str(count), count, size=count)
        writer.open()
        noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
        files = {"images": noise, "seg": noise, "depth": noise[..., 0]}
        tracemalloc.start()
        with writer.sink.open(range(count)) as add:
            for index in reversed(range(count)):
                add([Sample(index, files, {"index": index})], [])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most, (tmp_path / str(count) / "shards" / "000000.tar").stat().st_size

    (small, _), (large, size) = peak(20), peak(200)
    assert large < 2 * small < size / 5


@pytest.mark.parametrize("indices", [range(1, 3), range(2, 4), range(4)])
def test_a_range_that_is_no_shard_is_refused(tmp_path, indices):
    writer = shard_writer(tmp_path)
    writer.open()
    with pytest.raises(ValueError, match="is no shard of 3"), writer.sink.open(indices):
        pass


def test_a_sample_of_another_shard_is_refused(tmp_path):
    writer = shard_writer(tmp_path)
    writer.open()
    with pytest.raises(ValueError, match="outside of"), writer.sink.open(range(3)) as add:
        add([sample(3)], [])


_CHILD = """
import pickle, sys
from support_dataset import sample
sink, first, stop = pickle.load(sys.stdin.buffer)
for start in range(first, stop, 3):
    with sink.open(range(start, start + 3)) as add:
        add([sample(index) for index in range(start, start + 3)], [])
"""


def start_child(sink, first, stop):
    paths = [str(Path(__file__).parent.parent.parent), *sys.path]
    child = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}{_CHILD}"],
        stdin=subprocess.PIPE,
    )
    child.stdin.write(pickle.dumps((sink, first, stop)))
    child.stdin.close()
    return child


def test_two_processes_make_the_shards_of_one_run(tmp_path):
    writer = shard_writer(tmp_path / "a", 12)
    writer.open()
    children = [start_child(writer.sink, *part) for part in ((0, 9), (6, 12))]
    assert [child.wait() for child in children] == [0, 0]
    writer.write_index()
    writer.close()
    assert contents(tmp_path / "a") == contents(make_shards(tmp_path / "b", 12))
    assert not (tmp_path / "a" / ".partial").exists()
