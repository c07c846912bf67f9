"""Drawn faces: in the shares of photographs, with actions that go together."""

import numpy as np
import pytest

from synthforge.mannequin.head.baked import ACTIONS
from synthforge.mannequin.head.faces import FACES, draw_face


def column(name):
    return ACTIONS.index(name)


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    return np.stack([draw_face(rng) for _ in range(3000)])


def test_every_action_of_the_table_is_one_of_arkits():
    stems = {name.removesuffix("Left").removesuffix("Right") for name in ACTIONS}
    for face in FACES.values():
        assert {name.removesuffix("Left").removesuffix("Right") for name in face.actions} <= stems
    assert sum(face.share for face in FACES.values()) == pytest.approx(1, abs=0.1)


def test_activations_lie_inside_0_and_1(faces):
    assert faces.shape == (3000, 52)
    assert faces.min() == 0 and faces.max() == 1


def test_shares_are_those_of_photographs(faces):
    smile = faces[:, [column("mouthSmileLeft"), column("mouthSmileRight")]].mean(1)
    assert 0.45 < (smile > 0.3).mean() < 0.6
    blink = faces[:, [column("eyeBlinkLeft"), column("eyeBlinkRight")]]
    assert 0.04 < (blink.max(1) > 0.85).mean() < 0.1
    assert 0.01 < ((blink.max(1) > 0.85) & (blink.min(1) < 0.5)).mean() < 0.04
    assert 0.01 < ((blink > 0.15) & (blink < 0.85)).all(1).mean() < 0.04  # lids half shut
    assert 0.08 < (faces.max(1) < 0.35).mean() < 0.25


def test_lips_part_only_in_faces_that_leave_them_alone(faces):
    pressed = faces[:, [column("mouthPressLeft"), column("mouthPressRight")]].min(1) > 0.4
    parted = faces[:, column("mouthUpperUpLeft")] > 0.05
    still = faces[:, column("mouthSmileLeft")] < 0.3
    assert pressed.sum() > 30 and parted[pressed].mean() < 0.1 < parted[still].mean()


def test_actions_that_go_together_do(faces):
    def related(a, b):
        return np.corrcoef(faces[:, column(a)], faces[:, column(b)])[0, 1]

    assert related("mouthSmileLeft", "cheekSquintLeft") > 0.7
    assert related("browInnerUp", "browOuterUpLeft") > 0.4
    assert related("mouthSmileLeft", "mouthFrownLeft") < 0.1


def test_the_two_sides_are_alike_but_not_the_same(faces):
    left, right = faces[:, column("mouthSmileLeft")], faces[:, column("mouthSmileRight")]
    assert np.corrcoef(left, right)[0, 1] > 0.9
    assert 0.02 < np.abs(left - right)[left > 0.3].mean() < 0.2
    assert abs((left - right).mean()) < 0.01


def test_one_sided_faces_are_as_often_of_either_side(faces):
    left, right = faces[:, column("mouthDimpleLeft")], faces[:, column("mouthDimpleRight")]
    smirks = [((one > 0.3) & (other < 0.15)).sum() for one, other in ((left, right), (right, left))]
    assert min(smirks) > 3


def test_closed_lids_are_not_squinted_as_well(faces):
    closed = faces[:, column("eyeBlinkLeft")] > 0.9
    assert closed.sum() > 100
    assert faces[closed, column("eyeSquintLeft")].max() < 0.35
