"""What the alignment is trained on: heads, the generator's answer to each, kept on disk.

A sample is drawn once and read by every later run with the same generator, head, detector,
sampling ranges and seed. (The public SynthForge code drew its training samples anew every epoch.)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from synthforge.alignment import place_in_generator
from synthforge.camera import Camera
from synthforge.config import SamplingConfig
from synthforge.detectors import Detector
from synthforge.fitting import TrainingError
from synthforge.generator import Generator, GeneratorOutput
from synthforge.head import Head
from synthforge.sampling import Parameters, SampleId, draw

# Part of every cache's key: raise it when what a sample holds changes.
_VERSION = 1
# Depth is compared at this resolution at most, as in the public SynthForge code.
_DEPTH_SIZE = 128
_POINTS = 2048
# The generator's dense points, from the public SynthForge code: density, scaled to [0, 1] over the
# image, above 0.4, and z above 0.1, which drops the back of the head.
_MIN_DENSITY = 0.4
_MIN_POINT_Z = 0.1
# Indices of validation samples begin here, so that num_train never moves them.
VALIDATION_START = 1_000_000


@dataclass(frozen=True)
class Samples:
    """N heads and what the generator made of them. Lengths in generator units.

    vertices_gen, landmarks_gen: float32 [N, V, 3] and [N, 68, 3], placed but not aligned.
    z_depth: float32 [N, h, h], the generator's. opaque: bool [N, h, h], where it shows a surface.
    points_gen: float32 [N, P, 3], dense points of the generator.
    keypoints_px: float32 [N, 68, 2] at 512, a detector's; None if there was none.
    files: where each sample, with its image, lies. key: of the `SampleSource`.
    """

    vertices_gen: Tensor
    landmarks_gen: Tensor
    camera: Camera
    z_depth: Tensor
    opaque: Tensor
    points_gen: Tensor
    keypoints_px: Tensor | None
    files: tuple[Path, ...]
    key: str

    def __len__(self) -> int:
        return len(self.files)

    def select(self, index: Tensor) -> Samples:
        """index: int64 [M] on the CPU."""
        at = index.to(self.z_depth.device)
        return Samples(
            self.vertices_gen[at],
            self.landmarks_gen[at],
            Camera(self.camera.T_gen_cam[at], self.camera.K[at]),
            self.z_depth[at],
            self.opaque[at],
            self.points_gen[at],
            None if self.keypoints_px is None else self.keypoints_px[at],
            tuple(self.files[i] for i in index.tolist()),
            self.key,
        )

    def image(self, i: int) -> Tensor:
        """uint8 [512, 512, 3] RGB."""
        with safe_open(self.files[i], framework="pt") as file:
            return file.get_tensor("image")


@dataclass(frozen=True)
class SampleSource:
    """Everything that a sample depends on but its index.

    detector_name: part of the cache's key; "none" if there is no detector.
    """

    head: Head
    generator: Generator
    sampling: SamplingConfig
    seed: int
    device: torch.device
    detector: Detector | None = None
    detector_name: str = "none"
    max_attempts: int = 20

    @property
    def key(self) -> str:
        """Names the folder of the cache."""
        facts = {
            "version": _VERSION,
            "generator": self.generator.fingerprint,
            "head": self.head.fingerprint,
            "sampling": asdict(self.sampling),
            "seed": self.seed,
            "detector": self.detector_name,
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return f"{self.generator.name}-{digest[:16]}"


def load_samples(
    source: SampleSource, indices: Sequence[int], cache_dir: Path, batch_size: int = 4
) -> Samples:
    """The samples of `indices`, drawing those that the cache does not hold.

    Raises TrainingError if the detector finds no face in any of `max_attempts` draws of an index,
    or if the generator shows nothing.
    """
    folder = cache_dir / source.key
    folder.mkdir(parents=True, exist_ok=True)
    missing = [i for i in indices if not _is_whole(_file(folder, i))]
    with tqdm(total=len(missing), desc="Drawing samples", disable=not missing) as progress:
        attempts = dict.fromkeys(missing, 0)
        while attempts:
            batch = [SampleId(source.seed, i, n) for i, n in list(attempts.items())[:batch_size]]
            drawn = _draw_batch(source, batch)
            for sample, tensors in zip(batch, drawn, strict=True):
                if tensors is not None:
                    _write(_file(folder, sample.index), tensors)
                    del attempts[sample.index]
                    progress.update()
                    continue
                attempts[sample.index] += 1
                if attempts[sample.index] >= source.max_attempts:
                    raise TrainingError(
                        f"the detector found no face in {source.max_attempts} draws of sample "
                        f"{sample.index}. Narrow the camera's ranges, or pass --detector none."
                    )
    return _read([_file(folder, i) for i in indices], source)


def _draw_batch(source: SampleSource, ids: list[SampleId]) -> list[dict[str, Tensor] | None]:
    """One dict of tensors a sample; None where the detector found no face."""
    generator = source.generator
    parameters = draw(ids, source.sampling, generator.latent_size, generator.shape_latents)
    parameters = parameters.to(source.device)
    with torch.no_grad():
        camera = parameters.camera
        mesh_flame = source.head.mesh(parameters, camera)
        output = generator.generate(parameters.z, mesh_flame, camera)
        images = ((output.image.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        images = images.permute(0, 2, 3, 1).contiguous()
        keypoints = source.detector(images) if source.detector else None
        z_depth, opaque = _depth_target(output, camera)
        whole = {
            "image": images,
            "vertices_gen": place_in_generator(mesh_flame.vertices),
            "landmarks_gen": place_in_generator(mesh_flame.landmarks),
            "camera": camera.vector,
            "z_depth": z_depth,
            "opaque": opaque,
            "points_gen": _dense_points(output, camera, parameters),
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


def _depth_target(output: GeneratorOutput, camera: Camera) -> tuple[Tensor, Tensor]:
    """z-depth [B, h, h] and where it is to be trusted, at `_DEPTH_SIZE` or less.

    Distances along rays become z-depth at their own resolution, before they are averaged.
    """
    z_depth, opacity = camera.z_depth(output.ray_distance), output.opacity
    size = min(z_depth.shape[-1], _DEPTH_SIZE)
    pooled = F.adaptive_avg_pool2d(z_depth, size)
    # Opaque through and through, so that no average mixes in the background.
    opaque = -F.adaptive_max_pool2d(-opacity, size) > 0.5
    return pooled[:, 0], (opaque & torch.isfinite(pooled))[:, 0]


def _dense_points(output: GeneratorOutput, camera: Camera, parameters: Parameters) -> Tensor:
    """[B, _POINTS, 3]: points of the generator's volume, or of its depth if it offers none."""
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
        pick = torch.randint(len(index), (_POINTS,), generator=draws)
        chosen.append(row[index[pick.to(index.device)]])
    return torch.stack(chosen)


def _file(folder: Path, index: int) -> Path:
    return folder / f"{index:07d}.safetensors"


def _is_whole(path: Path) -> bool:
    try:
        with safe_open(path, framework="pt"):
            return True
    except (OSError, SafetensorError):
        return False


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    save_file(tensors, partial)
    os.replace(partial, path)


def _read(files: list[Path], source: SampleSource) -> Samples:
    columns: dict[str, list[Tensor]] = {}
    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                if name != "image":
                    columns.setdefault(name, []).append(file.get_tensor(name))
    stacked = {name: torch.stack(column).to(source.device) for name, column in columns.items()}
    return Samples(
        stacked["vertices_gen"],
        stacked["landmarks_gen"],
        Camera.from_vector(stacked["camera"]),
        stacked["z_depth"],
        stacked["opaque"],
        stacked["points_gen"],
        stacked.get("keypoints_px"),
        tuple(files),
        source.key,
    )
