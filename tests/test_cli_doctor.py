"""What the doctor tells, and its exit code."""

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from synthforge import doctor
from synthforge.cli.commands import synthforge
from synthforge.config import AssetPaths
from synthforge.doctor import Finding

ROOT = Path(__file__).parent.parent


@pytest.fixture
def quick(monkeypatch):
    """No sample is drawn; the generators that would be are told."""
    monkeypatch.setattr(doctor, "self_test", lambda _, name: [Finding(f"{name}: drawn")])


def run(*arguments, expect=0):
    result = CliRunner().invoke(synthforge, ["doctor", *map(str, arguments)])
    assert result.exit_code == expect, result.output
    return result.output


@pytest.mark.usefixtures("quick")
def test_a_machine_that_can_draw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = run()
    for said in (
        "cores",
        "memory",
        "torch",
        "cuda",
        "head.npz",
        "SHA-256",
        "CC0",
        "mannequin: drawn",
    ):
        assert said in output
    assert "not there: " in output and "https://flame.is.tue.mpg.de" in output
    assert "Nothing is wrong." in output
    assert output.endswith("Next: synthforge generate --output_dir faces --num_images 12\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
def test_files_that_are_half_there_are_a_problem(tmp_path):
    (tmp_path / "generic_model.pkl").write_bytes(b"x" * 2_000_000)
    output = run("--model_dir", tmp_path, expect=1)
    assert f"{tmp_path}/generic_model.pkl: FLAME's head\n    2 MB, SHA-256 " in output
    assert re.search(r"Next3D lacks .*/FLAME_masks\.pkl: .* from https://flame", output)
    assert "Next: synthforge generate --generator mannequin" in output


@pytest.mark.usefixtures("quick")
def test_a_library_that_does_not_load_is_a_problem(monkeypatch):
    monkeypatch.setitem(doctor.LIBRARIES, "torch", "torch_that_is_not_there")
    output = run(expect=1)
    assert "torch_that_is_not_there  does not load" in output
    assert "1. No module named 'torch_that_is_not_there'. Run `make demo` once" in output
    assert "Self-test" not in output


def test_the_self_test_draws_a_whole_sample():
    (finding,) = doctor.self_test(AssetPaths(), "mannequin")
    assert "drawn, whole" in finding.line and finding.problem is None


def test_a_self_test_that_fails_is_told(tmp_path):
    (finding,) = doctor.self_test(AssetPaths(tmp_path, tmp_path), "next3d")
    assert "next3d draws nothing: --generator next3d needs files" in finding.problem


def test_it_looks_at_every_library_that_is_needed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    assert needed == doctor.LIBRARIES.keys()
