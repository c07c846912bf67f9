import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
import torch

from synthforge.detectors import DetectorError, build_detector, fan


class FakeFaceAlignment:
    """face-alignment 1.5's calls: sees a face where an image is bright, points at its corners."""

    def __init__(self, landmarks_type, device, flip_input, compile, max_batch_size):
        assert landmarks_type == "two_half_d"
        self.face_detector = self
        self.strips = 0

    def detect_from_batch(self, images):
        assert images.shape[1] == 3
        return [self._boxes(image.amax(0).numpy()) for image in images]

    def _boxes(self, image):
        boxes = []
        for level in np.unique(image[image > 0]):
            rows, columns = np.nonzero(image == level)
            low_row, high_row = rows.min(), rows.max() + 1
            boxes.append(np.array([columns.min(), low_row, columns.max() + 1, high_row, 0.9]))
        return boxes

    def get_landmarks_from_image(self, image, detected_faces):
        self.strips += 1
        points = []
        for left, top, right, bottom, _ in detected_faces:
            assert image[int(top), int(left)].max() > 0
            corners = np.array([[left, top], [right - 1, bottom - 1]])
            points.append(np.repeat(corners, 34, 0))
        return points


@pytest.fixture
def fake_package(monkeypatch):
    package = ModuleType("face_alignment")
    package.__spec__ = ModuleSpec("face_alignment", None)
    package.FaceAlignment = FakeFaceAlignment
    package.LandmarksType = type("LandmarksType", (), {"TWO_HALF_D": "two_half_d"})
    monkeypatch.setitem(sys.modules, "face_alignment", package)
    return package


def images_with_squares(*squares):
    images = torch.zeros(len(squares), 32, 32, 3, dtype=torch.uint8)
    for image, faces in zip(images, squares, strict=True):
        for level, (left, top, size) in enumerate(faces, start=1):
            image[top : top + size, left : left + size] = level
    return images


def test_landmarks_return_to_their_image(fake_package):
    detect = build_detector("fan", "cpu")
    found = detect(images_with_squares([(2, 3, 8)], [], [(10, 20, 4)]))
    assert found[1] is None
    # Pixel (2, 3) spans [2, 3] x [3, 4]: its centre is at +0.5.
    assert found[0].shape == (68, 2) and found[0].dtype == torch.float32
    assert found[0][0].tolist() == [2.5, 3.5] and found[0][-1].tolist() == [9.5, 10.5]
    assert found[2][0].tolist() == [10.5, 20.5]


def test_one_pass_for_the_batch(fake_package):
    detect = build_detector("fan", "cpu")
    detect(images_with_squares([(2, 3, 8)], [(1, 1, 4)], [(10, 20, 4)]))
    assert detect.find._fan.strips == 1


def test_the_largest_face_counts(fake_package):
    (found,) = build_detector("fan", "cpu")(images_with_squares([(0, 0, 4), (12, 12, 9)]))
    assert found[0].tolist() == [12.5, 12.5]


def test_no_face_anywhere(fake_package):
    assert build_detector("fan", "cpu")(images_with_squares([], [])) == [None, None]


def test_absent_package(monkeypatch):
    monkeypatch.setattr(fan, "fan_installed", lambda: False)
    with pytest.raises(DetectorError, match=r"pip install 'face-alignment.*--detector mesh or"):
        build_detector("fan", "cpu")


def test_weights_that_cannot_be_fetched(fake_package, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setattr(fake_package, "FaceAlignment", offline)
    with pytest.raises(DetectorError, match=r"could not get its weights.*--detector mesh or none"):
        build_detector("fan", "cpu")
