"""Options that say which parts make samples: PartsConfig."""

from __future__ import annotations

from typing import get_args

import click

from synthforge.cli.options import PathOption, asset_options, stacked
from synthforge.config import (
    PRECISIONS,
    DetectorName,
    PartsConfig,
    Precision,
    RasterizerName,
    Variant,
)
from synthforge.generators.known import CHOICES

generator_option = click.option(
    "--generator",
    type=click.Choice(CHOICES),
    default=PartsConfig.generator,
    help="auto: next3d if all of its files are there, mannequin if none are.",
)
device_option = click.option("--device", default=PartsConfig.device, help="auto, cpu, cuda:0 ...")

parts_options = stacked(
    generator_option,
    device_option,
    click.option(
        "--rasterizer",
        type=click.Choice(get_args(RasterizerName)),
        default=PartsConfig.rasterizer,
        help="auto: pytorch3d on a GPU where it is installed. The labels are the same.",
    ),
    click.option(
        "--detector",
        type=click.Choice(get_args(DetectorName)),
        default=PartsConfig.detector,
        help="Landmark detector of the quality gate; auto: mesh, and none for the built-in head, "
        "whose labels are exact.",
    ),
    click.option(
        "--reject_px",
        type=float,
        default=PartsConfig.reject_px,
        help="Reject above this mean landmark distance, pixels.  [default: the detector's own]",
    ),
    click.option(
        "--truncation_psi",
        type=float,
        default=PartsConfig.truncation_psi,
        help="Truncation psi: 1 is full variety, 0 the average face.",
    ),
    click.option(
        "--truncation_cutoff",
        type=int,
        default=PartsConfig.truncation_cutoff,
        help="Truncate the first so many style vectors.",
    ),
    click.option(
        "--variant",
        type=click.Choice(get_args(Variant)),
        default=PartsConfig.variant,
        help="front: neural texture on the frontal plane, as SynthForge; original: on all three.",
    ),
    click.option(
        "--precision",
        type=click.Choice(get_args(Precision)),
        default=PartsConfig.precision,
        help="Of the convolutions; fp16 and tf32 need a GPU.  "
        "[default: {cpu}, on a GPU {cuda}]".format(**PRECISIONS),
    ),
    click.option("--compile", is_flag=True, help="torch.compile the networks; for long runs."),
    click.option(
        "--alignment",
        type=PathOption(),
        default=None,
        help="Weights of train_alignment_mlp.py, or fixMapMLP01.pth.  [default: the generator's "
        "own]",
    ),
    click.option(
        "--force_alignment", is_flag=True, help="Use weights of another generator or head."
    ),
    asset_options,
)
