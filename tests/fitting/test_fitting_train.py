import itertools
from dataclasses import replace

import pytest
import torch
from support_damaged_files import forged
from support_fake_generator import FakeGenerator, FakeHead, oracle
from support_planted import PLANTED, keypoint_error_px, planted_affine

from synthforge.alignment import AlignmentMLP
from synthforge.alignment_config import NEXT3D_ALIGNMENT_SAMPLING, AlignmentTrainingConfig
from synthforge.fitting import TrainingError
from synthforge.fitting import train as training
from synthforge.fitting.drawing import SampleSource
from synthforge.fitting.losses import FaceSurface, term_names
from synthforge.fitting.samples import VALIDATION_START, load_samples
from synthforge.fitting.train import CenteredAlignment, fit

HEAD = FakeHead(rings=24)
SURFACE = FaceSurface.of(HEAD.topology, HEAD.face_regions)


def sources(number, tmp_path, detect=False, fringe=False, size=64, count=12):
    generator = FakeGenerator(*planted_affine(number), size, fringe)
    source = SampleSource(
        HEAD,
        generator,
        NEXT3D_ALIGNMENT_SAMPLING,
        0,
        torch.device("cpu"),
        oracle(generator) if detect else None,
    )
    train = load_samples(source, range(count), tmp_path)
    val = load_samples(source, range(VALIDATION_START, VALIDATION_START + 4), tmp_path)
    return train, val


def config(tmp_path, **changes):
    settings = {"epochs": 30, "batch_size": 4, **changes}
    return AlignmentTrainingConfig(output=tmp_path / "weights.safetensors", **settings)


@pytest.fixture
def quick(tmp_path):
    """Small samples and a short run."""
    return sources(1, tmp_path, size=32, count=4), config(tmp_path, epochs=4, batch_size=2)


# A quarter of the samples, pixels and vertices of a real run; bounds are the project's own.
@pytest.mark.parametrize("number", PLANTED)
def test_depth_alone_recovers_the_planted_map(number, tmp_path):
    train, val = sources(number, tmp_path)
    A, b = planted_affine(number)
    assert keypoint_error_px(AlignmentMLP(), A, b, val) > 20
    result = fit(train, val, SURFACE, config(tmp_path))
    assert keypoint_error_px(result.mlp, A, b, val) < 3
    assert result.after["depth_error_mm"] < 0.1 * result.before["depth_error_mm"]
    assert "nme_percent" not in result.after


@pytest.mark.parametrize("number", PLANTED)
def test_with_a_noisy_detector(number, tmp_path):
    train, val = sources(number, tmp_path, detect=True)
    result = fit(train, val, SURFACE, config(tmp_path, epochs=20))
    assert keypoint_error_px(result.mlp, *planted_affine(number), val) < 1.5
    assert result.after["nme_percent"] < 0.15 * result.before["nme_percent"]


@pytest.mark.parametrize("number", PLANTED)
def test_with_a_detector_that_errs_in_one_way_for_all(number, tmp_path):
    """As nets do: no number of samples averages that out, so geometry must outweigh it."""
    train, val = sources(number, tmp_path, detect=True)
    draws = torch.Generator().manual_seed(number)
    error_px = 3 * torch.linspace(-1, 1, 68)[:, None] + 2 * torch.randn(68, 2, generator=draws)
    train, val = (replace(s, keypoints_px=s.keypoints_px + error_px) for s in (train, val))
    result = fit(train, val, SURFACE, config(tmp_path, epochs=20))
    detectors_px = error_px.square().sum(-1).mean().sqrt()
    assert keypoint_error_px(result.mlp, *planted_affine(number), val) < 0.5 * detectors_px


def test_a_fringe_does_not_pull_the_face_forward(tmp_path):
    train, val = sources(0, tmp_path, fringe=True)
    result = fit(train, val, SURFACE, config(tmp_path))
    assert keypoint_error_px(result.mlp, *planted_affine(0), val) < 3


def test_a_network_with_an_activation_learns_too(tmp_path):
    train, val = sources(0, tmp_path)
    result = fit(train, val, SURFACE, config(tmp_path, hidden=12, activation="tanh"))
    assert keypoint_error_px(result.mlp, *planted_affine(0), val) < 6


@pytest.mark.parametrize("activation", ["none", "tanh", "relu"])
def test_folding_keeps_the_map(activation):
    draws = torch.Generator().manual_seed(0)
    mlp = AlignmentMLP(7, activation)
    with torch.no_grad():
        for weight in mlp.parameters():
            weight.add_(torch.randn(weight.shape, generator=draws))
    net = CenteredAlignment(mlp, torch.tensor([0.1, -0.2, 0.3]), torch.tensor(0.2))
    points = torch.randn(50, 3, generator=draws)
    torch.testing.assert_close(net.folded()(points), net(points), rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_bits(quick):
    (train, val), settings = quick
    first, second = (fit(train, val, SURFACE, settings) for _ in range(2))
    assert same_weights(first.mlp, second.mlp)
    assert first.history == second.history
    other = fit(train, val, SURFACE, replace(settings, seed=1))
    assert not same_weights(first.mlp, other.mlp)


def test_settings_reach_the_optimizer(quick, monkeypatch):
    (train, val), settings = quick
    given, adam = [], torch.optim.Adam

    def note(parameters, **options):
        given.append(options)
        return adam(parameters, **options)

    monkeypatch.setattr(torch.optim, "Adam", note)
    fit(train, val, SURFACE, replace(settings, epochs=1, lr=0.02, weight_decay=0.3))
    assert given == [{"lr": 0.02, "weight_decay": 0.3}]


def least_loss(result):
    scores = [result.before, *(epoch.scores for epoch in result.history)]
    return min(scores, key=lambda each: each["loss"])


def test_the_best_weights_are_kept(quick):
    (train, val), settings = quick
    # So large a step that the last epoch is not the best one.
    result = fit(train, val, SURFACE, replace(settings, lr=1.0))
    best = least_loss(result)
    assert result.after == best
    assert result.after != result.history[-1].scores
    again = training.validate(result.mlp, val, SURFACE, settings)
    assert again["depth_error_mm"] == pytest.approx(best["depth_error_mm"], rel=1e-2)


def test_ctrl_c_keeps_the_best_so_far(quick):
    (train, val), settings = quick

    def stop(epoch):
        if epoch.number == 1:
            raise KeyboardInterrupt

    result = fit(train, val, SURFACE, settings, on_epoch=stop)
    assert (result.ended, len(result.history)) == ("interrupted", 2)
    assert result.after == least_loss(result)


def test_a_resumed_run_ends_with_the_same_bits(quick, tmp_path):
    (train, val), settings = quick
    whole = fit(train, val, SURFACE, settings)

    def stop(epoch):
        if epoch.number == 1:
            raise KeyboardInterrupt

    path = tmp_path / "checkpoint"
    fit(train, val, SURFACE, settings, path, stop)
    seen = []
    rest = fit(train, val, SURFACE, replace(settings, resume=True), path, seen.append)
    assert [epoch.number for epoch in seen] == [2, 3]
    assert rest.history == whole.history
    assert same_weights(rest.mlp, whole.mlp)


def test_a_checkpoint_of_another_run_is_refused(quick, tmp_path):
    (train, val), settings = quick
    path = tmp_path / "checkpoint"
    fit(train, val, SURFACE, settings, path)
    again = replace(settings, resume=True)
    with pytest.raises(TrainingError, match="other settings"):
        fit(train, val, SURFACE, replace(again, lr=1e-3), path)
    with pytest.raises(TrainingError, match="other settings"):
        fit(replace(train, key="other"), val, SURFACE, again, path)
    path.write_bytes(b"cut off")
    with pytest.raises(TrainingError, match=f"cannot resume: {path} .* Remove it to begin anew"):
        fit(train, val, SURFACE, again, path)


@pytest.mark.parametrize("done", [2, 4])
def test_more_epochs_raise_neither_learning_rate_nor_robust_scale(
    quick, tmp_path, monkeypatch, done
):
    (train, val), settings = quick
    steps, step, losses = [], torch.optim.Adam.step, training.alignment_losses

    def note_rate(self, *args):
        steps[-1] = (self.param_groups[0]["lr"], *steps[-1])
        return step(self, *args)

    def note_scale(*args):
        if args[1].requires_grad:
            steps.append((args[6],))
        return losses(*args)

    def stop(epoch):
        if epoch.number == done - 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.Adam, "step", note_rate)
    monkeypatch.setattr(training, "alignment_losses", note_scale)
    path = tmp_path / "checkpoint"
    fit(train, val, SURFACE, settings, path, stop)
    assert len(steps) == 2 * done
    for epochs in (12, 16):  # and once more, from a run that ended
        fit(train, val, SURFACE, replace(settings, resume=True, epochs=epochs), path)
        assert len(steps) == 2 * epochs
    for before, after in itertools.pairwise(steps):
        assert after[0] <= before[0] and after[1] <= before[1]
    assert steps[0] == (settings.lr, settings.robust_start)
    assert steps[-1] == pytest.approx((0.01 * settings.lr, settings.robust_end))


def test_a_forged_checkpoint_ends_in_an_error_or_in_weights(quick, tmp_path):
    """Finite numbers of the right shape are resumed from, however absurd."""
    (train, val), settings = quick
    path = tmp_path / "checkpoint.safetensors"

    def stop(epoch):
        raise KeyboardInterrupt

    fit(train, val, SURFACE, settings, path, stop)
    again, ended = replace(settings, resume=True, epochs=2), []
    for name, content in forged(path):
        if name.endswith("times 1e6"):
            path.write_bytes(content)
            try:
                fit(train, val, SURFACE, again, path)
                ended.append("weights")
            except TrainingError:
                ended.append("error")
    assert len(ended) == 20


@pytest.mark.parametrize("term", ["depth", "chamfer"])
def test_a_loss_that_is_not_finite_is_named(quick, monkeypatch, term):
    (train, val), settings = quick
    calls = []

    def break_later(*args):
        terms = losses(*args)
        if args[1].requires_grad:
            calls.append(args)
        return {**terms, term: terms[term] * torch.nan} if len(calls) == 4 else terms

    losses = training.alignment_losses
    monkeypatch.setattr(training, "alignment_losses", break_later)
    with pytest.raises(TrainingError, match=rf"the {term} loss became nan at step 4 \(epoch 2\)"):
        fit(train, val, SURFACE, settings)


def test_a_run_that_no_longer_changes_stops(quick):
    (train, val), settings = quick
    result = fit(train, val, SURFACE, replace(settings, epochs=50, lr=1e-12))
    assert result.ended == "converged"
    assert len(result.history) == settings.stop_patience + 1


@pytest.mark.parametrize("detect", [False, True])
def test_names_of_the_terms(tmp_path, detect):
    train, val = sources(0, tmp_path, detect, size=32, count=2)
    result = fit(train, val, SURFACE, config(tmp_path, epochs=1))
    assert list(result.history[0].losses) == term_names(train)


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
