"""Samples without a card are told by drawing them again."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from support_dataset import CARD, make, sample

from synthforge.dataset.continuing import difference_from_redrawn, differences
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.read import Dataset
from synthforge.dataset.sample import Sample
from synthforge.dataset.write import DatasetWriter


def test_settings_that_differ_are_named_with_both_values():
    old = {
        "seed": 1,
        "range": [0, 1],
        "sampling": {"yaw": {"low": -1, "high": 1}, "fov": {"low": 18, "high": 24}},
        "alignment": {"A": list(range(100)), "b": 0},
    }
    new = {
        **{"seed": 2, "range": [0, 1], "detector": "fan"},
        "sampling": old["sampling"] | {"yaw": {"low": -0.5, "high": 1}},
        "alignment": {"A": list(range(1, 101)), "b": 0},
    }
    assert differences(old, old) == []
    assert differences(old, new) == [
        "seed (1, now 2)",
        "detector (not set, now fan)",
        "sampling yaw (-1 to 1, now -0.5 to 1)",
        "alignment A",
    ]


def test_a_setting_that_was_tampered_with_stays_in_its_line():
    assert differences({"seed": "1\n\x1b[2J"}, {"seed": 2}) == [r"seed ('1\n\x1b[2J', now 2)"]


def redraw(index, attempt):
    return sample(index, attempt=attempt)


def lost(root, *indices):
    make(root, *indices)
    (root / "dataset.json").unlink()
    return root


def test_a_lost_card_is_written_again_for_the_same_samples(tmp_path):
    lost(tmp_path, 3, 4, 7)
    drawn = []
    writer = DatasetWriter(tmp_path, CARD, redraw=lambda *draw: drawn.append(draw) or redraw(*draw))
    assert drawn == [(3, 0), (7, 0)]
    assert not writer.has_card
    writer.open()
    writer.close()
    assert json.loads((tmp_path / "dataset.json").read_text()) == json.loads(json.dumps(CARD))
    assert Dataset(tmp_path).indices == [3, 4, 7]


def changed(key, value):
    def other(index, attempt):
        drawn = redraw(index, attempt)
        if key in drawn.files:
            return replace(drawn, files=drawn.files | {key: value(drawn.files[key])})
        return replace(drawn, annotation=drawn.annotation | {key: value(drawn.annotation[key])})

    return other


def few_levels(count):
    def change(image):
        image = image.copy()
        image.flat[:count] ^= 1
        return image

    return change


OTHERS = {
    "2d_kps": changed("2d_kps", lambda points: points + 0.02),
    "index": changed("index", lambda index: index + 1),
    "images": changed("images", few_levels(3)),
    "seg": changed("seg", few_levels(3)),
    "depth": changed("depth", lambda image: image[:4]),
    "quality gate": lambda *_: None,
}


@pytest.mark.parametrize("differing", OTHERS)
def test_samples_of_other_settings_are_refused_and_left_alone(tmp_path, differing):
    lost(tmp_path, 0)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match=f"not what these settings draw: another {differing};"):
        DatasetWriter(tmp_path, CARD, redraw=OTHERS[differing])
    assert sorted(tmp_path.rglob("*")) == before


def test_the_last_sample_is_drawn_again_too(tmp_path):
    lost(tmp_path, 0, 1)
    with pytest.raises(DatasetError, match="another 2d_kps"):
        DatasetWriter(tmp_path, CARD, redraw=lambda i, a: (OTHERS["2d_kps"] if i else redraw)(i, a))


def test_rounding_on_another_machine_is_no_difference(tmp_path):
    points = changed("2d_kps", lambda points: points * np.float32(1 + 2e-6))
    lost(tmp_path, 0)
    assert difference_from_redrawn(tmp_path, 0, points) is None
    assert difference_from_redrawn(tmp_path, 0, changed("images", few_levels(1))) is None


def test_the_attempt_that_was_kept_is_drawn_again(tmp_path):
    writer = DatasetWriter(tmp_path, CARD)
    writer.open()
    writer.sink.write(sample(0, attempt=2))
    writer.close()
    assert difference_from_redrawn(tmp_path, 0, redraw) is None


@pytest.mark.parametrize("attempt", [-1, "0", None, 0.5, []])
def test_an_attempt_that_is_none_is_a_difference(tmp_path, attempt):
    path = make(tmp_path, 0) / "annotations" / "000000.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"attempt": attempt}))
    assert difference_from_redrawn(tmp_path, 0, redraw) == "attempt"


@pytest.mark.parametrize("value", ["text", None, [1, [2]], {"a": 1}, []])
def test_a_stored_value_of_another_kind_is_a_difference(tmp_path, value):
    path = make(tmp_path, 0) / "annotations" / "000000.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"2d_kps": value}))
    assert difference_from_redrawn(tmp_path, 0, redraw) == "2d_kps"


def test_a_detectors_answer_may_jump_but_not_be_missing(tmp_path):
    def detected(value):
        return lambda i, a: Sample(i, redraw(i, a).files, redraw(i, a).annotation | {"mse": value})

    writer = DatasetWriter(tmp_path, CARD)
    writer.open()
    writer.sink.write(detected(3.0)(0, 0))
    writer.close()
    assert difference_from_redrawn(tmp_path, 0, detected(4.0)) is None
    assert difference_from_redrawn(tmp_path, 0, redraw) == "mse"


def test_samples_with_extras_that_are_not_asked_for_are_refused(tmp_path):
    make(tmp_path, 0, extras=["depth16"])
    (tmp_path / "dataset.json").unlink()
    with pytest.raises(DatasetError, match="another extras"):
        DatasetWriter(tmp_path, CARD, redraw=redraw)


def test_a_folder_like_ours_without_a_complete_sample_is_refused(tmp_path):
    """It may be anybody's: an image that is called 000000.png is never written over."""
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "000000.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"holds images but no dataset\.json"):
        DatasetWriter(tmp_path, CARD, redraw=redraw)


def test_nobody_to_draw_again_is_a_refusal(tmp_path):
    with pytest.raises(DatasetError, match=r"but no dataset\.json"):
        DatasetWriter(lost(tmp_path, 0), CARD)


def test_empty_folders_are_taken(tmp_path):
    lost(tmp_path)
    (tmp_path / "images" / ".DS_Store").write_bytes(b"x")
    DatasetWriter(tmp_path, CARD, redraw=None)
    shutil.rmtree(tmp_path / "seg")
    DatasetWriter(tmp_path, CARD, redraw=None)
