"""Keypoint schemes: flips, contours, pupils and vertices, of the built-in head and of others."""

import numpy as np
import pytest
import torch
from support_flame_heads import random_embedding, random_head
from support_mannequin import built_head

from synthforge.annotate import EYEBALL_TOLERANCE, VISIBILITY_TOLERANCE, keypoints
from synthforge.assembly import check_labels
from synthforge.camera import Camera
from synthforge.errors import ConfigError
from synthforge.keypoints import every_vertex, free_schemes, leaving_eyeballs, outline_rows
from synthforge.labels import SCHEMES
from synthforge.mannequin.head.baked import baked_head
from synthforge.rasterizer import Fragments
from synthforge.regions import REGION_ID

ROW = torch.zeros(1, dtype=torch.int64)
# mediapipe's canonical face mesh: outer corners of eyes and lips, chin, forehead, nose tip.
MEDIAPIPE = {"eyes": (33, 263), "lips": (61, 291), "chin": 152, "forehead": 10, "nose": 1}


def points(name, row=0, expression=None):
    """Of the neutral average head, metres."""
    head = built_head()
    given = torch.zeros(1, 50) if expression is None else expression
    vertices, _ = head.flame(torch.zeros(1, 100), given, torch.zeros(1, 6))
    return head.schemes[name].points(vertices, head.topology.faces, ROW + row)[0].numpy()


@pytest.mark.parametrize(("name", "count"), SCHEMES.items())
def test_each_scheme_is_there_and_mirrors_onto_itself(name, count):
    scheme = built_head().schemes[name]
    assert len(scheme) == (count or len(baked_head().mirror))
    flip = scheme.flip.numpy()
    assert (flip[flip] == np.arange(len(flip))).all()
    ours = points(name)
    assert abs(ours - ours[flip] * [-1, 1, 1]).max() < 1.2e-3
    turned, other = points(name, 20), points(name, 39 + 20)
    assert abs(turned - other[flip] * [-1, 1, 1]).max() < 1.2e-3


def test_ibug70_is_the_68_and_the_pupils():
    head = built_head()
    _, landmarks = head.flame(torch.zeros(1, 100), torch.zeros(1, 50), torch.zeros(1, 6))
    ours = points("ibug70")
    np.testing.assert_allclose(ours[:68], landmarks[0], atol=1e-6)
    right, left = ours[68:]
    assert right[0] < -0.02 and left[0] > 0.02
    for pupil, eye in ((right, ours[36:42]), (left, ours[42:48])):
        assert eye[:, 0].min() < pupil[0] < eye[:, 0].max()
        assert eye[:, 1].min() < pupil[1] < eye[:, 1].max()


@pytest.mark.parametrize(
    ("name", "of_eyeballs"),
    [("ibug70", {68, 69}), ("wflw98", {96, 97}), ("mediapipe478", {*range(468, 478)})],
)
def test_which_points_lie_on_eyeballs(name, of_eyeballs):
    head = built_head()
    on = head.schemes[name].on_eyeballs(head.face_regions)
    assert {*torch.nonzero(on).flatten().tolist()} == of_eyeballs


def test_wflw98_lies_where_its_layout_says():
    ours, ibug = points("wflw98"), points("ibug70")
    np.testing.assert_allclose(ours[:33:2], ibug[:17], atol=1e-6)
    steps = np.linalg.norm(np.diff(ours[:33], axis=0), axis=1)
    assert steps.min() > 0.002 and steps.max() < 0.02
    same = {51: 27, 54: 30, 55: 31, 59: 35, 76: 48, 82: 54, 85: 57, 88: 60, 92: 64, 94: 66}
    same |= {60: 36, 64: 39, 68: 42, 72: 45, 33: 17, 37: 21, 42: 22, 46: 26, 96: 68, 97: 69}
    for wflw, there in same.items():
        assert np.linalg.norm(ours[wflw] - ibug[there]) < 1e-3, wflw
    for eye in (ours[60:68], ours[68:76]):
        assert (np.diff(eye[:5, 0]) > 0).all() and (np.diff(eye[4:, 0]) < 0).all()
        assert (eye[1:4, 1] > eye[[7, 6, 5], 1] + 0.003).all()
    for upper, lower in (
        (ours[33:37], ours[[41, 40, 39, 38]]),
        (ours[43:47], ours[[50, 49, 48, 47]][::-1]),
    ):
        assert (upper[1:3, 1] > lower[1:3, 1] + 0.002).all()


def test_the_face_mesh_lies_where_its_points_are_known_to():
    mesh, ibug = points("mediapipe468"), points("ibug70")
    for name, there in (("eyes", (36, 45)), ("lips", (48, 54)), ("chin", 8), ("nose", 30)):
        apart = mesh[[*np.atleast_1d(MEDIAPIPE[name])]] - ibug[[*np.atleast_1d(there)]]
        assert np.linalg.norm(apart, axis=1).max() < 0.012, name
    assert mesh[MEDIAPIPE["forehead"], 1] > ibug[17:27, 1].max() + 0.02
    irises = points("mediapipe478")[468:]
    for ring, pupil in ((irises[:5], ibug[68]), (irises[5:], ibug[69])):
        np.testing.assert_allclose(ring[0], pupil, atol=1e-6)
        assert ring[1, 0] > ring[0, 0] > ring[3, 0] and ring[2, 1] > ring[0, 1] > ring[4, 1]
        radius = np.linalg.norm(ring[1:, :2] - ring[0, :2], axis=1)
        assert (radius > 0.0045).all() and (radius < 0.0065).all()


def test_lips_of_the_face_mesh_part_with_the_jaw():
    head = built_head()
    still, opened = (
        head.flame(torch.zeros(1, 100), torch.zeros(1, 50), torch.tensor([[0, 0, 0, jaw, 0, 0]]))[0]
        for jaw in (0.0, 0.3)
    )
    mesh = head.schemes["mediapipe468"]
    moved = [mesh.points(v, head.topology.faces, ROW)[0, :, 1] for v in (still, opened)]
    fell = (moved[0] - moved[1]).numpy()
    assert (fell[[14, 17, 87, 317]] > 0.015).all() and abs(fell[[13, 0, 82, 312]]).max() < 0.004


def test_vertices_are_the_vertices():
    vertices = built_head().flame(torch.zeros(1, 100), torch.zeros(1, 50), torch.zeros(1, 6))[0]
    np.testing.assert_array_equal(points("vertices"), vertices[0])
    with pytest.raises(ValueError, match="vertex 3 belongs to no triangle"):
        every_vertex(np.array([[0, 1, 2], [2, 1, 4]]), 5)


def test_the_outline_follows_the_camera():
    R = torch.eye(3).expand(1, 5, 3, 3)
    for yaw, rows in ((0.0, (0,)), (-0.35, range(19, 24)), (0.35, range(39 + 19, 39 + 24))):
        camera = Camera.look_at(*(torch.tensor([value]) for value in (yaw, 0.0, 20.0)))
        assert outline_rows(R, camera).item() in rows


def test_a_flame_head_has_pupils_and_vertices_without_anyones_embedding():
    """A head of two boxes as eyeballs: rays leave through their fronts, at the joint's place."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.012
    box = np.array([[1, 5, 7], [1, 7, 3], [0, 2, 6], [0, 6, 4]])  # front, back; outward
    centers = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0.03, 0.02, 0.05], [-0.03, 0.02, 0.05]])
    vertices = np.concatenate([corners + centers[3], corners + centers[4]])
    faces = np.concatenate([box, box + 8])
    regions = np.repeat([REGION_ID["left_eyeball"], REGION_ID["right_eyeball"]], 4)
    found, bary = leaving_eyeballs(
        vertices, faces, regions, centers + np.array([0.001, 0.002, 0]), np.zeros((1, 2))
    )
    pupils = (vertices[faces[found]] * bary[..., None]).sum(1)
    np.testing.assert_allclose(pupils, [[-0.029, 0.022, 0.062], [0.031, 0.022, 0.062]], atol=1e-9)
    # Rays that are tilted: to the subject's left, then down.
    tilts = np.array([[0.3, 0.0], [0.0, -0.4]])
    found, bary = leaving_eyeballs(vertices, faces, regions, centers, tilts)
    points = (vertices[faces[found]] * bary[..., None]).sum(1).reshape(2, 2, 3)
    for two, center in zip(points, (centers[4], centers[3]), strict=True):
        offsets = 0.012 * tilts / np.sqrt(1 - (tilts**2).sum(1, keepdims=True))
        np.testing.assert_allclose(two[:, :2] - center[:2], offsets, atol=1e-9)
        np.testing.assert_allclose(two[:, 2], center[2] + 0.012, atol=1e-9)

    soup = random_head()
    everywhere = np.arange(60) % 20
    assert "ibug70" in free_schemes(soup, random_embedding(), everywhere, centers)
    assert "ibug70" not in free_schemes(soup, random_embedding(), np.zeros(60, int), centers)


def test_a_lid_hides_the_pupil_though_it_is_thin():
    depth = torch.full((1, 8, 8), 2.0)
    seen = Fragments(torch.zeros(1, 8, 8, dtype=torch.int64), depth, torch.zeros(1, 8, 8, 3))
    camera = Camera(torch.eye(4)[None], torch.tensor([[[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]]))
    behind = torch.tensor([[[0, 0, 2.004], [0, 0, 2.004], [0, 0, 2.001]]])
    tolerance = torch.tensor([VISIBILITY_TOLERANCE, EYEBALL_TOLERANCE, EYEBALL_TOLERANCE])
    visible = keypoints(behind, camera, seen, slice(0, 0), tolerance).visible
    assert visible.tolist() == [[True, False, True]]


def test_a_scheme_that_a_head_lacks_is_refused_with_a_way_out():
    class Rig:
        head = type("FlameHead", (), {"schemes": {"ibug70": 0, "vertices": 0}, "has_uvs": True})

    check_labels(Rig, (), ("ibug70",))
    with pytest.raises(
        ConfigError, match=r"wflw98: there is no free embedding.*--generator mannequin"
    ):
        check_labels(Rig, (), ("vertices", "wflw98"))
