"""A sample depends on (seed, index, attempt) and on nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, truncnorm
from support_mannequin import built_head

from synthforge.distributions import Normal, Range
from synthforge.grid import FACTORS
from synthforge.sampling import SampleId, draw
from synthforge.sampling_config import NEXT3D_SAMPLING, SamplingConfig

FIELDS = ("z", "shape", "expression", "pose_rad", "yaw_rad", "pitch_rad", "fov_deg")

RANGES = (
    "shape",
    "expression",
    "jaw_rad",
    "head_yaw_rad",
    "head_pitch_rad",
    "head_roll_rad",
    "yaw_rad",
    "pitch_rad",
    "fov_deg",
)
RECORDED = [0.3565, 0.37339, -0.05253, 23.5111]
# The first uniform of each stream of SampleId(7, 42, 1).
FIRST_UNIFORMS = {
    "z": 0.9255,
    "shape": 0.5933,
    "expression": 0.668,
    "jaw_rad": 0.1491,
    "head_yaw_rad": 0.6834,
    "head_pitch_rad": 0.7449,
    "yaw_rad": 0.4672,
    "pitch_rad": 0.3553,
    "fov_deg": 0.9185,
    "head_roll_rad": 0.6342,
    "attributes": 0.1453,
    "gaze": 0.8486,
    "grid": 0.8172,
    "face_size": 0.049,
    "offset_x": 0.1161,
    "offset_y": 0.7993,
    "cut": 0.1847,
    "wear": 0.5031,
    "like": 0.101,
    "hair": 0.2547,
}


def same(a, b):
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in FIELDS)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**40), index=st.integers(0, 10**7), attempt=st.integers(0, 50))
def test_a_sample_is_the_same_in_any_batch_and_order(seed, index, attempt):
    wanted = SampleId(seed, index, attempt)
    others = [SampleId(seed, index + 1), SampleId(seed + 1, index), wanted]
    alone = draw([wanted], NEXT3D_SAMPLING, 512)
    batched = draw(others, NEXT3D_SAMPLING, 512)
    assert same(alone, batched[torch.tensor([2])])
    assert not torch.equal(alone.z[0], batched.z[0])
    assert not torch.equal(alone.z[0], batched.z[1])


def test_an_attempt_is_a_new_draw():
    first = SampleId(3, 5)
    a, b = (draw([id], NEXT3D_SAMPLING, 8) for id in (first, first.next_attempt()))
    assert not torch.equal(a.z, b.z)


def test_narrowing_one_range_leaves_the_rest_alone():
    narrow = replace(NEXT3D_SAMPLING, yaw_rad=Range(0, 0))
    a, b = (draw([SampleId(1, 2)], config, 512) for config in (NEXT3D_SAMPLING, narrow))
    assert b.yaw_rad.item() == 0
    for name in set(FIELDS) - {"yaw_rad"}:
        assert torch.equal(getattr(a, name), getattr(b, name))


def test_draws_fill_their_ranges_evenly():
    drawn = draw([SampleId(0, i) for i in range(400)], NEXT3D_SAMPLING, 16)
    for name, values in (("yaw_rad", drawn.yaw_rad), ("fov_deg", drawn.fov_deg)):
        wanted = getattr(NEXT3D_SAMPLING, name)
        assert values.min() >= wanted.low
        assert values.max() <= wanted.high
        middle = (wanted.low + wanted.high) / 2
        assert values.mean() == pytest.approx(middle, abs=0.08 * (wanted.high - wanted.low))
    assert drawn.shape.std() == pytest.approx(4 / np.sqrt(12), rel=0.02)
    assert drawn.z.std() == pytest.approx(1, rel=0.05)


def test_each_range_is_drawn_to_its_place():
    at = {
        name: Range(value, value)
        for name, value in {
            "shape": 0.5,
            "expression": 0.25,
            "jaw_rad": 0.125,
            "head_yaw_rad": -0.25,
            "head_pitch_rad": 0.0625,
            "head_roll_rad": 0.25,
            "yaw_rad": -0.5,
            "pitch_rad": 0.75,
            "fov_deg": 20.0,
        }.items()
    }
    drawn = draw([SampleId(0, 0)], SamplingConfig(**at), 8)
    assert drawn.shape.tolist() == [[0.5] * 100]
    assert drawn.expression.tolist() == [[0.25] * 50]
    pose = [0.0] * 15
    pose[3], pose[4], pose[5], pose[6] = 0.0625, -0.25, 0.25, 0.125
    assert drawn.pose_rad.tolist() == [pose]
    assert (drawn.yaw_rad, drawn.pitch_rad, drawn.fov_deg) == (-0.5, 0.75, 20)


def test_angles_turn_the_head_as_they_say():
    """Yaw to the subject's left, pitch down, roll to the subject's right; the jaw downwards."""
    still = SamplingConfig(**{name: Range(0, 0) for name in RANGES} | {"fov_deg": Range(20, 20)})

    def landmarks(**ranges):
        parameters = draw([SampleId(0, 0)], replace(still, **ranges), 512)
        return built_head().mesh(parameters, parameters.camera).landmarks[0]

    nose, chin, left_eye, right_eye = 30, 8, 45, 36
    rest, turned = landmarks(), Range(0.2, 0.2)
    assert landmarks(head_yaw_rad=turned)[nose, 0] > rest[nose, 0] + 0.01
    assert landmarks(head_pitch_rad=turned)[nose, 1] < rest[nose, 1] - 0.01
    rolled = landmarks(head_roll_rad=turned)
    assert rolled[left_eye, 1] > rolled[right_eye, 1] + 0.01
    assert landmarks(jaw_rad=turned)[chin, 1] < rest[chin, 1] - 0.005
    assert abs(landmarks(jaw_rad=turned)[nose] - rest[nose]).max() < 1e-3


def test_normal_draws_have_their_mean_and_spread_and_stay_inside():
    config = replace(NEXT3D_SAMPLING, yaw_rad=Normal(0.1, 0.2, -0.5, 0.4))
    drawn = draw([SampleId(0, i) for i in range(600)], config, 4).yaw_rad.numpy()
    assert drawn.min() >= -0.5 and drawn.max() <= 0.4
    twin = truncnorm((-0.5 - 0.1) / 0.2, (0.4 - 0.1) / 0.2, 0.1, 0.2)
    assert kstest(drawn, twin.cdf).pvalue > 0.01


def test_what_is_none_is_zero():
    config = replace(NEXT3D_SAMPLING, shape=None, expression=None, jaw_rad=None)
    drawn = draw([SampleId(0, 0)], config, 4)
    assert not (drawn.shape.any() or drawn.expression.any() or drawn.pose_rad.any())
    assert set(drawn.labels) == set(FACTORS)


def test_the_same_numbers_on_every_machine():
    """Recorded once: a change here changes every dataset ever seeded."""
    drawn = draw([SampleId(7, 42, 1)], NEXT3D_SAMPLING, 512)
    seen = [drawn.z[0, 0], drawn.shape[0, 0], drawn.yaw_rad[0], drawn.fov_deg[0]]
    assert [float(f"{value:.5f}") for value in seen] == RECORDED


def test_each_quantity_keeps_its_stream():
    """Recorded once: a stream that gets another number changes every dataset ever seeded."""
    drawn = {name: SampleId(7, 42, 1).stream(name).random() for name in FIRST_UNIFORMS}
    assert {name: round(u, 4) for name, u in drawn.items()} == FIRST_UNIFORMS
