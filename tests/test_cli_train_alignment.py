import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from support_fake_generator import FakeGenerator, FakeHead, oracle
from support_planted import keypoint_error_px, planted_affine

from synthforge import assembly, detectors
from synthforge.alignment import AlignmentError
from synthforge.alignment_config import NEXT3D_ALIGNMENT_SAMPLING
from synthforge.alignment_weights import load_alignment, read_alignment
from synthforge.cli import train_alignment as command
from synthforge.fitting import run as fitting_run
from synthforge.fitting.drawing import SampleSource
from synthforge.fitting.samples import VALIDATION_START, load_samples
from synthforge.generators.known import GENERATORS
from synthforge.generators.next3d import NEXT3D

SMALL = ["--num_train=6", "--num-val=4", "--epochs=3", "--batch_size", "3"]


@pytest.fixture
def rig(monkeypatch):
    """A fake head, drawn displaced, in place of what the command would build."""
    monkeypatch.setitem(GENERATORS, "fake", replace(NEXT3D, name="fake"))
    head, generator = FakeHead(rings=16), FakeGenerator(*planted_affine(0), size=64)
    parts = SimpleNamespace(head=head, generator=generator, detector=None, asked=[])

    def build_parts(config, device, tell):
        parts.asked += [config.generator, str(device)]
        return head, generator, None

    def build_detector(name, device, *, is_aligned):
        parts.asked += [name, is_aligned]
        return parts.detector

    monkeypatch.setattr(assembly, "build_parts", build_parts)
    monkeypatch.setattr(detectors, "build_detector", build_detector)
    return parts


@pytest.fixture
def output(tmp_path):
    return tmp_path / "new" / "weights.safetensors"


def run(output, *arguments):
    return CliRunner().invoke(command.train, ["--output", str(output), *SMALL, *arguments])


def metadata(path):
    with safe_open(path, framework="pt") as file:
        return file.metadata()


def test_what_a_run_leaves(rig, output):
    result = run(output)
    assert result.exit_code == 0, result.output
    for expected in (
        "6 samples to train on and 4 to validate with",
        "epoch 3: depth error",
        "Before: depth error",
        "After: depth error",
        f"--alignment {output}",
    ):
        assert expected in result.output
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "alignment_cache",
        "weights.checkpoint.safetensors",
        "weights.curves.png",
        "weights.overlays.png",
        "weights.safetensors",
    ]
    # Two rows of four faces with their captions.
    sheet = cv2.imread(str(output.with_name("weights.overlays.png")))
    assert sheet.shape[1] == 4 * 320 and sheet.shape[0] > 2 * 320
    # The heads of the second row sit elsewhere than those of the first.
    first, second = sheet[: len(sheet) // 2], sheet[len(sheet) // 2 :]
    assert (first[-320:] != second[-320:]).any(-1).mean() > 0.01
    assert cv2.imread(str(output.with_name("weights.curves.png"))) is not None


def test_the_file_says_what_it_is_for(rig, output):
    run(output)
    _, origin = read_alignment(output)
    assert origin.generator == "fake"
    assert origin.generator_fingerprint == rig.generator.fingerprint
    assert origin.head_fingerprint == rig.head.fingerprint
    assert origin.scores["depth_error_mm"] < 10
    assert origin.training["num_train"] == 6
    load_alignment(output, rig.generator, rig.head.fingerprint)
    other = FakeGenerator(*planted_affine(1), size=64)
    with pytest.raises(AlignmentError, match="another generator or head"):
        load_alignment(output, other, rig.head.fingerprint)


def test_no_file_tells_where_it_was_made_or_is_for_its_owner_alone(rig, output):
    run(output)
    new = output.parent / "new"
    new.touch()
    written = [path for path in output.parent.rglob("*") if path.is_file() and path != new]
    assert len(written) == 4 + 10
    for path in written:
        assert path.stat().st_mode == new.stat().st_mode, path
        assert str(output.parent.parent).encode() not in path.read_bytes(), path


def test_a_head_drawn_where_it_is_placed_needs_no_alignment(rig, output):
    rig.generator.A, rig.generator.b = torch.eye(3), torch.zeros(3)
    rig.generator.is_aligned = True
    result = run(output)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert rig.asked[-1] is True
    (told,) = [line for line in lines if "needs no alignment" in line]
    assert "draws the head exactly where it is placed" in told
    told = "Nothing to align: depth error 0.00 mm, coverage 1.00, "
    assert any(line.startswith(told) for line in lines)
    assert not any(line.startswith(("Before:", "After:")) for line in lines)
    mlp, _ = read_alignment(output)
    points = torch.rand(9, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    assert torch.equal(mlp(points), points)


def test_a_bad_cache_file_does_not_stop_the_next_run(rig, output):
    run(output)
    (bad, *_) = sorted(output.parent.glob("alignment_cache/*/*"))
    bad.write_bytes(bad.read_bytes()[:-1])
    result = run(output, "--resume", "--epochs", "4")
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.output.splitlines() if "Drawing it again" in line]
    assert str(bad) in line


def test_a_bad_checkpoint_ends_in_one_line(rig, output):
    run(output)
    bad = output.with_name("weights.checkpoint.safetensors")
    bad.write_bytes(bad.read_bytes()[:-1])
    result = run(output, "--resume")
    assert result.exit_code == 2
    assert f"cannot resume: {bad}" in result.output and "Traceback" not in result.output
    bad.unlink()
    assert run(output, "--resume").exit_code == 0


def test_with_a_detector_the_nme_is_told_and_kept(rig, output):
    rig.detector = oracle(rig.generator)
    result = run(output, "--epochs", "8")
    before, after = (
        float(line.split("NME ")[1].split("%")[0])
        for line in result.output.splitlines()
        if line.startswith(("Before: ", "After: "))
    )
    assert after < before / 2
    assert json.loads(metadata(output)["scores"])["nme_percent"] == pytest.approx(after, rel=0.01)


def test_samples_with_and_without_a_detector_are_kept_apart(rig, output):
    cache = output.parent / "shared"
    run(output, "--epochs", "1", "--cache_dir", str(cache))
    rig.detector = oracle(rig.generator)
    other = output.with_name("other.safetensors")
    assert run(other, "--epochs", "1", "--cache_dir", str(cache)).exit_code == 0
    assert len(list(cache.iterdir())) == 2


def test_options_reach_what_is_built(rig, output):
    run(output, "--generator=mannequin", "--detector", "none", "--device=cpu")
    assert rig.asked == ["mannequin", "cpu", "none", False]


def test_weights_are_not_overwritten_but_resumed(rig, output):
    run(output)
    first = output.read_bytes()
    again = run(output)
    assert again.exit_code == 2
    assert again.output.count("\n") == 1 and "exists. Pass --resume" in again.output
    assert output.read_bytes() == first
    calls = rig.generator.calls
    resumed = run(output, "--resume", "--epochs", "5")
    assert resumed.exit_code == 0, resumed.output
    assert "epoch 4" in resumed.output and "epoch 3" not in resumed.output
    assert rig.generator.calls == calls


def test_ctrl_c_writes_the_best_so_far(rig, output, monkeypatch):
    def stop(epoch):
        if epoch.number == 1:
            raise KeyboardInterrupt
        return "one epoch"

    monkeypatch.setattr(fitting_run, "describe_epoch", stop)
    result = run(output)
    assert result.exit_code == 130
    assert "best weights so far" in result.output
    mlp, _ = read_alignment(output)
    source = SampleSource(
        rig.head, rig.generator, NEXT3D_ALIGNMENT_SAMPLING, 0, torch.device("cpu")
    )
    val = load_samples(source, [VALIDATION_START], output.parent / "alignment_cache")
    assert keypoint_error_px(mlp, *planted_affine(0), val) < 35


def test_ctrl_c_before_anything_is_learnt_writes_nothing(rig, output, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting_run, "load_samples", stop)
    result = run(output)
    assert result.exit_code == 130
    assert not output.exists()


def test_a_broken_loss_ends_in_one_line(rig, output):
    result = run(output, "--lr=1e30")
    assert result.exit_code == 2
    assert not output.exists()
    (line,) = [line for line in result.output.splitlines() if "loss became" in line]
    assert "at step" in line and "Lower --lr (now 1e+30)" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lr=0"], "--lr must be positive, got 0"),
        (["--num_val=0"], "--num_val must be at least 1, got 0"),
        (["--hidden=2"], "--hidden must be at least 3, got 2"),
        (["--seed=-1"], "--seed must be at least 0"),
        (["--detector=dlib"], "'dlib' is not one of"),
    ],
)
def test_bad_options_end_in_one_line(rig, output, arguments, message):
    result = run(output, *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
