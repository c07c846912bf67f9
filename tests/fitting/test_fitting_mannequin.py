"""The built-in head, drawn displaced by a map that the fitting cannot see, is found again."""

import pytest
import torch
from support_fake_generator import oracle
from support_planted import PLANTED, keypoint_error_px, planted_affine

from synthforge.alignment import AlignmentMLP
from synthforge.alignment_config import MANNEQUIN_ALIGNMENT_SAMPLING, AlignmentTrainingConfig
from synthforge.detectors import build_detector
from synthforge.fitting.drawing import SampleSource
from synthforge.fitting.losses import FaceSurface
from synthforge.fitting.samples import VALIDATION_START, load_samples
from synthforge.fitting.train import fit
from synthforge.frames import apply_affine, place_in_generator
from synthforge.generators.mannequin import mannequin_parts
from synthforge.mannequin import Mannequin


class Displaced(Mannequin):
    """Remembers where its landmarks are, and leaves out the picture, which takes a second."""

    def __init__(self, A, b):
        super().__init__(displacement=(A, b))
        self.planted = A, b

    def generate(self, z, mesh_flame, camera):
        landmarks = apply_affine(*self.planted, place_in_generator(mesh_flame.landmarks))
        self.true_px, _ = camera.project(landmarks, 512)
        return super().generate(z, mesh_flame, camera)

    def _picture(self, *args):
        return torch.zeros(3, 512, 512)


def recovered(generator, detector, count, folder, batch_size=3):
    """The error in pixels, before and after, of the alignment fitted to `count` samples."""
    head, _, _ = mannequin_parts(torch.device("cpu"))
    source = SampleSource(
        head, generator, MANNEQUIN_ALIGNMENT_SAMPLING, 0, torch.device("cpu"), detector
    )
    config = AlignmentTrainingConfig(
        num_train=count, num_val=min(count // 2, 4), batch_size=batch_size
    )
    train = load_samples(source, range(config.num_train), folder)
    first, last = VALIDATION_START, VALIDATION_START + config.num_val
    val = load_samples(source, range(first, last), folder)
    result = fit(train, val, FaceSurface.of(head.topology, head.face_regions), config)
    return [keypoint_error_px(mlp, *generator.planted, val) for mlp in (AlignmentMLP(), result.mlp)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "detect"), [*((number, False) for number in PLANTED), (0, True)]
)
def test_the_planted_map_is_recovered(number, detect, tmp_path):
    generator = Displaced(*planted_affine(number))
    before, after = recovered(generator, oracle(generator) if detect else None, 12, tmp_path)
    print(f"map {number}, detector {detect}: {after:.3f} px")
    assert before > 20
    assert after < (1.5 if detect else 3)


@pytest.mark.slow
@pytest.mark.parametrize("number", PLANTED)
def test_the_detector_of_the_package_finds_the_map_again(number, tmp_path):
    assert with_the_real_detector(number, 20, tmp_path, batch_size=3) < 1.5


def test_the_detector_of_the_package_finds_a_map_of_four_images(tmp_path):
    """Keypoints that outweigh the depth leave more than 2 px, however many images there are."""
    assert with_the_real_detector(4, 4, tmp_path, batch_size=1) < 1.5


def with_the_real_detector(number, count, folder, batch_size):
    generator = Mannequin(displacement=planted_affine(number))
    generator.planted = planted_affine(number)
    detector = build_detector("auto", "cpu", is_aligned=generator.is_aligned)
    before, after = recovered(generator, detector, count, folder, batch_size)
    print(f"map {number}, mesh: {after:.3f} px")
    assert before > 20
    return after
