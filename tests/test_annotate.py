"""Labels against their definitions, on a small scene: a square before a larger, slanted square."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthforge import annotate
from synthforge.camera import Camera
from synthforge.generator import GeneratorOutput
from synthforge.mesh import Topology
from synthforge.rasterizer import Fragments, rasterize
from synthforge.regions import BACKGROUND, PALETTE, REGION_ID

SIZE = 96
REGIONS_OF_FACES = torch.tensor([REGION_ID["nose"]] * 2 + [REGION_ID["scalp"]] * 2)


def scene(batch=1):
    """Two squares facing +z, and a camera in front of them."""

    def square(half, z_left, z_right):
        x, y, z = half, half, torch.tensor([z_left, z_right, z_right, z_left])
        corners = torch.tensor([[-x, -y], [x, -y], [x, y], [-x, y]])
        return torch.cat([corners, z[:, None]], -1)

    vertices = torch.cat([square(0.1, 0.3, 0.3), square(0.3, 0.0, 0.1)])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    uvs = (vertices[:, :2] + 0.5).float()
    topology = Topology(faces, uvs, faces)
    yaw = 0.1 * torch.arange(batch)
    camera = Camera.look_at(yaw, torch.full((batch,), 0.05), torch.full((batch,), 20.0))
    vertices = vertices.expand(batch, -1, -1).contiguous()
    fragments = rasterize(camera.to_ndc(vertices), faces, SIZE, SIZE, perspective_correct=True)
    return vertices, topology, camera, fragments


def test_every_pixel_has_the_region_of_its_face():
    _, _, _, fragments = scene()
    ids = annotate.region_ids(fragments, REGIONS_OF_FACES)
    assert ids.dtype == torch.uint8
    assert set(ids.unique().tolist()) == {REGION_ID["nose"], REGION_ID["scalp"], BACKGROUND}
    assert (ids[fragments.face_ids < 0] == BACKGROUND).all()
    assert (ids[(fragments.face_ids == 0) | (fragments.face_ids == 1)] == REGION_ID["nose"]).all()


def test_segmentation_holds_exact_palette_colours():
    _, _, _, fragments = scene()
    ids = annotate.region_ids(fragments, REGIONS_OF_FACES)
    seg = annotate.segmentation(ids).numpy()
    assert seg.dtype == np.uint8
    np.testing.assert_array_equal(seg, PALETTE[ids.numpy()])


def test_depth8_decodes_to_z_within_half_a_step():
    _, _, _, fragments = scene(batch=3)
    image, near_far = annotate.depth8(fragments)
    for i in range(3):
        near, far = near_far[i]
        covered = fragments.covered[i]
        decoded = near + image[i].float() / 255 * (far - near)
        error = (decoded - fragments.z[i])[covered].abs().max()
        assert error <= (far - near) / 255 / 2 * 1.001
        assert image[i][covered].min() == 0
        assert image[i][covered].max() == 255
        assert (image[i][~covered] == 255).all()


def test_an_empty_view_has_an_empty_depth_range():
    _, _, _, fragments = scene()
    nothing = type(fragments)(
        torch.full_like(fragments.face_ids, -1),
        torch.full_like(fragments.z, -1),
        fragments.barycentrics,
    )
    image, near_far = annotate.depth8(nothing)
    assert (image == 255).all()
    assert (near_far == 0).all()


@settings(deadline=None)
@given(z=st.floats(1.0, 10.0))
def test_depth16_is_metric(z):
    stored = annotate.depth16(torch.full((1, 2, 2), z), torch.eye(2, dtype=torch.bool)[None])
    metres = stored[0, 0, 0] * annotate.DEPTH16_STEP_M
    assert metres == pytest.approx(z * 0.4, abs=annotate.DEPTH16_STEP_M / 2 * 1.01)
    assert stored[0, 0, 1] == 0


def test_what_is_seen_is_never_stored_as_nothing_and_too_far_is_the_farthest_step():
    z = torch.tensor([[[1e-6, 1.0, 16.38, 1e4]]])
    stored = annotate.depth16(z, torch.ones(1, 1, 4, dtype=torch.bool))
    assert stored.tolist() == [[[1, 4000, 65520, 65535]]]


def test_normals_are_in_the_camera_frame_and_outward():
    vertices, topology, camera, fragments = scene(batch=3)
    encoded = annotate.normal_map(fragments, vertices, topology, camera)
    front = (fragments.face_ids == 0) | (fragments.face_ids == 1)
    for i in range(3):
        normal = encoded[i][front[i]].float() / 127.5 - 1
        facing = camera.R_gen_cam[i].T @ torch.tensor([0.0, 0.0, 1.0])
        assert facing[2] < 0  # towards the camera
        assert torch.allclose(normal, facing.expand_as(normal), atol=0.51 / 127.5)
    assert (encoded[~fragments.covered] == 0).all()


def test_normals_of_a_ball_point_away_from_its_centre():
    theta, phi = torch.meshgrid(
        torch.linspace(0, torch.pi, 13), torch.linspace(-torch.pi, torch.pi, 25), indexing="ij"
    )
    directions = [theta.sin() * phi.sin(), theta.cos(), theta.sin() * phi.cos()]
    vertices = 0.25 * torch.stack(directions, -1).view(1, -1, 3)
    index = torch.arange(13 * 25).view(13, 25)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = torch.cat([torch.stack(t, -1).view(-1, 3) for t in ((a, b, c), (a, c, d))])
    camera = Camera.look_at(torch.tensor([0.2]), torch.tensor([0.1]), torch.tensor([20.0]))
    ndc = camera.to_ndc(vertices)
    fragments = rasterize(ndc, faces, SIZE, SIZE, perspective_correct=True)
    topology = Topology(faces, torch.zeros(1, 2), torch.zeros_like(faces))
    normals = annotate.normal_map(fragments, vertices, topology, camera)[0].float() / 127.5 - 1
    points = fragments.interpolate(camera.to_cam(vertices)[:, faces])[0]
    center = camera.to_cam(torch.zeros(1, 1, 3))[0, 0]
    expected = torch.nn.functional.normalize(points - center, dim=-1)
    covered = fragments.covered[0]
    poles = points[..., 1].sub(center[1]).abs() > 0.2  # where faces are slivers
    off = torch.rad2deg(torch.acos((normals * expected).sum(-1).clamp(-1, 1)))[covered & ~poles]
    assert len(off) > 500 and off.mean() < 3


def test_uv_map_gives_back_texture_coordinates():
    _, topology, camera, fragments = scene()
    uv = annotate.uv_map(fragments, topology)[0].float() / 65535
    centers = torch.stack(torch.meshgrid(*[torch.arange(SIZE) + 0.5] * 2, indexing="ij"), -1)
    px = centers.flip(-1).view(1, -1, 2)
    world = camera.unproject(px, fragments.z.view(1, -1), SIZE).view(SIZE, SIZE, 3)
    covered = fragments.covered[0]
    assert torch.allclose(uv[covered][:, :2], world[covered][:, :2] + 0.5, atol=2e-4)
    assert (uv[covered][:, 2] == 1).all()
    assert (uv[~covered] == 0).all()


def test_texture_coordinates_outside_the_texture_end_at_its_border():
    _, topology, _, fragments = scene()
    beyond = Topology(topology.faces, topology.uvs * 4 - 1.5, topology.faces)
    uv = annotate.uv_map(fragments, beyond)[fragments.covered][:, :2]
    assert (uv.amin(), uv.amax()) == (0, 65535)


def test_keypoints_project_and_know_what_hides_them():
    _, _, camera, fragments = scene()
    points = torch.tensor(
        [[[0.0, 0.0, 0.3], [0.0, 0.0, 0.0], [0.25, 0.0, 0.1], [0.33, 0.0, 0.0], [9.0, 0.0, 0.0]]]
    )
    keypoints = annotate.keypoints(points, camera, fragments)
    px, z = camera.project(points, SIZE)
    assert torch.equal(keypoints.px, px)
    assert torch.equal(keypoints.cam[..., 2], z)
    assert keypoints.visible[0].tolist() == [True, False, True, True, False]


def test_a_keypoint_outside_the_image_or_behind_the_camera_is_not_visible():
    """Of 8 pixels; the image ends where the ninth would begin."""
    camera = Camera(torch.eye(4)[None], torch.tensor([[[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]]))
    nothing = Fragments(
        torch.full((1, 8, 8), -1), torch.full((1, 8, 8), -1.0), torch.full((1, 8, 8, 3), -1.0)
    )
    places = [[-1, 0, 2], [0, -1, 2], [1, 0, 2], [0, 1, 2], [0, 0, -2], [0.9, 0.9, 2], [-1.1, 0, 2]]
    seen = annotate.keypoints(torch.tensor([places]).float(), camera, nothing, slice(0, 0))
    assert seen.px[0, [0, 2]].tolist() == [[0, 4], [8, 4]]
    assert seen.visible[0].tolist() == [True, True, False, False, False, True, False]


@pytest.mark.parametrize("axis", [0, 1])
def test_what_a_keypoint_s_own_pixel_sees_hides_it(axis):
    """Something near fills the first four columns, or rows, of eight."""
    camera = Camera(torch.eye(4)[None], torch.tensor([[[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]]))
    z = torch.where(torch.arange(8) < 4, 1.0, 3.0).expand(1, 8, 8)
    z = z.contiguous() if axis == 0 else z.transpose(1, 2).contiguous()
    seen = Fragments(torch.zeros(1, 8, 8, dtype=torch.int64), z, z[..., None].expand(1, 8, 8, 3))
    px = torch.full((4, 2), 1.5)
    px[:, axis] = torch.tensor([3.3, 3.7, 4.3, 4.7])
    points = torch.cat([(px / 8 - 0.5) * 2, torch.full((4, 1), 2.0)], 1)[None]
    visible = annotate.keypoints(points, camera, seen, slice(0, 0)).visible
    assert visible.tolist() == [[False, False, True, True]]


def test_a_point_of_the_jaw_on_the_seen_outline_is_visible():
    vertices, topology, camera, _ = scene()
    size = 256
    ndc = camera.to_ndc(vertices)
    fragments = rasterize(ndc, topology.faces, size, size, perspective_correct=True)
    row, reach = size // 2, size // annotate.OUTLINE_SHARE
    ids = fragments.face_ids[0, row]
    outline = int(torch.nonzero((ids == 0) | (ids == 1))[0])  # of the square in front
    behind = fragments.z[:, row, outline - 1].expand(1, 2)
    px = torch.tensor([[outline + step + 0.5, row + 0.5] for step in (reach - 1, reach)])
    points = torch.zeros(1, 68, 3)
    points[:, :2] = points[:, 17:19] = camera.unproject(px[None], behind, size)
    visible = annotate.keypoints(points, camera, fragments).visible[0]
    assert visible[:2].tolist() == [True, False]
    assert visible[17:19].tolist() == [False, False]


def test_a_point_of_the_jaw_is_visible_if_any_pixel_near_it_sees_nothing_nearer():
    """Two pixels each way of 256, up to the image's borders; whatever lies elsewhere."""
    size, rng = 256, np.random.default_rng(0)
    z = rng.choice([1.0, 3.0], (size, size), p=[0.97, 0.03]).astype(np.float32)
    camera = Camera(torch.eye(4)[None], torch.tensor([[[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]]))
    depth = torch.from_numpy(z)[None]
    ids = torch.zeros(1, size, size, dtype=torch.int64)
    seen = Fragments(ids, depth, depth[..., None].expand(1, size, size, 3))
    px = rng.integers(0, size, (400, 2)) + 0.5
    px[:80] = np.clip(px[:80], 1.5, 254.5) * [0, 1] + [0.5, 0]
    px[80:160, 1] = size - 0.5
    points = np.concatenate([(px / size - 0.5) * 2, np.full((400, 1), 2.0)], 1)
    points = torch.from_numpy(points)[None].float()
    visible = annotate.keypoints(points, camera, seen, slice(0, 300)).visible[0].tolist()
    column, row = px.astype(int).T
    windows = [
        z[max(r - 2, 0) : r + 3, max(c - 2, 0) : c + 3] for r, c in zip(row, column, strict=True)
    ]
    assert visible[:300] == [bool(window.max() > 2) for window in windows[:300]]
    assert visible[300:] == (z[row, column] > 2)[300:].tolist()


def test_volume_depth_is_z_depth_where_opaque():
    _, _, camera, _ = scene(batch=2)
    z = torch.full((2, 1, 8, 8), 2.5)
    opacity = torch.full((2, 1, 8, 8), 0.5)
    opacity[0, :, :4] = opacity[1, :, 4:] = 0.51
    output = GeneratorOutput(torch.zeros(2, 3, 8, 8), camera.ray_distance(z), opacity)
    stored = annotate.volume_depth16(output, camera)
    assert (stored[0, :4] == 10000).all() and (stored[1, 4:] == 10000).all()
    assert (stored[0, 4:] == 0).all() and (stored[1, :4] == 0).all()


def test_a_batch_is_its_samples():
    vertices, topology, camera, fragments = scene(batch=3)
    normals = annotate.normal_map(fragments, vertices, topology, camera)
    for i in range(3):
        one = slice(i, i + 1)
        alone = rasterize(
            camera[one].to_ndc(vertices[one]), topology.faces, SIZE, SIZE, perspective_correct=True
        )
        assert torch.equal(alone.z[0], fragments.z[i])
        again = annotate.normal_map(alone, vertices[one], topology, camera[one])
        assert torch.equal(again[0], normals[i])
