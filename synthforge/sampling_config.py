"""What is drawn for each sample, and each generator's defaults with their source."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from synthforge.distributions import Distribution, Normal, Range
from synthforge.errors import ConfigError
from synthforge.field_types import check_fields
from synthforge.grid import Grid

if TYPE_CHECKING:
    from synthforge.like import Like

# Of the built-in head's people: youngest and eldest in years; the ancestries that shares are of.
AGES = (3.0, 85.0)
ANCESTRIES = ("african", "asian", "caucasian")
ATTRIBUTES = ("age_years", "sex", "weight", *ANCESTRIES)
# What the built-in head wears, and who is behind it: shares of samples. Part of z has an entry for
# each, in this order.
WEAR = ("glasses", "headwear", "mask", "earrings", "occluders", "bystanders")
# Option -> names of the built-in head's hair, in the order that annotations count them.
HAIR = {
    "hair": (
        *("bald", "buzz", "crop", "side_part", "swept_back", "curly", "afro", "bob", "long"),
        "bun",
    ),
    "hair_color": (
        *("black", "dark_brown", "brown", "light_brown", "blond", "red", "grey", "white"),
    ),
}

# Outside of these the image is a few triangles or a dot.
MIN_FOV_DEG, MAX_FOV_DEG = 1, 150
# Coefficients beyond this make no head.
MAX_COEFFICIENT = 10
# A face larger than this is an eye or a cheek, one smaller no face any more.
MIN_FACE_SIZE, MAX_FACE_SIZE = 0.05, 2.0
# Field of SamplingConfig -> least, most, unit. Angles in radians have bounds of their own.
_BOUNDS = {
    "shape": (-MAX_COEFFICIENT, MAX_COEFFICIENT, "standard deviations"),
    "expression": (-MAX_COEFFICIENT, MAX_COEFFICIENT, "standard deviations"),
    "fov_deg": (MIN_FOV_DEG, MAX_FOV_DEG, "degrees"),
    "face_size": (MIN_FACE_SIZE, MAX_FACE_SIZE, "image widths"),
    "offset_x": (-1, 1, "image widths"),
    "offset_y": (-1, 1, "image widths"),
    "age_years": (*AGES, "years"),
    **{name: (0, 1, "") for name in ATTRIBUTES if name != "age_years"},
}

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

    def __post_init__(self) -> None:
        check_fields(self)


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
    such, or have a hand-held thing before the face; 0 to 1. bystanders: share with another person
    in the background.
    hair, hair_color: names of HAIR, of which each person has one. None: as people vary.
    grid: which samples share a person, an expression, a view or a light. None: none do.
    pose_limit: see PoseLimit. None: the five angles are independent.
    face_size: larger side of the face's box, brows to chin with a closed mouth, in image widths;
    fov_deg then follows from it. offset_x, offset_y: of the box's middle from the image's, image
    widths, right and down; less where a part of the face would leave the image. None for all of
    them: the camera looks at one point of the head's frame.
    like: faces in photographs whose pose, framing, expression and gaze are drawn instead; see
    Like.
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
    bystanders: float = 0.0
    hair: tuple[str, ...] | None = None
    hair_color: tuple[str, ...] | None = None
    grid: Grid | None = None
    pose_limit: PoseLimit | None = None
    face_size: Distribution | None = None
    offset_x: Distribution | None = None
    offset_y: Distribution | None = None
    cut: float = 0.0
    like: Like | None = None

    def __post_init__(self) -> None:
        check_fields(self, Like=_like_type(self.like))
        for name in (*WEAR, "cut"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"--{name} is a share of the samples and must lie inside 0..1, got "
                    f"{getattr(self, name)}"
                )
        for name in HAIR:
            _check_names(name, getattr(self, name))
        for name, (low, high, unit) in _BOUNDS.items():
            drawn = getattr(self, name)
            if drawn is not None and not low <= drawn.low <= drawn.high <= high:
                in_unit = f" is in {unit} and" if unit else ""
                raise ConfigError(
                    f"--{option_name(name)}{in_unit} must lie inside {low:g}..{high:g}, got {drawn}"
                )
        for name in (entry.name for entry in fields(self) if entry.name.endswith("_rad")):
            drawn = getattr(self, name)
            if drawn is not None and max(abs(drawn.low), abs(drawn.high)) > math.pi / 2:
                raise ConfigError(
                    f"--{option_name(name)} must lie inside -pi/2..pi/2 radians, got "
                    f"{drawn}{_if_degrees(drawn)}"
                )
        for view in self.grid.listed_views if self.grid else ():
            at_view: dict[str, Any] = {name: Range(at, at) for name, at in view.items()}
            replace(self, grid=None, **at_view)
        shares = [getattr(self, name) or Range(0, 1) for name in ANCESTRIES]
        if sum(share.low for share in shares) > 1 or sum(share.high for share in shares) < 1:
            raise ConfigError(
                "--african, --asian and --caucasian are shares that sum to 1; no shares inside "
                f"{', '.join(map(str, shares))} do"
            )


def _like_type(like: Any) -> type:
    if like is None:
        return object
    from synthforge.like import Like

    return Like


def _check_names(option: str, names: tuple[str, ...] | None) -> None:
    if names is None:
        return
    unknown = [name for name in names if name not in HAIR[option]]
    if unknown or not names:
        wrong = f"has no {', '.join(map(repr, unknown))}" if unknown else "names none"
        raise ConfigError(f"--{option} {wrong}; choose from {', '.join(HAIR[option])}")


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
    bystanders=0.05,
)
