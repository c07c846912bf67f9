"""Whole samples, written and read back: each label against the parameters that it was drawn with.

The twins are float64 numpy that shares no code with the program; files are read without its reader.
"""

import json
import math
from dataclasses import replace
from importlib import resources

import cv2
import numpy as np
import pytest
import support_mannequin
import torch
from scipy.spatial.transform import Rotation
from support_fake_generator import FakeGenerator
from support_ray_casting import cast, flame

from synthforge.alignment import AlignmentMLP
from synthforge.assembly import Rig
from synthforge.batches import make_samples
from synthforge.dataset.write import DatasetWriter
from synthforge.detectors import Detector
from synthforge.distributions import Range
from synthforge.grid import FACTORS
from synthforge.mannequin import baked_head
from synthforge.mannequin.head.baked import Piece
from synthforge.mannequin.people import draw_people
from synthforge.regions import REGIONS
from synthforge.sampling import SampleId
from synthforge.sampling_config import NEXT3D_SAMPLING, WEAR

CPU = torch.device("cpu")
EXTRAS = ("seg_id", "depth16", "normals", "uv", "volume_depth")
A = torch.tensor([[1.02, 0.01, -0.02], [-0.02, 0.97, -0.01], [0.01, 0.08, 0.99]])
B = torch.tensor([0.01, 0.03, -0.02])
# Far to the side: noses and cheeks hide keypoints, some by less than ten tolerances.
RANGES = replace(
    NEXT3D_SAMPLING,
    shape=Range(-1, 1),
    expression=Range(-1, 1),
    jaw_rad=Range(0.05, 0.2),
    head_yaw_rad=Range(-0.3, -0.1),
    head_pitch_rad=Range(0.05, 0.1),
    yaw_rad=Range(0.5, 0.7),
    pitch_rad=Range(-0.4, -0.2),
)
IDS = [SampleId(5, 3), SampleId(5, 71, 2)]
SIZE = 512
# Pixels round one of the jaw's, of which any that sees nothing nearer makes it visible.
WINDOW = np.mgrid[-4:5, -4:5].reshape(2, -1).T
# What the annotation holds (docs/formats.md).
SHAPES = {
    "2d_kps": (68, 2),
    "3d_kps": (68, 3),
    "kps_visible": (68,),
    "kps_occluded": (68,),
    "depth_range": (2,),
    "camera_params": (25,),
    "fov_deg": (),
    "yaw_rad": (),
    "pitch_rad": (),
    "head_rotation": (3, 3),
    "head_euler_deg": (3,),
    "gaze": (2, 3),
    "eye_centers": (2, 3),
    "eye_opening": (2,),
    "age_years": (),
    "sex": (),
    "weight": (),
    "ancestry": (3,),
    "face_actions": (52,),
    **dict.fromkeys(WEAR, ()),
    "z": (512,),
    "flame_shape": (100,),
    "flame_exp": (50,),
    "flame_pose": (6,),
    "flame_neck_pose": (3,),
    "flame_eye_pose": (6,),
    "identity": (),
    "expression": (),
    "view": (),
    "light": (),
    "seed": (),
    "index": (),
    "attempt": (),
    "2d_kps_wflw98": (98, 2),
    "3d_kps_wflw98": (98, 3),
    "kps_visible_wflw98": (98,),
    "fan_kps": (68, 2),
    "mse": (),
}


def drawn_with_every_joint(ids, config):
    """`draw_people`, and an angle of its own for each of the 15 of the pose."""
    parameters = draw_people(ids, config)
    own = 0.01 * torch.arange(1, 16) + 0.003 * torch.tensor([[id.index] for id in ids]) / 71
    return replace(parameters, pose_rad=parameters.pose_rad + own)


class Written:
    """A sample's files as they lie on the disk, and the twin of its geometry."""

    def __init__(self, root, index, drawn, detected_px):
        self.annotation = json.loads((root / f"annotations/{index:06d}.json").read_text())
        self.values = {key: np.array(value) for key, value in self.annotation.items()}
        self.images = {
            path.parent.name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            for path in root.glob(f"*/{index:06d}.png")
        }
        self.drawn, self.detected_px = drawn, detected_px
        self.T = self.values["camera_params"][:16].reshape(4, 4)
        self.K = self.values["camera_params"][16:].reshape(3, 3)
        built = baked_head()
        R_view_gen = np.diag([1, -1, -1]) @ self.T[:3, :3].T
        vertices, landmarks = flame(built.model, built.embedding, self.values, R_view_gen)
        self.vertices = self.to_cam(vertices)
        self.triangles = self.vertices[built.model.faces]
        self.landmarks = self.to_cam(landmarks)
        inner = np.random.default_rng(index).integers(60, SIZE - 60, (300, 2))
        self.column, self.row = inner.T
        self.z, self.face, self.bary = cast(self.rays(inner + 0.5), self.triangles)
        self.hit = self.face >= 0
        # Float32 tells no two faces apart on their common edge.
        self.sure = ~self.hit | (self.bary.min(1) > 1e-3)

    def to_cam(self, points_flame):
        placed = (points_flame - np.array([0, 0.01, 0.01])) * 2.5
        placed[:, 2] += math.sqrt(2) / 10
        aligned = placed @ A.double().numpy().T + B.double().numpy()
        return (aligned - self.T[:3, 3]) @ self.T[:3, :3]

    def rays(self, points_px, size=SIZE):
        """Directions with z = 1 through pixels [N, 2]."""
        return (
            np.column_stack([points_px / size, np.ones(len(points_px))]) @ np.linalg.inv(self.K).T
        )

    def stored(self, folder):
        """What the folder's image holds where rays were cast."""
        return self.images[folder][self.row, self.column]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    generator = FakeGenerator(A, B)
    generator.draw = drawn_with_every_joint
    seen = []

    def detector(images):
        assert images.dtype == torch.uint8
        noise = torch.Generator().manual_seed(0)
        seen[:] = generator.true_px + 3 * torch.randn(2, 68, 2, generator=noise)
        return seen

    rig = Rig(
        CPU,
        support_mannequin.built_head(),
        generator,
        AlignmentMLP.from_affine(A, B),
        Detector("fake", detector, 11),
        RANGES,
    )
    writer = DatasetWriter(root, {"recipe": {"extras": EXTRAS}}, EXTRAS)
    samples, rejections = make_samples(IDS, rig, EXTRAS, ("wflw98",))
    assert not rejections
    writer.open()
    for sample in samples:
        writer.sink.write(sample)
    writer.close()
    drawn = drawn_with_every_joint(IDS, RANGES)
    return [Written(root, id.index, drawn[torch.tensor([i])], seen[i]) for i, id in enumerate(IDS)]


# --- The annotation -------------------------------------------------------------------------------


@pytest.mark.parametrize("key", SHAPES)
def test_shape_and_kind_of_each_key(written, key):
    for sample in written:
        assert set(sample.annotation) == set(SHAPES)
        assert sample.values[key].shape == SHAPES[key]
        visible = ("kps_visible", "kps_visible_wflw98", "kps_occluded")
        whole = key in (*visible, *WEAR, *FACTORS, "seed", "index", "attempt")
        assert sample.values[key].dtype.kind == ("i" if whole else "f")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("z", lambda drawn: drawn.z),
        ("flame_shape", lambda drawn: drawn.shape),
        ("flame_exp", lambda drawn: drawn.expression),
        ("flame_pose", lambda drawn: drawn.pose_rad[:, [0, 1, 2, 6, 7, 8]]),
        ("flame_neck_pose", lambda drawn: drawn.pose_rad[:, [3, 4, 5]]),
        ("flame_eye_pose", lambda drawn: drawn.pose_rad[:, [9, 10, 11, 12, 13, 14]]),
        ("yaw_rad", lambda drawn: drawn.yaw_rad),
        ("pitch_rad", lambda drawn: drawn.pitch_rad),
        ("fov_deg", lambda drawn: drawn.fov_deg),
        ("age_years", lambda drawn: drawn.labels["age_years"]),
        ("sex", lambda drawn: drawn.labels["sex"]),
        ("weight", lambda drawn: drawn.labels["weight"]),
        ("ancestry", lambda drawn: drawn.labels["ancestry"]),
        ("face_actions", lambda drawn: drawn.labels["face_actions"]),
        *[(key, lambda drawn, key=key: drawn.labels[key]) for key in FACTORS],
        ("seed", lambda drawn: torch.tensor([id.seed for id in drawn.ids])),
        ("index", lambda drawn: torch.tensor([id.index for id in drawn.ids])),
        ("attempt", lambda drawn: torch.tensor([id.attempt for id in drawn.ids])),
    ],
)
def test_parameters_are_those_that_were_drawn(written, key, expected):
    for sample in written:
        value = expected(sample.drawn)[0].numpy()
        np.testing.assert_array_equal(sample.values[key].astype(value.dtype), value)


def test_the_camera_stands_where_yaw_and_pitch_say(written):
    for sample in written:
        x, y, z = sample.T[:3, 3]
        assert math.atan2(x, z) == pytest.approx(sample.annotation["yaw_rad"], abs=1e-5)
        assert -y / 2.7 * math.pi / 2 == pytest.approx(sample.annotation["pitch_rad"], abs=1e-5)
        assert math.hypot(x, y, z) == pytest.approx(2.7, abs=1e-5)
        right, down, forward = sample.T[:3, :3].T
        np.testing.assert_allclose(np.cross(right, down), forward, atol=1e-5)
        to_pivot = [0, 0, 0.2] - sample.T[:3, 3]
        np.testing.assert_allclose(forward, to_pivot / np.linalg.norm(to_pivot), atol=1e-5)
        assert right[1] == pytest.approx(0, abs=1e-6) and down[1] < 0
        np.testing.assert_array_equal(sample.T[3], [0, 0, 0, 1])


def test_the_intrinsics_have_the_field_of_view(written):
    for sample in written:
        focal = sample.K[0, 0]
        fov_deg = math.degrees(2 * math.atan(1 / (1.414 * focal)))
        assert fov_deg == pytest.approx(sample.annotation["fov_deg"], abs=1e-3)
        np.testing.assert_array_equal(sample.K, [[focal, 0, 0.5], [0, focal, 0.5], [0, 0, 1]])


def test_3d_keypoints_are_the_heads_of_the_annotation(written):
    for sample in written:
        np.testing.assert_allclose(sample.values["3d_kps"], sample.landmarks, atol=2e-5)


def test_2d_keypoints_are_the_3d_ones_through_K(written):
    for sample in written:
        u, v, w = sample.K @ sample.values["3d_kps"].T
        expected = np.column_stack([u / w, v / w]) * SIZE
        np.testing.assert_allclose(sample.values["2d_kps"], expected, atol=1e-3)


def test_a_keypoint_is_visible_unless_a_ray_meets_the_head_5_mm_before_it(written):
    narrow = outline = 0
    for sample in written:
        px, z = sample.values["2d_kps"], sample.landmarks[:, 2]
        nearest, _, _ = cast(sample.rays(np.floor(px) + 0.5), sample.triangles)
        hidden_by = z - nearest
        inside = ((px >= 0) & (px < SIZE)).all(1)
        narrow += ((hidden_by > 0.0125) & (hidden_by < 0.125)).sum()
        for jaw in np.flatnonzero(inside[:17] & (hidden_by[:17] > 0.0125)):  # on the outline?
            around = np.clip(np.floor(px[jaw]) + WINDOW, 0, SIZE - 1) + 0.5
            hidden_by[jaw] = z[jaw] - cast(sample.rays(around), sample.triangles)[0].max()
            outline += hidden_by[jaw] <= 0.0125
        sure = abs(hidden_by - 0.0125) > 1e-4
        expected = inside & (hidden_by <= 0.0125)
        np.testing.assert_array_equal(
            sample.values["kps_visible"].astype(bool)[sure], expected[sure]
        )
        assert sure.sum() > 60 and expected.sum() > 20
    assert narrow >= 3 and outline >= 3


def test_further_keypoints_lie_on_the_heads_triangles_and_follow_the_jaw_line(written):
    with np.load(resources.files("synthforge.mannequin.head") / "points.npz") as points:
        faces, bary = points["wflw98_faces"], points["wflw98_bary"]
    for sample in written:
        expected = (sample.triangles[faces] * bary[..., None]).sum(1)
        there = sample.values["3d_kps_wflw98"]
        np.testing.assert_allclose(there[33:96], expected, atol=2e-5)
        np.testing.assert_allclose(there[:33:2], sample.landmarks[:17], atol=2e-5)
        u, v, w = sample.K @ there.T
        px = sample.values["2d_kps_wflw98"]
        np.testing.assert_allclose(px, np.column_stack([u / w, v / w]) * SIZE, atol=1e-3)
        # The bridge of the nose is the same points, the outline's others lie between.
        visible = sample.values["kps_visible_wflw98"]
        np.testing.assert_array_equal(visible[51:60], sample.values["kps_visible"][27:36])
        np.testing.assert_array_equal(visible[:33:2], sample.values["kps_visible"][:17])
        assert 0 < visible.mean() < 1


def test_detections_are_kept_with_their_mean_distance(written):
    for sample in written:
        detected = sample.detected_px.numpy()
        np.testing.assert_array_equal(sample.values["fan_kps"].astype(np.float32), detected)
        distance = np.linalg.norm(detected - sample.values["2d_kps"], axis=1).mean()
        assert sample.annotation["mse"] == pytest.approx(distance, abs=1e-4)
        assert 2 < distance < 6


def test_the_head_is_turned_as_its_own_points_are(written):
    """Axes from the mesh: skull vertices of the posed head against those of the head at rest."""
    built = baked_head()
    still = abs(built.model.shapedirs[..., 300:]).max((1, 2)) < 1e-4
    skull = np.flatnonzero((built.model.weights[:, 1] > 0.999) & still)
    shapes = built.model.shapedirs[skull][..., :100]
    for sample in written:
        rest = built.model.v_template[skull] + shapes @ sample.values["flame_shape"]
        seen = sample.vertices[skull]
        linear = np.linalg.lstsq(rest - rest.mean(0), seen - seen.mean(0), rcond=None)[0].T
        u, _, v = np.linalg.svd(linear)
        np.testing.assert_allclose(sample.values["head_rotation"], u @ v, atol=2e-3)
        angles = Rotation.from_matrix(np.diag([1, -1, -1]) @ u @ v).as_euler("YXZ", degrees=True)
        np.testing.assert_allclose(sample.values["head_euler_deg"], angles, atol=0.2)
        assert abs(angles).min() > 1


def test_gaze_is_the_axis_of_the_posed_eyeballs(written):
    built = baked_head()
    for sample in written:
        eyes = zip(
            (Piece.LEFT_EYEBALL, Piece.RIGHT_EYEBALL),
            sample.values["gaze"],
            sample.values["eye_centers"],
            strict=True,
        )
        for piece, gaze, center in eyes:
            ball = np.flatnonzero(built.vertex_piece == piece)
            shapes = built.model.shapedirs[ball][..., :100]
            rest = built.model.v_template[ball] + shapes @ sample.values["flame_shape"]
            seen = sample.vertices[ball]
            middle = (rest.max(0) + rest.min(0)) / 2
            map_from_rest = np.linalg.lstsq(
                np.column_stack([rest - middle, np.ones(len(ball))]), seen, rcond=None
            )[0]
            np.testing.assert_allclose(center, map_from_rest[3], atol=2e-3)
            axis = map_from_rest[2]
            np.testing.assert_allclose(gaze, axis / np.linalg.norm(axis), atol=2e-3)
            assert np.linalg.norm(gaze) == pytest.approx(1, abs=1e-5)


def test_eye_opening_is_height_over_width(written):
    for sample in written:
        points = sample.values["3d_kps"]
        for value, first in zip(sample.values["eye_opening"], (42, 36), strict=True):
            p = points[first : first + 6]
            height = np.linalg.norm(p[[1, 2]] - p[[5, 4]], axis=1).sum() / 2
            assert value == pytest.approx(height / np.linalg.norm(p[0] - p[3]), abs=1e-4)


# --- The images -----------------------------------------------------------------------------------


def test_depth_is_what_rays_meet(written):
    for sample in written:
        near, far = sample.annotation["depth_range"]
        assert 0.2 < sample.hit.mean() < 0.95
        decoded = near + sample.stored("depth") / 255 * (far - near)
        np.testing.assert_allclose(
            decoded[sample.hit], sample.z[sample.hit], atol=(far - near) / 255 * 0.51 + 1e-5
        )
        assert (sample.stored("depth")[~sample.hit] == 255).all()
        metres = sample.stored("depth16") * 1e-4
        np.testing.assert_allclose(metres[sample.hit], 0.4 * sample.z[sample.hit], atol=6e-5)
        assert (sample.stored("depth16")[~sample.hit] == 0).all()


def test_the_depth_range_is_that_of_the_image(written):
    for sample in written:
        z = sample.images["depth16"] / 4000
        covered = z > 0
        near, far = sample.annotation["depth_range"]
        assert near == pytest.approx(z[covered].min(), abs=2e-4)
        assert far == pytest.approx(z[covered].max(), abs=2e-4)
        assert sample.triangles[..., 2].min() - 1e-5 < near < far
        assert far < sample.triangles[..., 2].max() + 1e-5


def test_regions_are_those_of_the_faces_that_rays_meet(written):
    regions = baked_head().face_region
    palette = np.array([list(bytes.fromhex(region.color)) for region in REGIONS])
    for sample in written:
        expected = np.where(sample.hit, regions[sample.face], 19)
        for folder, values in (("seg_id", expected), ("seg", palette[expected][:, ::-1])):
            np.testing.assert_array_equal(sample.stored(folder)[sample.sure], values[sample.sure])
        assert sample.sure.mean() > 0.95
        assert len(set(expected)) > 6


def test_normals_are_those_of_the_faces_that_rays_meet(written):
    for sample in written:
        a, b, c = np.moveaxis(sample.triangles[sample.face[sample.hit]], 1, 0)
        flat = np.cross(b - a, c - a)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        smooth = sample.stored("normals")[sample.hit][:, ::-1] / 127.5 - 1
        assert np.median((flat * smooth).sum(1)) > 0.99
        assert np.median(abs(flat - smooth).max(0)) < 1
        assert (sample.stored("normals")[~sample.hit] == 0).all()


def test_texture_coordinates_are_those_of_the_points_that_rays_meet(written):
    built = baked_head()
    for sample in written:
        corners = built.uvs[built.uv_faces[sample.face]]
        expected = (corners * sample.bary[..., None]).sum(1)[sample.hit]
        stored = sample.stored("uv")[:, ::-1] / 65535
        np.testing.assert_allclose(stored[sample.hit][:, :2], expected, atol=1e-3)
        np.testing.assert_array_equal(stored[:, 2], sample.hit)


def test_the_volumes_depth_is_the_generators(written):
    """The fake draws the aligned head at 128 x 128."""
    centers = np.random.default_rng(0).integers(20, 108, (100, 2))
    for sample in written:
        z, face, _ = cast(sample.rays(centers + 0.5, 128), sample.triangles)
        stored = sample.images["volume_depth"][centers[:, 1], centers[:, 0]]
        expected = np.where(face >= 0, z * 4000, 0)
        np.testing.assert_allclose(stored, expected, atol=0.6)


def test_the_image_is_the_generators(written):
    """The fake shades the aligned head by its normals; its image is 128 x 128, enlarged."""
    for sample in written:
        a, b, c = np.moveaxis(sample.triangles[sample.face], 1, 0)
        normal = np.cross(b - a, c - a) @ sample.T[:3, :3].T
        light = (normal[:, 2] / np.linalg.norm(normal, axis=1)).clip(0)
        expected = np.where(sample.hit, light * 1.6 - 0.8, -0.8) * 127.5 + 128
        assert sample.images["images"].shape == (SIZE, SIZE, 3)
        assert np.median(abs(sample.stored("images") - expected[:, None])) < 3
