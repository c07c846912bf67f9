"""train_alignment_mlp.py: options -> config -> one run -> report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from synthforge.alignment_config import AlignmentTrainingConfig
from synthforge.cli.config_option import config_option
from synthforge.cli.launch import started
from synthforge.cli.options import Command, PathOption, asset_options
from synthforge.cli.parts_options import device_option, generator_option
from synthforge.cli.threads import limit_threads
from synthforge.config import Activation, AssetPaths, DetectorName, PartsConfig
from synthforge.dataset.folder import counted

DEFAULTS = AlignmentTrainingConfig()


@click.command(cls=Command)
@click.option(
    "--output",
    type=PathOption(dir_okay=False),
    default=None,
    help="Weights to write.  [default: alignment_<generator>.safetensors in --pretrained_dir]",
)
@click.option("--num_train", type=int, default=DEFAULTS.num_train, help="Samples to train on.")
@click.option("--num_val", type=int, default=DEFAULTS.num_val, help="Samples to validate with.")
@click.option(
    "--epochs", type=int, default=DEFAULTS.epochs, help="Passes over the samples, at most."
)
@click.option("--batch_size", type=int, default=DEFAULTS.batch_size, help="Samples a step.")
@click.option("--lr", type=float, default=DEFAULTS.lr, help="Learning rate at the start.")
@click.option("--seed", type=int, default=DEFAULTS.seed, help="Of the drawn samples.")
@generator_option
@click.option(
    "--detector",
    type=click.Choice(get_args(DetectorName)),
    default=PartsConfig.detector,
    help="Landmark detector; auto: mesh, and none for the built-in head. With none, depth and "
    "chamfer distance alone align.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where a run with the same output stopped. With more --epochs the learning rate "
    "goes on from where it was.",
)
@device_option
@click.option(
    "--cache_dir",
    type=PathOption(file_okay=False),
    default=None,
    help="Drawn samples, for later runs.  [default: alignment_cache beside the output]",
)
@click.option(
    "--hidden", type=int, default=DEFAULTS.hidden, help="Width of the network's hidden layer."
)
@click.option(
    "--activation",
    type=click.Choice(get_args(Activation)),
    default=DEFAULTS.activation,
    help="none, as published: an affine map.",
)
@asset_options
@config_option
def train(pretrained_dir: Path | None, model_dir: Path | None, **options: Any) -> None:
    """Learn where the head truly sits in the generated face.

    Writes the weights, and beside them the curves of the training and a sheet of heads before and
    after. The built-in head needs no alignment: a run with it is only a check.
    """

    def tell(line: str) -> None:
        click.echo(line, err=True)

    parts = PartsConfig(
        **{name: options.pop(name) for name in ("generator", "detector", "device")},
        assets=AssetPaths(pretrained_dir, model_dir),
    )
    config = AlignmentTrainingConfig(**options, parts=parts)
    limit_threads(parts)
    from synthforge.alignment import trained_path
    from synthforge.assembly import build_parts, pick_device
    from synthforge.detectors import build_detector
    from synthforge.fitting.run import curves_path, output_path, overlays_path, train_alignment

    started()
    device = pick_device(parts.device)
    head, generator, _ = build_parts(parts, device, tell)
    detector = build_detector(parts.detector, device, is_aligned=generator.is_aligned)
    result = train_alignment(config, head, generator, detector, device)
    output = output_path(config, generator)
    click.echo(f"Curves: {curves_path(output)}")
    click.echo(f"Before and after: {overlays_path(output)}")
    click.echo(f"Weights: {output}")
    if output == trained_path(pretrained_dir, generator.name):
        click.echo("generate_synthforge_data.py uses them from now on.")
    else:
        click.echo(f"Use them with generate_synthforge_data.py --alignment {output}")
    if result.ended == "interrupted":
        click.echo("Stopped early with the best weights so far; --resume goes on.", err=True)
        click.get_current_context().exit(130)
    if result.ended == "converged":
        click.echo(f"Stopped after {counted(len(result.history), 'epoch')}: no more change.")
