"""Options that say which samples a run makes and where they go: RunConfig."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, get_args

import click

from synthforge.cli.options import AutoOrCount, TargetOption, split_names, stacked
from synthforge.cli.shard import shard_option
from synthforge.config import BATCH_SIZES, FormatName, RunConfig
from synthforge.dataset.folder import counted
from synthforge.errors import ConfigError
from synthforge.grid import Grid
from synthforge.labels import EXTRAS, SCHEMES

# A file system of fsspec that ends with the process.
OF_THE_PROCESS = "memory://"

run_options = stacked(
    click.option(
        "--output_dir",
        type=TargetOption(),
        required=True,
        help="A new folder, or one to continue; for shards also s3://..., gs://... by fsspec.",
    ),
    click.option(
        "--num_images",
        type=int,
        default=None,
        help="Images in the dataset.  [default: all of the recipe's grid]",
    ),
    click.option(
        "--seed", type=int, default=RunConfig.seed, help="Another seed draws other samples."
    ),
    click.option(
        "--start_index",
        type=int,
        default=RunConfig.start_index,
        help="Number of the first image.",
    ),
    click.option(
        "--format",
        type=click.Choice(get_args(FormatName)),
        default=RunConfig.format,
        help="folder: files of their own; webdataset: tar shards, for large datasets.",
    ),
    click.option(
        "--samples_per_tar",
        type=int,
        default=RunConfig.samples_per_tar,
        help="Samples in a shard, which a stopped run draws anew; 1000 are about 0.4 GB.",
    ),
    click.option(
        "--batch_size",
        type=int,
        default=None,
        help="Images at once, in each worker.  [default: {cpu}, on a GPU {cuda}]".format(
            **BATCH_SIZES
        ),
    ),
    click.option(
        "--workers",
        type=AutoOrCount(),
        default=RunConfig.workers,
        help="Processes that draw. auto: one a GPU; on the CPU one a core for the built-in head.",
    ),
    click.option(
        "--ray_address",
        default=RunConfig.ray_address,
        metavar="auto|HOST:PORT",
        help="Draw on a Ray cluster, where all nodes see --output_dir. auto: of this node.  "
        "[default: this machine alone]",
    ),
    click.option(
        "--extras",
        default=",".join(RunConfig.extras),
        show_default=False,
        callback=split_names,
        metavar="A,B,...",
        help=f"Further folders: {', '.join(EXTRAS)}.  [default: none]",
    ),
    click.option(
        "--keypoints",
        default=",".join(RunConfig.keypoints),
        show_default=False,
        callback=split_names,
        metavar="A,B,...",
        help=f"Further keypoints, beside iBUG's 68: {', '.join(SCHEMES)}.  [default: none]",
    ),
    click.option(
        "--max_attempts",
        type=int,
        default=RunConfig.max_attempts,
        help="Rejected draws of an image before it is given up.",
    ),
    shard_option,
)


def take_run(options: dict[str, Any], grid: Grid | None) -> RunConfig:
    """The run that the options say, taken out of them, with what the recipe's grid says of it."""
    settings = {entry.name: options.pop(entry.name) for entry in fields(RunConfig)}
    if settings["batch_size"] is None:  # then the device's, once that is known
        del settings["batch_size"]
    if settings["num_images"] is None:
        if grid is None or grid.size is None:
            raise ConfigError(
                "--num_images is missing; give it, or a --recipe whose grid has identities"
            )
        settings["num_images"] = max(grid.size - settings["start_index"], 1)
    run = RunConfig(**settings)
    if str(run.output_dir).startswith(OF_THE_PROCESS):
        raise ConfigError(
            f"--output_dir {run.output_dir} is memory of this process, which ends with it; give a "
            "folder or a URL such as s3://bucket/faces"
        )
    end = run.start_index + run.num_images
    if grid is not None and grid.size is not None and end > grid.size:
        raise ConfigError(
            f"the recipe's grid has {counted(grid.size, 'image')} and this run would end at "
            f"{end}; give a smaller --num_images or --start_index, or more identities"
        )
    return replace(run, max_attempts=1) if grid is not None and grid.is_full else run
