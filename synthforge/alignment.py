"""From FLAME's metres to where the head truly sits in the generated volume.

Two steps: a fixed placement (scale and shift, as the public SynthForge scripts place the mesh),
then a small learned map, 3-hidden-3, the paper's alignment MLP (arXiv:2406.07840, section 3).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from synthforge.assets.locate import PRETRAINED, default_folder
from synthforge.assets.published_alignment import read_published_alignment
from synthforge.config import Activation
from synthforge.errors import UserError
from synthforge.generator import Generator

# Generator units per metre, from Next3D's orthographic scale (5 per half plane).
UNITS_PER_METRE = 2.5
_OFFSET_FLAME = (0.0, -0.01, -0.01)
_OFFSET_GEN = (0.0, 0.0, math.sqrt(2) / 10)

# The affine map that the published fixMapMLP01.pth comes to, for Next3D.
PUBLISHED_A = (
    (1.01956, 0.00574, -0.01967),
    (-0.01988, 0.96937, -0.00984),
    (0.00716, 0.07973, 0.98803),
)
PUBLISHED_B = (0.00115, 0.04870, -0.01416)

_FORMAT = "synthforge alignment 1"
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}


class AlignmentError(UserError, ValueError):
    """Weights that cannot be used; the message says why and the way out."""


def place_in_generator(points_flame: Tensor) -> Tensor:
    """[..., 3] metres -> [..., 3] generator world, before alignment."""
    return (points_flame + points_flame.new_tensor(_OFFSET_FLAME)) * UNITS_PER_METRE + (
        points_flame.new_tensor(_OFFSET_GEN)
    )


def apply_affine(A: Tensor, b: Tensor, points: Tensor) -> Tensor:
    """A @ x + b for points [..., N], A [M, N], b [M], with batch-independent rounding."""
    columns = [x[..., None] * A[:, k] for k, x in enumerate(points.unbind(-1))]
    return sum(columns[1:], columns[0]) + b


class AlignmentMLP(nn.Module):
    """3-hidden-3, starting as the identity.

    Without an activation, as published, it is one affine map. With one, the network is what is
    added to each point, since no activated network is the identity.
    """

    def __init__(self, hidden: int = 4, activation: Activation = "none") -> None:
        super().__init__()
        if hidden < 3:
            raise AlignmentError(f"hidden size must be at least 3, got {hidden}")
        if activation not in get_args(Activation):
            raise AlignmentError(
                f"unknown activation {activation!r}; choose from {', '.join(get_args(Activation))}"
            )
        self.hidden = hidden
        self.activation: Activation = activation
        self.inner = nn.Linear(3, hidden)
        self.outer = nn.Linear(hidden, 3)
        with torch.no_grad():
            for layer in (self.inner, self.outer):
                layer.weight.copy_(torch.eye(*layer.weight.shape))
                layer.bias.zero_()
            if activation != "none":
                # Directions spread over the sphere (Fibonacci); equal ones would never part.
                self.inner.weight.copy_(_fibonacci_sphere(hidden))
                self.outer.weight.zero_()

    def as_affine(self) -> tuple[Tensor, Tensor]:
        """A [3, 3] and b [3] with forward(x) = A @ x + b.

        Raises AlignmentError if there is an activation.
        """
        if self.activation != "none":
            raise AlignmentError(f"an alignment with {self.activation} is not an affine map")
        A = self.outer.weight @ self.inner.weight
        return A, self.outer.weight @ self.inner.bias + self.outer.bias

    @classmethod
    def from_affine(cls, A: Tensor, b: Tensor) -> AlignmentMLP:
        mlp = cls()
        with torch.no_grad():
            mlp.inner.weight[:3] = A
            mlp.inner.bias[:3] = b
            mlp.outer.weight[:, 3:] = 0
        return mlp

    def forward(self, points_gen: Tensor) -> Tensor:
        """[..., 3] placed points -> [..., 3] where they sit in the generated volume."""
        if self.activation == "none":
            A, b = self.as_affine()
            return apply_affine(A, b, points_gen)
        hidden = apply_affine(self.inner.weight, self.inner.bias, points_gen)
        hidden = _ACTIVATIONS[self.activation](hidden)
        return points_gen + apply_affine(self.outer.weight, self.outer.bias, hidden)


def _fibonacci_sphere(count: int) -> Tensor:
    index = torch.arange(count, dtype=torch.float64)
    height = 1 - (2 * index + 1) / count
    angle = index * math.pi * (3 - math.sqrt(5))
    radius = torch.sqrt(1 - height * height)
    return torch.stack([radius * torch.cos(angle), height, radius * torch.sin(angle)], 1).float()


def trained_path(pretrained_dir: Path | None, generator_name: str) -> Path:
    """Where train_alignment_mlp.py puts weights, and generate_synthforge_data.py looks for them.

    pretrained_dir: None for default_folder's.
    """
    folder = pretrained_dir or default_folder(PRETRAINED)
    return folder / f"alignment_{generator_name}.safetensors"


def published_alignment() -> AlignmentMLP:
    """The published map for Next3D."""
    return AlignmentMLP.from_affine(torch.tensor(PUBLISHED_A), torch.tensor(PUBLISHED_B))


@dataclass(frozen=True)
class AlignmentOrigin:
    """What weights were trained for, and how well that went; stored inside their file.

    scores: name -> value, the name says the unit. training: the training config, for the record.
    """

    generator: str
    generator_fingerprint: str
    head_fingerprint: str
    scores: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def save_alignment(path: Path, mlp: AlignmentMLP, origin: AlignmentOrigin) -> None:
    """Write weights and origin as safetensors, whole or not at all.

    Raises AlignmentError if a weight is not finite.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in mlp.state_dict().items()}
    _require_finite(path, tensors)
    metadata = {
        "format": _FORMAT,
        "hidden": str(mlp.hidden),
        "activation": mlp.activation,
        "generator": origin.generator,
        "generator_fingerprint": origin.generator_fingerprint,
        "head_fingerprint": origin.head_fingerprint,
        "scores": json.dumps(dict(origin.scores)),
        "training": json.dumps(dict(origin.training), default=str),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    save_file(tensors, partial, metadata=metadata)
    os.replace(partial, path)


def read_alignment(path: Path) -> tuple[AlignmentMLP, AlignmentOrigin | None]:
    """Weights that `save_alignment` wrote and their origin; or, from a name ending in .pth, the
    published ones for Next3D, which hold no origin.

    Raises AlignmentError or FileFormatError for a missing, foreign or damaged file.
    """
    if path.suffix == ".pth" and path.exists():
        return _read_published(path), None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise AlignmentError(
            f"alignment weights not found: {path}. Train them with train_alignment_mlp.py "
            f"--output {path}, or leave --alignment out to use the generator's own."
        ) from error
    except (OSError, SafetensorError) as error:
        raise AlignmentError(f"{path} is not a readable safetensors file: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise AlignmentError(
            f"{path} is no alignment of ours: its format is {metadata.get('format')!r}, "
            f"expected {_FORMAT!r}. Write one with train_alignment_mlp.py."
        )
    try:
        mlp = AlignmentMLP(int(metadata["hidden"]), metadata["activation"])
        mlp.load_state_dict(tensors)
        origin = AlignmentOrigin(
            metadata["generator"],
            metadata["generator_fingerprint"],
            metadata["head_fingerprint"],
            json.loads(metadata["scores"]),
            json.loads(metadata["training"]),
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise AlignmentError(f"alignment weights in {path} are damaged: {error}") from error
    _require_finite(path, tensors)
    return mlp, origin


def load_alignment(
    path: Path, generator: Generator, head_fingerprint: str, force: bool = False
) -> AlignmentMLP:
    """Weights for this generator and head.

    Raises AlignmentError if the file cannot be read, or unless `force`, if its weights were
    trained for another generator or head.
    """
    mlp, origin = read_alignment(path)
    if origin is None:
        if generator.name != "next3d" and not force:
            raise AlignmentError(
                f"{path} holds the published weights for next3d; this run uses {generator.name} "
                f"{generator.fingerprint}. Leave --alignment out, or pass --force_alignment."
            )
        return mlp
    trained = (origin.generator_fingerprint, origin.head_fingerprint)
    wanted = (generator.fingerprint, head_fingerprint)
    if trained != wanted and not force:
        raise AlignmentError(
            f"{path} was trained for another generator or head: "
            f"{origin.generator} {trained[0]} with head {trained[1]}; this run uses "
            f"{generator.name} {wanted[0]} with head {wanted[1]}. Train again with "
            f"train_alignment_mlp.py --generator {generator.name}, or pass --force_alignment."
        )
    return mlp


def _read_published(path: Path) -> AlignmentMLP:
    mlp = AlignmentMLP()
    inner, outer = read_published_alignment(path)
    with torch.no_grad():
        for layer, published in ((mlp.inner, inner), (mlp.outer, outer)):
            layer.weight.copy_(published.weight)
            layer.bias.copy_(published.bias)
    return mlp


def _require_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise AlignmentError(f"alignment weights {', '.join(broken)} are not finite ({path})")
