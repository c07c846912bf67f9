"""The published alignment's file, in both of torch's formats, without its class."""

import io
import os
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from flame_pytorch.errors import FileFormatError
from synthforge.assets.published_alignment import read_published_alignment


class MLP(nn.Module):
    """As the authors' script had it, under names of its own."""

    def __init__(self, sizes=(3, 4, 3)) -> None:
        super().__init__()
        self.first = nn.Linear(sizes[0], sizes[1])
        self.second = nn.Linear(sizes[1], sizes[2])


def saved(value, path, zipped: bool) -> None:
    """torch.save from a script, where the class is `__main__.MLP`."""
    main, module = sys.modules["__main__"], MLP.__module__
    MLP.__module__, main.MLP = "__main__", MLP
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sources that can't be found
            torch.save(value, path, _use_new_zipfile_serialization=zipped)
    finally:
        MLP.__module__ = module
        del main.MLP


def sequential() -> nn.Module:
    model = MLP()
    model.first, model.second = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3)), nn.Identity()
    return model


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("what", ["module", "sequential", "state dict"])
def test_both_formats(tmp_path, zipped, what):
    torch.manual_seed(0)
    model = sequential() if what == "sequential" else MLP()
    path = tmp_path / "fixMapMLP01.pth"
    saved(model.state_dict() if what == "state dict" else model, path, zipped)
    layers = read_published_alignment(path)
    expected = list(model.parameters())
    found = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    assert all(map(torch.equal, found, expected)) and len(found) == len(expected) == 4


@pytest.mark.parametrize("zipped", [True, False])
def test_other_networks_are_refused(tmp_path, zipped):
    path = tmp_path / "a.pth"
    saved(MLP((3, 5, 3)), path, zipped)
    with pytest.raises(FileFormatError, match=r"a.pth has layers of shapes \[\(5, 3\), \(3, 5\)\]"):
        read_published_alignment(path)
    saved(MLP((3, 4000, 3)), path, zipped)
    with pytest.raises(FileFormatError, match=r"a.pth is damaged at .*12000 numbers"):
        read_published_alignment(path)


class Ran:
    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_runs(tmp_path, zipped):
    path, trace = tmp_path / "a.pth", tmp_path / "trace"
    torch.save({"x": Ran(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(FileFormatError, match=r"a.pth has layers of shapes \[\].*built in"):
        read_published_alignment(path)
    assert not trace.exists()


def test_weights_that_are_not_finite(tmp_path):
    model = MLP()
    model.first.bias.data[0] = torch.nan
    saved(model, tmp_path / "a.pth", True)
    with pytest.raises(FileFormatError, match="NaN or infinite"):
        read_published_alignment(tmp_path / "a.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_files(tmp_path, zipped):
    buffer = io.BytesIO()
    saved(MLP(), buffer, zipped)
    whole = buffer.getvalue()
    rng = np.random.default_rng(0)
    path = tmp_path / "a.pth"
    for trial in range(100):
        data = bytearray(whole)
        if trial % 3 == 0:
            data = data[: rng.integers(len(data))]
        else:
            for _ in range(trial % 3):
                data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            read_published_alignment(path)
        except FileFormatError as error:
            assert str(path) in str(error)
