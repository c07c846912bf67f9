"""Training a net on augmented views, with a bar, validation, a plot and the saved net."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path

import click
import numpy as np
import torch
from matplotlib import pyplot
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EACH = 200  # steps from a validation to the next


def training_options(steps: int, batch_size: int) -> Callable[[Callable], Callable]:
    """The arguments of a `train` command, with these defaults."""
    options = (
        click.argument("dataset", type=FOLDER),
        click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder."),
        click.option("--samples", type=click.IntRange(2), help="The first so many. Default: all."),
        click.option("--steps", type=click.IntRange(1), default=steps, show_default=True),
        click.option("--batch_size", type=click.IntRange(1), default=batch_size, show_default=True),
        click.option("--seed", type=int, default=0, show_default=True),
    )
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


def held_out(columns: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The first tenth of each column, to validate with, and the rest, to train on."""
    count = max(len(columns[0]) // 10, 1)
    return [column[:count] for column in columns], [column[count:] for column in columns]


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train_net(
    net: nn.Module,
    draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]],
    loss_of: Callable[[Tensor, Tensor], Tensor],
    validate: Callable[[nn.Module], float],
    out: Path,
    *,
    validated: str,
    steps: int,
    batch_size: int,
    seed: int,
) -> float:
    """Train the net, plot how to out/curves.png, and return the last validation.

    draw: a view float32 [S, S, 3] in 0..1 and its target. validate: a number for the net, which
    `validated` names.
    """
    device = best_device()
    draws = np.random.default_rng(seed)
    net.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps + 1)
    # bfloat16 where the processor has it; elsewhere it would be slower.
    half = device.type == "cuda" or (
        torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    losses, scores = [], []
    with tqdm(total=steps, desc="Training", unit="step") as bar:
        for step in range(1, steps + 1):
            drawn = [draw(draws) for _ in range(batch_size)]
            views = torch.from_numpy(np.stack([view for view, _ in drawn])).permute(0, 3, 1, 2)
            targets = torch.from_numpy(np.stack([target for _, target in drawn])).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                outputs = net(views.to(device, memory_format=torch.channels_last))
            loss = loss_of(outputs, targets)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if step % EACH == 0 or step == steps:
                net.eval()
                scores.append((step, validate(net)))
                net.train()
            shown = f"{scores[-1][1]:.2f}%" if scores else "-"
            bar.set_postfix(loss=f"{losses[-1]:.3f}", val=shown, refresh=False)
            bar.update()
    net.eval()
    out.mkdir(parents=True, exist_ok=True)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(range(1, steps + 1), losses, linewidth=0.5)
    left.set(title="Training loss", xlabel="step", yscale="log")
    right.plot(*zip(*scores, strict=True), marker=".")
    right.set(title=f"Validation: {validated} [%]", xlabel="step", ylim=(0, None))
    figure.savefig(out / "curves.png", dpi=120)
    pyplot.close(figure)
    return scores[-1][1]


def save_net(out: Path, net: nn.Module, facts: dict) -> None:
    """Weights and facts (JSON) as out/net.safetensors."""
    weights = {name: value.cpu().contiguous() for name, value in net.state_dict().items()}
    save_file(weights, out / "net.safetensors", {"facts": json.dumps(facts)})


def net_facts(folder: Path) -> dict:
    """The facts that `save_net` wrote."""
    if not (folder / "net.safetensors").exists():
        raise click.UsageError(f"{folder} holds no net.safetensors; name the --out of `train`")
    with safe_open(folder / "net.safetensors", framework="pt") as file:
        return json.loads(file.metadata()["facts"])


def load_net(folder: Path, net: nn.Module) -> nn.Module:
    """The net with the weights that `save_net` wrote, on the best device, ready to evaluate."""
    net.load_state_dict(load_file(folder / "net.safetensors"))
    return net.to(best_device()).eval()
