"""What a run does on CUDA, on CPU: a batch is queued ahead, and changes nothing."""

from pathlib import Path

import pytest
import torch
from support_fake_generator import A, B, FakeGenerator, fake_rig, picky
from support_samples import assert_same

from synthforge import pipeline
from synthforge.config import RunConfig

TURNS = "generate generate judge generate judge judge"


def drawn(rig, count=5, **settings):
    """Samples by index, rejected ids, and indices of each batch."""
    run = RunConfig(Path(), count, seed=1, **{"batch_size": 2, **settings})
    batches = list(pipeline.draw(run.indices, rig, run))
    samples = {sample.index: sample for samples, _ in batches for sample in samples}
    rejected = {row.id for _, rejections in batches for row in rejections}
    return samples, rejected, [[sample.index for sample in samples] for samples, _ in batches]


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
