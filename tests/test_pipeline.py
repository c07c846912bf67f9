"""A sample depends on its id alone: not on its batch, its neighbours, the order or earlier runs."""

import pickle

import numpy as np
import pytest
import support_mannequin
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_fake_generator import fake_rig, picky

from synthforge.alignment import AlignmentMLP
from synthforge.assembly import Rig
from synthforge.batches import make_samples
from synthforge.config import RunConfig
from synthforge.dataset.write import DatasetWriter
from synthforge.labels import EXTRAS
from synthforge.mannequin.generator import Mannequin
from synthforge.pipeline import InProcess, draw_into, generate_dataset
from synthforge.plan import plan
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

IDS = [SampleId(2, index, index % 3) for index in range(5)]


def made(ids, rig):
    """Index -> sample, and the ids of the draws that were turned down."""
    samples, rejections = make_samples(ids, rig, EXTRAS)
    return {sample.index: sample for sample in samples}, [row.id for row in rejections]


def assert_same(a, b):
    """But for what only a detector gives."""
    assert a.files.keys() == b.files.keys()
    for folder, image in a.files.items():
        np.testing.assert_array_equal(image, b.files[folder], err_msg=folder)
    keys = a.annotation.keys() - {"fan_kps", "mse"}
    assert keys == b.annotation.keys() - {"fan_kps", "mse"}
    for key in keys:
        np.testing.assert_array_equal(a.annotation[key], b.annotation[key], err_msg=key)


@pytest.fixture(scope="module")
def alone():
    return {id.index: made([id], fake_rig())[0][id.index] for id in IDS}


@settings(max_examples=3, deadline=None)
@given(order=st.permutations(IDS), count=st.integers(2, 5), size=st.integers(2, 5))
def test_a_sample_is_the_same_in_any_batch_and_order(alone, order, count, size):
    for start in range(0, count, size):
        batch, _ = made(order[start : min(start + size, count)], fake_rig())
        for index, sample in batch.items():
            assert_same(sample, alone[index])


@pytest.mark.parametrize("rejected", [0, 2, 4])
def test_a_sample_is_the_same_where_neighbours_are_rejected(alone, rejected):
    def detector(images):
        return [None if i == rejected else torch.zeros(68, 2) for i in range(len(images))]

    samples, rejections = made(IDS, fake_rig(detector))
    assert rejections == [IDS[rejected]]
    assert samples.keys() == alone.keys() - {IDS[rejected].index}
    for index, sample in samples.items():
        assert_same(sample, alone[index])


def test_samples_of_the_built_in_head_are_the_same_in_any_batch():
    rig = Rig(
        torch.device("cpu"),
        support_mannequin.built_head(),
        Mannequin(),
        AlignmentMLP(),
        None,
        MANNEQUIN_SAMPLING,
    )
    first, second = SampleId(0, 8), SampleId(0, 9, 1)
    together, _ = made([first, second], rig)
    by_itself, _ = made([second], rig)
    assert_same(by_itself[9], together[9])


@pytest.fixture(scope="module")
def run_whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    return root, run(root, batch_size=4)


def run(root, num_images=4, **settings):
    config = RunConfig(output_dir=root, num_images=num_images, seed=1, **settings)
    writer = DatasetWriter(root, {"recipe": {}})
    writer.open()
    summary = generate_dataset(config, writer, InProcess(fake_rig(picky), config, writer.sink))
    writer.close()
    return summary


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_dataset_is_the_same_bytes_in_batches_of_any_size_and_continued(
    batch_size, run_whole, tmp_path
):
    whole, summary = run_whole
    assert summary.written == 4 and summary.rejected["no_face"] > 0
    run(tmp_path, num_images=2, start_index=2, batch_size=batch_size)
    rest = run(tmp_path, batch_size=batch_size)
    assert (rest.already_there, rest.written) == (2, 2)
    names = [path.relative_to(whole) for path in whole.glob("*/*.*")]
    assert len(names) == 16
    for name in names:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name
    lines = [(root / "rejections.jsonl").read_text().splitlines() for root in (tmp_path, whole)]
    assert sorted(lines[0]) == sorted(lines[1])


def test_ranges_in_any_order_and_drawn_twice_make_the_same_bytes(run_whole, tmp_path):
    whole, _ = run_whole
    config = RunConfig(tmp_path, 4, seed=1, batch_size=2)
    writer = DatasetWriter(tmp_path, {"recipe": {}})
    writer.open()
    ranges = list(plan(config.indices, writer.there, 3))
    assert ranges == [range(0, 3), range(3, 4)]
    reports = []
    for indices in (ranges[1], ranges[0], ranges[1]):
        reports += draw_into(writer.sink, indices, fake_rig(picky), config)
    writer.close()
    assert sum(written for written, _ in reports) == 5
    assert pickle.loads(pickle.dumps(reports)) == reports
    for path in whole.glob("*/*.*"):
        assert (tmp_path / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_an_index_is_given_up_after_its_attempts(tmp_path):
    config = RunConfig(output_dir=tmp_path, num_images=2, max_attempts=3)
    writer = DatasetWriter(tmp_path, {"recipe": {}})
    writer.open()
    rig = fake_rig(lambda images: [None] * len(images))
    summary = generate_dataset(config, writer, InProcess(rig, config, writer.sink))
    writer.close()
    assert (summary.given_up, summary.written, summary.rejected["no_face"]) == ([0, 1], 0, 6)
    assert summary.acceptance == 0
