"""Eyes of human size that turn, under lids where the face has them."""

from dataclasses import replace

import pytest
import torch
from support_mannequin import built_head, latent

from synthforge.frames import place_in_generator
from synthforge.mannequin.head.baked import EXPRESSION_ACTIONS
from synthforge.mannequin.person import person_from
from synthforge.mannequin.render.albedo import skin_albedo
from synthforge.mannequin.render.body import eyes_of
from synthforge.mannequin.render.eye_shading import Eye, shade_eye
from synthforge.mannequin.render.scene import scene_from
from synthforge.mannequin.render.template import template

UPRIGHT = torch.eye(3)


def posed(blink=0.0, gaze=0.0):
    """Right and left eye; gaze: radians to the subject's left."""
    expression = torch.zeros(1, 50)
    for side in ("Left", "Right"):
        expression[0, EXPRESSION_ACTIONS.index(f"eyeBlink{side}")] = blink
    vertices, landmarks = built_head().flame(
        torch.zeros(1, 100),
        expression,
        torch.zeros(1, 6),
        eye_pose=torch.tensor([[0.0, gaze, 0, 0, gaze, 0]]),
    )
    placed = place_in_generator(vertices)[0], place_in_generator(landmarks)[0]
    return eyes_of(template(), *placed, UPRIGHT, UPRIGHT)


def test_eyes_turn_with_their_joints():
    for rest, turned in zip(posed(), posed(gaze=0.3), strict=True):
        assert rest.rotation[2, 2] > 0.999
        turn = turned.rotation @ rest.rotation.T
        assert torch.allclose(turn[:, 2], torch.tensor([0.29552, 0.0, 0.95534]), atol=1e-3)
        assert torch.allclose(turned.rotation, turned.head_rotation, atol=1e-5)


def test_lids_close_in_a_blink_whatever_the_gaze():
    for gaze in (0.0, 0.3):
        for open_eye, shut in zip(posed(gaze=gaze), posed(1.0, gaze), strict=True):
            assert (open_eye.upper_lid[12, 1] - open_eye.lower_lid[12, 1]) > 0.4
            assert (shut.upper_lid[12, 1] - shut.lower_lid[12, 1]) < 0.1
            assert (open_eye.upper_lid[1:, 0] > open_eye.upper_lid[:-1, 0]).all()


def across_the_globe(eye, y=0.0, light=(0.6, 0.0, 0.8)):
    """x in globe radii and red there, under a key light from the side."""
    person = replace(person_from(latent(3)), iris=(0.05, 0.05, 0.05), iris_size=1.0)
    scene = scene_from(latent(2))
    scene = replace(scene, key=replace(scene.key, direction=light, softness=0.0))
    x = torch.linspace(-0.6, 0.6, 601)
    y = torch.full_like(x, y)
    place = torch.stack([x, y, torch.sqrt(1 - x * x - y * y)], -1)
    ambient, lit = torch.ones(len(x), 3), torch.zeros(len(x))
    return x, shade_eye(person, scene, eye, place, ambient, lit)[:, 0]


@pytest.fixture
def open_eye():
    lids = (torch.tensor([[-0.8, y], [0.8, y]]) for y in (0.5, -0.5))
    return Eye(UPRIGHT, UPRIGHT, *lids)


def test_the_iris_is_as_wide_as_a_human_one(open_eye):
    """11.7 mm (Ruefer et al. 2005); the mesh's globes are larger than human ones."""
    x, red = across_the_globe(open_eye)
    iris = x[red < 0.5 * red[20:60].mean()]
    assert 0.0166 * (iris.max() - iris.min()) == pytest.approx(0.0117, abs=0.0006)


def test_the_upper_lid_s_shadow_moves_with_the_lid(open_eye):
    low = replace(open_eye, upper_lid=open_eye.upper_lid - torch.tensor([0.0, 0.45]))
    (x, lit), (_, shaded) = across_the_globe(open_eye), across_the_globe(low)
    white = x.abs().gt(0.42) & x.abs().lt(0.5)
    assert (shaded[white] < 0.8 * lit[white]).all()


def test_a_globe_that_pokes_through_a_lid_is_seen_as_skin(open_eye):
    low = replace(open_eye, upper_lid=open_eye.upper_lid - torch.tensor([0.0, 0.7]))
    (_, seen), (_, lid) = across_the_globe(open_eye), across_the_globe(low)
    skin = skin_albedo(person_from(latent(3)))[0]
    assert lid == pytest.approx(skin, rel=0.01)
    assert (seen - skin).abs().max() > 0.1
