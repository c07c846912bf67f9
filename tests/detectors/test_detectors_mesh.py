"""The detector that comes with the package, on pictures of the built-in head."""

import hashlib
import tomllib
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
import support_mannequin
import torch

from synthforge.config import IMAGE_SIZE
from synthforge.detectors import build_detector
from synthforge.detectors.face_mesh import face_mesh, face_meshes
from synthforge.detectors.landmarks68 import WEIGHTS, landmarks_of
from synthforge.frames import place_in_generator
from synthforge.landmarks import FLIP
from synthforge.mannequin import Mannequin
from synthforge.quality import Accept, Reject, judge

ROOT = Path(__file__).parents[2]
COUNT = 3


@pytest.fixture(scope="module")
def seen():
    """Pictures uint8 [B, 512, 512, 3] and their labels [B, 68, 2]."""
    z, mesh, camera = support_mannequin.samples(COUNT)
    images = Mannequin().generate(z, mesh, camera).to_uint8()
    labels_px, _ = camera.project(place_in_generator(mesh.landmarks), IMAGE_SIZE)
    return images, labels_px


@pytest.fixture(scope="module")
def detector():
    return build_detector("mesh", "cpu")


@pytest.fixture(scope="module")
def found(seen, detector):
    return torch.stack(detector(seen[0]))


def off(points, labels):
    """Mean distance of each landmark, in % of the outer-eye distance."""
    size = np.linalg.norm(labels[..., 36, :] - labels[..., 45, :], axis=-1)
    distance = np.linalg.norm(np.asarray(points) - np.asarray(labels), axis=-1)
    return 100 * (distance / size[..., None]).reshape(-1, 68).mean(0)


def test_it_sees_what_the_labels_say(seen, found, detector):
    error = off(found, seen[1])
    assert error[17:].mean() < 4.5 and error[:17].mean() < 12
    # Nearest to most is their own label.
    own = torch.cdist(found, seen[1]).mean(0).argmin(1)
    assert (own == torch.arange(68)).float().mean() > 0.85
    verdicts = judge(list(found), seen[1], IMAGE_SIZE, detector.reject_px)
    assert all(isinstance(verdict, Accept) for verdict in verdicts)


def test_a_face_in_another_place_is_rejected(seen, found, detector):
    upside_down = detector(seen[0].flip(1, 2))
    for labels in (seen[1].roll(1, 0), seen[1] + 20):
        verdicts = judge(list(found), labels, IMAGE_SIZE, detector.reject_px)
        assert all(isinstance(verdict, Reject) for verdict in verdicts)
    verdicts = judge(upside_down, seen[1], IMAGE_SIZE, detector.reject_px)
    assert all(isinstance(verdict, Reject) for verdict in verdicts)


def test_an_answer_depends_on_its_image_alone(seen, found, detector):
    before = cv2.getNumThreads()
    try:
        for threads in (1, 3):
            cv2.setNumThreads(threads)
            for i in reversed(range(COUNT)):
                (alone,) = detector(seen[0][i : i + 1])
                assert torch.equal(alone, found[i])
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(("roll_deg", "scale"), [(-70, 0.7), (40, 0.7), (0, 0.2), (20, 1.3)])
def test_turned_and_scaled_faces(seen, found, roll_deg, scale):
    turn = cv2.getRotationMatrix2D((255.5, 255.5), roll_deg, scale)
    image = cv2.warpAffine(seen[0][2].numpy(), turn, (512, 512), flags=cv2.INTER_AREA)
    mesh = face_mesh(image)
    expected = (seen[1][2].numpy() - 0.5) @ turn[:, :2].T + turn[:, 2] + 0.5
    assert off(landmarks_of(mesh.points_px), expected)[17:].mean() < 6


def test_a_mirrored_face_has_mirrored_landmarks(seen, found):
    mesh = face_mesh(np.ascontiguousarray(seen[0][0].numpy()[:, ::-1]))
    mirrored = landmarks_of(mesh.points_px)[list(FLIP)] * [-1, 1] + [IMAGE_SIZE, 0]
    assert off(mirrored, found[0].numpy()).mean() < 4


def test_the_larger_of_two_faces(seen, found):
    small = cv2.resize(seen[0][1].numpy(), (160, 160), interpolation=cv2.INTER_AREA)
    both = np.zeros((512, 720, 3), np.uint8)
    both[:, :512], both[100:260, 540:700] = seen[0][0].numpy(), small
    assert off(landmarks_of(face_mesh(both).points_px), found[0].numpy()).mean() < 4


def test_no_face(detector):
    noise = torch.randint(
        256, (1, 200, 300, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    assert detector(noise) == detector(torch.zeros_like(noise)) == [None]


def test_weights_keep_a_landmark_on_the_face():
    np.testing.assert_allclose(WEIGHTS.sum(1), 1)


def test_its_spread_is_what_it_is_off_by(seen, found, detector):
    """Its jaw is the outline that is seen, the labels' a contour of the head in 3D."""
    jaw, inner = np.array(detector.spread[:17]), np.array(detector.spread[17:])
    assert len(inner) == 51 and jaw.mean() > 2 * inner.mean()
    error = off(found, seen[1]) / 100
    for spread, got in ((jaw, error[:17]), (inner, error[17:])):
        assert 0.5 < got.mean() / spread.mean() < 1.5


def test_the_nets_are_those_that_notice_names():
    source = (ROOT / "tools" / "take_mediapipe_models.py").read_text()
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    for name in data["package-data"]["synthforge.detectors"]:
        content = resources.files("synthforge.detectors").joinpath(name).read_bytes()
        assert hashlib.sha256(content).hexdigest() in source
        assert name in (ROOT / "NOTICE").read_text()


def test_all_faces_of_an_image_are_found(seen):
    first, second = seen[0][:2].numpy()
    small = cv2.resize(second, (128, 128), interpolation=cv2.INTER_AREA)
    image = np.full((512, 1024, 3), 120, np.uint8)
    image[:, :512], image[320:448, 820:948] = first, small
    meshes = face_meshes(image)
    assert len(meshes) == 2
    np.testing.assert_array_equal(meshes[0].points_px, face_mesh(image).points_px)
    alone = face_mesh(second).points_px / 4 + [820, 320]
    assert np.linalg.norm(meshes[1].points_px - alone, axis=1).mean() < 2
    assert face_meshes(np.full((200, 300, 3), 120, np.uint8)) == []
