import pytest
import torch

from synthforge.detectors import build_detector
from synthforge.mannequin import Mannequin
from synthforge.next3d.generator import Next3DGenerator


def test_exact_labels_need_no_detector():
    assert build_detector("auto", "cpu", is_aligned=True) is None
    assert build_detector("mesh", "cpu", is_aligned=True).name == "mesh"
    assert build_detector("none", "cpu") is None


def test_others_are_checked_with_what_comes_with_the_package():
    detector = build_detector("auto", "cpu")
    assert (detector.name, detector.reject_px) == ("mesh", 13)
    assert build_detector("auto", "cpu", 7.5).reject_px == 7.5


def test_which_generators_label_exactly():
    assert Mannequin().is_aligned
    assert not Mannequin(displacement=(torch.eye(3), torch.zeros(3))).is_aligned
    assert not Next3DGenerator.is_aligned


def test_wrong_images_are_named():
    with pytest.raises(ValueError, match=r"takes uint8 \[B, H, W, 3\], got torch.float32"):
        build_detector("mesh", "cpu")(torch.zeros(1, 3, 8, 8))
