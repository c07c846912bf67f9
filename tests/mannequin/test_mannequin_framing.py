"""Where faces lie in the image, and how far heads turn, against projected landmarks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support_mannequin import built_head

from synthforge.config import PartsConfig
from synthforge.distributions import Normal, Range
from synthforge.errors import ConfigError
from synthforge.frames import place_in_generator
from synthforge.generators.known import GENERATORS
from synthforge.mannequin.people import draw_people
from synthforge.pose import euler_deg, pose_of
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

IDS = [SampleId(5, i) for i in range(40)]


def boxes(config, ids=IDS):
    """Least and greatest x, y of the 68 points, image widths: [N, 2] twice."""
    low, high = [], []
    for start in range(0, len(ids), 8):
        people = draw_people(ids[start : start + 8], config)
        camera = people.camera
        landmarks = place_in_generator(built_head().mesh(people, camera).landmarks)
        px, _ = camera.project(landmarks, 1)
        low.append(px.amin(1))
        high.append(px.amax(1))
    return torch.cat(low).numpy(), torch.cat(high).numpy()


def test_default_faces_lie_whole_in_the_image_and_are_near_and_far():
    low, high = boxes(MANNEQUIN_SAMPLING)
    assert low.min() > 0 and high.max() < 1
    size, middle = (high - low).max(1), (low + high) / 2
    assert size.min() < 0.38 and size.max() > 0.6
    assert middle[:, 0].std() > 0.05 and middle[:, 1].std() > 0.025


def test_faces_are_as_large_and_lie_where_they_are_asked_to():
    config = replace(
        MANNEQUIN_SAMPLING,
        face_size=Range(0.4, 0.4),
        offset_x=Range(0.1, 0.1),
        offset_y=Range(-0.05, -0.05),
    )
    low, high = boxes(config, IDS[:16])
    size, middle = (high - low).max(1), (low + high) / 2
    assert np.median(size) == pytest.approx(0.4, abs=0.02)
    assert np.median(middle[:, 0]) == pytest.approx(0.6, abs=0.01)
    assert np.median(middle[:, 1]) == pytest.approx(0.45, abs=0.02)


def test_an_offset_never_pushes_a_face_out():
    _, high = boxes(replace(MANNEQUIN_SAMPLING, offset_x=Range(0.9, 0.9)), IDS[:16])
    assert high.max() < 1 and (high[:, 0] > 0.9).all()


def test_borders_cut_the_share_that_is_asked_for():
    low, high = boxes(replace(MANNEQUIN_SAMPLING, cut=0.5))
    beyond = np.maximum(-low, high - 1).max(1)
    assert 0.25 < (beyond > 0).mean() < 0.75
    low, high = boxes(replace(MANNEQUIN_SAMPLING, cut=1.0))
    beyond = np.maximum(-low, high - 1) / (high - low)
    assert (beyond.max(1) > 0).all() and beyond.max() < 0.5
    sides = np.concatenate([low < 0, high > 1], 1).sum(0)
    assert (sides[[0, 2, 3]] >= 4).all()


def test_one_camera_sees_all_faces_and_listed_views_of_a_person():
    """Neither a smile nor a listed pose moves the image."""
    wide = replace(MANNEQUIN_SAMPLING, jaw_rad=Range(0.3, 0.3), expression=Range(1, 1))
    one, other = (draw_people(IDS[:6], config) for config in (MANNEQUIN_SAMPLING, wide))
    assert torch.equal(one.center, other.center) and torch.equal(one.fov_deg, other.fov_deg)


def test_a_field_of_view_that_is_given_is_drawn_as_it_is():
    sampling = GENERATORS["mannequin"].sampling_with({"fov_deg": Range(20, 21)})
    drawn = draw_people(IDS[:20], sampling).fov_deg
    assert drawn.min() >= 20 and drawn.max() <= 21
    with pytest.raises(ConfigError, match="--fov and --face_size"):
        PartsConfig(sampling_overrides={"fov_deg": Range(20, 20), "face_size": Range(0.3, 0.3)})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cut": 1.5}, "--cut is a share"),
        ({"face_size": Range(0.01, 0.5)}, "--face_size is in image widths"),
        ({"offset_x": Range(-2, 0)}, "--offset_x is in image widths"),
    ],
)
def test_impossible_framing_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        replace(MANNEQUIN_SAMPLING, **settings)


@pytest.mark.parametrize("name", ["face_size", "offset_x", "cut"])
def test_next3d_keeps_its_aligned_crops(name):
    given = {name: 0.1 if name == "cut" else Range(0.3, 0.3)}
    with pytest.raises(ConfigError, match=f"--{name} moves the face.*aligned crops"):
        GENERATORS["next3d"].sampling_with(given)


def turns(config):
    people = draw_people([SampleId(9, i) for i in range(400)], config)
    R, joints = built_head().joints(people)
    return euler_deg(pose_of(R, joints, place_in_generator, people.camera).R_cam_head).numpy()


def test_who_turns_far_rolls_and_nods_less_and_nobody_turns_less():
    free = turns(replace(MANNEQUIN_SAMPLING, pose_limit=None))
    held = turns(MANNEQUIN_SAMPLING)
    np.testing.assert_allclose(held[:, 0], free[:, 0], atol=2.5)
    far = abs(free[:, 0]) > 32
    assert far.sum() >= 8 and (abs(held[:, 0]) > 32).mean() == pytest.approx(far.mean(), rel=0.1)
    assert held[:, 2].std() == pytest.approx(free[:, 2].std(), rel=0.1)
    assert held[far, 2].std() < 0.85 * free[far, 2].std()
    assert 0.02 < (abs(held - free).max(1) > 0.5).mean() < 0.2


def test_poses_that_are_given_are_drawn_as_they_are():
    sampling = GENERATORS["mannequin"].sampling_with({"head_roll_rad": Normal(0, 0.3, -0.7, 0.7)})
    assert sampling.pose_limit is None
    drawn = draw_people([SampleId(9, i) for i in range(300)], sampling).pose_rad[:, 5]
    assert drawn.std() == pytest.approx(0.285, abs=0.03)
