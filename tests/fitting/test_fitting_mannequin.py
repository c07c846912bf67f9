"""The built-in head, drawn displaced by a map that the fitting cannot see, is found again."""

import pytest
import torch
from support_fake_generator import oracle
from support_planted import PLANTED, keypoint_error_px, planted_affine

from synthforge.alignment import AlignmentMLP, apply_affine, place_in_generator
from synthforge.alignment_config import AlignmentTrainingConfig
from synthforge.config import MANNEQUIN_SAMPLING
from synthforge.fitting.drawing import SampleSource
from synthforge.fitting.losses import FaceSurface
from synthforge.fitting.samples import VALIDATION_START, load_samples
from synthforge.fitting.train import fit
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "detect"), [*((number, False) for number in PLANTED), (0, True)]
)
def test_the_planted_map_is_recovered(number, detect, tmp_path):
    head, _, _ = mannequin_parts(torch.device("cpu"))
    A, b = planted_affine(number)
    generator = Displaced(A, b)

    source = SampleSource(
        head,
        generator,
        MANNEQUIN_SAMPLING,
        0,
        torch.device("cpu"),
        oracle(generator) if detect else None,
    )
    config = AlignmentTrainingConfig(num_train=12, num_val=4, batch_size=3)
    train = load_samples(source, range(config.num_train), tmp_path)
    first, last = VALIDATION_START, VALIDATION_START + config.num_val
    val = load_samples(source, range(first, last), tmp_path)
    assert keypoint_error_px(AlignmentMLP(), A, b, val) > 20
    result = fit(train, val, FaceSurface.of(head.topology, head.face_regions), config)
    error_px = keypoint_error_px(result.mlp, A, b, val)
    print(f"map {number}, detector {detect}: {error_px:.3f} px")
    assert error_px < (1.5 if detect else 3)
