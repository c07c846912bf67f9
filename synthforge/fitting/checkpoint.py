"""Where training stands, on disk: weights, Adam's moments, the best so far, the history."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from synthforge.config import AlignmentTrainingConfig
from synthforge.fitting import TrainingError
from synthforge.fitting.samples import Samples

# Settings that may differ between a run and its resumption; what the samples depend on is in
# their own key.
_FREE = ("output", "device", "cache_dir", "resume", "detector", "generator", "assets", "epochs")


@dataclass
class Checkpoint:
    """best: weights with the best scores so far. history: a dict an epoch."""

    best: dict[str, Tensor]
    scores: dict[str, float]
    history: list[dict[str, Any]] = field(default_factory=list)


def checkpoint_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}.checkpoint.safetensors")


def write_checkpoint(
    path: Path,
    run: str,
    state: Checkpoint,
    mlp: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    tensors = {f"best.{name}": value for name, value in state.best.items()}
    for name, weight in mlp.named_parameters():
        tensors[f"now.{name}"] = weight.detach()
        for key, value in optimizer.state[weight].items():
            tensors[f"adam.{name}.{key}"] = value
    metadata = {
        "run": run,
        "scores": json.dumps(state.scores),
        "history": json.dumps(state.history),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    save_file({k: v.cpu().contiguous() for k, v in tensors.items()}, partial, metadata=metadata)
    os.replace(partial, path)


def read_checkpoint(
    path: Path, run: str, mlp: nn.Module, optimizer: torch.optim.Optimizer
) -> Checkpoint:
    """Puts weights and moments back where they were.

    Raises TrainingError for a damaged file, or one of a run with other settings.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"cannot resume from {path}: {error}. Remove it to begin anew."
        ) from error
    if metadata.get("run") != run:
        raise TrainingError(
            f"{path} is of a run with other settings. Give the same ones to --resume, or leave "
            "--resume out to begin anew."
        )
    best = {name.removeprefix("best."): tensors[name] for name in tensors if name[:5] == "best."}
    with torch.no_grad():
        for name, weight in mlp.named_parameters():
            weight.copy_(tensors[f"now.{name}"])
            prefix = f"adam.{name}."
            moments = {
                k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)
            }
            # Adam keeps its step counter on the CPU.
            optimizer.state[weight] = {
                k: v if k == "step" else v.to(weight.device) for k, v in moments.items()
            }
    return Checkpoint(best, json.loads(metadata["scores"]), json.loads(metadata["history"]))


def run_key(config: AlignmentTrainingConfig, train: Samples) -> str:
    """Equal for runs that may continue one another."""
    facts = {name: value for name, value in asdict(config).items() if name not in _FREE}
    facts["samples"] = train.key
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
