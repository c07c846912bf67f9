"""Eyes of samples like faces in photographs look where those look."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support_like import FACES, faces, flame_faces, people_like
from support_mannequin import built_head

from synthforge import sampling
from synthforge.frames import place_in_generator
from synthforge.generators.next3d import NEXT3D
from synthforge.like import Like
from synthforge.mannequin.head.baked import ACTIONS, average_joints, baked_head
from synthforge.pose import pose_of
from synthforge.sampling import SampleId


def looks(parameters):
    """Of each head with the built-in head's joints: across and down to the camera, and where each
    eye looks, radians, [N, 2] and [N, 2, 2]."""
    pose = pose_of(*built_head().joints(parameters), place_in_generator, parameters.camera)
    R_head_cam = pose.R_cam_head.numpy().transpose(0, 2, 1)
    to_camera = np.einsum("nij,nj->ni", R_head_cam, -pose.eyes_cam.mean(1).numpy())
    eyes = np.einsum("nij,nkj->nki", R_head_cam, pose.gaze_cam.numpy())
    return turns_to(to_camera), turns_to(eyes)


def turns_to(direction):
    x, y, z = np.moveaxis(direction, -1, 0)
    return np.stack([np.arctan2(x, z), -np.arctan2(y, np.hypot(x, z))], -1)


def looking(gaze_rad):
    """Faces that look so far past the camera, with heads turned a little."""
    angles = np.random.default_rng(7).normal(0, (0.07, 0.05, 0.1), (len(gaze_rad), 3))
    return faces(len(gaze_rad)) | {
        "gaze_rad": np.float32(gaze_rad),
        "angles_rad": angles.astype(np.float32),
    }


def test_eyes_that_look_into_the_camera_do_so_from_any_pose():
    people = people_like(Like(looking(np.zeros((FACES, 2))), jitter=1.0), range(40))
    to_camera, eyes = looks(people)
    assert to_camera.std(0).min() > 0.03 and np.abs(to_camera).max() < 0.22
    # Those of other shapes sit a little elsewhere.
    np.testing.assert_allclose(eyes.mean(1)[:, 0], to_camera[:, 0], atol=0.015)
    np.testing.assert_allclose(eyes[..., 1].mean(1), to_camera[:, 1], atol=0.03)
    inwards = eyes[:, 1, 0] - eyes[:, 0, 0]
    assert inwards.min() > 0.03 and inwards.max() < 0.09


@pytest.mark.parametrize("gaze", [(0.12, 0.0), (-0.12, 0.05), (0.0, -0.1)])
def test_eyes_look_past_the_camera_as_the_faces_do(gaze):
    people = people_like(Like(looking([gaze]), jitter=0.0), range(8))
    to_camera, eyes = looks(people)
    past = eyes.mean(1) - to_camera
    np.testing.assert_allclose(past, np.tile(gaze, (8, 1)), atol=0.035)
    columns = [ACTIONS.index(f"eyeLook{way}") for way in ("OutLeft", "InRight")]
    looked = people.labels["face_actions"].numpy()[:, columns].min(1) > 0
    assert (looked == ((eyes[..., 0] > 1e-3).all(1))).all()


def test_eyes_turn_as_far_as_they_can():
    head = baked_head()
    _, full_in, full_out, _ = head.gaze_rad
    for far, entries in ((1.0, (full_out, full_in)), (-1.0, (-full_in, -full_out))):
        pose = people_like(Like(looking([(far, 0.0)]), jitter=0.0), [0]).pose_rad[0]
        assert pose[[10, 13]].tolist() == pytest.approx(entries)


def test_a_closed_lid_holds_its_eye():
    like = looking([(0.0, 0.1)])
    like["face_actions"][0, ACTIONS.index("eyeBlinkLeft")] = 1
    pose = people_like(Like(like, jitter=0.0), [0]).pose_rad[0]
    assert pose[9] == 0 and pose[12] > 0.03


def flame_looking(gaze_rad, angles_rad):
    like = flame_faces(1)
    like["gaze_rad"], like["angles_rad"] = np.float32([gaze_rad]), np.float32([angles_rad])
    return sampling.draw(
        [SampleId(1, index) for index in range(6)],
        NEXT3D.sampling_with({"like": Like(like, jitter=0.0)}),
        8,
    )


@pytest.mark.parametrize(
    ("gaze", "angles"),
    [
        ((0.0, 0.0), (0.3, 0.1, 0.2)),
        ((0.0, 0.0), (-0.3, -0.1, -0.2)),
        ((0.2, 0.0), (0.0, 0.0, 0.3)),
        ((-0.1, 0.2), (0.2, 0.0, 0.0)),
    ],
)
def test_eyes_of_flame_look_as_the_faces_do(gaze, angles):
    people = flame_looking(gaze, angles)
    still = replace(people, shape=torch.zeros(6, 100), expression=torch.zeros(6, 50))
    to_camera, eyes = looks(still)
    np.testing.assert_allclose(eyes[:, 0], eyes[:, 1], atol=1e-5)
    np.testing.assert_allclose(eyes[:, 0] - to_camera, np.tile(gaze, (6, 1)), atol=0.012)


def test_eyes_of_flame_have_bounds():
    assert flame_looking((1.5, 1.5), (0, 0, 0)).pose_rad[0, 9:].tolist() == pytest.approx(
        [0.45, 0.6, 0, 0.45, 0.6, 0]
    )
    assert flame_looking((-1.5, -1.5), (0, 0, 0)).pose_rad[0, 9:].tolist() == pytest.approx(
        [-0.45, -0.6, 0, -0.45, -0.6, 0]
    )


def test_the_joints_that_are_assumed_of_flame_are_the_built_in_head_s():
    _, neck, _, left_eye, right_eye = average_joints()
    np.testing.assert_allclose(sampling._NECK_FLAME, neck, atol=1e-6)
    np.testing.assert_allclose(sampling._EYES_FLAME, (left_eye + right_eye) / 2, atol=1e-6)
