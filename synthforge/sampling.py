"""The parameters of a sample, from its (seed, index, attempt) alone.

Each quantity has a random stream of its own, so that drawing one more leaves the others alone, and
a sample is the same in any batch, worker and order and on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge.camera import Camera
from synthforge.config import EXPRESSION_SIZE, SHAPE_SIZE, Range, SamplingConfig

# Part of every dataset's recipe. Raise it when the same recipe gives other samples: other draws,
# another geometry or labelling, another drawing by the mannequin or by Next3D's code. Rounding
# that README.md allows for is no reason.
SAMPLE_FORMAT = 3

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
}


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
class Parameters:
    """Drawn parameters of B samples.

    z: float32 [B, latent_size]. shape: [B, 100]. expression: [B, 50].
    pose_rad: [B, 15], axis-angles of global, neck, jaw, left eye, right eye.
    yaw_rad, pitch_rad, fov_deg: [B].
    """

    ids: tuple[SampleId, ...]
    z: Tensor
    shape: Tensor
    expression: Tensor
    pose_rad: Tensor
    yaw_rad: Tensor
    pitch_rad: Tensor
    fov_deg: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def camera(self) -> Camera:
        """The cameras, one by one and on the CPU: the same bits in any batch, on every device."""
        angles = zip(
            self.yaw_rad.cpu().split(1),
            self.pitch_rad.cpu().split(1),
            self.fov_deg.cpu().split(1),
            strict=True,
        )
        cameras = [Camera.look_at(*pose) for pose in angles]
        return Camera(
            torch.cat([camera.T_gen_cam for camera in cameras]),
            torch.cat([camera.K for camera in cameras]),
        ).to(self.z.device)

    def __getitem__(self, index: Tensor) -> Parameters:
        return Parameters(
            tuple(self.ids[i] for i in index.tolist()),
            *(getattr(self, name)[index] for name in list(self.__dataclass_fields__)[1:]),
        )

    def to(self, device: torch.device | str) -> Parameters:
        return Parameters(
            self.ids,
            *(getattr(self, name).to(device) for name in list(self.__dataclass_fields__)[1:]),
        )


def draw(
    ids: Sequence[SampleId], config: SamplingConfig, latent_size: int, shape_latents: int = 0
) -> Parameters:
    """Draw samples, on the CPU.

    shape_latents: that many leading entries of z are copies of the leading shape coefficients.
    """
    rows = [_draw_one(sample, config, latent_size, shape_latents) for sample in ids]
    stacked = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
    return Parameters(tuple(ids), **stacked)


def _draw_one(
    sample: SampleId, config: SamplingConfig, latent_size: int, shape_latents: int
) -> dict[str, NDArray[np.float32]]:
    def uniform(name: str, size: int | None = None) -> NDArray[np.float32]:
        drawn: Range = getattr(config, name)
        return np.asarray(sample.stream(name).uniform(drawn.low, drawn.high, size), np.float32)

    z = sample.stream("z").standard_normal(latent_size).astype(np.float32)
    shape = uniform("shape", SHAPE_SIZE)
    z[:shape_latents] = shape[:shape_latents]
    pose = np.zeros(15, np.float32)
    pose[3] = uniform("head_pitch_rad").item()
    pose[4] = uniform("head_yaw_rad").item()
    pose[6] = uniform("jaw_rad").item()
    return {
        "z": z,
        "shape": shape,
        "expression": uniform("expression", EXPRESSION_SIZE),
        "pose_rad": pose,
        "yaw_rad": uniform("yaw_rad"),
        "pitch_rad": uniform("pitch_rad"),
        "fov_deg": uniform("fov_deg"),
    }
