"""generate_synthforge_data.py: options -> config -> one run -> report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from synthforge.assembly import build_rig
from synthforge.cli.options import Command, asset_options, config_option, range_option
from synthforge.config import (
    DEFAULT_SAMPLING,
    SAMPLING_SOURCE,
    AssetPaths,
    ConfigError,
    DetectorName,
    ExtraName,
    GenerateConfig,
    GeneratorName,
    Precision,
    RasterizerName,
    Variant,
)
from synthforge.dataset.card import dataset_card
from synthforge.dataset.contact_sheet import write_contact_sheet
from synthforge.dataset.write import REJECTIONS, DatasetWriter, check_output_dir
from synthforge.pipeline import Summary, generate_dataset

DEFAULTS = GenerateConfig(output_dir=Path(), num_images=1)

# Option -> field of SamplingConfig, and what it means.
_RANGES = {
    "shape": ("shape", "FLAME identity coefficients"),
    "expression": ("expression", "FLAME expression coefficients"),
    "jaw": ("jaw_rad", "opening of the jaw, radians"),
    "head_yaw": ("head_yaw_rad", "turn of the head to its left, radians"),
    "head_pitch": ("head_pitch_rad", "nod of the head, radians"),
    "yaw": ("yaw_rad", "camera round the head, radians; positive is the subject's left"),
    "pitch": ("pitch_rad", "camera over and under the head, radians; positive is under"),
    "fov": ("fov_deg", "diagonal field of view, degrees"),
}


def _range_help(field: str, meaning: str) -> str:
    defaults = ", ".join(
        f"{name} {getattr(sampling, field)}" for name, sampling in DEFAULT_SAMPLING.items()
    )
    return f"{meaning}.  [default: {defaults}]"


def _extras(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = (name.strip().replace("-", "_") for name in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _with_ranges(function: Any) -> Any:
    for option, (field, meaning) in reversed(_RANGES.items()):
        function = range_option(option, _range_help(field, meaning))(function)
    return function


_EPILOG = "Default ranges are from: " + "; ".join(
    f"{name}, {source}" for name, source in SAMPLING_SOURCE.items()
)


@click.command(cls=Command, epilog=_EPILOG + ".")
@click.option(
    "--output_dir",
    type=click.Path(path_type=Path),
    required=True,
    help="A new folder, or one to continue.",
)
@click.option("--num_images", type=int, required=True, help="Images in the dataset.")
@click.option("--seed", type=int, default=DEFAULTS.seed, help="Another seed, other samples.")
@click.option(
    "--start_index",
    type=int,
    default=DEFAULTS.start_index,
    help="Number of the first image; for sharing a dataset among machines.",
)
@click.option(
    "--generator",
    type=click.Choice(get_args(GeneratorName)),
    default=DEFAULTS.generator,
    help="auto: next3d if all of its files are there, mannequin if none are.",
)
@click.option("--device", default=DEFAULTS.device, help="auto, cpu, cuda:0 ...")
@click.option(
    "--batch_size",
    type=int,
    default=DEFAULTS.batch_size,
    help="Images at once; the samples do not depend on it.",
)
@config_option
@_with_ranges
@click.option(
    "--extras",
    default=",".join(DEFAULTS.extras),
    show_default=False,
    callback=_extras,
    metavar="A,B,...",
    help=f"Further folders: {', '.join(get_args(ExtraName))}.  [default: none]",
)
@click.option(
    "--rasterizer",
    type=click.Choice(get_args(RasterizerName)),
    default=DEFAULTS.rasterizer,
    help="auto: pytorch3d on a GPU where it is installed. The labels are the same.",
)
@click.option(
    "--detector",
    type=click.Choice(get_args(DetectorName)),
    default=DEFAULTS.detector,
    help="Landmark detector of the quality gate.",
)
@click.option(
    "--reject_px",
    type=float,
    default=DEFAULTS.reject_px,
    help="Reject above this mean landmark distance.",
)
@click.option(
    "--max_attempts",
    type=int,
    default=DEFAULTS.max_attempts,
    help="Rejected draws of an image before it is given up.",
)
@click.option(
    "--truncation_psi", type=float, default=DEFAULTS.truncation_psi, help="Next3D: variety."
)
@click.option(
    "--truncation_cutoff",
    type=int,
    default=DEFAULTS.truncation_cutoff,
    help="Next3D: layers truncated.",
)
@click.option(
    "--variant",
    type=click.Choice(get_args(Variant)),
    default=DEFAULTS.variant,
    help="Next3D: front, SynthForge's texture on the frontal plane; original, on all three.",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default=DEFAULTS.precision,
    help="Next3D: of its convolutions; fp16 and tf32 need a GPU.",
)
@click.option("--compile", is_flag=True, help="Next3D: torch.compile its networks, for long runs.")
@click.option(
    "--alignment",
    type=click.Path(path_type=Path),
    default=None,
    help="Weights of train_alignment_mlp.py, or fixMapMLP01.pth.  [default: the generator's own]",
)
@click.option("--force_alignment", is_flag=True, help="Use weights of another generator or head.")
@asset_options
def generate(pretrained_dir: Path | None, model_dir: Path | None, **options: Any) -> None:
    """Write a dataset of labelled synthetic faces.

    Each sample is an image with depth, segmentation, 68 keypoints and head parameters. The same
    command run again continues where the last run stopped.
    """
    ranges = {field: options.pop(option) for option, (field, _) in _RANGES.items()}
    config = GenerateConfig(
        **options,
        sampling_overrides={name: drawn for name, drawn in ranges.items() if drawn is not None},
        assets=AssetPaths(pretrained_dir, model_dir),
    )
    check_output_dir(config.output_dir)
    rig = build_rig(config, tell=lambda line: click.echo(line, err=True))
    writer = DatasetWriter(config.output_dir, dataset_card(config, rig), config.extras)
    there = sum(index in config.indices for index in writer.indices())
    writer.check_room(config.num_images - there)
    writer.open()
    try:
        summary = generate_dataset(config, rig, writer)
    finally:
        writer.close()
    sheet = write_contact_sheet(config.output_dir)
    _report(summary, config.output_dir, sheet)
    if summary.given_up:
        raise ConfigError(
            f"{len(summary.given_up)} of {config.num_images} images were rejected "
            f"{config.max_attempts} times each; see {config.output_dir / REJECTIONS}. Raise "
            "--max_attempts to continue, or start a new folder with a higher --reject_px"
        )


def _report(summary: Summary, root: Path, sheet: Path) -> None:
    there = f", {summary.already_there} were there" if summary.already_there else ""
    click.echo(f"{summary.written} samples written to {root}{there}")
    if summary.rejected:
        reasons = ", ".join(f"{reason} {n}" for reason, n in summary.rejected.most_common())
        click.echo(f"{summary.acceptance:.1%} of draws accepted; rejected: {reasons}")
    click.echo(f"Contact sheet: {sheet}")
