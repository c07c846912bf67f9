"""Files whole or not at all, the annotation last; what a writer refuses."""

import json
import os
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


def test_another_recipe_is_refused_by_name(tmp_path):
    open_writer(tmp_path)
    other = {"recipe": CARD["recipe"] | {"seed": 2}}
    with pytest.raises(DatasetError, match="another seed"):
        DatasetWriter(tmp_path, other)
    DatasetWriter(tmp_path, CARD | {"version": "y"})


def test_a_broken_card_is_refused(tmp_path):
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match=r"dataset\.json cannot be read"):
        DatasetWriter(tmp_path, CARD)


def test_a_full_disk_is_told_before_work(tmp_path):
    with pytest.raises(DatasetError, match="GB free"):
        DatasetWriter(tmp_path, CARD).check_room(10**12)


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
