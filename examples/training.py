"""Training a net on augmented views, with a bar, validation, a plot and the saved net."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from matplotlib import pyplot
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EACH = 200  # steps from a validation to the next
_OPTIONS = (
    click.argument("dataset", type=FOLDER),
    click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder."),
    click.option("--samples", type=click.IntRange(2), help="The first so many.  [default: all]"),
    click.option("--steps", type=click.IntRange(1), default=3000, show_default=True),
    click.option("--batch_size", type=click.IntRange(1), default=48, show_default=True),
    click.option("--seed", type=int, default=0, show_default=True),
)


def training_options(command: Callable) -> Callable:
    """The arguments of a `train` command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


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


def read_net(folder: Path) -> tuple[dict[str, Tensor], dict]:
    """Weights and facts that `save_net` wrote."""
    if not (folder / "net.safetensors").exists():
        raise click.UsageError(f"{folder} holds no net.safetensors; name the --out of `train`")
    with safe_open(folder / "net.safetensors", framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return weights, json.loads(file.metadata()["facts"])
