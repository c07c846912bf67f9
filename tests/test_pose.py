"""Head pose and gaze against scipy, planted poses and the signs of the options."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from synthforge.alignment import published_alignment
from synthforge.camera import Camera
from synthforge.frames import apply_affine, place_in_generator
from synthforge.pose import euler_deg, eye_opening, pose_of

FLIP = np.diag([1.0, -1.0, -1.0])
JOINTS = torch.tensor(
    [[[0, 0, 0], [0, -0.05, 0], [0, 0, 0], [0.03, 0.03, 0.07], [-0.03, 0.03, 0.07]]]
)


def camera(yaw=0.0, pitch=0.0):
    return Camera.look_at(*(torch.tensor([value]) for value in (yaw, pitch, 20.0)))


def turned(rotations):
    return torch.from_numpy(Rotation.from_rotvec(rotations).as_matrix()).float()[None]


def placed(points, A=None):
    A = np.eye(3) if A is None else A
    return 2.5 * points @ torch.tensor(A.T, dtype=torch.float32)


def test_euler_angles_are_scipys():
    rotations = Rotation.random(200, rng=np.random.default_rng(0))
    R_cam_head = torch.from_numpy(FLIP @ rotations.as_matrix()).float()
    expected = rotations.as_euler("YXZ", degrees=True)
    np.testing.assert_allclose(euler_deg(R_cam_head), expected, atol=2e-3)


@pytest.mark.parametrize(("neck", "axis"), [([0, 0.2, 0], 0), ([0.2, 0, 0], 1), ([0, 0, 0.2], 2)])
def test_signs_are_those_of_the_heads_options(neck, axis):
    """The neck's axis-angle is pitch, yaw, roll; before a frontal camera each is its own angle."""
    R = turned([[0, 0, 0], neck, neck, neck, neck])
    pose = pose_of(R, JOINTS, placed, camera())
    expected = np.zeros(3)
    expected[axis] = np.degrees(0.2)
    # The camera's axis is tilted by nothing here: it stands at the height of its pivot.
    np.testing.assert_allclose(euler_deg(pose.R_cam_head)[0], expected, atol=1e-3)


def test_a_camera_to_the_left_sees_a_face_turned_to_its_right():
    R = turned(np.zeros((5, 3)))
    yaw, _, _ = euler_deg(pose_of(R, JOINTS, placed, camera(yaw=0.4)).R_cam_head)[0]
    assert yaw < -20


def test_the_rotation_is_the_nearest_to_a_sheared_placement():
    shear = np.array([[1.02, 0.01, -0.02], [-0.02, 0.97, -0.01], [0.01, 0.08, 0.99]])
    R = turned([[0.1, 0, 0], [0, 0.3, 0.1], [0, 0, 0], [0.1, 0.2, 0], [0.1, -0.2, 0]])
    pose = pose_of(R, JOINTS, lambda points: placed(points, shear), camera(0.3, 0.1))
    R_cam_gen = camera(0.3, 0.1).R_gen_cam[0].double().numpy().T
    u, _, v = np.linalg.svd(R_cam_gen @ shear @ R[0, 1].double().numpy())
    np.testing.assert_allclose(pose.R_cam_head[0], u @ v, atol=2e-6)
    for eye, gaze in zip((3, 4), pose.gaze_cam[0], strict=True):
        ahead = R_cam_gen @ shear @ R[0, eye, :, 2].double().numpy()
        np.testing.assert_allclose(gaze, ahead / np.linalg.norm(ahead), atol=2e-6)


def test_poses_of_a_batch_are_those_of_its_heads():
    A, b = published_alignment().as_affine()

    def to_gen(points):
        return apply_affine(A.detach(), b.detach(), place_in_generator(points))

    R = torch.cat([turned(np.random.default_rng(i).normal(0, 0.3, (5, 3))) for i in range(3)])
    joints = JOINTS + 0.01 * torch.arange(3)[:, None, None]
    cameras = Camera.look_at(*torch.tensor([[0.1, -0.4, 0.3], [0.1, 0.0, -0.2], [20.0] * 3]))
    together = pose_of(R, joints, to_gen, cameras)
    for i in range(3):
        one = slice(i, i + 1)
        alone = pose_of(R[one], joints[one], to_gen, cameras[one])
        for name, value in vars(alone).items():
            torch.testing.assert_close(getattr(together, name)[one], value)
        eyes = cameras[one].to_cam(to_gen(joints[one, 3:]))
        np.testing.assert_allclose(together.eyes_cam[one], eyes, atol=1e-6)


def test_an_eye_that_closes_opens_less():
    points = torch.zeros(1, 68, 3)
    points[0, 42:48, :2] = torch.tensor([[0, 0], [1, 1], [2, 1], [3, 0], [2, -1], [1, -1.0]])
    points[0, 36:42, :2] = torch.tensor([[0, 0], [1, 0.5], [2, 0.5], [3, 0], [2, 0], [1, 0.0]])
    np.testing.assert_allclose(eye_opening(points + 5)[0], [4 / 6, 1 / 6], atol=1e-5)
