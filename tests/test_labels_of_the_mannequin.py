"""Labels a user can trust, on whole samples of the built-in head."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from synthforge import annotate
from synthforge.frames import place_in_generator
from synthforge.generators.mannequin import mannequin_parts
from synthforge.landmarks import INNER_LIP, LEFT_EYE, RIGHT_EYE
from synthforge.mannequin.people import draw_people
from synthforge.rasterizer import rasterize
from synthforge.regions import REGION_ID
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

SIZE = 512
SAMPLES = 6


@pytest.fixture(scope="module")
def scene():
    head, _, _ = mannequin_parts(torch.device("cpu"))
    parameters = draw_people([SampleId(11, i) for i in range(SAMPLES)], MANNEQUIN_SAMPLING)
    camera = parameters.camera
    mesh = head.mesh(parameters, camera)
    vertices, landmarks = place_in_generator(mesh.vertices), place_in_generator(mesh.landmarks)
    faces = head.topology.faces
    fragments = rasterize(camera.to_ndc(vertices), faces, SIZE, SIZE, perspective_correct=True)
    return head, camera, vertices, landmarks, fragments


def inradius(triangles_px):
    """Radius of the inscribed circle of triangles [N, 3, 2]."""
    a, b, c = triangles_px.unbind(1)
    (ux, uy), (vx, vy) = (b - a).unbind(-1), (c - a).unbind(-1)
    perimeter = (b - a).norm(dim=-1) + (c - b).norm(dim=-1) + (a - c).norm(dim=-1)
    return (ux * vy - uy * vx).abs() / perimeter


def test_a_face_is_seen_at_its_own_centre_unless_something_is_nearer(scene):
    """For every face that surely covers its centre's pixel."""
    head, camera, vertices, _, fragments = scene
    faces = head.topology.faces
    corners_px = camera.project(vertices, SIZE)[0][:, faces]
    center_px, _ = camera.project(vertices[:, faces].mean(2), SIZE)
    farthest = camera.project(vertices, SIZE)[1][:, faces].amax(2)
    for i in range(SAMPLES):
        inside = ((center_px[i] > 1) & (center_px[i] < SIZE - 1)).all(-1)
        large = inradius(corners_px[i]) > 1.5
        chosen = torch.nonzero(inside & large).squeeze(1)
        column, row = center_px[i, chosen].floor().long().unbind(-1)
        own = fragments.face_ids[i, row, column] == chosen
        nearer = fragments.z[i, row, column] <= farthest[i, chosen]
        nearer &= fragments.covered[i, row, column]
        assert (own | nearer).all()
        assert own.sum() > 1000


def test_a_seen_pixel_lies_on_its_face(scene):
    """Unproject the pixel centres at the rasterized depth: the point is on the face's plane."""
    head, camera, vertices, _, fragments = scene
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    px = torch.stack([columns, rows], -1).view(1, -1, 2) + 0.5
    for i in range(SAMPLES):
        one = slice(i, i + 1)
        world = camera[one].unproject(px, fragments.z[one].flatten(1), SIZE)[0]
        covered = fragments.covered[i].flatten()
        corners = vertices[i, head.topology.faces[fragments.face_ids[i].flatten()[covered]]]
        on_face = (fragments.barycentrics[i].view(-1, 3)[covered][..., None] * corners).sum(1)
        assert (world[covered] - on_face).norm(dim=-1).max() < 1e-4


@pytest.mark.parametrize(
    ("points", "names", "reach_px"),
    [
        (LEFT_EYE, ["left_eyeball", "left_eye_region"], 2),
        (RIGHT_EYE, ["right_eyeball", "right_eye_region"], 2),
        (slice(48, 55), ["upper_lip", "lower_lip"], 3),
        (slice(55, 60), ["lower_lip"], 3),
        (INNER_LIP, ["upper_lip", "lower_lip", "inner_mouth"], 2),
    ],
)
def test_eye_and_lip_keypoints_lie_on_their_region(scene, points, names, reach_px):
    """Within some pixels: annotators don't keep to the edge of the red."""
    head, camera, _, landmarks, fragments = scene
    ids = annotate.region_ids(fragments, head.face_regions).numpy()
    keypoints = annotate.keypoints(landmarks, camera, fragments)
    for i in range(SAMPLES):
        outside = ~np.isin(ids[i], [REGION_ID[name] for name in names])
        distance = distance_transform_edt(outside)
        visible = keypoints.visible[i, points].numpy()
        column, row = keypoints.px[i, points].numpy()[visible].astype(int).T
        assert (distance[row, column] <= reach_px).all()
