"""The one camera: identities, and agreement with the original's camera vectors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthforge.camera import Camera
from synthforge.rasterizer import pixel_centers

# yaw, pitch (rad), diagonal fov (deg) -> entries of the original's camera vector, computed by an
# independent float64 implementation of the published formulas.
PUBLISHED = {
    (0.0, 0.0, 18.0): {3: 0.0, 7: 0.0, 11: 2.7, 0: 1.0, 5: -1.0, 10: -1.0, 16: 4.4651},
    (0.3, -0.2, 18.837): {7: 2.7 * 0.4 / math.pi},
    # Last rows, and intrinsics in image widths.
    (0.2, 0.1, 18.0): {12: 0, 13: 0, 14: 0, 15: 1, 17: 0, 18: 0.5, 19: 0, 20: 4.4651, 21: 0.5}
    | {22: 0, 23: 0, 24: 1},
}

angles = st.floats(-1.2, 1.2)
fovs = st.floats(10, 40)
cameras = st.builds(
    lambda yaw, pitch, fov: Camera.look_at(*torch.tensor([[yaw], [pitch], [fov]])),
    angles,
    angles,
    fovs,
)
points = st.lists(st.tuples(*[st.floats(-0.5, 0.5)] * 3), min_size=1, max_size=8).map(
    lambda rows: torch.tensor([rows])
)


@pytest.mark.parametrize(("pose", "entries"), PUBLISHED.items())
def test_matches_published_camera_vectors(pose, entries):
    vector = Camera.look_at(*torch.tensor(pose)[:, None]).vector[0]
    for place, value in entries.items():
        assert vector[place] == pytest.approx(value, abs=2e-4)


@settings(deadline=None)
@given(camera=cameras, world=points)
def test_unproject_undoes_project(camera, world):
    px, z = camera.project(world, 512)
    assert torch.allclose(camera.unproject(px, z, 512), world, atol=1e-5)
    assert torch.allclose(camera.to_gen(camera.to_cam(world)), world, atol=1e-5)


@settings(deadline=None)
@given(camera=cameras, depth=st.floats(1, 4))
def test_ray_distance_undoes_z_depth(camera, depth):
    z = torch.full((1, 1, 9, 9), depth)
    assert torch.allclose(camera.z_depth(camera.ray_distance(z)), z, atol=1e-5)


@settings(deadline=None)
@given(camera=cameras)
def test_points_along_a_ray_fall_on_its_pixel_at_the_converted_depth(camera):
    origins, directions = camera.rays(8)
    distance = torch.linspace(1.5, 3, 64)[None]
    px, z = camera.project(origins + directions * distance[..., None], 8)
    rows, columns = torch.meshgrid(torch.arange(8) + 0.5, torch.arange(8) + 0.5, indexing="ij")
    assert torch.allclose(px[0], torch.stack([columns, rows], -1).view(-1, 2), atol=1e-3)
    assert torch.allclose(z.view(1, 1, 8, 8), camera.z_depth(distance.view(1, 1, 8, 8)), atol=1e-5)


def test_z_depth_in_the_corner_is_shorter_than_the_ray():
    """The reference compares the two: 2.2 % apart in the corner at 24 degrees."""
    camera = Camera.look_at(*torch.tensor([[0.0], [0.0], [24.0]]))
    ratio = camera.ray_distance(torch.ones(1, 1, 512, 512))[0, 0, 0, 0]
    assert ratio == pytest.approx(1.022, abs=1e-3)


@settings(deadline=None)
@given(camera=cameras)
def test_vector_round_trip_and_rotation(camera):
    again = Camera.from_vector(camera.vector)
    assert torch.equal(again.T_gen_cam, camera.T_gen_cam)
    assert torch.equal(again.K, camera.K)
    R = camera.R_gen_cam[0].double()
    assert torch.allclose(R @ R.T, torch.eye(3, dtype=torch.float64), atol=1e-6)
    assert torch.linalg.det(R) == pytest.approx(1, abs=1e-6)


def test_the_camera_looks_at_the_pivot_without_roll():
    camera = Camera.look_at(*torch.tensor([[0.7], [-0.3], [20.0]]))
    px, _ = camera.project(torch.tensor([[[0, 0, 0.2], [0, 0.1, 0.2]]]), 512)
    assert torch.allclose(px[0, 0], torch.tensor([256.0, 256.0]), atol=1e-2)
    assert px[0, 1, 0] == pytest.approx(256, abs=1e-2)
    assert px[0, 1, 1] < 256


def test_signs_of_yaw_and_pitch():
    camera = Camera.look_at(torch.tensor([0.4]), torch.tensor([0.3]), torch.tensor([20.0]))
    assert camera.center_gen[0, 0] > 0
    assert camera.center_gen[0, 1] < 0


def test_view_axes_are_the_identity_in_front():
    camera = Camera.look_at(*torch.zeros(2, 1), torch.tensor([20.0]))
    assert torch.allclose(camera.R_view_gen[0], torch.eye(3), atol=1e-6)


def test_ndc_and_pixels_agree():
    camera = Camera.look_at(*torch.tensor([[0.2], [0.1], [20.0]]))
    world = torch.tensor([[[0.1, -0.05, 0.2]]])
    px, z = camera.project(world, 64)
    ndc = camera.to_ndc(world)
    assert torch.allclose(1 - px * 2 / 64, ndc[..., :2], atol=1e-6)
    assert torch.equal(ndc[..., 2], z)
    centers = pixel_centers(64, 64, torch.device("cpu"))
    column = torch.arange(64) + 0.5
    assert torch.allclose(1 - column * 2 / 64, centers, atol=1e-6)


def test_skew_is_honoured():
    camera = Camera.look_at(*torch.tensor([[0.2], [0.1], [20.0]]))
    K = camera.K.clone()
    K[:, 0, 1] = 0.05
    camera = Camera(camera.T_gen_cam, K)
    origins, directions = camera.rays(4)
    px, _ = camera.project(origins + 2 * directions, 4)
    assert torch.allclose(px[0, 0], torch.tensor([0.5, 0.5]), atol=1e-4)


def test_a_batch_is_its_cameras():
    pose = torch.tensor(np.random.default_rng(0).uniform(-0.5, 0.5, (3, 5)), dtype=torch.float32)
    pose[2] += 20
    world = torch.rand(5, 50, 3, generator=torch.Generator().manual_seed(0))
    together = Camera.look_at(*pose).to_ndc(world)
    for i in range(5):
        alone = Camera.look_at(*pose[:, i : i + 1]).to_ndc(world[i : i + 1])
        assert torch.equal(together[i], alone[0])


def test_depth_and_rays_of_a_batch_are_those_of_its_cameras():
    """Each by its own intrinsics, of which one has its axis off the centre."""
    poses = torch.tensor([[0.1, -0.3, 0.4], [0.2, 0.0, -0.1], [14.0, 20.0, 31.0]])
    center = torch.tensor([[0.5, 0.5], [0.3, 0.6], [0.5, 0.4]])
    cameras = Camera.look_at(*poses, center)
    z = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0)) + 2
    px = torch.rand(3, 9, 2, generator=torch.Generator().manual_seed(1)) * 6
    origins, directions = cameras.rays(6)
    for i in range(3):
        alone = cameras[i : i + 1]
        torch.testing.assert_close(cameras.ray_distance(z)[i], alone.ray_distance(z[i : i + 1])[0])
        torch.testing.assert_close(cameras.z_depth(z)[i], alone.z_depth(z[i : i + 1])[0])
        far = cameras.unproject(px, z.view(3, -1)[:, :9], 6)
        torch.testing.assert_close(
            far[i], alone.unproject(px[i : i + 1], z[i].view(1, -1)[:, :9], 6)[0]
        )
        torch.testing.assert_close(directions[i], alone.rays(6)[1][0])
        torch.testing.assert_close(origins[i, 0], cameras.center_gen[i])
        np.testing.assert_allclose(alone.K[0, :2, 2], center[i])


def test_a_pitch_beyond_the_poles_stays_at_them():
    camera = Camera.look_at(torch.zeros(2), torch.tensor([-3.0, 3.0]), torch.full((2,), 20.0))
    assert camera.T_gen_cam.isfinite().all()
    np.testing.assert_allclose(camera.center_gen[:, 1], [2.7, -2.7], atol=1e-3)


def test_wrong_shapes_are_told():
    with pytest.raises(ValueError, match="25"):
        Camera.from_vector(torch.zeros(2, 24))
    with pytest.raises(ValueError, match=r"\[B,4,4\]"):
        Camera(torch.zeros(2, 4, 4), torch.zeros(3, 3, 3))
