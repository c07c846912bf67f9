"""What the alignment is trained on: heads, the generator's answer to each, kept on disk.

A sample is drawn once and read by every later run with the same generator, head, detector,
sampling ranges and seed. (The public SynthForge code drew its training samples anew every epoch.)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from synthforge.camera import Camera
from synthforge.fitting import TrainingError
from synthforge.fitting.drawing import SampleSource, draw_batch
from synthforge.sampling import SampleId

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
            drawn = draw_batch(source, batch)
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
