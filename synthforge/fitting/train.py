"""The training loop: samples in, the best alignment and its history out.

The network works in coordinates centred on the face and of its size, where Adam finds translation
and scale equally easy; on raw generator coordinates it needs ten times the steps. The change of
coordinates is folded into the weights at the end, so what is saved is the plain 3-hidden-3 MLP.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from synthforge.alignment import AlignmentMLP
from synthforge.alignment_config import AlignmentTrainingConfig
from synthforge.fitting import TrainingError
from synthforge.fitting.checkpoint import (
    Checkpoint,
    Epoch,
    read_checkpoint,
    run_key,
    write_checkpoint,
)
from synthforge.fitting.losses import (
    FaceSurface,
    alignment_losses,
    geometric_scores,
    nme_percent,
    term_names,
    view_face,
)
from synthforge.fitting.samples import Samples
from synthforge.fitting.schedule import Schedule


class CenteredAlignment(nn.Module):
    """An AlignmentMLP that sees (x - center) / scale; center [3], scale a number."""

    center: Tensor
    scale: Tensor

    def __init__(self, mlp: AlignmentMLP, center: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.mlp = mlp
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)

    def forward(self, points_gen: Tensor) -> Tensor:
        return self.center + self.scale * self.mlp((points_gen - self.center) / self.scale)

    @torch.no_grad()
    def folded(self) -> AlignmentMLP:
        """The same map as a plain AlignmentMLP, on the CPU."""
        inner, outer = self.mlp.inner, self.mlp.outer
        plain = AlignmentMLP(self.mlp.hidden, self.mlp.activation)
        plain.inner.weight.copy_(inner.weight / self.scale)
        plain.inner.bias.copy_(inner.bias - inner.weight @ self.center / self.scale)
        plain.outer.weight.copy_(outer.weight * self.scale)
        plain.outer.bias.copy_(outer.bias * self.scale)
        if plain.activation == "none":
            # With an activation the network is added to the points, center and all.
            plain.outer.bias.add_(self.center.cpu())
        return plain


@dataclass(frozen=True)
class Fit:
    """The best alignment, on the CPU, its scores and those of the identity.

    ended: why training ended: "epochs", "converged" or "interrupted".
    """

    mlp: AlignmentMLP
    before: dict[str, float]
    after: dict[str, float]
    history: list[Epoch] = field(default_factory=list)
    ended: str = "epochs"


def fit(
    train: Samples,
    val: Samples,
    surface: FaceSurface,
    config: AlignmentTrainingConfig,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fit:
    """Train from the identity, or with `config.resume` from the checkpoint if there is one.

    checkpoint: written after every epoch. A resumed run ends with the same bits as one that never
    stopped; with another number of epochs it follows `Schedule.resumed`. Ctrl-C ends the run with
    the best weights so far.

    Raises TrainingError if a loss is not finite, naming step and loss, or if the checkpoint is
    damaged or of another run.
    """
    device = train.vertices_gen.device
    face = train.vertices_gen[:, surface.vertices].flatten(0, 1)
    net = CenteredAlignment(
        AlignmentMLP(config.hidden, config.activation), face.mean(0).cpu(), face.std().cpu()
    ).to(device)
    optimizer = torch.optim.Adam(
        net.mlp.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    before = validate(net, val, surface, config)
    run = run_key(config, train)
    state = Checkpoint(_copy(net.mlp), before, Schedule(config.epochs))
    if config.resume and checkpoint is not None and checkpoint.exists():
        state = read_checkpoint(checkpoint, run, net.mlp, optimizer, term_names(train), before)
        state.schedule = state.schedule.resumed(len(state.history), config.epochs)
    history = state.history
    ended = "epochs"
    try:
        for number in tqdm(range(len(history), config.epochs), desc="Training", unit="epoch"):
            if _has_converged(history, config):
                ended = "converged"
                break
            losses = _run_epoch(net, optimizer, train, surface, config, state.schedule, number)
            epoch = Epoch(number, losses, validate(net, val, surface, config))
            history.append(epoch)
            if epoch.scores["loss"] < state.scores["loss"]:
                state.best, state.scores = _copy(net.mlp), epoch.scores
            if checkpoint is not None:
                write_checkpoint(checkpoint, run, state, net.mlp, optimizer)
            on_epoch(epoch)
    except KeyboardInterrupt:
        ended = "interrupted"
    net.mlp.load_state_dict(state.best)
    # Folding rounds; where nothing was better than the identity, the result is exactly that.
    improved = state.scores != before
    best = net.cpu().folded() if improved else AlignmentMLP(config.hidden, config.activation)
    return Fit(best, before, state.scores, history, ended)


def _copy(mlp: AlignmentMLP) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in mlp.state_dict().items()}


def _run_epoch(
    net: CenteredAlignment,
    optimizer: torch.optim.Optimizer,
    train: Samples,
    surface: FaceSurface,
    config: AlignmentTrainingConfig,
    schedule: Schedule,
    number: int,
) -> dict[str, float]:
    """One pass over the samples; the mean of each term."""
    # Seeded by the epoch, so that a resumed run goes on as if it had never stopped.
    randomness = torch.Generator().manual_seed((config.seed * 1_000_003 + number) % 2**63)
    batches = torch.randperm(len(train), generator=randomness).split(config.batch_size)
    totals: dict[str, float] = {}
    for i, index in enumerate(batches):
        done = number + i / len(batches)
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate(config, done)
        samples = train.select(index)
        aligned_gen = net(samples.vertices_gen)
        terms = alignment_losses(
            view_face(aligned_gen, surface, samples),
            aligned_gen,
            net(samples.landmarks_gen),
            surface,
            samples,
            config.weights,
            schedule.robust_scale(config, done),
            randomness,
        )
        weighted = torch.stack(list(terms.values()))
        for name, value in zip(terms, weighted.tolist(), strict=True):
            if not math.isfinite(value):
                step = number * len(batches) + i + 1
                raise TrainingError(
                    f"the {name} loss became {value} at step {step} (epoch {number + 1}). "
                    f"Lower --lr (now {config.lr:g})."
                )
            totals[name] = totals.get(name, 0.0) + value / len(batches)
        optimizer.zero_grad()
        weighted.sum().backward()
        optimizer.step()
    return totals


@torch.no_grad()
def validate(
    net: nn.Module, samples: Samples, surface: FaceSurface, config: AlignmentTrainingConfig
) -> dict[str, float]:
    """Means over the samples: depth_error_mm, coverage, with keypoints nme_percent, and loss.

    The loss is what training ends with, at the narrowest robust scale, and the face where the
    generator shows nothing counts as an outlier. It picks the best weights; a detector's NME would
    pick those that repeat the detector's own errors.
    """
    outlier = (config.weights.depth + config.weights.chamfer) * config.robust_end**2
    columns: dict[str, list[Tensor]] = {}
    for index in torch.arange(len(samples)).split(config.batch_size):
        batch = samples.select(index)
        aligned_gen, landmarks_gen = net(batch.vertices_gen), net(batch.landmarks_gen)
        view = view_face(aligned_gen, surface, batch)
        randomness = torch.Generator().manual_seed(0)
        terms = alignment_losses(
            view,
            aligned_gen,
            landmarks_gen,
            surface,
            batch,
            config.weights,
            config.robust_end,
            randomness,
        )
        error_mm, coverage = geometric_scores(view)
        loss = torch.stack(list(terms.values())).sum() + outlier * (1 - coverage)
        columns.setdefault("loss", []).append(loss)
        columns.setdefault("depth_error_mm", []).append(error_mm)
        columns.setdefault("coverage", []).append(coverage)
        if batch.keypoints_px is not None:
            columns.setdefault("nme_percent", []).append(nme_percent(landmarks_gen, batch))
    return {name: torch.cat(column).mean().item() for name, column in columns.items()}


def _has_converged(history: list[Epoch], config: AlignmentTrainingConfig) -> bool:
    recent = [epoch.scores["loss"] for epoch in history[-config.stop_patience - 1 :]]
    if len(recent) <= config.stop_patience:
        return False
    return all(abs(a - b) <= config.stop_change * a for a, b in itertools.pairwise(recent))
