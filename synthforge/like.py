"""Faces recovered from photographs, and samples like them: the file that `synthforge fit` writes.

An .npz of plain arrays, of N faces:

format        int64 (1,), 1
angles_rad    float32 (N, 3), yaw, pitch and roll of the head before the camera: see synthforge.pose
framing       float32 (N, 3), face_size, offset_x and offset_y of config.SamplingConfig
fov_deg       float32 (N,), diagonal field of view at the built-in head's distance
face_actions  float32 (N, 52), 0 to 1, in the order of ACTIONS
shape         float32 (N, 100), standard deviations
residual_px   float32 (N,), mean distance of recovered and detected points in the photograph
residual      float32 (N,), the same in outer-eye distances
photographs   uint8, UTF-8 names of the N photographs, each with a line feed behind it
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flame_pytorch.errors import FileFormatError, naming
from flame_pytorch.reading.arrays import to_array
from flame_pytorch.reading.contents import read_fields
from synthforge.errors import ConfigError
from synthforge.sampling_config import LIKE_JITTER
from synthforge.whole_files import write_whole

Array = NDArray[np.float32]

FORMAT = 1
_MOST_FACES = 100_000
# Array -> shape of a face's entry, least, greatest.
_ARRAYS: dict[str, tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]]] = {
    "angles_rad": ((3,), (-math.pi, -math.pi / 2, -math.pi), (math.pi, math.pi / 2, math.pi)),
    "framing": ((3,), (0.0, -1.0, -1.0), (2.0, 1.0, 1.0)),
    "fov_deg": ((), (0.0,), (180.0,)),
    "face_actions": ((52,), (0.0,), (1.0,)),
    "shape": ((100,), (-10.0,), (10.0,)),
    "residual_px": ((), (0.0,), (1e6,)),
    "residual": ((), (0.0,), (1e6,)),
}
# What samples are drawn from.
_DRAWN = ("angles_rad", "framing", "face_actions", "shape")
_WAY_OUT = "Give a file that `synthforge fit` wrote"


@dataclass(frozen=True)
class Face:
    """One draw: angles_rad (3,), framing (3,), face_actions (52,), shape (100,), float64."""

    angles_rad: NDArray[np.float64]
    framing: NDArray[np.float64]
    face_actions: NDArray[np.float64]
    shape: NDArray[np.float64]


@dataclass(frozen=True)
class Like:
    """What samples shall be like.

    arrays: of the file. jitter: kernel width, in standard deviations of the faces. identity:
    whether samples have the faces' own shapes too. Two are equal if they draw the same.
    """

    arrays: Mapping[str, Array] = field(compare=False, repr=False)
    jitter: float = LIKE_JITTER
    identity: bool = False
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.jitter <= 2:
            raise ConfigError(f"--like_jitter must lie inside 0..2, got {self.jitter}")
        digest = hashlib.sha256()
        for name in _DRAWN:
            values = np.ascontiguousarray(self.arrays[name], "<f4")
            digest.update(f"{name} {values.shape}\n".encode() + values.tobytes())
        object.__setattr__(self, "fingerprint", digest.hexdigest()[:16])

    def __len__(self) -> int:
        return len(self.arrays["angles_rad"])

    @property
    def record(self) -> dict[str, Any]:
        """What a recipe keeps of it."""
        return {
            "fingerprint": self.fingerprint,
            "faces": len(self),
            "jitter": self.jitter,
            "identity": self.identity,
        }

    def draw(self, rng: np.random.Generator) -> Face:
        """One face with its own pose, framing and expression, jittered.

        Pose and framing by the smoothed bootstrap that keeps mean and variance (Silverman 1986,
        6.4.1). Actions are scaled, so that what a face doesn't do stays 0.
        """
        count, h = len(self), self.jitter
        row = min(int(rng.random() * count), count - 1)
        noise = rng.standard_normal(6 + 1 + self.arrays["face_actions"].shape[1])
        framing = self.arrays["framing"].astype(np.float64)
        framing[:, 0] = np.log(np.maximum(framing[:, 0], 1e-3))
        placed = np.concatenate([self.arrays["angles_rad"], framing], 1)
        mean, sd = placed.mean(0), placed.std(0)
        drawn = mean + (placed[row] - mean + h * sd * noise[:6]) / math.sqrt(1 + h * h)
        drawn[3] = math.exp(drawn[3])
        scale = np.exp(0.5 * h * noise[6] + 0.25 * h * noise[7:])
        actions = (self.arrays["face_actions"][row] * scale).clip(0, 1)
        shape = self.arrays["shape"][row].astype(np.float64)
        return Face(drawn[:3], drawn[3:], actions, shape)


def write_like(path: Path, arrays: Mapping[str, Array], photographs: list[str]) -> None:
    """Write the file, whole or not at all. arrays: of _ARRAYS. Raises OSError."""
    names = "".join(f"{name}\n" for name in photographs).encode("utf-8", "replace")
    content = io.BytesIO()
    np.savez_compressed(
        content,
        allow_pickle=False,
        format=np.array([FORMAT]),
        photographs=np.frombuffer(names, np.uint8),
        **{name: np.asarray(arrays[name], np.float32) for name in _ARRAYS},
    )
    write_whole(path, content.getvalue())


def read_like(path: Path, jitter: float = LIKE_JITTER, identity: bool = False) -> Like:
    """Raises ConfigError, in one line with the file's name, for a file that cannot be used."""
    try:
        with naming(path, _WAY_OUT):
            return Like(_read(path), jitter, identity)
    except FileNotFoundError as error:
        raise ConfigError(
            f"--like {path} is not there; give a file that `synthforge fit` wrote"
        ) from error
    except FileFormatError as error:
        raise ConfigError(f"--like {error}") from error


def _read(path: Path) -> dict[str, Array]:
    values = read_fields(path).values
    missing = [name for name in ("format", *_ARRAYS) if name not in values]
    if missing:
        raise FileFormatError(f"has no {', '.join(missing)}")
    version = to_array(values["format"])
    if version.shape != (1,) or version.dtype.kind != "i" or version[0] != FORMAT:
        raise FileFormatError(f"is not of format {FORMAT}")
    arrays: dict[str, Array] = {}
    count: int | None = None
    for name, (shape, low, high) in _ARRAYS.items():
        array = to_array(values[name])
        count = len(array) if count is None and array.ndim else count
        if array.dtype.kind != "f" or array.shape != (count, *shape):
            raise FileFormatError(f"has {name} of {array.dtype} {array.shape}")
        if not 0 < len(array) <= _MOST_FACES:
            raise FileFormatError(f"holds {len(array)} faces; 1 to {_MOST_FACES} can be used")
        numbers = array.astype(np.float32)
        slack = np.float32(1e-5)
        least, most = np.array(low, np.float32) - slack, np.array(high, np.float32) + slack
        inside = (numbers >= least) & (numbers <= most)
        if not inside.all():  # NaN is not inside either
            raise FileFormatError(f"has {name} outside {min(low):g}..{max(high):g}")
        arrays[name] = numbers
    return arrays
