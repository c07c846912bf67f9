"""Generators that were saved again: alone or in a dictionary, by pickle or by torch.save."""

import collections
import datetime
import pathlib
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from support_next3d_files import (
    RENDERING_KWARGS,
)
from support_next3d_loading import MASK, loads_or_is_refused, mutated

from flame_pytorch.errors import FileFormatError
from synthforge.next3d.checkpoint import load_checkpoint, save_safetensors


def module_class(name: str, function: str):
    """A class whose instances pickle themselves as StyleGAN's modules do, by a function of the
    module `name`."""

    class Persisted:
        def __init__(self, state) -> None:
            self.state = state

        def __reduce__(self):
            meta = {"type": "class", "version": 6, "module_src": "x", "state": self.state}
            return getattr(sys.modules[name], function), (meta,)

    return Persisted


@pytest.fixture(params=["torch_utils.persistence", "projects.next3d.torch_utils.persistence"])
def generator(request, monkeypatch):
    """A generator module as Python objects, from any package; settings that need tensors, paths
    and classes."""
    function = "_reconstruct_persistent_obj"
    module = types.ModuleType(request.param)
    exec(f"def {function}(meta): raise SystemExit('was run')", module.__dict__)
    for count in range(1, request.param.count(".") + 1):
        package = ".".join(request.param.split(".")[:count])
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    monkeypatch.setitem(sys.modules, request.param, module)
    persisted = module_class(request.param, function)
    tree = {"_parameters": {"w": torch.nn.Parameter(torch.arange(3.0))}, "_buffers": {}}
    child = persisted({**tree, "_modules": {}})
    rendering = RENDERING_KWARGS | {
        "box_warp": torch.tensor(2.0),
        "ray_start": np.float32(2.5),
        "c_scale": np.array(1.0),
        "topology": pathlib.PurePosixPath("/home/someone/data/head.obj"),
        "mean": torch.zeros(1000),
    }
    arguments = {
        "channel_base": np.int64(1024),
        "channel_max": 32,
        "path": pathlib.PurePosixPath("/x"),
        "decoder": torch.nn.Linear(2, 2),
        "when": datetime.date(2026, 1, 1),
    }
    return persisted(
        {
            **tree,
            "_modules": collections.OrderedDict(child=child),
            "uv_face_mask": MASK,
            "rendering_kwargs": rendering,
            "orth_scale": 4.5,
            "orth_shift": [0.0, 0.0, 0.0],
            "logger": pathlib.PurePosixPath("/log"),
            "_init_kwargs": arguments,
        }
    )


def written(how, value, path):
    match how:
        case "pickle":
            path.write_bytes(pickle.dumps(value))
        case "zip" | "legacy":
            torch.save(value, path, _use_new_zipfile_serialization=how == "zip")


@pytest.mark.parametrize("how", ["pickle", "zip", "legacy"])
@pytest.mark.parametrize("alone", [True, False])
def test_a_generator_that_was_saved_again(tmp_path, generator, how, alone):
    path = tmp_path / "next3d_ffhq_512.pkl"
    other = torch.nn.Sequential(torch.nn.Linear(2, 3))
    written(how, generator if alone else {"G_ema": generator, "D": other, "cur_nimg": 3}, path)
    checkpoint = load_checkpoint(path)
    assert list(checkpoint.tensors) == ["w", "child.w"]
    assert torch.equal(checkpoint.tensors["child.w"], torch.arange(3.0))
    assert torch.equal(checkpoint.uv_face_mask, MASK)
    config = checkpoint.config
    assert (config.channel_base, config.box_warp, config.ray_start) == (1024, 2.0, 2.5)
    assert (config.orth_scale, config.orth_shift) == (4.5, (0, 0, 0))
    save_safetensors(checkpoint, tmp_path / "a.safetensors")
    assert load_checkpoint(tmp_path / "a.safetensors").config == config
    assert b"/home/someone" not in (tmp_path / "a.safetensors").read_bytes()


@pytest.mark.parametrize("how", ["pickle", "zip", "legacy"])
@pytest.mark.parametrize("alone", [True, False])
def test_a_state_dict_is_not_enough(tmp_path, how, alone):
    path = tmp_path / "next3d_ffhq_512.pkl"
    state = torch.nn.Linear(2, 3).state_dict()
    written(how, state if alone else {"G_ema": state}, path)
    with pytest.raises(FileFormatError, match=r"holds a state dict.*uv_face_mask.*torch.save"):
        load_checkpoint(path)


def test_a_needed_setting_of_an_unknown_class(tmp_path, generator):
    path = tmp_path / "a.pkl"
    generator.state["rendering_kwargs"]["ray_end"] = datetime.date(2026, 1, 1)
    written("pickle", generator, path)
    with pytest.raises(FileFormatError, match=r"the setting ray_end: it .* holds datetime.date"):
        load_checkpoint(path)
    generator.state["rendering_kwargs"]["ray_end"] = torch.zeros(17)
    written("pickle", generator, path)
    with pytest.raises(FileFormatError, match="the setting ray_end of 17 numbers"):
        load_checkpoint(path)


def test_a_shared_storage_can_not_be_read_without_end(tmp_path, generator):
    weight = torch.zeros(100_000)
    parameters = {f"w{i}": weight[i:] for i in range(500)}
    generator.state["_parameters"] = parameters
    written("zip", generator, tmp_path / "a.pkl")
    with pytest.raises(FileFormatError, match="refers to the same tensor storages too often"):
        load_checkpoint(tmp_path / "a.pkl")


@pytest.mark.parametrize("how", ["zip", "legacy"])
def test_mutated_torch_files(tmp_path, generator, how):
    path = tmp_path / "a.pkl"
    written(how, {"G_ema": generator}, path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(100):
        path.write_bytes(mutated(whole, rng))
        loads_or_is_refused(path)
