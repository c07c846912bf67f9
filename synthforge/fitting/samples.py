"""What the alignment is trained on: heads, the generator's answer to each, kept on disk.

The generator's answer is drawn once and read by every later run with the same generator, head,
detector, sampling ranges and seed. (The public SynthForge code drew its training samples anew
every epoch.) A cached file is untrusted: one that is damaged is named and drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from synthforge.camera import Camera
from synthforge.config import IMAGE_SIZE
from synthforge.detectors import ALIKE
from synthforge.fitting import TrainingError
from synthforge.fitting.drawing import (
    CACHE_FORMAT,
    MAX_DEPTH_SIZE,
    POINTS,
    SampleSource,
    draw_batch,
    draw_heads,
)
from synthforge.frames import place_in_generator
from synthforge.sampling import SampleId
from synthforge.tensor_files import (
    Layout,
    TensorFileError,
    read_tensors,
    whole_number,
    write_tensors,
)

# Indices of validation samples begin here, so that num_train never moves them.
VALIDATION_START = 1_000_000

_FORMAT = f"synthforge alignment sample {CACHE_FORMAT}"
_KEYS = ("attempt", "depth_size")
_MAX_ATTEMPT = 2**31
# No length or pixel coordinate of a sample comes near it, and its square is a finite loss.
_MAX_VALUE = 1e4
# Heads posed at once.
_HEADS = 64


@dataclass(frozen=True)
class Samples:
    """N heads and what the generator made of them. Lengths in generator units.

    vertices_gen, landmarks_gen: float32 [N, V, 3] and [N, 68, 3], placed but not aligned.
    z_depth: float32 [N, h, h], the generator's. opaque: bool [N, h, h], where it shows a surface.
    points_gen: float32 [N, P, 3], dense points of the generator.
    keypoints_px: float32 [N, 68, 2] at 512, a detector's; None if there was none. spread: float32
    [68], the detector's, in outer-eye distances.
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
    spread: Tensor

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
            self.spread,
        )

    def image(self, i: int) -> Tensor:
        """uint8 [512, 512, 3] RGB."""
        with safe_open(self.files[i], framework="pt") as file:
            return file.get_tensor("image")


@dataclass(frozen=True)
class _Answer:
    """What the generator made of one head: tensors of `draw_batch` but the image, on the CPU."""

    attempt: int
    tensors: Mapping[str, Tensor]


def load_samples(
    source: SampleSource,
    indices: Sequence[int],
    cache_dir: Path,
    batch_size: int = 4,
    say: Callable[[str], None] = tqdm.write,
) -> Samples:
    """The samples of `indices`, drawing those that the cache does not hold.

    say: takes a line for each file that is drawn again.
    Raises TrainingError if the detector finds no face in any of `max_attempts` draws of an index,
    or if the generator shows nothing.
    """
    folder = cache_dir / source.key
    cached: dict[int, _Answer] = {}
    for index in indices:
        path = _file(folder, index)
        try:
            cached[index] = _read(path, source)
        except FileNotFoundError:
            pass
        except TensorFileError as error:
            say(f"{path} {error}. Drawing it again.")
    missing = [index for index in indices if index not in cached]
    answers = cached | _draw(source, missing, folder, batch_size)
    if len({answer.tensors["z_depth"].shape for answer in answers.values()}) > 1:
        say(f"The files in {folder} differ in the size of their depth. Drawing them again.")
        answers |= _draw(source, list(cached), folder, batch_size)
    return _collect(source, folder, {index: answers[index] for index in indices})


def _draw(
    source: SampleSource, indices: list[int], folder: Path, batch_size: int
) -> dict[int, _Answer]:
    answers: dict[int, _Answer] = {}
    with tqdm(total=len(indices), desc="Drawing samples", disable=not indices) as progress:
        attempts = dict.fromkeys(indices, 0)
        while attempts:
            batch = [SampleId(source.seed, i, n) for i, n in list(attempts.items())[:batch_size]]
            drawn = draw_batch(source, batch)
            for sample, tensors in zip(batch, drawn, strict=True):
                if tensors is not None:
                    path = _file(folder, sample.index)
                    answers[sample.index] = _write(path, sample.attempt, tensors)
                    del attempts[sample.index]
                    progress.update()
                    continue
                attempts[sample.index] += 1
                if attempts[sample.index] >= source.max_attempts:
                    raise TrainingError(
                        f"the detector found no face in {source.max_attempts} draws of sample "
                        f"{sample.index}. Narrow the camera's ranges, or pass --detector none."
                    )
    return answers


@torch.no_grad()
def _collect(source: SampleSource, folder: Path, answers: Mapping[int, _Answer]) -> Samples:
    ids = [SampleId(source.seed, index, answer.attempt) for index, answer in answers.items()]
    chunks = [draw_heads(source, ids[i : i + _HEADS]) for i in range(0, len(ids), _HEADS)]
    columns = {
        name: torch.stack([answer.tensors[name] for answer in answers.values()]).to(source.device)
        for name in next(iter(answers.values())).tensors
    }
    return Samples(
        torch.cat([place_in_generator(mesh.vertices) for _, mesh in chunks]),
        torch.cat([place_in_generator(mesh.landmarks) for _, mesh in chunks]),
        Camera.from_vector(torch.cat([parameters.camera.vector for parameters, _ in chunks])),
        columns["z_depth"],
        columns["opaque"],
        columns["points_gen"],
        columns.get("keypoints_px"),
        tuple(_file(folder, index) for index in answers),
        source.key,
        torch.tensor(source.detector.spread if source.detector else ALIKE, device=source.device),
    )


def _file(folder: Path, index: int) -> Path:
    return folder / f"{index:07d}.safetensors"


def _write(path: Path, attempt: int, tensors: dict[str, Tensor]) -> _Answer:
    metadata = {"attempt": attempt, "depth_size": tensors["z_depth"].shape[-1]}
    write_tensors(path, _FORMAT, tensors, metadata)
    return _Answer(attempt, {name: value for name, value in tensors.items() if name != "image"})


def _read(path: Path, source: SampleSource) -> _Answer:
    """Raises FileNotFoundError, or TensorFileError if the file is not a sample of `source`."""

    def layout(metadata: Mapping[str, Any]) -> Layout:
        whole_number("attempt", metadata["attempt"], 0, _MAX_ATTEMPT)
        size = whole_number("depth_size", metadata["depth_size"], 1, MAX_DEPTH_SIZE)
        kinds: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
            "image": (torch.uint8, (IMAGE_SIZE, IMAGE_SIZE, 3)),
            "z_depth": (torch.float32, (size, size)),
            "opaque": (torch.bool, (size, size)),
            "points_gen": (torch.float32, (POINTS, 3)),
        }
        if source.detector is not None:
            kinds["keypoints_px"] = (torch.float32, (68, 2))
        return kinds

    tensors, metadata = read_tensors(path, _FORMAT, _KEYS, layout)
    del tensors["image"]
    for name, value in tensors.items():
        if value.is_floating_point() and value.abs().max() > _MAX_VALUE:
            raise TensorFileError(f"has values beyond {_MAX_VALUE:g} in {name}")
    return _Answer(metadata["attempt"], tensors)
