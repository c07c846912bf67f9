"""A dataset drawn with --like and --alignment is repaired with those files, and with no others."""

import json

import pytest
import torch
from support_like import faces
from support_verified import contents, run

from synthforge.alignment import AlignmentMLP
from synthforge.alignment_weights import AlignmentOrigin, save_alignment
from synthforge.like import write_like


def write_alignment(path, shift):
    mlp = AlignmentMLP()
    with torch.no_grad():
        mlp.outer.bias += shift
    save_alignment(path, mlp, AlignmentOrigin("mannequin", "another", "another"))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """One sample, whose run was given both files by relative paths; its image is gone."""
    monkeypatch.chdir(tmp_path)
    write_like(tmp_path / "like.npz", faces(), ["a.png"] * len(faces()["shape"]))
    write_alignment(tmp_path / "alignment.safetensors", 0.01)
    run(
        "generate",
        *("--output_dir", "faces", "--num_images", 1, "--like", "like.npz", "--like_jitter", 0.1),
        *("--alignment", "alignment.safetensors", "--force_alignment"),
    )
    return tmp_path / "faces"


def test_fix_draws_the_same_bytes_again(root):
    whole = contents(root)
    (root / "images/000000.png").unlink()
    assert "1 of 1 planned sample is whole" in run("verify", root, "--fix")
    assert contents(root) == whole


def test_files_that_have_moved_are_given_anew(root, tmp_path):
    whole = contents(root)
    (root / "images/000000.png").write_bytes(b"")
    damaged = contents(root)
    (tmp_path / "elsewhere").mkdir()
    like = (tmp_path / "like.npz").rename(tmp_path / "elsewhere/b.npz")
    output = run("verify", root, "--fix", expect=2)
    assert "drawn with --like like.npz, which is not there" in output
    assert contents(root) == damaged
    alignment = tmp_path / "alignment.safetensors"
    weights = alignment.read_bytes()
    write_alignment(alignment, 0.02)
    assert "give --fix as well" in run("verify", root, "--like", like, expect=2)
    output = run("verify", root, "--fix", "--like", like, expect=2)
    assert "alignment.safetensors is another file than --alignment was" in output
    assert contents(root) == damaged
    alignment.write_bytes(weights)
    run("verify", root, "--fix", "--like", like)
    assert contents(root) == whole


def test_a_dataset_without_notes_is_judged_by_its_recipe(root, tmp_path):
    card = json.loads((root / "dataset.json").read_text())
    del card["files"]
    (root / "dataset.json").write_text(json.dumps(card))
    (root / "seg/000000.png").unlink()
    assert "give the file of photographs' faces" in run("verify", root, "--fix", expect=2)
    write_like(tmp_path / "other.npz", faces(7), ["a.png"] * 7)
    output = run("verify", root, "--fix", "--like", "other.npz", expect=2)
    assert "other.npz holds other faces" in output
    output = run("verify", root, "--fix", "--like", "like.npz", expect=2)
    assert "would draw other samples" in output and "alignment" in output
    run("verify", root, "--fix", "--like", "like.npz", "--alignment", "alignment.safetensors")
