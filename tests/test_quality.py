import math

import pytest
import torch

from synthforge.quality import Accept, Reject, judge, judge_finite, landmark_distance_px


def shifted(projected, dx, dy):
    return projected + torch.tensor([dx, dy])


@pytest.fixture
def projected():
    return torch.rand(1, 68, 2, generator=torch.Generator().manual_seed(0)) * 512


def test_distance_is_the_mean_over_landmarks():
    detected = torch.zeros(4, 2)
    projected = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    assert landmark_distance_px(detected, projected).item() == (5 + 0 + 2 + 1) / 4


def test_accepts_at_the_threshold_and_rejects_beyond(projected):
    near, far = shifted(projected[0], 3.0, 4.0), shifted(projected[0], 6.0, 8.0)
    (verdict,) = judge([near], projected, 512, 5.01)
    assert isinstance(verdict, Accept)
    assert verdict.distance_px == pytest.approx(5, abs=1e-4)
    (verdict,) = judge([far], projected, 512, 5.01)
    assert isinstance(verdict, Reject)
    assert (verdict.reason, verdict.threshold) == ("landmark_distance", 5.01)
    assert verdict.value == pytest.approx(10, abs=1e-4)


def test_distance_is_in_pixels_at_512(projected):
    (verdict,) = judge([shifted(projected[0], 3.0, 4.0)], projected, 256, 8.0)
    assert isinstance(verdict, Reject)
    assert verdict.value == pytest.approx(10, abs=1e-4)


def test_no_face_is_a_reject(projected):
    assert judge([None], projected, 512, 11.0) == [Reject("no_face", 0.0, 1.0)]


def test_a_nan_distance_is_a_reject(projected):
    (verdict,) = judge([projected[0] * math.nan], projected, 512, 11.0)
    assert isinstance(verdict, Reject)


def test_verdicts_keep_the_order(projected):
    batch = projected.expand(3, -1, -1)
    verdicts = judge([batch[0], None, shifted(batch[2], 100.0, 0.0)], batch, 512, 11.0)
    assert [type(v) for v in verdicts] == [Accept, Reject, Reject]
    with pytest.raises(ValueError, match="2 detections for 3"):
        judge([None, None], batch, 512, 11.0)


def test_images_with_infinite_or_nan_values_are_rejected_with_their_count():
    images = torch.zeros(5, 3, 2, 2)
    images[1, 0, 0, :] = math.nan
    images[2, 1, 1, 1] = -math.inf
    images[2, 2, 0, 0] = math.inf
    images[4, 0, 1, 0] = -math.inf
    assert judge_finite(images) == {
        1: Reject("not_finite", 2, 0.0),
        2: Reject("not_finite", 2, 0.0),
        4: Reject("not_finite", 1, 0.0),
    }
