import cv2
import numpy as np
import pytest
from support_export import SIZE, dataset_of

from synthforge.dataset.report.statistics import _ANCHORS, _MEAN, _aligned, spread, statistics
from synthforge.landmarks import LEFT_EYE, OUTER_LIP, RIGHT_EYE


def test_spread_takes_both_ends(tmp_path):
    dataset = dataset_of(tmp_path / "d", *range(9))
    assert spread(dataset, 3) == [0, 4, 8]
    assert spread(dataset, 20) == list(range(9))


def test_what_is_counted(tmp_path):
    numbers = {"yaw_rad": np.float32(np.pi / 6), "face_actions": np.eye(52)[3]}
    dataset = dataset_of(tmp_path / "d", *range(4), numbers=numbers)
    dataset.card["face_actions"] = [f"action{k}" for k in range(52)]
    counted = statistics(dataset, SIZE)
    unit, yaw = counted.columns["yaw"]
    assert unit == "deg" and yaw == pytest.approx([30] * 4)
    assert "age" not in counted.columns
    assert next(iter(counted.actions.items())) == ("action3", 1.0)
    assert counted.region_shares["face"] == 16 / 64 and counted.region_shares["neck"] == 4 / 64
    assert list(counted.region_shares)[:2] == ["background", "face"]
    assert sum(counted.region_shares.values()) == pytest.approx(1)
    assert counted.heat.max() == 255


def test_the_head_s_own_angles_come_first(tmp_path):
    numbers = {"yaw_rad": 1.0, "head_euler_deg": np.float32([10, -20, 30])}
    counted = statistics(dataset_of(tmp_path / "d", 0, numbers=numbers), SIZE)
    angles = [counted.columns[name][1].item() for name in ("yaw", "pitch", "roll")]
    assert angles == [10, -20, 30]


def test_eyes_and_mouth_meet():
    points = np.zeros((68, 2))
    turn = np.exp(0.4j) * 1.7
    for part, anchor in zip((RIGHT_EYE, LEFT_EYE, OUTER_LIP), _ANCHORS, strict=True):
        at = turn * (anchor @ (1, 1j)) * _MEAN + 60 + 20j
        points[part] = at.real, at.imag
    image = np.zeros((512, 512, 3), np.uint8)
    eye = points[LEFT_EYE].mean(0)
    cv2.circle(
        image, np.round((eye - 0.5) * 16).astype(int).tolist(), 5 * 16, (255, 255, 255), -1, shift=4
    )
    y, x = np.nonzero(_aligned(image, points)[..., 0] > 127)
    np.testing.assert_allclose((x.mean() + 0.5, y.mean() + 0.5), _ANCHORS[1] * _MEAN, atol=0.3)
