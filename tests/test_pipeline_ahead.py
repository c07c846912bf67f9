"""What a run does on CUDA, on CPU: a batch ahead, labels of bounded work, nothing read back."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import support_mannequin
import torch
from support_fake_generator import A, B, FakeGenerator, fake_rig, picky

from synthforge import pipeline
from synthforge.alignment import AlignmentMLP
from synthforge.assembly import Rig
from synthforge.config import IMAGE_SIZE, NEXT3D_SAMPLING, RunConfig
from synthforge.generator import GeneratorOutput
from synthforge.labels import EXTRAS
from synthforge.rasterizer import rasterize
from synthforge.sampling import SampleId

TURNS = "generate generate judge generate judge judge"


def drawn(rig, count=5, **settings):
    """Samples by index, rejected ids, and indices of each batch."""
    run = RunConfig(Path(), count, seed=1, **{"batch_size": 2, **settings})
    batches = list(pipeline.draw(run.indices, rig, run))
    samples = {sample.index: sample for samples, _ in batches for sample in samples}
    rejected = {row.id for _, rejections in batches for row in rejections}
    return samples, rejected, [[sample.index for sample in samples] for samples, _ in batches]


def assert_same(samples, others):
    assert samples.keys() == others.keys()
    for index, sample in samples.items():
        for mine, theirs in (
            (sample.files, others[index].files),
            (sample.annotation, others[index].annotation),
        ):
            assert list(mine) == list(theirs)
            for name, values in mine.items():
                np.testing.assert_array_equal(values, theirs[name], err_msg=name)


@pytest.mark.parametrize(("ahead", "turns"), [(0, "generate judge " * 3), (1, TURNS)])
def test_the_next_batch_is_queued_before_one_is_read_back(ahead, turns, monkeypatch):
    monkeypatch.setitem(pipeline.AHEAD, "cpu", ahead)
    events = []

    class Noting(FakeGenerator):
        def generate(self, z, mesh_flame, camera):
            events.append("generate")
            return super().generate(z, mesh_flame, camera)

    def noting(images):
        events.append("judge")
        return [torch.zeros(68, 2)] * len(images)

    _, _, batches = drawn(fake_rig(noting, Noting(A, B, 32)))
    assert batches == [[0, 1], [2, 3], [4]]
    assert events == turns.split()


def test_a_batch_ahead_changes_no_sample_and_no_rejection(monkeypatch):
    samples, rejected, _ = drawn(fake_rig(picky), 6, max_attempts=3)
    monkeypatch.setitem(pipeline.AHEAD, "cpu", 1)
    others, also_rejected, batches = drawn(fake_rig(picky), 6, max_attempts=3)
    assert rejected == also_rejected and len(rejected) > 1
    assert_same(samples, others)
    assert max(map(len, batches)) <= 2


def test_no_batch_is_ahead_where_one_is_drawn_at_a_time(monkeypatch):
    """So that the index is known of which a process dies."""
    monkeypatch.setitem(pipeline.AHEAD, "cpu", 1)
    generator, calls = FakeGenerator(A, B, 32), []
    run = RunConfig(Path(), 3, batch_size=1)
    for _ in pipeline.draw(run.indices, fake_rig(generator=generator), run):
        calls.append(generator.calls)
    assert calls == [1, 2, 3]


@pytest.mark.parametrize("bounds", [(3, None), (1, None)])
def test_labels_of_bounded_work_are_the_same(bounds, monkeypatch):
    """One layer is too few for the second of two images alone."""
    ids, rig = [SampleId(1, 0), SampleId(1, 1)], fake_rig()
    samples, _ = pipeline.make_samples(ids, rig, EXTRAS)
    tried = []

    def noting(vertices, faces, *args, max_layers, **kwargs):
        near = vertices.new_tensor([[1.0, 1, 1], [4, 4, 1]])[:, None]
        fragments = rasterize(vertices * near, faces, *args, max_layers=max_layers, **kwargs)
        tried.append(fragments.complete.tolist())
        return fragments

    monkeypatch.setattr(pipeline, "rasterize", noting)
    monkeypatch.setitem(pipeline.MAX_LAYERS, "cpu", (None,))
    exact, _ = pipeline.make_samples(ids, rig, EXTRAS)
    monkeypatch.setitem(pipeline.MAX_LAYERS, "cpu", bounds)
    bounded, _ = pipeline.make_samples(ids, rig, EXTRAS)
    assert tried == [[True] * 2] + ([[True] * 2] if bounds[0] == 3 else [[True, False], [True] * 2])
    assert_same(*({sample.index: sample for sample in made} for made in (exact, bounded)))
    assert_same({0: samples[0]}, {0: bounded[0]})


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
    batch = pipeline.start_batch([SampleId(1, 0), SampleId(1, 1)], rig)
    fragments = rasterize(
        batch.camera.to_ndc(batch.mesh_gen.vertices),
        batch.mesh_gen.topology.faces,
        IMAGE_SIZE,
        IMAGE_SIZE,
        perspective_correct=True,
        max_layers=3,
    )
    maps, rows = pipeline.label(
        EXTRAS,
        rig,
        batch.parameters,
        batch.camera,
        batch.mesh_gen,
        batch.output,
        fragments,
        tuple(rig.head.schemes),
    )
    assert maps["seg"].shape == (2, 512, 512, 3)
    assert rows["kps_visible_wflw98"].shape == (2, 98)
