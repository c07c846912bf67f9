"""Every default of the program, with its source. Frozen, and validated on construction.

The command line reads its options and their defaults from here; a `--config FILE` in TOML sets the
same names.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from synthforge.errors import UserError

GeneratorName = Literal["auto", "next3d", "mannequin"]
RasterizerName = Literal["auto", "torch", "pytorch3d"]
Activation = Literal["none", "tanh", "relu"]
DetectorName = Literal["auto", "fan", "none"]
Precision = Literal["fp32", "tf32", "fp16", "bf16"]
Variant = Literal["front", "original"]
ExtraName = Literal["seg_id", "depth16", "normals", "uv", "volume_depth"]

IMAGE_SIZE = 512
SHAPE_SIZE = 100
EXPRESSION_SIZE = 50

# Where the original's cameras stand, in generator units (formats: radius, pivot of SynthForge).
CAMERA_RADIUS = 2.7
CAMERA_PIVOT = (0.0, 0.0, 0.2)

# Outside of these the image is a few triangles or a dot.
_MIN_FOV_DEG, _MAX_FOV_DEG = 1, 150
# FLAME coefficients beyond this make no head.
_MAX_COEFFICIENT = 10
# Numbers of samples and seeds are stored in 64 bits, and their sums are too.
_MAX_INTEGER = 2**62
# Images at once, on the largest GPUs.
_MAX_BATCH = 1024
# tomllib's time grows with the square of a hostile file's size.
_MAX_CONFIG_BYTES = 16_384
# Style vectors of Next3D's networks, and how far beyond their average truncation may go.
_STYLES = 28
_MAX_TRUNCATION = 2


class ConfigError(UserError, ValueError):
    """A setting that cannot work; the message says the way out."""


@dataclass(frozen=True)
class Range:
    """A closed interval to draw from uniformly."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ConfigError(f"a range needs finite numbers, got {self.low} {self.high}")
        if self.low > self.high:
            raise ConfigError(
                f"range upside down: {self.low} > {self.high}; give the lower number first"
            )

    def __str__(self) -> str:
        return f"{self.low:g} {self.high:g}"


@dataclass(frozen=True)
class SamplingConfig:
    """What is drawn for each sample. Uniform ranges.

    shape, expression: FLAME coefficients (standard deviations).
    jaw_rad: opening of the jaw joint. head_yaw_rad, head_pitch_rad: the neck joint; positive turns
    the face to the subject's left, or down.
    yaw_rad, pitch_rad: the camera on its sphere. fov_deg: diagonal field of view.
    """

    shape: Range
    expression: Range
    jaw_rad: Range
    head_yaw_rad: Range
    head_pitch_rad: Range
    yaw_rad: Range
    pitch_rad: Range
    fov_deg: Range

    def __post_init__(self) -> None:
        if self.fov_deg.low < _MIN_FOV_DEG or self.fov_deg.high > _MAX_FOV_DEG:
            raise ConfigError(
                f"--fov must lie inside {_MIN_FOV_DEG}..{_MAX_FOV_DEG} degrees, got {self.fov_deg}"
            )
        for entry in fields(self):
            name, drawn = entry.name, getattr(self, entry.name)
            largest = max(abs(drawn.low), abs(drawn.high))
            if name.endswith("_rad") and largest > math.pi / 2:
                raise ConfigError(
                    f"--{name.removesuffix('_rad')} must lie inside -pi/2..pi/2 radians, got "
                    f"{drawn}{_if_degrees(drawn)}"
                )
            if name in ("shape", "expression") and largest > _MAX_COEFFICIENT:
                raise ConfigError(
                    f"--{name} is in standard deviations and must lie inside "
                    f"-{_MAX_COEFFICIENT}..{_MAX_COEFFICIENT}, got {drawn}"
                )


def _if_degrees(drawn: Range) -> str:
    """What to write for a range that was probably meant in degrees."""
    if max(abs(drawn.low), abs(drawn.high)) > 180:
        return ""
    low, high = math.radians(drawn.low), math.radians(drawn.high)
    return f"; {drawn} degrees are {low:.3g} {high:.3g}"


# SynthForge's public code: shape and expression +-2, pose zero, yaw and pitch +-0.8 rad,
# fov 18-24 deg (the paper's text says +-pi/4 and 12-27 deg).
NEXT3D_SAMPLING = SamplingConfig(
    shape=Range(-2, 2),
    expression=Range(-2, 2),
    jaw_rad=Range(0, 0),
    head_yaw_rad=Range(0, 0),
    head_pitch_rad=Range(0, 0),
    yaw_rad=Range(-0.8, 0.8),
    pitch_rad=Range(-0.8, 0.8),
    fov_deg=Range(18, 24),
)

# The built-in head's own: all of its components at once stay plausible within these, and its
# faces stay within what landmark detectors were trained on.
MANNEQUIN_SAMPLING = SamplingConfig(
    shape=Range(-1.5, 1.5),
    expression=Range(0, 0.12),
    jaw_rad=Range(0, 0.15),
    head_yaw_rad=Range(-0.2, 0.2),
    head_pitch_rad=Range(-0.1, 0.1),
    yaw_rad=Range(-0.4, 0.4),
    pitch_rad=Range(-0.25, 0.25),
    fov_deg=Range(18, 24),
)

DEFAULT_SAMPLING: dict[str, SamplingConfig] = {
    "next3d": NEXT3D_SAMPLING,
    "mannequin": MANNEQUIN_SAMPLING,
}

# Where each generator's default ranges come from, as --help tells it.
SAMPLING_SOURCE: dict[str, str] = {
    "next3d": "SynthForge's public code",
    "mannequin": "what the built-in head looks plausible in",
}


@dataclass(frozen=True)
class AssetPaths:
    """Folders of the user's licensed files; None for one that the user has not named.

    synthforge.assets.locate.default_folder says where those are looked for.
    """

    pretrained_dir: Path | None = None
    model_dir: Path | None = None


@dataclass(frozen=True)
class GenerateConfig:
    """One run of generate_synthforge_data.py.

    truncation_psi, truncation_cutoff: the public SynthForge code's 0.7 and 14.
    sampling_overrides: fields of SamplingConfig to draw from other ranges than the generator's
    default.
    compile: torch.compile Next3D's networks; takes minutes at first, so for long runs.
    max_attempts: draws per index before the run gives up on it.
    reject_px: quality gate, mean distance of detected and projected landmarks in pixels at 512
    (public SynthForge code: 11).
    """

    output_dir: Path
    num_images: int
    seed: int = 0
    start_index: int = 0
    generator: GeneratorName = "auto"
    device: str = "auto"
    batch_size: int = 4
    rasterizer: RasterizerName = "auto"
    extras: tuple[ExtraName, ...] = ()
    sampling_overrides: Mapping[str, Range] = field(default_factory=dict)
    truncation_psi: float = 0.7
    truncation_cutoff: int = 14
    precision: Precision = "fp32"
    variant: Variant = "front"
    compile: bool = False
    detector: DetectorName = "auto"
    reject_px: float = 11.0
    max_attempts: int = 20
    alignment: Path | None = None
    force_alignment: bool = False
    assets: AssetPaths = field(default_factory=AssetPaths)

    @property
    def indices(self) -> range:
        """Numbers of the run's images."""
        return range(self.start_index, self.start_index + self.num_images)

    def __post_init__(self) -> None:
        _check_integer("num_images", self.num_images, 1, _MAX_INTEGER)
        _check_integer("batch_size", self.batch_size, 1, _MAX_BATCH)
        _check_integer("seed", self.seed, 0, _MAX_INTEGER)
        _check_integer("start_index", self.start_index, 0, _MAX_INTEGER)
        _check_integer("max_attempts", self.max_attempts, 1, _MAX_INTEGER)
        _check_device(self.device)
        if not 0 < self.reject_px < math.inf:
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
        replace(NEXT3D_SAMPLING, **self.sampling_overrides)  # raises if a range cannot work
        unknown = [extra for extra in self.extras if extra not in get_args(ExtraName)]
        if unknown:
            raise ConfigError(
                f"unknown extra {', '.join(unknown)}; choose from {', '.join(get_args(ExtraName))}"
            )


def _check_integer(name: str, value: int, least: int, most: int) -> None:
    """Raises ConfigError, in the command line's words, unless least <= value <= most."""
    if value < least:
        raise ConfigError(f"--{name} must be at least {least}, got {value}")
    if value > most:
        raise ConfigError(f"--{name} must be at most {most}, got {value}")


def _check_device(name: str) -> None:
    """Raises ConfigError unless the program can run on a device of that name."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", name, re.ASCII):
        raise ConfigError(f"--device {name!r} is not supported; use auto, cpu or cuda:0")


def read_config_file(path: Path, known: frozenset[str]) -> dict[str, Any]:
    """Settings of a TOML file. Keys are option names, with `_` or `-`.

    Raises ConfigError for a missing, malformed or too large file, and for a key not in `known`.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_CONFIG_BYTES + 1)
        if len(content) > _MAX_CONFIG_BYTES:
            raise ConfigError(
                f"{path} is larger than {_MAX_CONFIG_BYTES} bytes, so it is no file of settings"
            )
        settings = tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except FileNotFoundError as error:
        raise ConfigError(f"config file not found: {path}") from error
    except RecursionError as error:
        raise ConfigError(f"cannot read config file {path}: it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read config file {path}: {error}; save it in UTF-8") from error
    except OSError as error:
        raise ConfigError(f"cannot read config file {path}: {error.strerror}") from error
    except ValueError as error:  # not TOML, or an integer of thousands of digits
        raise ConfigError(f"cannot read config file {path}: {error}") from error
    settings = {key.replace("-", "_"): value for key, value in settings.items()}
    for key in settings:
        if key not in known:
            raise ConfigError(
                f"unknown key '{key}' in {path}; known keys: {', '.join(sorted(known))}"
            )
    return settings


# --- Training the alignment -----------------------------------------------------------------------

# Samples, epochs and steps that training could ever need; hidden units of a map of 3D points.
_MAX_TRAINING = 1_000_000
_MAX_HIDDEN = 4096

# Alignment training of the public SynthForge code: +-0.5 rad, 15-23 deg.
NEXT3D_ALIGNMENT_SAMPLING = replace(
    NEXT3D_SAMPLING,
    yaw_rad=Range(-0.5, 0.5),
    pitch_rad=Range(-0.5, 0.5),
    fov_deg=Range(15, 23),
)
ALIGNMENT_SAMPLING: dict[str, SamplingConfig] = {
    "next3d": NEXT3D_ALIGNMENT_SAMPLING,
    "mannequin": MANNEQUIN_SAMPLING,
}


@dataclass(frozen=True)
class LossWeights:
    """Weights of the alignment losses, all from the public SynthForge code.

    depth: squared z-depth differences, generator units. chamfer: squared distances, generator
    units. keypoints: squared coordinate differences, pixels at 512. contour: smooth-L1 of the jaw
    line and the nose base, pixels at 512.
    """

    depth: float = 1000.0
    chamfer: float = 300.0
    keypoints: float = 0.2
    contour: float = 1.2

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"loss weight {entry.name} must not be negative, got {value}")


@dataclass(frozen=True)
class AlignmentTrainingConfig:
    """One run of train_alignment_mlp.py.

    From the public SynthForge code: num_train 50 (which it drew anew every epoch; here they are
    drawn once and cached), batch_size 10, weight_decay 1e-4, stop_change 3e-5, hidden 4.
    Ours, since training runs in centred coordinates of unit size and must converge from depth
    alone: lr and epochs (published: 3e-3 on raw coordinates, 10), num_val (published: 100).

    output: alignment_<generator>.safetensors in the folder of pretrained models if not given.
    cache_dir: a folder beside the output if not given.
    hidden, activation: the network; without an activation it is an affine map.
    stop_change, stop_patience: training ends when the validation score, percent or mm, changes by
    less than this for so many epochs in a row.
    robust_start, robust_end: generator units (2.5 a metre) beyond which a depth or chamfer
    residual counts as an outlier, such as hair: from what a badly placed head shows to what a
    well placed one does.
    """

    output: Path | None = None
    num_train: int = 50
    num_val: int = 25
    epochs: int = 40
    lr: float = 3e-2
    weight_decay: float = 1e-4
    batch_size: int = 10
    seed: int = 0
    generator: GeneratorName = "auto"
    detector: DetectorName = "auto"
    device: str = "auto"
    cache_dir: Path | None = None
    resume: bool = False
    hidden: int = 4
    activation: Activation = "none"
    weights: LossWeights = field(default_factory=LossWeights)
    robust_start: float = 0.05
    robust_end: float = 0.005
    stop_change: float = 3e-5
    stop_patience: int = 3
    max_attempts: int = 20
    assets: AssetPaths = field(default_factory=AssetPaths)

    def __post_init__(self) -> None:
        if self.output is not None and self.output.suffix != ".safetensors":
            raise ConfigError(f"--output {self.output} should end in .safetensors")
        for name in ("num_train", "num_val", "epochs", "batch_size", "stop_patience"):
            _check_integer(name, getattr(self, name), 1, _MAX_TRAINING)
        _check_integer("hidden", self.hidden, 3, _MAX_HIDDEN)
        _check_integer("seed", self.seed, 0, _MAX_INTEGER)
        _check_device(self.device)
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ConfigError(f"--lr must be positive, got {self.lr}")
        if not 0 < self.robust_end <= self.robust_start:
            raise ConfigError(
                "robust_end must be positive and not above robust_start, got "
                f"{self.robust_end} and {self.robust_start}"
            )
