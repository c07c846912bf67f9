"""Labels of a batch: by bounded work the same, and nothing is read back before they are queued."""

import copy
import dataclasses

import pytest
import support_mannequin
import torch
from support_fake_generator import A, B, FakeGenerator, fake_rig
from support_samples import assert_same

from synthforge import batches
from synthforge.alignment import AlignmentMLP
from synthforge.assembly import Rig
from synthforge.config import IMAGE_SIZE
from synthforge.generator import GeneratorOutput
from synthforge.labels import EXTRAS
from synthforge.mannequin.head.baked import EXPRESSION_ACTIONS
from synthforge.mannequin.people import draw_people
from synthforge.rasterizer import rasterize
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING, NEXT3D_SAMPLING


@pytest.mark.parametrize("bounds", [(3, None), (1, None)])
def test_labels_of_bounded_work_are_the_same(bounds, monkeypatch):
    """One layer is too few for the second of two images alone."""
    ids, rig = [SampleId(1, 0), SampleId(1, 1)], fake_rig()
    samples, _ = batches.make_samples(ids, rig, EXTRAS)
    tried = []

    def noting(vertices, faces, *args, max_layers, **kwargs):
        near = vertices.new_tensor([[1.0, 1, 1], [4, 4, 1]])[:, None]
        fragments = rasterize(vertices * near, faces, *args, max_layers=max_layers, **kwargs)
        tried.append(fragments.complete.tolist())
        return fragments

    monkeypatch.setattr(batches, "rasterize", noting)
    monkeypatch.setitem(batches.MAX_LAYERS, "cpu", (None,))
    exact, _ = batches.make_samples(ids, rig, EXTRAS)
    monkeypatch.setitem(batches.MAX_LAYERS, "cpu", bounds)
    bounded, _ = batches.make_samples(ids, rig, EXTRAS)
    assert tried == [[True] * 2] + ([[True] * 2] if bounds[0] == 3 else [[True, False], [True] * 2])
    assert_same(*({sample.index: sample for sample in made} for made in (exact, bounded)))
    assert_same({0: samples[0]}, {0: bounded[0]})


def test_no_ids_make_no_samples():
    assert batches.make_samples([], fake_rig()) == ([], [])


class Frontal(FakeGenerator):
    """Draws one face before the camera, and the same with its eyes shut."""

    def draw(self, ids, config):
        people = draw_people([SampleId(1, 0)] * 2, MANNEQUIN_SAMPLING)
        expression = torch.zeros(2, 50)
        blinks = [EXPRESSION_ACTIONS.index(f"eyeBlink{side}") for side in ("Left", "Right")]
        expression[1, blinks] = 1.0
        still = {"pose_rad": torch.zeros(2, 15), "yaw_rad": torch.zeros(2)}
        still |= {"pitch_rad": torch.zeros(2), "center": torch.full((2, 2), 0.5)}
        return dataclasses.replace(people, ids=tuple(ids), expression=expression, **still)


def test_a_shut_lid_hides_the_pupil_behind_it():
    """It is nearer by less than what hides a point of the skin."""
    head, alignment = support_mannequin.built_head(), AlignmentMLP.from_affine(A, B)
    rig = Rig(torch.device("cpu"), head, Frontal(A, B, 32), alignment, None, NEXT3D_SAMPLING)
    ids = [SampleId(1, 0), SampleId(1, 1)]
    samples, _ = batches.make_samples(ids, rig, (), ("ibug70", "mediapipe478"))
    for sample, is_seen in zip(samples, (1, 0), strict=True):
        labels = sample.annotation
        assert labels["kps_visible_ibug70"][68:].tolist() == [is_seen] * 2
        assert labels["kps_visible_mediapipe478"][[468, 473]].tolist() == [is_seen] * 2
        assert (labels["kps_visible_ibug70"][:68] == labels["kps_visible"]).all()
        assert labels["kps_visible"][27:68].mean() > 0.8


class Anything(FakeGenerator):
    """Of the shapes of Next3D's, whose own test is beside it."""

    latent_size = 512

    def generate(self, z, mesh_flame, camera):
        shapes = (3, 512, 512), (1, 64, 64), (1, 64, 64)
        return GeneratorOutput(*(z.new_empty(len(z), *shape) for shape in shapes))


@torch.inference_mode()
def test_generating_and_labelling_read_nothing_back():
    """On the meta device tensors have no values: reading one back, a host sync, raises."""
    head = support_mannequin.built_head()
    at_vertices = head.topology.corners_at_vertices.to("meta")
    head = dataclasses.replace(head, flame=copy.deepcopy(head.flame)).to("meta")
    vars(head.topology)["corners_at_vertices"] = at_vertices  # made once
    rig = Rig(
        torch.device("meta"),
        head,
        Anything(A, B),
        AlignmentMLP().to("meta"),
        None,
        NEXT3D_SAMPLING,
    )
    batch = batches.start_batch([SampleId(1, 0), SampleId(1, 1)], rig)
    fragments = rasterize(
        batch.camera.to_ndc(batch.mesh_gen.vertices),
        batch.mesh_gen.topology.faces,
        IMAGE_SIZE,
        IMAGE_SIZE,
        perspective_correct=True,
        max_layers=3,
    )
    maps, rows = batches.label(batch, fragments, rig, EXTRAS, tuple(rig.head.schemes))
    assert maps["seg"].shape == (2, 512, 512, 3)
    assert rows["kps_visible_wflw98"].shape == (2, 98)
