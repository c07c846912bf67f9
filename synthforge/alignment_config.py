"""Every default of training the alignment, with its source. Frozen, validated on construction."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from synthforge.config import MAX_INTEGER, Activation, PartsConfig, check_integer
from synthforge.distributions import Range
from synthforge.errors import ConfigError
from synthforge.field_types import check_fields
from synthforge.sampling_config import MANNEQUIN_SAMPLING, NEXT3D_SAMPLING, WEAR

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
_BARE: dict[str, Any] = dict.fromkeys(WEAR, 0.0)
# Bare heads, seen as large as Next3D's: what is worn hides what the alignment learns from.
MANNEQUIN_ALIGNMENT_SAMPLING = replace(
    MANNEQUIN_SAMPLING,
    face_size=None,
    offset_x=None,
    offset_y=None,
    **_BARE,
)


@dataclass(frozen=True)
class LossWeights:
    """Weights of the alignment losses; depth and chamfer from the public SynthForge code.

    depth: squared z-depth differences, generator units. chamfer: squared distances, generator
    units. keypoints: squared distances, each in the detector's spread of its landmark; a keypoint
    one spread off weighs what a depth residual of `robust_end` does.
    """

    depth: float = 1000.0
    chamfer: float = 300.0
    keypoints: float = 0.025

    def __post_init__(self) -> None:
        check_fields(self)
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
    stop_change, stop_patience: training ends when the validation loss changes by no more than this
    share of it for so many epochs in a row.
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
    parts: PartsConfig = field(default_factory=PartsConfig)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.output is not None and self.output.suffix != ".safetensors":
            raise ConfigError(f"--output {self.output} should end in .safetensors")
        for name in ("num_train", "num_val", "epochs", "batch_size", "stop_patience"):
            check_integer(name, getattr(self, name), 1, _MAX_TRAINING)
        check_integer("hidden", self.hidden, 3, _MAX_HIDDEN)
        check_integer("seed", self.seed, 0, MAX_INTEGER)
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ConfigError(f"--lr must be positive, got {self.lr}")
        if not 0 < self.robust_end <= self.robust_start:
            raise ConfigError(
                "robust_end must be positive and not above robust_start, got "
                f"{self.robust_end} and {self.robust_start}"
            )
