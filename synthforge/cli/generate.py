"""generate_synthforge_data.py: options -> config -> one run -> report."""

from __future__ import annotations

import heapq
import os
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthforge.cli.config_option import config_option
from synthforge.cli.launch import started
from synthforge.cli.options import Command
from synthforge.cli.parts_options import parts_options
from synthforge.cli.run_options import run_options, take_run
from synthforge.cli.sampling_options import RANGES, SHARES, sampling_options, take_overrides
from synthforge.cli.shard import slurm_shard
from synthforge.cli.threads import limit_threads
from synthforge.config import BATCH_SIZES, AssetPaths, PartsConfig, RunConfig, Shard
from synthforge.dataset.folder import CONTACT_SHEET, REJECTIONS, check_output_dir, counted
from synthforge.errors import ConfigError
from synthforge.generators.known import GENERATORS
from synthforge.sampling_config import ATTRIBUTES, HAIR

if TYPE_CHECKING:
    from synthforge.dataset.sample import Sample
    from synthforge.dataset.sink import Writer
    from synthforge.dataset.target import Target
    from synthforge.grid import Grid
    from synthforge.pipeline import Summary

_PEOPLE = tuple(name for name, (field, _) in RANGES.items() if field in ATTRIBUTES)
_SECTIONS = {
    "Dataset": [
        "output_dir",
        "num_images",
        "start_index",
        "seed",
        "extras",
        "keypoints",
        "recipe",
        "like",
        "like_jitter",
        "like_identity",
        "config",
    ],
    "Storage": ("format", "samples_per_tar"),
    "Scale; the samples do not depend on it": ("workers", "ray_address", "shard", "batch_size"),
    "The built-in head's people, drawn uniformly from LOW to HIGH": _PEOPLE,
    "What the built-in head's people wear, and their hair": (*SHARES, *HAIR),
    "Drawn uniformly from LOW to HIGH": (*(name for name in RANGES if name not in _PEOPLE), "cut"),
    "Generator": ("generator", "device", "rasterizer"),
    "Quality gate": ("detector", "reject_px", "max_attempts"),
    **{
        known.title: (*known.options, *known.speed_options)
        for known in GENERATORS.values()
        if known.options or known.speed_options
    },
    "Files": ("pretrained_dir", "model_dir", "alignment", "force_alignment"),
}

_EPILOG = """\b
Examples:
  {name} --output_dir faces --num_images 1000
  {name} --output_dir elders --num_images 100 --age 65 85
  {name} --output_dir profiles --num_images 100 --yaw 1.2 1.57 --pitch -0.2 0.2
  {name} --output_dir faces2 --config examples/run.toml --seed 7

Ranges in radians: 0.1 is 6 degrees, 0.5 is 29, 1 is 57. Defaults are from: {sources}.
The built-in head: with --shape, age to ancestry follow from the coefficients; the coefficients of
--expression are activations of face actions, held in 0 to 1.
""".format(
    name="generate_synthforge_data.py",
    sources="; ".join(f"{name}, {known.sampling_source}" for name, known in GENERATORS.items()),
)


@click.command(cls=Command, sections=_SECTIONS, epilog=_EPILOG)
@run_options
@config_option
@sampling_options
@parts_options
def generate(pretrained_dir: Path | None, model_dir: Path | None, **options: Any) -> None:
    """Write a dataset of labelled synthetic faces.

    Each sample is an image with depth, segmentation, 68 keypoints and head parameters. The same
    command run again continues where the last run stopped.
    """
    if options["shard"] is None:
        options["shard"] = slurm_shard(os.environ)
        if options["shard"] != Shard():
            _tell(f"Shard: {options['shard']}, as Slurm numbers this task; --shard 0/1 draws all")
    like = options["like"]
    overrides = take_overrides(options)
    default_batch = options["batch_size"] is None
    grid: Grid | None = overrides.get("grid")
    run = take_run(options, grid)
    parts = PartsConfig(
        **options,
        sampling_overrides=overrides,
        assets=AssetPaths(pretrained_dir, model_dir),
    )
    limit_threads(parts)
    from synthforge.assembly import build_rig, check_labels
    from synthforge.batches import make_samples
    from synthforge.dataset.card import dataset_card
    from synthforge.dataset.shards.record import REJECTED
    from synthforge.dataset.shards.write import ShardWriter, check_target
    from synthforge.dataset.target import open_target
    from synthforge.dataset.write import DatasetWriter
    from synthforge.engines import pick_engine
    from synthforge.given_files import record_of
    from synthforge.pipeline import Summary, generate_dataset
    from synthforge.plan import inside
    from synthforge.sampling import SampleId

    started()
    if run.ray_address is not None:
        from synthforge.ray_tasks import join

        join(run.ray_address, parts.device)
    target = open_target(run.output_dir)
    if run.format == "webdataset":
        check_target(target)
    else:
        check_output_dir(Path(run.output_dir))
    rig = build_rig(parts, _tell)
    if default_batch:
        run = replace(run, batch_size=BATCH_SIZES[rig.device.type])
    check_labels(rig, run.extras, run.keypoints)

    def redraw(index: int, attempt: int) -> Sample | None:
        _tell(f"dataset.json is lost: drawing sample {index} again to compare")
        samples, _ = make_samples(
            [SampleId(run.seed, index, attempt)], rig, run.extras, run.keypoints
        )
        return samples[0] if samples else None

    files = record_of({"like": like, "alignment": parts.alignment})
    card = dataset_card(run, rig, files)
    writer: Writer
    if run.format == "webdataset":
        writer = ShardWriter(target, card, run)
    else:
        writer = DatasetWriter(Path(run.output_dir), card, run.extras, redraw, run.indices)
    missing = len(run.indices) - len(inside(run.indices, writer.there))
    if missing or not writer.has_card:
        writer.check_room(missing)
        writer.open()
        try:
            engine = pick_engine(run, rig, writer, missing, _tell)
            del rig  # several workers have their own
            summary = generate_dataset(run, writer, engine)
        finally:
            writer.close()
    else:  # the disk may be read-only
        summary = Summary(already_there=len(run.indices))
    writer.write_index()
    summary.already_there -= len(writer.given_up)
    summary.given_up += writer.given_up
    if run.start_index in run.indices:  # else another shard draws the sheet
        _draw_sheet(run, writer, target, summary)
    _report(summary, target)
    if summary.given_up:
        log = REJECTED if run.format == "webdataset" else REJECTIONS
        again = "Raise --max_attempts to continue, or start"
        if grid is not None and grid.is_full:
            again = "A full grid draws none again; start"
        raise ConfigError(
            f"{len(summary.given_up)} of {counted(len(run.indices), 'image')} "
            f"{'was' if len(summary.given_up) == 1 else 'were'} rejected "
            f"{counted(run.max_attempts, 'time')} each; see {target.where(log)}. {again} "
            "a new folder with a higher --reject_px"
        )


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _draw_sheet(run: RunConfig, writer: Writer, target: Target, summary: Summary) -> None:
    """Draw the contact sheet, where samples are new or it is missing and can be written."""
    from synthforge.dataset.contact_sheet import SAMPLES, write_contact_sheet

    root = target.where()
    is_writable = isinstance(root, str) or os.access(root, os.W_OK)
    if summary.written or (is_writable and CONTACT_SHEET not in target.names()):
        likely = heapq.merge(range(SAMPLES), writer.there[:SAMPLES].tolist(), run.indices)
        write_contact_sheet(root, (index for index, _ in groupby(likely)))


def _report(summary: Summary, target: Target) -> None:
    there = f", {summary.already_there} were there" if summary.already_there else ""
    if summary.already_there == 1:
        there = ", 1 was there"
    written = counted(summary.written, "sample")
    click.echo(f"{written} written to {click.format_filename(target.where())}{there}")
    if summary.rejected:
        reasons = ", ".join(f"{reason} {n}" for reason, n in summary.rejected.most_common())
        click.echo(f"{summary.acceptance:.1%} of draws accepted; rejected: {reasons}")
    if CONTACT_SHEET in target.names():
        click.echo(f"Contact sheet: {click.format_filename(target.where(CONTACT_SHEET))}")
