"""Files are replaced whole, or left as they were."""

import os
import stat

import pytest
import torch
from safetensors.torch import save_file

from synthforge.whole_files import replacing, write_together, write_whole


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as partial:
        partial.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_get_the_mode_of_the_umask(tmp_path, umask):
    old = os.umask(umask)
    try:
        with replacing(tmp_path / "a.safetensors") as partial:
            save_file({"x": torch.zeros(2)}, partial)
        write_whole(tmp_path / "a.bin", b"x")
    finally:
        os.umask(old)
    for name in ("a.safetensors", "a.bin"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


def test_content_is_flushed_before_the_file_takes_its_name(tmp_path, monkeypatch):
    path, order = tmp_path / "a.bin", []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("flush"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("name"), replace(a, b)))
    write_whole(path, b"x")
    assert order == ["flush", "name"]


@pytest.mark.parametrize(("call", "written"), [("fsync", []), ("replace", ["a"])])
def test_of_several_files_none_is_there_before_all_are_written(
    tmp_path, monkeypatch, call, written
):
    real, calls = getattr(os, call), []

    def second_fails(*args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(*args)

    monkeypatch.setattr(os, call, second_fails)
    aside = tmp_path / "aside"
    aside.mkdir()
    with pytest.raises(OSError, match="No space left"):
        write_together({tmp_path / name: b"x" for name in "abc"}, aside)
    assert [path.name for path in tmp_path.iterdir() if path != aside] == written
    assert not list(aside.iterdir())
