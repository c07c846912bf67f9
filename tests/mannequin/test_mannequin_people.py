"""The people that are drawn: labels that agree with the head, and with each other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support_mannequin import built_head

from synthforge.distributions import Range
from synthforge.frames import place_in_generator
from synthforge.landmarks import OUTER_EYE_CORNERS
from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS, Piece, baked_head
from synthforge.mannequin.head.identity import estimate_attributes
from synthforge.mannequin.people import draw_people, face_actions
from synthforge.pose import pose_of
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

IDS = [SampleId(3, i) for i in range(300)]
STILL = replace(
    MANNEQUIN_SAMPLING,
    **{
        name: Range(0, 0)
        for name in ("head_yaw_rad", "head_pitch_rad", "head_roll_rad", "yaw_rad", "pitch_rad")
    },
)


@pytest.fixture(scope="module")
def people():
    return draw_people(IDS, MANNEQUIN_SAMPLING)


def action(people, name):
    return people.labels["face_actions"][:, ACTIONS.index(name)].numpy()


def test_a_person_is_the_same_in_any_batch(people):
    alone = draw_people(IDS[7:8], MANNEQUIN_SAMPLING)
    batched = people[torch.tensor([7])]
    for name, value in vars(alone).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, getattr(batched, name)), name
    for name, value in alone.labels.items():
        assert torch.equal(value, batched.labels[name]), name


def test_z_begins_with_the_attributes(people):
    labels = people.labels
    wanted = [labels["age_years"], labels["sex"], labels["weight"], *labels["ancestry"].T]
    assert torch.equal(people.z[:, :6], torch.stack(wanted, 1))
    assert abs(people.z[:, 6:].std() - 1) < 0.01


def test_coefficients_are_about_standard_normal_and_look_like_the_attributes(people):
    shape = people.shape.numpy()
    assert 0.9 < shape.std() < 1.1 and np.abs(shape.mean(0)).max() < 0.4
    seen = estimate_attributes(shape.astype(np.float64))
    for name, estimate in (("age_years", seen.age), ("sex", seen.sex), ("weight", seen.weight)):
        assert np.corrcoef(people.labels[name], estimate)[0, 1] > 0.7, name


def test_attributes_of_given_shapes_are_estimated():
    drawn = draw_people(IDS[:5], replace(MANNEQUIN_SAMPLING, shape=Range(-1.5, 1.5)))
    assert 0.8 < drawn.shape.std() < 0.95
    seen = estimate_attributes(drawn.shape.double().numpy())
    np.testing.assert_allclose(drawn.labels["age_years"], seen.age, rtol=1e-5)
    np.testing.assert_allclose(drawn.labels["ancestry"], seen.ancestry, rtol=1e-5)


def test_coefficients_are_the_labelled_actions(people):
    columns = [ACTIONS.index(name) for name in EXPRESSION_ACTIONS]
    labelled = people.labels["face_actions"][:, columns].clone()
    assert torch.equal(people.expression[:, 44:], torch.zeros(len(IDS), 6))
    jaw = EXPRESSION_ACTIONS.index("jawOpen")
    assert not people.expression[:, jaw].any()
    opened = people.pose_rad[:, 6] / baked_head().jaw_open_rad
    torch.testing.assert_close(labelled[:, jaw], opened)
    labelled[:, jaw] = 0
    assert torch.equal(people.expression[:, :44], labelled)


@pytest.mark.parametrize(
    ("name", "entry", "direction"),
    [
        ("eyeLookDownLeft", 9, (0, -1)),
        ("eyeLookUpRight", 12, (0, 1)),
        ("eyeLookInLeft", 10, (-1, 0)),
        ("eyeLookOutLeft", 10, (1, 0)),
        ("eyeLookInRight", 13, (1, 0)),
        ("eyeLookOutRight", 13, (-1, 0)),
    ],
)
def test_eye_joints_are_the_labelled_looks(name, entry, direction):
    """A pupil that moves that way, seen from the front, and by gaze_rad in full."""
    head = baked_head()
    way = name.removeprefix("eyeLook").removesuffix("Left").removesuffix("Right")
    turn = head.gaze_rad[("Down", "In", "Out", "Up").index(way)]
    pose = np.zeros(15, np.float32)
    pose[entry] = turn if direction in ((0, -1), (1, 0)) else -turn
    actions = face_actions(np.zeros(50, np.float32), pose)
    wanted = np.zeros(52, np.float32)
    wanted[ACTIONS.index(name)] = 1
    np.testing.assert_allclose(actions, wanted, atol=1e-6)

    eye = Piece.LEFT_EYEBALL if name.endswith("Left") else Piece.RIGHT_EYEBALL
    ball = np.flatnonzero(head.vertex_piece == eye)
    pupil = ball[head.model.v_template[ball, 2].argmax()]
    still = torch.zeros(1, 100), torch.zeros(1, 50), torch.zeros(1, 6)
    before, _ = built_head().flame(*still)
    after, _ = built_head().flame(*still, eye_pose=torch.from_numpy(pose[None, 9:]))
    moved = (after - before)[0, pupil, :2].numpy()
    assert moved @ direction > 0.9 * np.linalg.norm(moved) > 0.001


def test_all_actions_lie_inside_0_and_1(people):
    actions = people.labels["face_actions"]
    assert actions.min() == 0 and actions.max() <= 1 + 1e-6
    assert (action(people, "mouthClose") <= action(people, "jawOpen") + 1e-6).all()


def test_given_expressions_are_uniform_activations():
    config = replace(MANNEQUIN_SAMPLING, expression=Range(-1, 1), jaw_rad=Range(0.1, 0.1))
    drawn = draw_people(IDS[:40], config)
    assert drawn.expression.min() == 0 and drawn.expression.max() <= 1
    assert 0.4 < (drawn.expression[:, :44] == 0).float().mean() < 0.6
    assert not drawn.expression[:, 44:].any()
    assert (drawn.pose_rad[:, 6] == np.float32(0.1)).all()
    jaw = drawn.expression[:, EXPRESSION_ACTIONS.index("jawOpen")] + 0.1 / baked_head().jaw_open_rad
    np.testing.assert_allclose(action(drawn, "jawOpen"), jaw, rtol=1e-5)
    assert (action(drawn, "mouthClose") <= action(drawn, "jawOpen") + 1e-6).all()


def test_most_look_at_the_camera_and_some_elsewhere():
    eyes = draw_people(IDS, STILL).pose_rad[:, 9:].numpy()
    # Half way between the two eyes' turns: they converge.
    across = (eyes[:, 1] + eyes[:, 4]) / 2
    assert 0.6 < (np.abs(across) < 0.06).mean() < 0.9
    assert 0.01 < (eyes[:, 4] - eyes[:, 1]).mean() < 0.1
    assert across.std() > 0.03


def test_eyes_turn_towards_a_camera_at_the_side():
    aside = draw_people(IDS, replace(STILL, yaw_rad=Range(0.15, 0.15))).pose_rad[:, 9:]
    turned = replace(STILL, head_yaw_rad=Range(0.15, 0.15))
    back = draw_people(IDS, turned).pose_rad[:, 9:]
    assert aside[:, [1, 4]].median() > 0.08
    assert back[:, [1, 4]].median() < -0.08


@pytest.mark.parametrize(
    "turned",
    [
        {"head_pitch_rad": 0.1},
        {"pitch_rad": -0.2},
        {"head_roll_rad": 0.4, "yaw_rad": 0.1},
        {"head_pitch_rad": 0.1, "pitch_rad": 0.1, "yaw_rad": -0.1, "head_roll_rad": 0.3},
    ],
)
def test_most_eyes_look_into_the_camera_wherever_it_is_and_however_the_head_is_turned(turned):
    """Each along its own line, from the eyeball's centre to the camera's."""
    config = replace(STILL, **{name: Range(value, value) for name, value in turned.items()})
    people = draw_people(IDS[:100], config)
    pose = pose_of(*built_head().joints(people), place_in_generator, people.camera)
    off = pose.gaze_cam + pose.eyes_cam / pose.eyes_cam.norm(dim=-1, keepdim=True)
    assert (off.norm(dim=-1) < 0.06).float().mean() > 0.6
    assert off.median(0).values.abs().max() < 0.018


def test_poses_spread_as_in_photographs(people):
    pitch, _, roll = np.degrees(people.pose_rad[:, 3:6].numpy()).T
    assert 8 < roll.std() < 11 and np.abs(roll).max() < 22
    assert 3.5 < pitch.std() < 5.5
    turn = np.degrees((people.yaw_rad - people.pose_rad[:, 4]).numpy())
    assert 16 < turn.std() < 21
    assert 0.03 < (np.abs(turn) > 35).mean() < 0.1
    assert np.abs(turn).max() < 55


def test_mouths_open_as_in_photographs(people):
    """Gap of the inner lips over the distance of the outer eye corners: photographs have 0.05, 0.14
    and 0.17 at their quartiles."""
    few = people[torch.arange(150)]
    _, landmarks = built_head().flame(
        few.shape, few.expression, few.pose_rad[:, [0, 1, 2, 6, 7, 8]]
    )
    right, left = (landmarks[:, index] for index in OUTER_EYE_CORNERS)
    gap = (landmarks[:, 62] - landmarks[:, 66]).norm(dim=1) / (right - left).norm(dim=1)
    low, median, high = np.quantile(gap, (0.25, 0.5, 0.75))
    assert 0.02 < low < 0.07 and 0.09 < median < 0.16 and 0.14 < high < 0.21
    assert 0.01 < (gap > 0.25).float().mean() < 0.1


def test_ages_run_from_child_to_elder(people):
    ages = people.labels["age_years"].numpy()
    assert 0.05 < (ages < 13).mean() < 0.15
    assert 0.05 < (ages > 60).mean() < 0.25
    assert ages.min() >= 3 and ages.max() <= 85
