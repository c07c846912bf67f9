"""How many processes draw, where, and that each draws what the run began with."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from synthforge import engines
from synthforge.config import PartsConfig, RunConfig
from synthforge.dataset import card as dataset_card
from synthforge.dataset.folder import DatasetError
from synthforge.engines import build_alike, pick_engine, worker_devices
from synthforge.pipeline import InProcess, range_size
from synthforge.workers import Workers

CPU = {"cores": 4, "gpus": 0, "one_thread": True}
GPUS = {"cores": 16, "gpus": 4, "one_thread": False}
DEVICES = {
    "a core each": (("auto", "auto", 1000), CPU, ["cpu"] * 4),
    "on the CPU by name": (("auto", "cpu", 1000), CPU | {"gpus": 2}, ["cpu"] * 4),
    "few images": (("auto", "auto", 20), CPU, ["cpu"] * 2),
    "one image": (("auto", "auto", 1), CPU, ["cpu"]),
    "nothing to draw": (("auto", "auto", 0), CPU, ["cpu"]),
    "a generator that takes all cores": (("auto", "cpu", 1000), GPUS, ["cpu"]),
    "a GPU each": (("auto", "auto", 1000), GPUS, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
    "a GPU each by kind": (("auto", "cuda", 1000), GPUS, [f"cuda:{i}" for i in range(4)]),
    "the named GPU": (("auto", "cuda:1", 1000), GPUS, ["cuda:1"]),
    "the named GPU, shared": ((2, "cuda:1", 1000), GPUS, ["cuda:1"] * 2),
    "more than GPUs": ((6, "auto", 1000), GPUS, [f"cuda:{i % 4}" for i in range(6)]),
    "as asked": ((3, "auto", 3), CPU, ["cpu"] * 3),
    "more than images": ((8, "auto", 3), CPU, ["cpu"] * 3),
    "more than cores": ((8, "auto", 1000), CPU, ["cpu"] * 8),
    "one as asked": ((1, "auto", 1000), GPUS, ["cuda:0"]),
    "no core": (("auto", "auto", 1000), CPU | {"cores": 0}, ["cpu"]),
}


@pytest.mark.parametrize("case", DEVICES)
def test_devices_of_workers(case):
    arguments, machine, expected = DEVICES[case]
    assert worker_devices(*arguments, **machine) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_one_worker_is_this_process(workers, monkeypatch, tmp_path):
    run, told = RunConfig(tmp_path, 100, workers=workers), []
    rig = SimpleNamespace(parts=PartsConfig(), generator=SimpleNamespace(name="mannequin"))
    writer = SimpleNamespace(sink="sink", recipe={})
    engine = pick_engine(run, rig, writer, 100, told.append)
    assert engine.workers == workers
    assert isinstance(engine, Workers if workers > 1 else InProcess)
    assert told == (["Workers: 2"] if workers > 1 else [])
    if workers > 1:  # "auto" is settled, whatever files appear meanwhile
        assert engine.builds[0].args[2].generator == "mannequin"


def test_a_worker_that_would_draw_other_samples_is_refused(monkeypatch):
    monkeypatch.setattr(engines, "build_rig", lambda parts, tell: "rig")
    card = {"recipe": {"seed": 0, "alignment": (1, 2)}}
    monkeypatch.setattr(dataset_card, "dataset_card", lambda run, rig: card)
    run = RunConfig(Path("out"), 1)
    assert build_alike({"seed": 0, "alignment": [1, 2]}, run, PartsConfig()) == "rig"
    with pytest.raises(DatasetError, match="another alignment"):
        build_alike({"seed": 0, "alignment": [1, 3]}, run, PartsConfig())


@pytest.mark.parametrize(("missing", "workers"), [(1, 2), (24, 2), (1000, 8), (10**6, 2)])
def test_ranges_are_whole_batches_and_enough_for_all_to_end_together(missing, workers):
    size = range_size(4, missing, workers)
    assert size % 4 == 0 and 4 <= size <= 64
    assert size == 4 or missing / size >= 16 * workers
    assert range_size(4, missing, 1) <= 64
