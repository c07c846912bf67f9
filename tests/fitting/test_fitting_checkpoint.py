import copy
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from support_damaged_files import damaged, forged

from synthforge.alignment import AlignmentMLP
from synthforge.alignment_config import AlignmentTrainingConfig
from synthforge.config import PartsConfig
from synthforge.fitting import TrainingError
from synthforge.fitting.checkpoint import (
    Checkpoint,
    Epoch,
    read_checkpoint,
    run_key,
    settings,
    write_checkpoint,
)
from synthforge.fitting.schedule import Schedule

LOSSES, SCORES = ("depth", "chamfer"), ("depth_error_mm", "coverage")
EPOCHS = [
    Epoch(0, {"depth": 0.1, "chamfer": 1 / 3}, {"depth_error_mm": 7.5, "coverage": 0.9}),
    Epoch(1, {"depth": 0.01, "chamfer": 0.2}, {"depth_error_mm": float("inf"), "coverage": 0.0}),
]


def network(steps=0):
    draws = torch.Generator().manual_seed(0)
    mlp = AlignmentMLP()
    optimizer = torch.optim.Adam(mlp.parameters())
    for _ in range(steps):
        mlp(torch.randn(20, 3, generator=draws)).square().sum().backward()
        optimizer.step()
    return mlp, optimizer


@pytest.fixture
def written(tmp_path):
    mlp, optimizer = network(steps=2)
    best = {name: value + 1 for name, value in mlp.state_dict().items()}
    state = Checkpoint(best, EPOCHS[0].scores, Schedule(8, 1, 0.25), EPOCHS)
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, "run 1", state, mlp, optimizer)
    return path, state, mlp, optimizer


def read(path, run="run 1"):
    mlp, optimizer = network()
    return read_checkpoint(path, run, mlp, optimizer, LOSSES, SCORES), mlp, optimizer


def test_everything_comes_back(written):
    path, state, mlp, optimizer = written
    got, got_mlp, got_optimizer = read(path)
    assert (got.scores, got.schedule, got.history) == (state.scores, state.schedule, EPOCHS)
    assert got.best.keys() == state.best.keys()
    assert all(torch.equal(got.best[name], value) for name, value in state.best.items())
    for ours, theirs in zip(got_mlp.parameters(), mlp.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        moments, expected = got_optimizer.state[ours], optimizer.state[theirs]
        assert moments.keys() == expected.keys()
        assert all(torch.equal(moments[key], value) for key, value in expected.items())


def test_another_run_is_refused_whatever_its_shapes(written):
    with pytest.raises(TrainingError, match="other settings or samples"):
        read(written[0], run="run 2")


# What a forger may change without breaking what reads it; the numbers show in the result.
HARMLESS = {
    "history: list",
    *(
        f"{part}.{name}{key}: times 1e6"
        for name in ("inner.weight", "inner.bias", "outer.weight", "outer.bias")
        for part, keys in (
            ("best", [""]),
            ("now", [""]),
            ("adam", [".exp_avg", ".exp_avg_sq", ".step"]),
        )
        for key in keys
    ),
}


@pytest.mark.parametrize("mutate", [damaged, forged])
def test_a_damaged_or_forged_file_ends_in_one_line(written, mutate):
    path, *_ = written
    # With one epoch less no schedule may start at epoch 1.
    accepted = set()
    for name, content in mutate(path):
        bad = path.with_name("bad.safetensors")
        bad.write_bytes(content)
        mlp, optimizer = network()
        before = copy.deepcopy(mlp.state_dict())
        try:
            read_checkpoint(bad, "run 1", mlp, optimizer, LOSSES, SCORES)
            accepted.add(name)
        except TrainingError as error:
            message = str(error)
            assert str(bad) in message and "Remove it to begin anew." in message, name
            assert "\n" not in message and len(message) < 700, name
            assert all(torch.equal(before[k], v) for k, v in mlp.state_dict().items()), name
            assert not optimizer.state, name
    assert accepted == (HARMLESS - {"history: list"} if mutate is forged else set())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"history": [EPOCHS[1]]}, "epoch 1, expected an integer in 0..0"),
        ({"history": [replace(EPOCHS[0], losses={"depth": 1.0})]}, "has losses"),
        ({"history": [replace(EPOCHS[0], scores={"coverage": 1.0})]}, "has scores"),
        ({"scores": {"coverage": 1.0}}, "has scores"),
        ({"schedule": Schedule(8, 3, 0.25)}, "start_epoch 3, expected an integer in 0..2"),
        ({"schedule": Schedule(1, 1, 0.25)}, "epochs 1, expected an integer in 2.."),
        ({"schedule": Schedule(8, 1, 1.5)}, r"start_progress 1.5, expected 0..1"),
    ],
)
def test_metadata_that_does_not_fit(written, change, message):
    path, state, mlp, optimizer = written
    write_checkpoint(path, "run 1", replace(state, **change), mlp, optimizer)
    with pytest.raises(TrainingError, match=message):
        read(path)


@pytest.mark.parametrize(("key", "value"), [("step", 0.0), ("step", -1.0), ("exp_avg_sq", -1e-3)])
def test_moments_that_adam_cannot_divide_by(written, key, value):
    path, state, mlp, optimizer = written
    optimizer.state[mlp.outer.bias][key].fill_(value)
    write_checkpoint(path, "run 1", state, mlp, optimizer)
    with pytest.raises(TrainingError, match=rf"in adam.outer.bias.{key}, at least"):
        read(path)


def test_no_path_is_among_the_settings(tmp_path):
    config = AlignmentTrainingConfig(output=tmp_path / "a.safetensors", cache_dir=tmp_path)
    assert not any(isinstance(value, Path) for value in settings(config).values())
    assert str(tmp_path) not in repr(settings(config))


def test_every_setting_that_matters_changes_the_run(tmp_path):
    class Drawn:
        key = "samples"

    config = AlignmentTrainingConfig()
    free = {
        **{"output": tmp_path / "b.safetensors", "cache_dir": tmp_path, "resume": True},
        **{"parts": PartsConfig(device="cpu"), "epochs": 99, "max_attempts": 3},
    }
    for name, value in free.items():
        assert run_key(replace(config, **{name: value}), Drawn) == run_key(config, Drawn), name
    matter = {
        **{"num_train": 9, "num_val": 9, "lr": 0.5, "weight_decay": 0.5, "batch_size": 9},
        **{"seed": 9, "hidden": 9, "activation": "relu", "robust_start": 0.5},
        **{"robust_end": 0.01, "stop_change": 0.5, "stop_patience": 9},
        "weights": replace(config.weights, depth=1.0),
    }
    assert {*free, *matter} == {entry.name for entry in fields(config)}
    keys = {run_key(replace(config, **{name: value}), Drawn) for name, value in matter.items()}
    assert len(keys) == len(matter) and run_key(config, Drawn) not in keys
    other = Drawn()
    other.key = "others"
    assert run_key(config, other) != run_key(config, Drawn)
