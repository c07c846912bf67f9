"""A target stores whole files or none, on a disk and in fsspec's memory."""

import contextlib
import os
import pickle
import shutil
import sys
import tempfile
from collections import namedtuple

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from support_shards import empty_memory

from synthforge.config import RunConfig
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.target import LocalTarget, RemoteTarget, open_target
from synthforge.errors import ConfigError


@pytest.fixture(params=["disk", "file", "memory"])
def where(request, tmp_path):
    if request.param == "memory":
        empty_memory()
        return "memory://faces/a"
    return tmp_path / "a" if request.param == "disk" else f"file://{tmp_path}/a"


def put(target, name, content):
    with target.replacing(name) as file:
        file.write(content)


def test_files_are_stored_listed_and_read(where):
    target = open_target(where)
    assert target.names() == set()
    assert target.sizes("shards") == {}
    with pytest.raises(FileNotFoundError):
        target.read("dataset.json")
    target = target.claimed()
    put(target, "dataset.json", b"{}")
    put(target, "shards/000000.tar", b"0123456789")
    assert target.names() == {"dataset.json", "shards"}
    assert target.sizes("") == {"dataset.json": 2}
    assert target.sizes("shards") == {"000000.tar": 10}
    assert target.read("shards/000000.tar", 3, 5) == b"34"
    assert target.read("shards/000000.tar", 8, 99) == b"89"
    with target.open("shards/000000.tar") as file:
        assert file.read(4) + file.read(99) == b"0123456789"
    put(target, "dataset.json", b"[]")
    other = pickle.loads(pickle.dumps(target))
    assert other.read("dataset.json") == b"[]"
    assert str(other.where("dataset.json")).endswith("a/dataset.json")
    target.release()
    assert open_target(where).names() == {"dataset.json", "shards"}


def test_a_write_that_fails_leaves_what_was_there(where):
    target = open_target(where).claimed()
    put(target, "shards/000000.tar", b"before")
    for name in ("shards/000000.tar", "shards/000001.tar"):
        with pytest.raises(OSError, match="full"), target.replacing(name) as file:
            file.write(b"after")
            raise OSError("full")
    assert target.sizes("shards") == {"000000.tar": 6}
    assert target.read("shards/000000.tar") == b"before"
    put(target, "shards/000001.tar", b"after")
    assert target.sizes("shards") == {"000000.tar": 6, "000001.tar": 5}


def test_a_file_has_its_name_only_at_the_end(where):
    target = open_target(where).claimed()
    with target.replacing("shards/000000.tar") as file:
        file.write(b"x" * 2**20)
        assert target.sizes("shards") == {}
    assert target.sizes("shards") == {"000000.tar": 2**20}


def test_a_file_that_vanishes_meanwhile_hides_no_other(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")
    scandir = os.scandir

    @contextlib.contextmanager
    def vanishing(path):
        def entries(found):
            for entry in found:
                if entry.name == "a":
                    os.unlink(entry)
                yield entry

        with scandir(path) as found:
            yield entries(sorted(found, key=lambda entry: entry.name))

    monkeypatch.setattr(os, "scandir", vanishing)
    assert LocalTarget(tmp_path).sizes("") == {"b": 1}


def test_a_files_url_is_the_local_folder(tmp_path):
    assert open_target(f"file://{tmp_path}/a") == LocalTarget(tmp_path / "a")
    assert open_target(str(tmp_path)) == LocalTarget(tmp_path)
    assert isinstance(open_target("memory://a"), RemoteTarget)


def test_an_unknown_protocol_is_told_in_one_line():
    with pytest.raises(
        DatasetError, match=r"cannot use hal://a: hal:// is no file system"
    ) as error:
        open_target("hal://a")
    assert "\n" not in str(error.value)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(DatasetError, match=r"^s3://b/a needs another package: pip install s3fs$"):
        open_target("s3://b/a")


def test_what_a_stores_client_raises_is_an_os_error(monkeypatch):
    class NoCredentials(Exception):
        pass

    def fails(*_, **__):
        raise NoCredentials("Unable to locate\ncredentials")

    target = open_target("memory://a")
    monkeypatch.setattr(type(target.fs), "ls", fails)
    monkeypatch.setattr(type(target.fs), "cat_file", fails)
    for reads in (target.names, lambda: target.sizes("shards"), lambda: target.read("x")):
        with pytest.raises(OSError, match=r"^Unable to locate credentials$"):
            reads()


def test_only_the_stores_own_errors_become_an_os_error_while_a_file_is_written(where, monkeypatch):
    class NoCredentials(Exception):
        pass

    target = open_target(where).claimed()
    with pytest.raises(ZeroDivisionError), target.replacing("x") as file:
        file.write(b"x")
        raise ZeroDivisionError
    assert target.names() == set()
    if not isinstance(target, RemoteTarget):
        return

    def fails(*_):
        raise NoCredentials("Unable to locate\ncredentials")

    opened = type(target.fs).open(target.fs, target.path + "/y", "wb")
    monkeypatch.setattr(type(opened), "write", fails, raising=False)
    with pytest.raises(OSError, match=r"^Unable to locate credentials$"):
        put(target, "x", b"x")


class Bucket(MemoryFileSystem):
    """As s3fs: its first argument is a version, and makedirs would make the bucket."""

    protocol = "bucket"

    def cat_file(self, path, version_id=None, start=None, end=None):
        assert version_id is None
        assert (start, end) == (None, None) or self.info(path)["size"]
        return super().cat_file(path, start, end)

    def makedirs(self, path, exist_ok=False):
        raise AssertionError("a bucket would be made")


def test_no_bucket_is_made_and_stores_differ_in_positional_arguments():
    empty_memory()
    target = RemoteTarget(Bucket(), "bucket/a", "s3://bucket/a")
    for content in (b"", b"0123"):
        put(target, "records/000000.json", content)
        assert target.read("records/000000.json") == content
    assert target.read("records/000000.json", 1, 3) == b"12"


def test_the_folder_format_is_local():
    with pytest.raises(ConfigError, match="--format folder writes to local folders, not to s3://b"):
        RunConfig("s3://b", 1)


@pytest.mark.parametrize("where", ["memory://a", None])
def test_too_little_room_is_told(where, monkeypatch, tmp_path):
    usage = namedtuple("usage", "free")(1_500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    target = open_target(where or tmp_path)
    target.check_room(1_000_000, 400_000)
    kept = 3_000_000_000
    if where is None:
        with pytest.raises(DatasetError, match=r"has 2 MB free and the images need about 3.0 GB"):
            target.check_room(kept, 0)
    else:
        target.check_room(kept, 0)
        said = rf"^{tempfile.gettempdir()} has 2 MB free and a shard waits there .* set TMPDIR"
        with pytest.raises(DatasetError, match=said):
            target.check_room(kept, 2_000_000)


def test_what_a_killed_run_left_is_cleared(tmp_path):
    dead = tmp_path / ".partial" / "node7_another-boot_1_1_abcd"
    dead.mkdir(parents=True)
    (dead / ".000000.tar.1234.partial").write_bytes(b"x")
    os.utime(dead, (0, 0))
    target = open_target(tmp_path).claimed()
    assert [*(tmp_path / ".partial").iterdir()] == [target.claim]
    target.release()
    assert not (tmp_path / ".partial").exists()
