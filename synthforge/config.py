"""Which parts make samples, and which samples a run makes: defaults with their source.

Frozen, and validated on construction. The command line reads its options and their defaults from
here; a `--config FILE` in TOML sets the same names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from synthforge.errors import ConfigError
from synthforge.field_types import check_fields
from synthforge.labels import EXTRAS, SCHEMES
from synthforge.sampling_config import (
    ATTRIBUTES,
    FRAMING,
    NEXT3D_SAMPLING,
    POSE,
    SamplingConfig,
    option_name,
)
from synthforge.toml_files import check_keys

RasterizerName = Literal["auto", "torch", "pytorch3d"]
Activation = Literal["none", "tanh", "relu"]
DetectorName = Literal["auto", "mesh", "fan", "none"]
Precision = Literal["fp32", "tf32", "fp16", "bf16"]
Variant = Literal["front", "original"]
FormatName = Literal["folder", "webdataset"]

IMAGE_SIZE = 512
SHAPE_SIZE = 100
EXPRESSION_SIZE = 50

# Where the original's cameras stand, in generator units (formats: radius, pivot of SynthForge).
CAMERA_RADIUS = 2.7
CAMERA_PIVOT = (0.0, 0.0, 0.2)

# Numbers of samples and seeds are stored in 64 bits, and their sums are too.
MAX_INTEGER = 2**62
# Images at once, on the largest GPUs.
_MAX_BATCH = 1024
# Processes of one run, on the largest machines.
_MAX_WORKERS = 1024
# Style vectors of Next3D's networks, and how far beyond their average truncation may go.
_STYLES = 28
_MAX_TRUNCATION = 2


@dataclass(frozen=True)
class AssetPaths:
    """Folders of the user's licensed files; None for one that the user has not named.

    synthforge.assets.locate.default_folder says where those are looked for.
    """

    pretrained_dir: Path | None = None
    model_dir: Path | None = None

    def __post_init__(self) -> None:
        check_fields(self)


# By kind of device, where nothing else is asked for: precision, and samples drawn together. Next3D
# takes 4 GiB besides its weights for 16 samples in fp16.
PRECISIONS: Mapping[str, Precision] = {"cpu": "fp32", "cuda": "fp16"}
BATCH_SIZES: Mapping[str, int] = {"cpu": 4, "cuda": 16}


@dataclass(frozen=True)
class PartsConfig:
    """Which parts make samples: generator and head, device, alignment, detector.

    All that a process needs to build them; it can be pickled.

    generator: "auto" or a name of synthforge.generators.known.
    sampling_overrides: fields of SamplingConfig that are other than the generator's default.
    truncation_psi, truncation_cutoff: the public SynthForge code's 0.7 and 14.
    precision: of Next3D's convolutions; None: the device's of PRECISIONS.
    compile: torch.compile Next3D's networks; takes minutes at first, so for long runs.
    detector: "auto" is none for a generator whose labels are exact, mesh for others.
    reject_px: quality gate, mean distance of detected and projected landmarks in pixels at 512;
    None: the detector's own.
    """

    generator: str = "auto"
    device: str = "auto"
    rasterizer: RasterizerName = "auto"
    sampling_overrides: Mapping[str, Any] = field(default_factory=dict)
    truncation_psi: float = 0.7
    truncation_cutoff: int = 14
    precision: Precision | None = None
    variant: Variant = "front"
    compile: bool = False
    detector: DetectorName = "auto"
    reject_px: float | None = None
    alignment: Path | None = None
    force_alignment: bool = False
    assets: AssetPaths = field(default_factory=AssetPaths)

    def __post_init__(self) -> None:
        check_fields(self)
        check_device(self.device)
        if self.reject_px is not None and not 0 < self.reject_px < math.inf:
            raise ConfigError(f"--reject_px must be a positive number, got {self.reject_px}")
        if not abs(self.truncation_psi) <= _MAX_TRUNCATION:
            raise ConfigError(
                f"--truncation_psi must lie inside -{_MAX_TRUNCATION}..{_MAX_TRUNCATION}, got "
                f"{self.truncation_psi}; 1 is no truncation, 0 the average face"
            )
        if not 0 <= self.truncation_cutoff <= _STYLES:
            raise ConfigError(
                f"--truncation_cutoff must lie inside 0..{_STYLES}, got {self.truncation_cutoff}"
            )
        known = [entry.name for entry in fields(SamplingConfig)]
        check_keys("sampling_overrides", self.sampling_overrides, known)
        replace(NEXT3D_SAMPLING, **self.sampling_overrides)  # raises if a range cannot work
        attributes = [name for name in ATTRIBUTES if name in self.sampling_overrides]
        if attributes and "shape" in self.sampling_overrides:
            raise ConfigError(
                f"--shape and --{option_name(attributes[0])} both say what the people "
                "are; give one of them"
            )
        framed = self.sampling_overrides.get("face_size") is not None
        if framed and "fov_deg" in self.sampling_overrides:
            raise ConfigError(
                "--fov and --face_size both say how large faces are; give one of them"
            )
        grid = self.sampling_overrides.get("grid")
        if self.sampling_overrides.get("like") is not None:
            _check_like(self.sampling_overrides)
        if grid is not None:
            listed = {name for view in grid.listed_views for name in view}
            listed |= {"expression"} if grid.listed_expressions else set()
            for name in self.sampling_overrides:
                if name in listed:
                    raise ConfigError(
                        f"--{option_name(name)} and the recipe's grid both set it; give one of them"
                    )


def _check_like(overrides: Mapping[str, Any]) -> None:
    """Raises ConfigError for what says the same as --like."""
    like = overrides["like"]
    taken: tuple[str, ...] = (*POSE, *FRAMING, "expression", "jaw_rad")
    if "framing" in like.arrays:
        taken = (*taken, "fov_deg")
    if like.identity:
        taken = (*taken, "shape", *ATTRIBUTES)
    for name in taken:
        if name in overrides:
            option = "like_identity" if name in ("shape", *ATTRIBUTES) else "like"
            raise ConfigError(f"--{option} says what --{option_name(name)} does; give one of them")
    grid = overrides.get("grid")
    if grid is not None and (grid.expressions is not None or grid.views is not None):
        raise ConfigError(
            "--like draws expressions and views together, and the recipe's grid sets some of them; "
            "leave --like out, or expressions and views out of the grid"
        )


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count` parts, counted from 0: runs may share a dataset among them."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.index < self.count <= MAX_INTEGER:
            raise ConfigError(
                f"--shard must be I/N with I from 0 to N - 1, such as 0/8 to 7/8, got {self}"
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, indices: range, size: int = 1) -> range:
        """Its part of the indices: contiguous, as long as the others, cut at multiples of size."""
        first, last = indices.start // size, -(-indices.stop // size)
        cuts = [
            size * (first + (last - first) * i // self.count) for i in (self.index, self.index + 1)
        ]
        start, stop = (min(max(cut, indices.start), indices.stop) for cut in cuts)
        return range(start, stop)


@dataclass(frozen=True)
class RunConfig:
    """Which samples a run makes, and where they go. It can be pickled.

    output_dir: a folder or, for shards, also a URL such as s3://bucket/faces.
    format: "folder", or "webdataset" for tar shards of samples_per_tar samples each.
    num_images: of the dataset; shard: the part of them that the run draws.
    extras: of synthforge.labels, beside the core ones. keypoints: of SCHEMES there.
    max_attempts: draws per index before the run gives up on it.
    workers: processes that draw; see synthforge.workers.
    ray_address: "auto" or HOST:PORT of the Ray cluster that draws; see synthforge.ray_tasks.
    """

    output_dir: Path | str
    num_images: int
    seed: int = 0
    start_index: int = 0
    batch_size: int = BATCH_SIZES["cpu"]
    extras: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()
    max_attempts: int = 20
    shard: Shard = field(default_factory=Shard)
    workers: int | Literal["auto"] = "auto"
    ray_address: str | None = None
    format: FormatName = "folder"
    samples_per_tar: int = 1000

    @property
    def indices(self) -> range:
        """Numbers of the run's images."""
        indices = range(self.start_index, self.start_index + self.num_images)
        return self.shard.of(indices, self.samples_per_tar if self.format == "webdataset" else 1)

    def __post_init__(self) -> None:
        check_fields(self)
        check_integer("num_images", self.num_images, 1, MAX_INTEGER)
        check_integer("batch_size", self.batch_size, 1, _MAX_BATCH)
        check_integer("seed", self.seed, 0, MAX_INTEGER)
        check_integer("start_index", self.start_index, 0, MAX_INTEGER)
        check_integer("max_attempts", self.max_attempts, 1, MAX_INTEGER)
        if self.workers != "auto":
            check_integer("workers", self.workers, 1, _MAX_WORKERS)
        check_integer("samples_per_tar", self.samples_per_tar, 1, MAX_INTEGER)
        if self.format == "folder" and is_url(self.output_dir):
            raise ConfigError(
                f"--format folder writes to local folders, not to {self.output_dir}; give "
                "--format webdataset or a path"
            )
        if self.format == "webdataset" and self.start_index % self.samples_per_tar:
            raise ConfigError(
                f"--start_index {self.start_index} is in the middle of a shard; give a multiple of "
                f"--samples_per_tar, {self.samples_per_tar}"
            )
        unknown = [extra for extra in self.extras if extra not in EXTRAS]
        if unknown:
            raise ConfigError(
                f"unknown extra {', '.join(unknown)}; choose from {', '.join(EXTRAS)}"
            )
        unknown = [scheme for scheme in self.keypoints if scheme not in SCHEMES]
        if unknown:
            raise ConfigError(
                f"unknown keypoints {', '.join(unknown)}; choose from {', '.join(SCHEMES)}. iBUG's "
                "68 are always there"
            )


def is_url(where: Path | str) -> bool:
    """Whether it is meant for fsspec, as s3://bucket/faces is."""
    return isinstance(where, str) and "://" in where


def check_integer(name: str, value: int, least: int, most: int) -> None:
    """Raises ConfigError, in the command line's words, unless least <= value <= most."""
    if value < least:
        raise ConfigError(f"--{name} must be at least {least}, got {value}")
    if value > most:
        raise ConfigError(f"--{name} must be at most {most}, got {value}")


def check_device(name: str) -> None:
    """Raises ConfigError unless the program can run on a device of that name."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", name, re.ASCII):
        raise ConfigError(f"--device {name!r} is not supported; use auto, cpu or cuda:0")
