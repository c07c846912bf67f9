"""Which folders are datasets, and which of their samples are complete."""

import os
import shutil
from pathlib import Path

import pytest
from support_dataset import CARD, make, open_writer, sample

from synthforge.dataset import scan, target
from synthforge.dataset.folder import DatasetError, check_output_dir, counted
from synthforge.dataset.read import Dataset
from synthforge.dataset.scan import sample_indices
from synthforge.dataset.target import LocalTarget, read_card
from synthforge.dataset.write import DatasetWriter


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(DatasetError, match="not empty"):
        check_output_dir(tmp_path)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DatasetError, match="is a file"):
            check_output_dir(path)


def test_an_unwritable_folder_is_refused():
    with pytest.raises(DatasetError, match="cannot write"):
        check_output_dir(Path("/proc/nowhere"))


@pytest.fixture
def locked(tmp_path):
    """A folder that may not be entered."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0)
    if os.geteuid() == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(os.getuid())


def test_a_folder_below_an_unreadable_one_is_refused(locked):
    with pytest.raises(DatasetError, match=r"Permission denied; .*--output_dir"):
        check_output_dir(locked / "below")


BROKEN = {
    "empty": b"",
    "cut": b'{"recipe": {"se',
    "not UTF-8": b'{"recipe": {"seed": "\xff\xfe"}',
    "a list": b"[]",
    "no recipe": b"{}",
    "a number for a recipe": b'{"recipe": 1}',
    "a number for extras": b'{"recipe": {"extras": 1}}',
    "extras elsewhere": b'{"recipe": {"extras": ["../../etc"]}}',
    "brackets": b"[" * 200_000,
    "nested": b'{"recipe": ' + b'{"a":' * 200_000,
    "digits": b'{"recipe": ' + b"9" * 200_000 + b"}",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_card_is_told_in_one_line(tmp_path, case):
    (tmp_path / "dataset.json").write_bytes(BROKEN[case])
    for opens in (lambda: read_card(LocalTarget(tmp_path)), lambda: Dataset(tmp_path)):
        with pytest.raises(DatasetError, match=r"dataset\.json cannot be read: it is cut") as error:
            opens()
        assert "\n" not in str(error.value)


def test_a_card_is_not_read_without_bound(tmp_path, monkeypatch):
    make(tmp_path)
    monkeypatch.setattr(target, "MOST_JSON_BYTES", 10)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_card(LocalTarget(tmp_path))


def test_stray_files_are_no_samples(tmp_path):
    make(tmp_path, 0)
    for name in ("._000000.json", "foo.json", "7.json", "000009.json~", "٠٠٠٠٠١.json"):
        (tmp_path / "annotations" / name).write_text("{}")
        for place in ("images", "seg", "depth"):
            image = (tmp_path / place / "000000.png").read_bytes()
            (tmp_path / place / name).with_suffix(".png").write_bytes(image)
    assert sample_indices(tmp_path).tolist() == [0]


def cut_in_the_middle(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_by_one(path):
    path.write_bytes(path.read_bytes()[:-1])


def zero_the_end(path):
    """As a power cut may leave a file whose size was stored before its content."""
    content = path.read_bytes()
    path.write_bytes(content[:-16] + bytes(16))


DAMAGE = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "short": lambda path: path.write_bytes(b"\x89PNG"),
    "cut in the middle": cut_in_the_middle,
    "cut by one": cut_by_one,
    "zeros": zero_the_end,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("place", ["images", "seg", "depth", "depth16", "annotations"])
def test_a_sample_with_a_damaged_file_is_not_complete(tmp_path, place, damage):
    make(tmp_path, 0, 1, 2, extras=["depth16"], recipe={"extras": ["depth16"]})
    suffix = "json" if place == "annotations" else "png"
    DAMAGE[damage](tmp_path / place / f"000001.{suffix}")
    assert Dataset(tmp_path).indices == [0, 2]
    writer = open_writer(tmp_path, ["depth16"], {"extras": ["depth16"]})
    assert writer.there.tolist() == [0, 2]
    writer.sink.write(sample(1, ["depth16"]))
    assert Dataset(tmp_path).indices == [0, 1, 2]


def test_without_one_of_its_folders_no_sample_is_complete(tmp_path):
    shutil.rmtree(make(tmp_path, 0) / "seg")
    assert sample_indices(tmp_path).tolist() == []


def test_more_samples_than_a_thread_takes_stay_in_order(tmp_path, monkeypatch):
    make(tmp_path, *range(20))
    (tmp_path / "depth" / "000011.png").write_bytes(b"")
    monkeypatch.setattr(scan, "_SCAN_CHUNK", 3)
    monkeypatch.setattr(scan, "_SCAN_THREADS", 2)
    assert sample_indices(tmp_path).tolist() == [i for i in range(20) if i != 11]


def test_a_run_of_some_numbers_looks_at_no_others(tmp_path):
    make(tmp_path, *range(6))
    (tmp_path / "seg" / "000005.png").unlink()
    (tmp_path / "seg" / "000005.png").mkdir()  # which could not be read
    assert sample_indices(tmp_path, within=range(1, 4)).tolist() == [1, 2, 3]
    assert sample_indices(tmp_path, within=range(7, 9)).tolist() == []
    writer = DatasetWriter(tmp_path, CARD, within=range(2, 5))
    assert writer.there.tolist() == [2, 3, 4]


def test_an_unreadable_sample_is_told_and_not_drawn_over(tmp_path):
    make(tmp_path, 0)
    (tmp_path / "seg" / "000000.png").unlink()
    (tmp_path / "seg" / "000000.png").mkdir()
    with pytest.raises(DatasetError, match=r"cannot read the samples in .*: Is a directory"):
        sample_indices(tmp_path)


def test_one_is_told_as_one():
    assert [counted(n, "sample") for n in range(3)] == ["0 samples", "1 sample", "2 samples"]
