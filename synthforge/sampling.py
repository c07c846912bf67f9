"""The parameters of a sample, from its (seed, index, attempt) alone.

Each quantity has a random stream of its own, so that drawing one more leaves the others alone, and
a sample is the same in any batch, worker and order and on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge.camera import Camera
from synthforge.config import EXPRESSION_SIZE, SHAPE_SIZE
from synthforge.distributions import Distribution
from synthforge.grid import FACTORS, Face, Grid, View
from synthforge.likeness import FLAME_EYES_RAD, camera_angles, turns, within
from synthforge.sampling_config import SamplingConfig

if TYPE_CHECKING:
    from synthforge.like import Like

# Part of every dataset's recipe. Raise it when the same recipe gives other samples: other draws,
# another geometry or labelling, another drawing by the mannequin or by Next3D's code. Rounding
# that README.md allows for is no reason.
SAMPLE_FORMAT = 6

# Never renumber: the number is part of every dataset's seed.
_STREAMS = {
    "z": 0,
    "shape": 1,
    "expression": 2,
    "jaw_rad": 3,
    "head_yaw_rad": 4,
    "head_pitch_rad": 5,
    "yaw_rad": 6,
    "pitch_rad": 7,
    "fov_deg": 8,
    "head_roll_rad": 9,
    "attributes": 10,
    "gaze": 11,
    "grid": 12,
    "face_size": 13,
    "offset_x": 14,
    "offset_y": 15,
    "cut": 16,
    "wear": 17,
    "like": 18,
    "hair": 19,
}
# Where the pose holds a field of SamplingConfig.
_POSE_ENTRIES = {"head_pitch_rad": 3, "head_yaw_rad": 4, "head_roll_rad": 5, "jaw_rad": 6}
# FLAME's neck and the middle between its eyes, metres. Assumed: the joints are the built-in head's,
# which is placed as FLAME is.
_NECK_FLAME, _EYES_FLAME = np.array([0, -0.0653, -0.0716]), np.array([0, 0.0235, 0.0228])


@dataclass(frozen=True)
class SampleId:
    """What a sample depends on, with the recipe."""

    seed: int
    index: int
    attempt: int = 0

    def next_attempt(self) -> SampleId:
        return replace(self, attempt=self.attempt + 1)

    def stream(self, name: str) -> np.random.Generator:
        """The random stream of one quantity of this sample."""
        key = [self.seed, self.index, self.attempt, _STREAMS[name]]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


@dataclass(frozen=True)
class Factors:
    """What a sample is put together from.

    identity, expression, view, light: whose streams draw each.
    face, placing: what a list of the grid sets; None and nothing where there is none.
    numbers: by FACTORS, as the annotation has them.
    """

    identity: SampleId
    expression: SampleId
    view: SampleId
    light: SampleId
    face: Face | None
    placing: View
    numbers: Mapping[str, int]


def factors_of(sample: SampleId, grid: Grid | None) -> Factors:
    """What the grid says of a sample; without one, everything is the sample's own.

    Another attempt at a sample is the same draw in a full grid, and another combination at random.
    """
    rest = sample
    numbers: list[int | None] = [None] * len(FACTORS)
    if grid is not None and grid.is_full:
        person, others = grid.at(sample.index)
        rest, numbers = SampleId(sample.seed, person), [None, *others]
    elif grid is not None:
        numbers = grid.at_random(sample.stream("grid").random(len(FACTORS)).tolist())
    ids = [rest if number is None else SampleId(sample.seed, number) for number in numbers]
    identity, expression, view, light = ids
    faces, views = (grid.listed_expressions, grid.listed_views) if grid else ((), ())
    return Factors(
        identity,
        rest if faces else expression,
        rest if views else view,
        light,
        faces[expression.index] if faces else None,
        views[view.index] if views else {},
        {name: id.index for name, id in zip(FACTORS, ids, strict=True)},
    )


@dataclass(frozen=True)
class Parameters:
    """Drawn parameters of B samples.

    z: float32 [B, latent_size]. shape: [B, 100]. expression: [B, 50].
    pose_rad: [B, 15], axis-angles of global, neck, jaw, left eye, right eye.
    yaw_rad, pitch_rad, fov_deg: [B].
    center: [B, 2], where the optical axis meets the image, in image widths from the top left.
    labels: by the annotation's keys, [B, ...]: the numbers of FACTORS, int64, and what else the
    generator knows of its people, float32.
    """

    ids: tuple[SampleId, ...]
    z: Tensor
    shape: Tensor
    expression: Tensor
    pose_rad: Tensor
    yaw_rad: Tensor
    pitch_rad: Tensor
    fov_deg: Tensor
    center: Tensor
    labels: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def camera(self) -> Camera:
        """The cameras, one by one and on the CPU: the same bits in any batch, on every device."""
        angles = zip(
            self.yaw_rad.cpu().split(1),
            self.pitch_rad.cpu().split(1),
            self.fov_deg.cpu().split(1),
            self.center.cpu().split(1),
            strict=True,
        )
        cameras = [Camera.look_at(*pose) for pose in angles]
        return Camera(
            torch.cat([camera.T_gen_cam for camera in cameras]),
            torch.cat([camera.K for camera in cameras]),
        ).to(self.z.device)

    def __getitem__(self, index: Tensor) -> Parameters:
        ids = tuple(self.ids[i] for i in index.tolist())
        return replace(self._map(lambda values: values[index]), ids=ids)

    def to(self, device: torch.device | str) -> Parameters:
        return self._map(lambda values: values.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Parameters:
        tensors: dict[str, Any] = {
            name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        labels = {name: change(value) for name, value in self.labels.items()}
        return replace(self, labels=labels, **tensors)


Row = dict[str, NDArray[Any]]


def draw(ids: Sequence[SampleId], config: SamplingConfig, latent_size: int) -> Parameters:
    """Draw samples, on the CPU. What `config` leaves None is 0.

    All of z is the identity's, the light with it. With config.like, pose, expression and gaze are
    those of one of its faces, of FLAME; the camera takes all of yaw and pitch, as far as it can.
    """
    rows, labels = [], []
    for sample in ids:
        factors = factors_of(sample, config.grid)
        row, numbers = draw_row(factors, config, latent_size), number_labels(factors)
        if config.like is not None:
            _be_like(row, config.like, factors.view)
        place(row, factors.placing)
        rows.append(row)
        labels.append(numbers | {"light": numbers["identity"]})
    return stacked(ids, rows, labels)


def _be_like(row: Row, like: Like, sample: SampleId) -> None:
    face = like.draw_flame(sample.stream("like"))
    place(row, turns(face.angles_rad, 1.0))
    row["expression"][:] = face.expression
    pose = row["pose_rad"]
    pose[_POSE_ENTRIES["jaw_rad"]] = face.jaw_rad
    camera = [row[name] for name in ("yaw_rad", "pitch_rad", "fov_deg")]
    to_camera = camera_angles(pose[3:6], camera, _NECK_FLAME, _EYES_FLAME)
    looked = zip(to_camera + face.gaze_rad, FLAME_EYES_RAD, strict=True)
    across, down = (within(angle, -most, most) for angle, most in looked)
    pose[9:] = (down, across, 0) * 2
    if like.identity:
        row["shape"][:] = face.shape


def stacked(ids: Sequence[SampleId], rows: Sequence[Row], labels: Sequence[Row]) -> Parameters:
    """Parameters from each sample's row of them, and its labels."""
    return Parameters(tuple(ids), **_tensors(rows), labels=_tensors(labels))


def _tensors(rows: Sequence[Row]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}


def draw_row(factors: Factors, config: SamplingConfig, latent_size: int) -> Row:
    """One sample's fields of Parameters but labels, float32, before it is placed.

    What `config` leaves None is 0. All of z is the identity's.
    """

    def coefficients(id: SampleId, name: str, size: int) -> NDArray[np.float32]:
        drawn: Distribution | None = getattr(config, name)
        if drawn is None:
            return np.zeros(size, np.float32)
        return np.array([drawn.at(u) for u in id.stream(name).random(size)], np.float32)

    def angle(id: SampleId, name: str) -> np.float32:
        drawn: Distribution | None = getattr(config, name)
        return np.float32(0 if drawn is None else drawn.at(id.stream(name).random()))

    pose = np.zeros(15, np.float32)
    for name, entry in _POSE_ENTRIES.items():
        pose[entry] = angle(factors.expression if name == "jaw_rad" else factors.view, name)
    return {
        "z": factors.identity.stream("z").standard_normal(latent_size).astype(np.float32),
        "shape": coefficients(factors.identity, "shape", SHAPE_SIZE),
        "expression": coefficients(factors.expression, "expression", EXPRESSION_SIZE),
        "pose_rad": pose,
        "yaw_rad": np.asarray(angle(factors.view, "yaw_rad")),
        "pitch_rad": np.asarray(angle(factors.view, "pitch_rad")),
        "fov_deg": np.asarray(angle(factors.view, "fov_deg")),
        "center": np.full(2, 0.5, np.float32),
    }


def place(row: Row, view: View) -> None:
    """Put a listed view into a drawn row."""
    for name, value in view.items():
        if name in _POSE_ENTRIES:
            row["pose_rad"][_POSE_ENTRIES[name]] = value
        else:
            row[name] = np.asarray(value, np.float32)


def number_labels(factors: Factors) -> Row:
    """The annotation's keys of FACTORS, int64."""
    return {name: np.asarray(number, np.int64) for name, number in factors.numbers.items()}
