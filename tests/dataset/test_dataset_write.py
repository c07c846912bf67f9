"""Files whole or not at all, the annotation last; what a writer refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

import cv2
import numpy as np
import pytest

from synthforge.dataset.read import Dataset
from synthforge.dataset.write import DatasetError, DatasetWriter, Sample, check_output_dir

CARD = {"recipe": {"seed": 1, "range": (0, 1)}, "version": "x"}


def sample(index=0, extras=()):
    rng = np.random.default_rng(index)
    files = {
        "images": rng.integers(0, 256, (8, 8, 3), np.uint8),
        "seg": rng.integers(0, 256, (8, 8, 3), np.uint8),
        "depth": rng.integers(0, 256, (8, 8), np.uint8),
    }
    files |= {extra: rng.integers(0, 65536, (8, 8), np.uint16) for extra in extras}
    points = rng.normal(size=(68, 2)).astype(np.float32)
    return Sample(index, files, {"2d_kps": points, "index": index, "depth_range": [1.5, 2.5]})


def open_writer(root, **kwargs):
    writer = DatasetWriter(root, CARD, **kwargs)
    writer.open()
    return writer


def test_round_trip_is_exact(tmp_path):
    writer = open_writer(tmp_path / "out", extras=["depth16"])
    written = sample(7, extras=["depth16"])
    writer.write(written)
    writer.close()
    dataset = Dataset(tmp_path / "out")
    assert dataset.indices == [7]
    for folder, image in written.files.items():
        stored = dataset.image(folder, 7)
        assert stored.dtype == image.dtype
        np.testing.assert_array_equal(stored, image)
    read = np.array(dataset.annotation(7)["2d_kps"], np.float32)
    np.testing.assert_array_equal(read, written.annotation["2d_kps"])


def test_layout_is_the_published_one(tmp_path):
    writer = open_writer(tmp_path)
    writer.write(sample(3))
    writer.close()
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert files == [
        "annotations/000003.json",
        "dataset.json",
        "depth/000003.png",
        "images/000003.png",
        "seg/000003.png",
    ]
    assert cv2.imread(str(tmp_path / "seg/000003.png"), cv2.IMREAD_UNCHANGED).shape == (8, 8, 3)


@pytest.mark.parametrize("fails_at", range(1, 5))
def test_a_sample_cut_short_leaves_no_annotation_and_no_torn_file(tmp_path, monkeypatch, fails_at):
    writer = open_writer(tmp_path)
    replace, calls = os.replace, []

    def flaky(source, target):
        calls.append(target)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", flaky)
    with pytest.raises(DatasetError, match="No space left"):
        writer.write(sample(0))
    assert not writer.indices()
    # Loaders list images/: one may stand there without its labels in the last step only.
    assert (tmp_path / "images/000000.png").exists() == (fails_at == 4)
    for path in tmp_path.glob("*/000000.png"):
        assert cv2.imread(str(path)) is not None
    monkeypatch.undo()
    again = open_writer(tmp_path)
    again.write(sample(0))
    assert again.indices() == {0}


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


@pytest.mark.parametrize("name", ["images", "annotations", "depth16", ".partial"])
def test_a_file_in_a_folders_place_is_refused(tmp_path, name):
    open_writer(tmp_path).close()
    shutil.rmtree(tmp_path / name, ignore_errors=True)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DatasetError, match=f"{name} is a file; move it away"):
        DatasetWriter(tmp_path, CARD, ["depth16"])


def test_an_unwritable_folder_inside_is_told_before_work(tmp_path):
    open_writer(tmp_path).close()
    (tmp_path / "seg").rmdir()
    (tmp_path / "seg").symlink_to("/proc")
    with pytest.raises(DatasetError, match=r"cannot write to .*seg"):
        DatasetWriter(tmp_path, CARD)


def test_hidden_files_are_nothing(tmp_path):
    (tmp_path / ".DS_Store").write_bytes(b"x")
    writer = open_writer(tmp_path)
    writer.write(sample(0))
    assert writer.indices() == {0}


def made(root, recipe):
    writer = DatasetWriter(root, {"recipe": recipe})
    writer.open()
    writer.write(sample(0))
    writer.close()


def test_another_recipe_is_refused_by_name_and_values(tmp_path):
    recipe = {
        "seed": 1,
        "range": (0, 1),
        "sampling": {"yaw": {"low": -1, "high": 1}, "fov": {"low": 18, "high": 24}},
        "alignment": {"A": list(range(100)), "b": 0},
    }
    made(tmp_path, recipe)
    other = {
        **{"seed": 2, "range": (0, 1), "detector": "fan"},
        "sampling": recipe["sampling"] | {"yaw": {"low": -0.5, "high": 1}},
        "alignment": {"A": list(range(1, 101)), "b": 0},
    }
    with pytest.raises(DatasetError) as error:
        DatasetWriter(tmp_path, {"recipe": other})
    assert (
        "another seed (1, now 2), detector (not set, now fan), "
        "sampling yaw (-1 to 1, now -0.5 to 1), alignment A; give the same settings"
    ) in str(error.value)
    DatasetWriter(tmp_path, {"recipe": recipe, "version": "y"})


def test_another_recipe_is_taken_while_there_is_no_sample(tmp_path):
    other = {"recipe": {"seed": 2}}
    open_writer(tmp_path).close()
    writer = DatasetWriter(tmp_path, other)
    writer.open()
    assert json.loads((tmp_path / "dataset.json").read_text()) == other
    with pytest.raises(DatasetError, match="another seed"):
        DatasetWriter(tmp_path, CARD)  # the other one is at work
    writer.close()
    DatasetWriter(tmp_path, CARD)


def test_other_extras_do_not_hide_the_samples(tmp_path):
    made(tmp_path, {"seed": 1})
    with pytest.raises(DatasetError, match="another seed"):
        DatasetWriter(tmp_path, {"recipe": {"seed": 2}}, ["depth16"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_card_holds_finite_numbers_only(tmp_path, value):
    with pytest.raises(DatasetError, match="reject_px holds no finite"):
        DatasetWriter(tmp_path, {"recipe": {"reject_px": value}})


@pytest.mark.parametrize("text", ["", '{"recipe": {"se', "[]", "{}", '{"recipe": 1}'])
def test_a_broken_card_is_refused_in_plain_words(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    for opens in (lambda: DatasetWriter(tmp_path, CARD), lambda: Dataset(tmp_path)):
        with pytest.raises(DatasetError, match=r"dataset\.json cannot be read: it is cut short"):
            opens()


def test_stray_files_are_no_samples(tmp_path):
    writer = open_writer(tmp_path)
    writer.write(sample(0))
    for name in ("._000000.json", "foo.json", "7.json", "000009.json~"):
        (tmp_path / "annotations" / name).write_text("{}")
        for folder in ("images", "seg", "depth"):
            (tmp_path / folder / name).with_suffix(".png").write_bytes(b"x")
    assert writer.indices() == {0}
    assert Dataset(str(tmp_path)).indices == [0]


def test_a_sample_is_complete_with_all_of_its_files_only(tmp_path):
    writer = DatasetWriter(tmp_path, {"recipe": {"extras": ["depth16"]}}, ["depth16"])
    writer.open()
    for index in range(5):
        writer.write(sample(index, ["depth16"]))
    (tmp_path / "annotations/000001.json").write_bytes(b"")
    (tmp_path / "images/000002.png").unlink()
    (tmp_path / "depth16/000003.png").unlink()
    (tmp_path / "annotations/000004.json").unlink()
    assert writer.indices() == {0}
    assert Dataset(tmp_path).indices == [0]
    shutil.rmtree(tmp_path / "seg")
    assert writer.indices() == set()


@pytest.mark.parametrize(("free", "said"), [(2_500_000, "2 MB free"), (2.5e9, "2.5 GB free")])
def test_a_full_disk_is_told_before_work(tmp_path, monkeypatch, free, said):
    usage = namedtuple("usage", "free")(free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DatasetError, match=f"{said} and 5000 images need about 3.0 GB"):
        DatasetWriter(tmp_path, CARD).check_room(5000)


def test_two_writers_at_once_do_not_hurt_each_other(tmp_path):
    first = open_writer(tmp_path)
    first.write(sample(0))
    second = open_writer(tmp_path)
    first.write(sample(1))
    second.write(sample(1))
    second.write(sample(2))
    first.log_rejections([{"index": 1}])
    second.log_rejections([{"index": 2}])
    first.close()
    second.write(sample(3))
    second.close()
    assert Dataset(tmp_path).indices == [0, 1, 2, 3]
    assert (tmp_path / "rejections.jsonl").read_text() == '{"index": 1}\n{"index": 2}\n'
    assert not (tmp_path / ".partial").exists()


def test_what_a_killed_writer_left_is_cleared_and_a_living_ones_is_not(tmp_path):
    script = (
        "import json, sys, time; from pathlib import Path\n"
        "from synthforge.dataset.write import DatasetWriter\n"
        f"writer = DatasetWriter(Path(sys.argv[1]), json.loads({json.dumps(CARD)!r}))\n"
        "writer.open(); print(writer._partial, flush=True); time.sleep(600)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        left = Path(other.stdout.readline().strip())
        (left / "images-000000.png").write_bytes(b"x")
        open_writer(tmp_path).close()
        assert (left / "images-000000.png").exists()
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    assert left.exists()
    open_writer(tmp_path).close()
    assert not (tmp_path / ".partial").exists()


@pytest.mark.parametrize("step", ["mkdtemp", "flock"])
def test_a_folder_cleared_before_it_was_locked_is_claimed_anew(tmp_path, monkeypatch, step):
    module = {"mkdtemp": tempfile, "flock": pytest.importorskip("fcntl")}[step]
    real = getattr(module, step)

    def after_another_run(*args, **kwargs):
        monkeypatch.undo()
        made = real(*args, **kwargs) if step == "mkdtemp" else None
        open_writer(tmp_path).close()
        return made or real(*args, **kwargs)

    monkeypatch.setattr(module, step, after_another_run)
    writer = open_writer(tmp_path)
    writer.write(sample(0))
    assert writer.indices() == {0}


@pytest.mark.parametrize("value", ["text", None, float("nan"), {"a": 1}])
def test_annotations_hold_finite_numbers_only(tmp_path, value):
    writer = open_writer(tmp_path)
    bad = sample(0)
    with pytest.raises(ValueError, match=r"numbers only|not JSON compliant"):
        writer.write(Sample(0, bad.files, {"x": value}))
    assert not list(tmp_path.glob("*/000000.*"))


def test_annotations_are_flat_json(tmp_path):
    writer = open_writer(tmp_path)
    writer.write(sample(1))
    stored = json.loads((tmp_path / "annotations/000001.json").read_text())
    assert stored["index"] == 1
    assert np.array(stored["2d_kps"]).shape == (68, 2)


def test_a_log_line_cut_short_is_dropped_and_none_is_written_twice(tmp_path):
    first, second = {"index": 1, "value": 2.5}, {"index": 2, "value": 0.1}
    open_writer(tmp_path).log_rejections([first])
    log = tmp_path / "rejections.jsonl"
    log.write_text(log.read_text() + '{"index": 2, "va')
    open_writer(tmp_path).log_rejections([first, second])
    assert [json.loads(line) for line in log.read_text().splitlines()] == [first, second]
