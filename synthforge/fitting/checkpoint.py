"""Where training stands, on disk: weights, Adam's moments, the best so far, the history."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from synthforge.alignment_config import AlignmentTrainingConfig
from synthforge.fitting import TrainingError
from synthforge.fitting.samples import Samples
from synthforge.fitting.schedule import Schedule
from synthforge.tensor_files import (
    Layout,
    TensorFileError,
    named_numbers,
    read_tensors,
    whole_number,
    write_tensors,
)

_FORMAT = "synthforge training 1"
_KEYS = ("run", "scores", "history", "schedule")
_MOMENTS = ("exp_avg", "exp_avg_sq")
_MAX_EPOCHS = 10**9
# Settings that may differ between a run and its resumption; what the samples depend on is in
# their own key.
_FREE = (
    *("output", "parts", "cache_dir", "resume"),
    *("epochs", "max_attempts"),
)


@dataclass(frozen=True)
class Epoch:
    """losses: weighted terms, mean over the steps. scores: on the validation samples."""

    number: int
    losses: dict[str, float]
    scores: dict[str, float]


@dataclass
class Checkpoint:
    """best: weights with the best scores so far."""

    best: dict[str, Tensor]
    scores: dict[str, float]
    schedule: Schedule
    history: list[Epoch] = field(default_factory=list)


def checkpoint_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}.checkpoint.safetensors")


def write_checkpoint(
    path: Path,
    run: str,
    state: Checkpoint,
    mlp: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """run: from `run_key`."""
    tensors = {f"best.{name}": value for name, value in state.best.items()}
    for name, weight in mlp.named_parameters():
        tensors[f"now.{name}"] = weight
        for key, value in optimizer.state[weight].items():
            tensors[f"adam.{name}.{key}"] = value
    metadata = {
        "run": run,
        "scores": state.scores,
        "history": [asdict(epoch) for epoch in state.history],
        "schedule": asdict(state.schedule),
    }
    write_tensors(path, _FORMAT, tensors, metadata)


def read_checkpoint(
    path: Path,
    run: str,
    mlp: nn.Module,
    optimizer: torch.optim.Optimizer,
    losses: Collection[str],
    scores: Collection[str],
) -> Checkpoint:
    """Puts weights and moments back where they were.

    losses, scores: names that the history must hold.
    Raises TrainingError for a damaged file, or one of a run with other settings.
    """

    def layout(metadata: Mapping[str, Any]) -> Layout:
        if metadata["run"] != run:
            raise TensorFileError(
                "is of a run with other settings or samples (--resume goes on with the same ones)"
            )
        kinds: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
        for name, weight in mlp.named_parameters():
            like = (weight.dtype, tuple(weight.shape))
            kinds |= {f"best.{name}": like, f"now.{name}": like}
            kinds |= {f"adam.{name}.{key}": like for key in _MOMENTS}
            kinds[f"adam.{name}.step"] = (torch.float32, ())
        return kinds

    try:
        tensors, metadata = read_tensors(path, _FORMAT, _KEYS, layout)
        history = _history(metadata["history"], losses, scores)
        schedule = _schedule(metadata["schedule"], len(history))
        best_scores = _named("scores", metadata["scores"], scores)
        _require_adam(tensors)
    except TensorFileError as error:
        raise TrainingError(f"cannot resume: {path} {error}. Remove it to begin anew.") from error
    with torch.no_grad():
        for name, weight in mlp.named_parameters():
            weight.copy_(tensors[f"now.{name}"])
            moments = {key: tensors[f"adam.{name}.{key}"].to(weight.device) for key in _MOMENTS}
            # Adam keeps its step counter on the CPU.
            optimizer.state[weight] = {"step": tensors[f"adam.{name}.step"], **moments}
    best = {name: tensors[f"best.{name}"] for name, _ in mlp.named_parameters()}
    return Checkpoint(best, best_scores, schedule, history)


def settings(config: AlignmentTrainingConfig) -> dict[str, Any]:
    """The settings that the trained weights depend on; no paths."""
    return {name: value for name, value in asdict(config).items() if name not in _FREE}


def run_key(config: AlignmentTrainingConfig, train: Samples) -> str:
    """Equal for runs that may continue one another."""
    facts = {**settings(config), "samples": train.key}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _history(value: object, losses: Collection[str], scores: Collection[str]) -> list[Epoch]:
    if not isinstance(value, list):
        raise TensorFileError(f"has the history {value!r:.40}, expected a list")
    history = []
    for number, row in enumerate(value):
        if not isinstance(row, dict) or row.keys() != {"number", "losses", "scores"}:
            raise TensorFileError(f"has {row!r:.40} in its history, expected an epoch")
        history.append(
            Epoch(
                whole_number("epoch", row["number"], number, number),
                _named("losses", row["losses"], losses),
                _named("scores", row["scores"], scores),
            )
        )
    return history


def _schedule(value: object, done: int) -> Schedule:
    if not isinstance(value, dict) or value.keys() != {"epochs", "start_epoch", "start_progress"}:
        raise TensorFileError(f"has the schedule {value!r:.40}")
    numbers = named_numbers("schedule", value)
    start = whole_number("start_epoch", value["start_epoch"], 0, done)
    epochs = whole_number("epochs", value["epochs"], start + 1, _MAX_EPOCHS)
    if not 0 <= numbers["start_progress"] <= 1:
        raise TensorFileError(f"has start_progress {value['start_progress']}, expected 0..1")
    return Schedule(epochs, start, numbers["start_progress"])


def _named(name: str, value: object, expected: Collection[str]) -> dict[str, float]:
    numbers = named_numbers(name, value)
    if numbers.keys() != set(expected):
        raise TensorFileError(f"has {name} {sorted(numbers)!r:.80}, expected {sorted(expected)}")
    return numbers


def _require_adam(tensors: Mapping[str, Tensor]) -> None:
    """Adam divides by both: step counters from 1 and squares that are not negative."""
    for name, value in tensors.items():
        low = 1 if name.endswith(".step") else 0
        if name.endswith((".step", ".exp_avg_sq")) and value.min() < low:
            raise TensorFileError(f"has {value.min().item():g} in {name}, at least {low} expected")
