"""A sink stores what is added, in any process that it is sent to."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from support_dataset import make, open_writer, sample

from synthforge.dataset.folder import DatasetError
from synthforge.dataset.scan import sample_indices
from synthforge.dataset.sink import _WAITING, FolderSink


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.glob("*/*.*")}


def test_all_that_was_added_is_stored_when_the_block_ends(tmp_path):
    writer = open_writer(tmp_path / "a")
    with writer.sink.open(range(3 * _WAITING)) as add:
        for index in reversed(range(3 * _WAITING)):
            add([sample(index)], [])
    assert sample_indices(tmp_path / "a").tolist() == list(range(3 * _WAITING))
    writer.close()
    make(tmp_path / "b", *range(3 * _WAITING))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


_CHILD = """
import pickle, sys
from support_dataset import sample
sink = pickle.load(sys.stdin.buffer)
with sink.open(range(2)) as add:
    add([sample(0)], [])
    add([sample(1)], [])
"""


def test_another_process_writes_into_the_runs_claim(tmp_path):
    writer = open_writer(tmp_path)
    paths = [str(Path(__file__).parent.parent), *sys.path]
    child = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}{_CHILD}"],
        input=pickle.dumps(writer.sink),
        check=False,
    )
    assert child.returncode == 0
    assert sample_indices(tmp_path).tolist() == [0, 1]
    assert list((tmp_path / ".partial").iterdir()) == [writer._claim]
    writer.close()
    assert not (tmp_path / ".partial").exists()


def test_a_failed_write_ends_the_block(tmp_path, monkeypatch):
    def write(self, added):
        raise DatasetError(f"no room for {added.index}")

    monkeypatch.setattr(FolderSink, "write", write)
    writer = open_writer(tmp_path)
    with pytest.raises(DatasetError, match="no room for 0"), writer.sink.open(range(1)) as add:
        add([sample(0)], [])
    added = []
    with pytest.raises(DatasetError, match="no room"), writer.sink.open(range(99)) as add:
        for index in range(99):
            add([sample(index)], [])
            added.append(index)
    assert len(added) <= _WAITING + 2


def test_a_closed_writer_has_no_sink(tmp_path):
    writer = open_writer(tmp_path)
    writer.close()
    with pytest.raises(ValueError, match="not open"):
        writer.sink  # noqa: B018
