"""Drawing what the alignment is trained on: a head, and what the generator makes of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from synthforge.camera import Camera
from synthforge.detectors import Detector
from synthforge.fitting import TrainingError
from synthforge.generator import Generator, GeneratorOutput
from synthforge.head import Head
from synthforge.mesh import Mesh
from synthforge.sampling import SAMPLE_FORMAT, Parameters, SampleId
from synthforge.sampling_config import SamplingConfig

# Part of every cache's key: raise it when what a cached sample holds, or how it is made, changes.
CACHE_FORMAT = 3
# Depth is compared at this resolution at most, as in the public SynthForge code.
MAX_DEPTH_SIZE = 128
# Dense points of a sample.
POINTS = 2048
# The generator's dense points, from the public SynthForge code: density, scaled to [0, 1] over the
# image, above 0.4, and z above 0.1, which drops the back of the head.
_MIN_DENSITY = 0.4
_MIN_POINT_Z = 0.1


@dataclass(frozen=True)
class SampleSource:
    """Everything that a sample depends on but its index."""

    head: Head
    generator: Generator
    sampling: SamplingConfig
    seed: int
    device: torch.device
    detector: Detector | None = None
    max_attempts: int = 20

    @property
    def key(self) -> str:
        """Names the folder of the cache."""
        facts = {
            "cache_format": CACHE_FORMAT,
            "sample_format": SAMPLE_FORMAT,
            "generator": self.generator.fingerprint,
            "head": self.head.fingerprint,
            "sampling": asdict(self.sampling),
            "seed": self.seed,
            # The spread is measured with the detector's points: a change of it tells of theirs.
            "detector": [self.detector.name, *self.detector.spread] if self.detector else None,
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return f"{self.generator.name}-{digest[:16]}"


def draw_heads(source: SampleSource, ids: list[SampleId]) -> tuple[Parameters, Mesh]:
    """Parameters of the samples and their heads, in metres."""
    parameters = source.generator.draw(ids, source.sampling).to(source.device)
    return parameters, source.head.mesh(parameters, parameters.camera)


@torch.no_grad()
def draw_batch(source: SampleSource, ids: list[SampleId]) -> list[dict[str, Tensor] | None]:
    """What the generator makes of each head, on the CPU; None where the detector found no face."""
    parameters, mesh_flame = draw_heads(source, ids)
    camera = parameters.camera
    output = source.generator.generate(parameters.z, mesh_flame, camera)
    images = output.to_uint8()
    keypoints = source.detector(images) if source.detector else None
    z_depth, opaque = depth_target(output, camera)
    whole = {
        "image": images,
        "z_depth": z_depth,
        "opaque": opaque,
        "points_gen": dense_points(output, camera, parameters),
    }
    drawn: list[dict[str, Tensor] | None] = []
    for i in range(len(ids)):
        tensors = {name: value[i].cpu().contiguous() for name, value in whole.items()}
        if keypoints is not None:
            found = keypoints[i]
            if found is None:
                drawn.append(None)
                continue
            tensors["keypoints_px"] = found.float().cpu().contiguous()
        drawn.append(tensors)
    return drawn


def depth_target(output: GeneratorOutput, camera: Camera) -> tuple[Tensor, Tensor]:
    """z-depth [B, h, h] and where it is opaque; h is at most MAX_DEPTH_SIZE.

    The depth is 0 where it is not opaque.
    Distances along rays become z-depth at their own resolution, before they are averaged.
    """
    z_depth, opacity = camera.z_depth(output.ray_distance), output.opacity
    size = min(z_depth.shape[-1], MAX_DEPTH_SIZE)
    pooled = F.adaptive_avg_pool2d(z_depth, size)
    # Opaque through and through, so that no average mixes in the background.
    opaque = -F.adaptive_max_pool2d(-opacity, size) > 0.5
    opaque &= torch.isfinite(pooled)
    return torch.where(opaque, pooled, 0.0)[:, 0], opaque[:, 0]


def dense_points(output: GeneratorOutput, camera: Camera, parameters: Parameters) -> Tensor:
    """[B, POINTS, 3]: points of the generator's volume, or of its depth if it offers none."""
    if output.points_gen is not None and output.density is not None:
        density = output.density
        low, high = density.amin(1, keepdim=True), density.amax(1, keepdim=True)
        points = output.points_gen
        kept = (density - low) / (high - low).clamp_min(1e-12) > _MIN_DENSITY
    else:
        size = output.ray_distance.shape[-1]
        origins, directions = camera.rays(size)
        points = origins + directions * output.ray_distance.flatten(1)[..., None]
        kept = output.opacity.flatten(1) > 0.5
    kept = kept & (points[..., 2] > _MIN_POINT_Z)
    chosen = []
    for sample, row, keep in zip(parameters.ids, points, kept, strict=True):
        index = torch.nonzero(keep).squeeze(1)
        if not len(index):
            raise TrainingError(f"the generator shows no surface in sample {sample.index}")
        draws = torch.Generator().manual_seed(sample.index)
        pick = torch.randint(len(index), (POINTS,), generator=draws)
        chosen.append(row[index[pick.to(index.device)]])
    return torch.stack(chosen)
