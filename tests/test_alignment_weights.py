import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from support_alignment import some_points, trained_mlp
from support_damaged_files import damaged, forged
from support_planted import PLANTED, planted_affine
from torch import nn

from synthforge import alignment_weights
from synthforge.alignment import AlignmentError, AlignmentMLP, published_alignment
from synthforge.alignment_weights import (
    AlignmentOrigin,
    load_alignment,
    read_alignment,
    save_alignment,
)

ORIGIN = AlignmentOrigin("next3d", "gen-1", "head-1", {"nme_percent": 2.5}, {"epochs": 3})
NEXT3D = SimpleNamespace(name="next3d", latent_size=512, fingerprint="gen-1")


@pytest.fixture
def points():
    return some_points()


@pytest.fixture
def trained():
    return trained_mlp()


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_round_trip(tmp_path, points, activation):
    mlp = AlignmentMLP(6, activation)
    with torch.no_grad():
        mlp.outer.bias.add_(0.25)
    save_alignment(tmp_path / "new" / "weights.safetensors", mlp, ORIGIN)
    loaded, origin = read_alignment(tmp_path / "new" / "weights.safetensors")
    assert torch.equal(loaded(points), mlp(points))
    assert (loaded.hidden, loaded.activation, origin) == (6, activation, ORIGIN)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["weights.safetensors"]


def test_another_generator_or_head_is_refused(tmp_path, trained):
    path = tmp_path / "weights.safetensors"
    save_alignment(path, trained, ORIGIN)
    load_alignment(path, NEXT3D, "head-1")
    other = SimpleNamespace(**{**vars(NEXT3D), "name": "mannequin", "fingerprint": "gen-2"})
    for generator, head in ((other, "head-1"), (NEXT3D, "head-2"), (other, "head-2")):
        with pytest.raises(AlignmentError) as refused:
            load_alignment(path, generator, head)
        for name in ("gen-1", "head-1", generator.fingerprint, head, "--force_alignment"):
            assert name in str(refused.value)
        load_alignment(path, generator, head, force=True)


def test_weights_that_are_not_finite(tmp_path, trained):
    path = tmp_path / "weights.safetensors"
    save_alignment(path, trained, ORIGIN)
    with torch.no_grad():
        trained.outer.bias[1] = math.nan
    with pytest.raises(AlignmentError, match=r"is not finite, so .* is not written"):
        save_alignment(path, trained, replace(ORIGIN, generator="other"))
    assert read_alignment(path)[1] == ORIGIN


def test_files_that_are_not_ours(tmp_path, trained):
    with pytest.raises(AlignmentError, match=r"not found.*train_alignment_mlp.py"):
        read_alignment(tmp_path / "missing.safetensors")
    (tmp_path / "text").write_text("weights")
    with pytest.raises(
        AlignmentError, match=r"weights .*text: the file is not a readable safetensors file"
    ):
        read_alignment(tmp_path / "text")
    save_file({"weight": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(AlignmentError, match="the format None, expected"):
        read_alignment(tmp_path / "foreign.safetensors")


# Forgeries that say nothing wrong about the map.
HARMLESS = {
    *("generator: string", "generator_fingerprint: string", "head_fingerprint: string"),
    *("scores: mapping", "training: mapping", "training: mapping to text"),
    *("training: mapping to NaN", "training: mapping to a long integer"),
}


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("mutate", [damaged, forged])
def test_a_damaged_or_forged_file_ends_in_one_line(tmp_path, activation, mutate):
    path = tmp_path / "weights.safetensors"
    save_alignment(path, AlignmentMLP(5, activation), ORIGIN)
    accepted = set()
    for name, content in mutate(path):
        bad = tmp_path / "bad.safetensors"
        bad.write_bytes(content)
        try:
            read_alignment(bad)
            accepted.add(name)
        except AlignmentError as error:
            message = str(error)
            assert str(bad) in message and "\n" not in message and len(message) < 700, name
    # Before outer weights of zero, which is how an activated network starts, inner ones are free.
    free = {"inner.weight: times 1e6", "inner.bias: times 1e6"} if activation == "tanh" else set()
    assert accepted == (HARMLESS | free if mutate is forged else set())


def test_a_claimed_size_is_compared_with_the_data_first(tmp_path, monkeypatch):
    """hidden = 20000000 took 760 MB."""
    path = tmp_path / "weights.safetensors"
    monkeypatch.setattr(alignment_weights, "MAX_HIDDEN", 2**40)
    save_alignment(path, AlignmentMLP(), ORIGIN)
    (content,) = (content for name, content in forged(path) if name == "hidden: huge")
    path.write_bytes(content)
    monkeypatch.setattr(alignment_weights, "AlignmentMLP", None)  # builds the layers
    with pytest.raises(AlignmentError, match=r"F32 \[4\], expected F32 \[20000000\]"):
        read_alignment(path)


def test_weights_in_the_format_of_other_days(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata={"format": "synthforge alignment 1"})
    with pytest.raises(AlignmentError, match=r"'synthforge alignment 1', expected .* Remove it"):
        read_alignment(path)


def absurd(name):
    A, b = torch.eye(3), torch.zeros(3)
    if name == "moves the face by":
        b = torch.tensor([0.0, 0.0, 0.51])
    elif name == "turns the face inside out":
        A = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    elif name == "stretches the face by 1 to 2.1":
        A = torch.diag(torch.tensor([1.0, 2.1, 1.0]))
    elif name == "stretches the face by 0.45 to 1":
        A = torch.diag(torch.tensor([0.45, 1.0, 1.0]))
    return AlignmentMLP.from_affine(A, b)


@pytest.mark.parametrize(
    "name",
    [
        "moves the face by",
        "turns the face inside out",
        "stretches the face by 1 to 2.1",
        "stretches the face by 0.45 to 1",
    ],
)
def test_absurd_maps_are_neither_written_nor_read(tmp_path, monkeypatch, name):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(AlignmentError, match=f"alignment {name}.* is not written"):
        save_alignment(path, absurd(name), ORIGIN)
    assert not list(tmp_path.iterdir())
    with monkeypatch.context() as lenient:
        lenient.setattr(alignment_weights, "_fault", lambda mlp: "")
        save_alignment(path, absurd(name), ORIGIN)
    with pytest.raises(AlignmentError, match=f"alignment in .* {name}"):
        read_alignment(path)


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_weights_times_a_million(tmp_path, monkeypatch, activation):
    path = tmp_path / "weights.safetensors"
    mlp = AlignmentMLP(5, activation)
    with torch.no_grad():
        mlp.outer.weight.add_(0.01).mul_(1e6)
    monkeypatch.setattr(alignment_weights, "_fault", lambda mlp: "")
    save_alignment(path, mlp, ORIGIN)
    monkeypatch.undo()
    with pytest.raises(AlignmentError, match="moves the face by"):
        read_alignment(path)


@pytest.mark.parametrize("number", PLANTED)
def test_what_training_should_find_is_not_absurd(tmp_path, number):
    save_alignment(
        tmp_path / "a.safetensors", AlignmentMLP.from_affine(*planted_affine(number)), ORIGIN
    )


def test_weights_get_the_mode_of_a_new_file(tmp_path):
    new, path = tmp_path / "new", tmp_path / "weights.safetensors"
    new.touch()
    save_alignment(path, AlignmentMLP(), ORIGIN)
    assert path.stat().st_mode == new.stat().st_mode


@pytest.fixture
def published_file(tmp_path):
    """The published figures as the original saves them: a whole module, pickled by torch."""

    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer1 = nn.Linear(3, 4)
            self.layer2 = nn.Linear(4, 3)

    MLP.__module__, MLP.__qualname__ = "__main__", "MLP"
    main = sys.modules["__main__"]
    main.MLP = MLP
    module, ours = MLP(), published_alignment()
    module.layer1.load_state_dict(ours.inner.state_dict())
    module.layer2.load_state_dict(ours.outer.state_dict())
    path = tmp_path / "fixMapMLP01.pth"
    torch.save(module, path)
    del main.MLP
    return path


def test_the_published_file_is_read_as_data(published_file, points):
    mlp, origin = read_alignment(published_file)
    assert origin is None
    with torch.no_grad():
        torch.testing.assert_close(mlp(points), published_alignment()(points))


def test_the_published_file_is_for_next3d(published_file):
    load_alignment(published_file, NEXT3D, "any head")
    other = SimpleNamespace(**{**vars(NEXT3D), "name": "mannequin"})
    with pytest.raises(AlignmentError, match="published weights for next3d; this run uses mann"):
        load_alignment(published_file, other, "any head")
    load_alignment(published_file, other, "any head", force=True)


def test_a_published_file_that_makes_no_sense(published_file, monkeypatch):
    figures = alignment_weights.read_published_alignment(published_file)
    huge = [type(layer)(layer.weight * 1e6, layer.bias) for layer in figures]
    monkeypatch.setattr(alignment_weights, "read_published_alignment", lambda path: huge)
    with pytest.raises(AlignmentError, match=r"fixMapMLP01\.pth moves the face by"):
        read_alignment(published_file)
