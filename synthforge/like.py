"""Faces recovered from photographs, and samples like them: the file that `synthforge fit` writes.

An .npz of plain arrays, of N faces:

format        int64 (1,): 3, they are of the built-in head; 4, of FLAME
angles_rad    float32 (N, 3), yaw, pitch and roll of the head before the camera: see synthforge.pose
gaze_rad      float32 (N, 2), how far the eyes look past the camera, to their left and down: their
              common turn less the direction of the camera from the head; see synthforge.likeness
shape         float32 (N, 100), standard deviations
residual_px   float32 (N,), mean distance of recovered and detected points in the photograph
residual      float32 (N,), the same in outer-eye distances
photographs   uint8, UTF-8 names of the N photographs, each with a line feed behind it

of the built-in head:

framing       float32 (N, 3), face_size, offset_x and offset_y of config.SamplingConfig
fov_deg       float32 (N,), diagonal field of view at the built-in head's distance
face_actions  float32 (N, 52), 0 to 1, in the order of ACTIONS
usual         float32 (52,), mean actions of faces that are drawn without photographs
left_open     float32 (52, 52), what points leave open of how actions depart from these: a face that
              departs by d is recovered as one that departs by d - left_open d

of FLAME:

expression    float32 (N, 50), standard deviations
jaw_rad       float32 (N,), opening of the jaw joint
left_open     float32 (50, 50), of the expression, whose usual is 0
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
from flame_pytorch.reading.contents import NpzFields
from flame_pytorch.reading.zips import Archive
from synthforge.errors import ConfigError
from synthforge.sampling_config import LIKE_JITTER
from synthforge.whole_files import write_whole

Array = NDArray[np.float32]

_MOST_FACES = 100_000
# Array -> shape of a face's entry, least, greatest.
_Bounds = dict[str, tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]]]
_OF_ANY: _Bounds = {
    "angles_rad": ((3,), (-math.pi, -math.pi / 2, -math.pi), (math.pi, math.pi / 2, math.pi)),
    "gaze_rad": ((2,), (-math.pi / 2,), (math.pi / 2,)),
    "shape": ((100,), (-10.0,), (10.0,)),
    "residual_px": ((), (0.0,), (1e6,)),
    "residual": ((), (0.0,), (1e6,)),
}
_OF_BUILT_IN: _Bounds = {
    "framing": ((3,), (0.0, -1.0, -1.0), (2.0, 1.0, 1.0)),
    "fov_deg": ((), (0.0,), (180.0,)),
    "face_actions": ((52,), (0.0,), (1.0,)),
}
_OF_FLAME: _Bounds = {
    "expression": ((50,), (-10.0,), (10.0,)),
    "jaw_rad": ((), (0.0,), (math.pi / 2,)),
}
_BUILT_IN, _FLAME = 3, 4
_WITHOUT_GAZE = (1, 2)
_OF_FACES = {_BUILT_IN: _OF_ANY | _OF_BUILT_IN, _FLAME: _OF_ANY | _OF_FLAME}
# What is not of single faces.
_OF_ALL: dict[int, _Bounds] = {
    _BUILT_IN: {"usual": ((52,), (0.0,), (1.0,)), "left_open": ((52, 52), (-100.0,), (100.0,))},
    _FLAME: {"left_open": ((50, 50), (-100.0,), (100.0,))},
}
# What samples are drawn from.
_DRAWN = {
    _BUILT_IN: (
        *("angles_rad", "framing", "gaze_rad", "face_actions", "usual", "left_open", "shape"),
    ),
    _FLAME: ("angles_rad", "expression", "gaze_rad", "jaw_rad", "left_open", "shape"),
}
# The generator whose head it is.
_GENERATORS = {_BUILT_IN: "mannequin", _FLAME: "next3d"}
_WAY_OUT = "Run `synthforge fit` again, or give another file that it wrote"


@dataclass(frozen=True)
class Face:
    """One draw of the built-in head: angles_rad (3,), framing (3,), gaze_rad (2,), face_actions
    (52,), shape (100,), float64."""

    angles_rad: NDArray[np.float64]
    framing: NDArray[np.float64]
    gaze_rad: NDArray[np.float64]
    face_actions: NDArray[np.float64]
    shape: NDArray[np.float64]


@dataclass(frozen=True)
class FlameFace:
    """One draw of FLAME: angles_rad (3,), expression (50,), gaze_rad (2,), shape (100,),
    float64."""

    angles_rad: NDArray[np.float64]
    expression: NDArray[np.float64]
    gaze_rad: NDArray[np.float64]
    jaw_rad: float
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
        for name in _DRAWN[_format(self.arrays)]:
            values = np.ascontiguousarray(self.arrays[name], "<f4")
            digest.update(f"{name} {values.shape}\n".encode() + values.tobytes())
        object.__setattr__(self, "fingerprint", digest.hexdigest()[:16])

    def __len__(self) -> int:
        return len(self.arrays["angles_rad"])

    @property
    def generator(self) -> str:
        """Name of the generator whose head it is."""
        return _GENERATORS[_format(self.arrays)]

    @property
    def record(self) -> dict[str, Any]:
        """What a recipe keeps of it."""
        return {
            "fingerprint": self.fingerprint,
            "faces": len(self),
            "jitter": self.jitter,
            "identity": self.identity,
        }

    def draw(self, rng: np.random.Generator, usual: NDArray[np.float64]) -> Face:
        """One face of the built-in head with its own pose, framing, gaze and expression, jittered.

        Pose, framing and gaze by the smoothed bootstrap that keeps mean and variance (Silverman
        1986, 6.4.1). Actions are scaled; what the points leave open of them is that of a usual face
        (52,), as it is drawn without photographs: recovered faces alone would move too little.
        """
        row, h = self._row(rng), self.jitter
        noise = rng.standard_normal(8 + 1 + self.arrays["face_actions"].shape[1])
        framing = self.arrays["framing"].astype(np.float64)
        framing[:, 0] = np.log(np.maximum(framing[:, 0], 1e-3))
        placed = np.concatenate([self.arrays["angles_rad"], framing, self.arrays["gaze_rad"]], 1)
        drawn = self._smoothed(placed, row, noise[:8])
        drawn[3] = math.exp(drawn[3])
        scale = np.exp(0.5 * h * noise[8] + 0.25 * h * noise[9:])
        actions = self.arrays["face_actions"][row] * scale
        actions = self._filled(actions, usual - self.arrays["usual"]).clip(0, 1)
        shape = self.arrays["shape"][row].astype(np.float64)
        return Face(drawn[:3], drawn[3:6], drawn[6:], actions, shape)

    def draw_flame(self, rng: np.random.Generator) -> FlameFace:
        """One face of FLAME with its own pose, gaze and expression, jittered by the smoothed
        bootstrap.

        What the points leave open of the expression is drawn as it usually is. The jaw is scaled,
        so that a closed one stays closed.
        """
        row = self._row(rng)
        names = ("angles_rad", "gaze_rad", "expression")
        values = np.concatenate([self.arrays[name] for name in names], 1)
        noise = rng.standard_normal(values.shape[1] + 1)
        drawn = self._smoothed(values.astype(np.float64), row, noise[:-1])
        expression = self._filled(drawn[5:], rng.standard_normal(len(drawn) - 5))
        jaw_rad = float(self.arrays["jaw_rad"][row]) * math.exp(0.5 * self.jitter * noise[-1])
        shape = self.arrays["shape"][row].astype(np.float64)
        return FlameFace(drawn[:3], expression, drawn[3:5], min(jaw_rad, math.pi / 2), shape)

    def _row(self, rng: np.random.Generator) -> int:
        return min(int(rng.random() * len(self)), len(self) - 1)

    def _filled(
        self, recovered: NDArray[np.float64], departure: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """A recovered expression, with what the points left open as in a face that departs so."""
        # Summed in order, and rounded: the same on any CPU.
        filled = np.cumsum(self.arrays["left_open"] * departure, 1)[:, -1]
        return np.asarray((recovered + filled).round(6), np.float64)

    def _smoothed(
        self, values: NDArray[np.float64], row: int, noise: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        mean, sd = values.mean(0), values.std(0)
        h = self.jitter
        drawn = mean + (values[row] - mean + h * sd * noise) / math.sqrt(1 + h * h)
        return np.asarray(drawn, np.float64)


def _format(arrays: Mapping[str, Array]) -> int:
    return _BUILT_IN if "face_actions" in arrays else _FLAME


def write_like(path: Path, arrays: Mapping[str, Array], photographs: list[str]) -> None:
    """Write the file, whole or not at all. arrays: of one head. Raises OSError."""
    version = _format(arrays)
    names = "".join(f"{name}\n" for name in photographs).encode("utf-8", "replace")
    content = io.BytesIO()
    np.savez_compressed(
        content,
        allow_pickle=False,
        format=np.array([version]),
        photographs=np.frombuffer(names, np.uint8),
        **{
            name: np.asarray(arrays[name], np.float32)
            for name in _OF_FACES[version] | _OF_ALL[version]
        },
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
    values = NpzFields(Archive(path))
    if "format" not in values:
        raise FileFormatError("has no format")
    version = to_array(values["format"])
    is_number = version.shape == (1,) and version.dtype.kind == "i"
    if is_number and version[0] in _WITHOUT_GAZE:
        raise FileFormatError("was made by a SynthForge that did not recover gaze")
    if not is_number or version[0] not in _OF_FACES:
        raise FileFormatError(f"is not of format {' or '.join(map(str, _OF_FACES))}")
    of_faces, of_all = _OF_FACES[int(version[0])], _OF_ALL[int(version[0])]
    missing = [name for name in of_faces | of_all if name not in values]
    if missing:
        raise FileFormatError(f"has no {', '.join(missing)}")
    count = to_array(values["angles_rad"]).shape[:1]
    if count and not 0 < count[0] <= _MOST_FACES:
        raise FileFormatError(f"holds {count[0]} faces; 1 to {_MOST_FACES} can be used")
    bounds = {name: ((*count, *shape), *rest) for name, (shape, *rest) in of_faces.items()}
    return {
        name: _checked(name, to_array(values[name]), *bound)
        for name, bound in (bounds | of_all).items()
    }


def _checked(
    name: str,
    array: NDArray[Any],
    shape: tuple[int, ...],
    low: tuple[float, ...],
    high: tuple[float, ...],
) -> Array:
    if array.dtype.kind != "f" or array.shape != shape:
        raise FileFormatError(f"has {name} of {array.dtype} {array.shape}")
    numbers = array.astype(np.float32)
    slack = np.float32(1e-5)
    least, most = np.array(low, np.float32) - slack, np.array(high, np.float32) + slack
    inside = (numbers >= least) & (numbers <= most)
    if not inside.all():  # NaN is not inside either
        raise FileFormatError(f"has {name} outside {min(low):g}..{max(high):g}")
    return numbers
