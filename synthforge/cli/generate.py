"""generate_synthforge_data.py: options -> config -> one run -> report."""

from __future__ import annotations

import heapq
import math
import os
from dataclasses import fields, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from synthforge.cli.launch import started
from synthforge.cli.options import (
    AutoOrCount,
    Command,
    PathOption,
    TargetOption,
    asset_options,
    config_option,
    range_option,
)
from synthforge.cli.shard import shard_option, slurm_shard
from synthforge.cli.threads import limit_threads
from synthforge.config import (
    ATTRIBUTES,
    FRAMING,
    LIKE_JITTER,
    MANNEQUIN_SAMPLING,
    AssetPaths,
    ConfigError,
    DetectorName,
    Distribution,
    FormatName,
    PartsConfig,
    Precision,
    Range,
    RasterizerName,
    RunConfig,
    Shard,
    Variant,
)
from synthforge.dataset.folder import CONTACT_SHEET, REJECTIONS, check_output_dir
from synthforge.generators.known import CHOICES, GENERATORS
from synthforge.grid import Grid
from synthforge.labels import EXTRAS, SCHEMES
from synthforge.recipe_files import read_recipe

if TYPE_CHECKING:
    from synthforge.dataset.sample import Sample
    from synthforge.dataset.target import Target
    from synthforge.pipeline import Summary

# Option -> field of SamplingConfig, and what it means.
_RANGES = {
    "age": ("age_years", "Years, 3 to 85"),
    "sex": ("sex", "0 is female, 1 is male"),
    "weight": ("weight", "0 is thin, 1 heavy, for people of that age and sex"),
    "african": ("african", "Share of African ancestry, 0 to 1"),
    "asian": ("asian", "Share of Asian ancestry, 0 to 1"),
    "caucasian": ("caucasian", "Share of Caucasian ancestry, 0 to 1; the three sum to 1"),
    "shape": ("shape", "Identity coefficients, standard deviations"),
    "expression": ("expression", "Expression coefficients"),
    "jaw": ("jaw_rad", "Opening of the jaw, radians"),
    "head_yaw": ("head_yaw_rad", "Turn of the head, radians; positive is to its left"),
    "head_pitch": ("head_pitch_rad", "Nod of the head, radians; positive is down"),
    "head_roll": ("head_roll_rad", "Tilt of the head, radians; positive is to its right"),
    "yaw": ("yaw_rad", "Camera round the head, radians; positive is the subject's left"),
    "pitch": ("pitch_rad", "Camera over or under the head, radians; positive is under"),
    "fov": ("fov_deg", "Diagonal field of view, degrees"),
    "face_size": ("face_size", "Larger side of the face, image widths; instead of --fov"),
    "offset_x": ("offset_x", "Face off the image's centre, image widths; positive is right"),
    "offset_y": ("offset_y", "Face off the image's centre, image widths; positive is down"),
}
# Fields of SamplingConfig that are shares, and of what.
_SHARES = {
    "glasses": "Share with glasses or sunglasses",
    "headwear": "Share with a cap, beanie, hat or headscarf",
    "mask": "Share with a medical mask",
    "earrings": "Share with earrings",
    "occluders": "Share with a microphone, phone or cup before the face",
}

_RUN = tuple(entry.name for entry in fields(RunConfig))
_PEOPLE = tuple(name for name, (field, _) in _RANGES.items() if field in ATTRIBUTES)


def _range_help(field: str, meaning: str) -> str:
    texts = {
        name: _range_text(getattr(known.sampling, field), field)
        for name, known in GENERATORS.items()
        if (known.has_attributes or field not in ATTRIBUTES)
        and (known.has_framing or field not in FRAMING)
    }
    named = [f"{name} {text}" if len(texts) > 1 else text for name, text in texts.items()]
    return f"{meaning}.  [default: {'; '.join(named)}]"


def _range_text(drawn: Distribution | None, field: str) -> str:
    if drawn is None:
        return "as people vary"
    if not field.endswith("_rad") or drawn == Range(0, 0):
        return str(drawn)
    return f"{drawn} = {math.degrees(drawn.low):.0f} {math.degrees(drawn.high):.0f} deg"


def _names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = (name.strip().replace("-", "_") for name in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _with_ranges(function: Any) -> Any:
    for option, (field, meaning) in reversed(_RANGES.items()):
        function = range_option(option, _range_help(field, meaning))(function)
    for name, meaning in reversed(_SHARES.items()):
        default = getattr(MANNEQUIN_SAMPLING, name)
        text = f"{meaning}, 0 to 1.  [default: {default:g}]"
        function = click.option(f"--{name}", type=float, default=None, metavar="SHARE", help=text)(
            function
        )
    return function


_SECTIONS = {
    "Dataset": (
        *(
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
        ),
    ),
    "Storage": ("format", "samples_per_tar"),
    "Scale; the samples do not depend on it": ("workers", "ray_address", "shard", "batch_size"),
    "The built-in head's people, drawn uniformly from LOW to HIGH": _PEOPLE,
    "What the built-in head's people wear": tuple(_SHARES),
    "Drawn uniformly from LOW to HIGH": (
        *(name for name in _RANGES if name not in _PEOPLE),
        "cut",
    ),
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
@click.option(
    "--output_dir",
    type=TargetOption(),
    required=True,
    help="A new folder, or one to continue; for shards also s3://..., gs://... by fsspec.",
)
@click.option(
    "--num_images",
    type=int,
    default=None,
    help="Images in the dataset.  [default: all of the recipe's grid]",
)
@click.option("--seed", type=int, default=RunConfig.seed, help="Another seed draws other samples.")
@click.option(
    "--start_index",
    type=int,
    default=RunConfig.start_index,
    help="Number of the first image.",
)
@click.option(
    "--format",
    type=click.Choice(get_args(FormatName)),
    default=RunConfig.format,
    help="folder: files of their own; webdataset: tar shards, for large datasets.",
)
@click.option(
    "--samples_per_tar",
    type=int,
    default=RunConfig.samples_per_tar,
    help="Samples in a shard, which a stopped run draws anew; 1000 are about 0.4 GB.",
)
@click.option(
    "--generator",
    type=click.Choice(CHOICES),
    default=PartsConfig.generator,
    help="auto: next3d if all of its files are there, mannequin if none are.",
)
@click.option("--device", default=PartsConfig.device, help="auto, cpu, cuda:0 ...")
@click.option(
    "--batch_size",
    type=int,
    default=RunConfig.batch_size,
    help="Images at once, in each worker.",
)
@click.option(
    "--recipe",
    type=PathOption(dir_okay=False),
    default=None,
    help="TOML file of distributions, and of which images share a person or a view: see recipes/.",
)
@click.option(
    "--like",
    type=PathOption(dir_okay=False),
    default=None,
    help="Poses, framings and expressions like those in photographs: a file of `synthforge fit`.",
)
@click.option(
    "--like_jitter",
    type=float,
    default=LIKE_JITTER,
    help="How far samples stray from the photographs' faces, in their standard deviations.",
)
@click.option("--like_identity", is_flag=True, help="Give samples the photographs' shapes as well.")
@click.option(
    "--workers",
    type=AutoOrCount(),
    default=RunConfig.workers,
    help="Processes that draw. auto: one a GPU; on the CPU one a core for the built-in head.",
)
@click.option(
    "--ray_address",
    default=RunConfig.ray_address,
    metavar="auto|HOST:PORT",
    help="Draw on a Ray cluster, where all nodes see --output_dir. auto: of this node.  [default: "
    "this machine alone]",
)
@shard_option
@config_option
@_with_ranges
@click.option(
    "--cut",
    type=float,
    default=None,
    show_default=False,
    help="Share of the images whose border cuts the face, 0 to 1; built-in head.  [default: 0]",
)
@click.option(
    "--extras",
    default=",".join(RunConfig.extras),
    show_default=False,
    callback=_names,
    metavar="A,B,...",
    help=f"Further folders: {', '.join(EXTRAS)}.  [default: none]",
)
@click.option(
    "--keypoints",
    default=",".join(RunConfig.keypoints),
    show_default=False,
    callback=_names,
    metavar="A,B,...",
    help=f"Further keypoints, beside iBUG's 68: {', '.join(SCHEMES)}.  [default: none]",
)
@click.option(
    "--rasterizer",
    type=click.Choice(get_args(RasterizerName)),
    default=PartsConfig.rasterizer,
    help="auto: pytorch3d on a GPU where it is installed. The labels are the same.",
)
@click.option(
    "--detector",
    type=click.Choice(get_args(DetectorName)),
    default=PartsConfig.detector,
    help="Landmark detector of the quality gate; auto: mesh, and none for the built-in head, whose "
    "labels are exact.",
)
@click.option(
    "--reject_px",
    type=float,
    default=PartsConfig.reject_px,
    help="Reject above this mean landmark distance, pixels.  [default: the detector's own]",
)
@click.option(
    "--max_attempts",
    type=int,
    default=RunConfig.max_attempts,
    help="Rejected draws of an image before it is given up.",
)
@click.option(
    "--truncation_psi",
    type=float,
    default=PartsConfig.truncation_psi,
    help="Truncation psi: 1 is full variety, 0 the average face.",
)
@click.option(
    "--truncation_cutoff",
    type=int,
    default=PartsConfig.truncation_cutoff,
    help="Truncate the first so many style vectors.",
)
@click.option(
    "--variant",
    type=click.Choice(get_args(Variant)),
    default=PartsConfig.variant,
    help="front: neural texture on the frontal plane, as SynthForge; original: on all three.",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default=PartsConfig.precision,
    help="Of the convolutions; fp16 and tf32 need a GPU.",
)
@click.option("--compile", is_flag=True, help="torch.compile the networks; for long runs.")
@click.option(
    "--alignment",
    type=PathOption(),
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
    if options["shard"] is None:
        options["shard"] = slurm_shard(os.environ)
        if options["shard"] != Shard():
            _tell(f"Shard: {options['shard']}, as Slurm numbers this task; --shard 0/1 draws all")
    ranges = {field: options.pop(option) for option, (field, _) in _RANGES.items()}
    recipe = options.pop("recipe")
    overrides = read_recipe(recipe) if recipe is not None else {}
    ranges["cut"] = options.pop("cut")
    shares = {name: options.pop(name) for name in _SHARES}
    like, jitter, identity = (options.pop(f"like{part}") for part in ("", "_jitter", "_identity"))
    if like is not None:
        from synthforge.like import read_like

        overrides["like"] = read_like(like, jitter, identity)
    elif identity:
        raise ConfigError("--like_identity needs --like, the file whose shapes it means")
    overrides |= {name: drawn for name, drawn in (ranges | shares).items() if drawn is not None}
    run = _with_grid({name: options.pop(name) for name in _RUN}, overrides.get("grid"))
    parts = PartsConfig(
        **options,
        sampling_overrides=overrides,
        assets=AssetPaths(pretrained_dir, model_dir),
    )
    limit_threads(parts)
    from synthforge.assembly import build_rig, check_labels
    from synthforge.dataset.card import dataset_card
    from synthforge.dataset.contact_sheet import SAMPLES, write_contact_sheet
    from synthforge.dataset.shards.record import REJECTED
    from synthforge.dataset.shards.write import ShardWriter, check_target
    from synthforge.dataset.target import open_target
    from synthforge.dataset.write import DatasetWriter
    from synthforge.engines import pick_engine
    from synthforge.pipeline import Summary, generate_dataset, make_samples
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
    check_labels(rig, run.extras, run.keypoints)

    def redraw(index: int, attempt: int) -> Sample | None:
        _tell(f"dataset.json is lost: drawing sample {index} again to compare")
        samples, _ = make_samples(
            [SampleId(run.seed, index, attempt)], rig, run.extras, run.keypoints
        )
        return samples[0] if samples else None

    card = dataset_card(run, rig)
    writer: ShardWriter | DatasetWriter
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
    if isinstance(writer, ShardWriter):
        summary.already_there -= len(writer.given_up)
        summary.given_up += writer.given_up
    root = target.where()
    is_writable = isinstance(root, str) or os.access(root, os.W_OK)
    can_draw = is_writable and CONTACT_SHEET not in target.names()
    if run.start_index in run.indices and (summary.written or can_draw):  # else another shard does
        likely = heapq.merge(range(SAMPLES), writer.there[:SAMPLES].tolist(), run.indices)
        write_contact_sheet(run.output_dir, (index for index, _ in groupby(likely)))
    _report(summary, target)
    if summary.given_up:
        log = REJECTED if run.format == "webdataset" else REJECTIONS
        again = "Raise --max_attempts to continue, or start"
        if _is_full(overrides.get("grid")):
            again = "A full grid draws none again; start"
        raise ConfigError(
            f"{len(summary.given_up)} of {len(run.indices)} images were rejected "
            f"{run.max_attempts} times each; see {target.where(log)}. {again} "
            "a new folder with a higher --reject_px"
        )


def _is_full(grid: Grid | None) -> bool:
    """Whether another draw of a sample would be the same."""
    return grid is not None and grid.order == "grid"


def _with_grid(settings: dict[str, Any], grid: Grid | None) -> RunConfig:
    """The run, with what the recipe's grid says of its number of images."""
    if settings["num_images"] is None:
        if grid is None or grid.size is None:
            raise ConfigError(
                "--num_images is missing; give it, or a --recipe whose grid has identities"
            )
        settings["num_images"] = max(grid.size - settings["start_index"], 1)
    run = RunConfig(**settings)
    end = run.start_index + run.num_images
    if grid is not None and grid.size is not None and end > grid.size:
        raise ConfigError(
            f"the recipe's grid has {grid.size} images and this run would end at "
            f"{end}; give a smaller --num_images or --start_index, or more identities"
        )
    return replace(run, max_attempts=1) if _is_full(grid) else run


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _report(summary: Summary, target: Target) -> None:
    there = f", {summary.already_there} were there" if summary.already_there else ""
    click.echo(
        f"{summary.written} samples written to {click.format_filename(target.where())}{there}"
    )
    if summary.rejected:
        reasons = ", ".join(f"{reason} {n}" for reason, n in summary.rejected.most_common())
        click.echo(f"{summary.acceptance:.1%} of draws accepted; rejected: {reasons}")
    if CONTACT_SHEET in target.names():
        click.echo(f"Contact sheet: {click.format_filename(target.where(CONTACT_SHEET))}")
