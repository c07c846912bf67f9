"""From FLAME's metres to where the head truly sits in the generated volume.

Two steps: a fixed placement (scale and shift, as the public SynthForge scripts place the mesh),
then a small learned map, 3-hidden-3, the paper's alignment MLP (arXiv:2406.07840, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from synthforge.assets.published_alignment import read_published_alignment
from synthforge.config import CAMERA_PIVOT, Activation
from synthforge.errors import UserError
from synthforge.generator import Generator
from synthforge.tensor_files import (
    Layout,
    TensorFileError,
    named_numbers,
    read_tensors,
    whole_number,
    write_tensors,
)

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

_FORMAT = "synthforge alignment 2"
_FACTS = ("generator", "generator_fingerprint", "head_fingerprint")
_KEYS = ("hidden", "activation", *_FACTS, "scores", "training")
_MAX_HIDDEN = 4096

# What an alignment may do to a face at most; those known move it by less than 0.1 units and stretch
# it by less than 1.1. A face fills a cube of half this edge round the point that cameras look at.
_MAX_SHIFT = 0.5
_MAX_STRETCH = 2.0
_FACE_HALF_SIZE = 0.25
_WAY_OUT = (
    "Remove it to use the generator's own alignment, or train again with train_alignment_mlp.py."
)

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
        if not 3 <= hidden <= _MAX_HIDDEN:
            raise AlignmentError(f"hidden size must lie in 3..{_MAX_HIDDEN}, got {hidden}")
        if activation not in get_args(Activation):
            raise AlignmentError(
                f"unknown activation {activation!r:.40}; choose from "
                f"{', '.join(get_args(Activation))}"
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


def trained_path(pretrained_dir: Path, generator_name: str) -> Path:
    """Where train_alignment_mlp.py puts weights, and generate_synthforge_data.py looks for them."""
    return pretrained_dir / f"alignment_{generator_name}.safetensors"


def published_alignment() -> AlignmentMLP:
    """The published map for Next3D."""
    return AlignmentMLP.from_affine(torch.tensor(PUBLISHED_A), torch.tensor(PUBLISHED_B))


@dataclass(frozen=True)
class AlignmentOrigin:
    """What weights were trained for, and how well that went; stored inside their file.

    scores: name -> value, the name says the unit. training: settings of the training, for the
    record; no paths.
    """

    generator: str
    generator_fingerprint: str
    head_fingerprint: str
    scores: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def save_alignment(path: Path, mlp: AlignmentMLP, origin: AlignmentOrigin) -> None:
    """Write weights and origin as safetensors, whole or not at all.

    Raises AlignmentError if the map is absurd, as read_alignment does.
    """
    fault = _absurdity(mlp)
    if fault:
        raise AlignmentError(f"the alignment {fault}, so {path} is not written. Lower --lr.")
    metadata = {
        "hidden": mlp.hidden,
        "activation": mlp.activation,
        **{name: getattr(origin, name) for name in _FACTS},
        "scores": dict(origin.scores),
        "training": dict(origin.training),
    }
    write_tensors(path, _FORMAT, mlp.state_dict(), metadata)


def read_alignment(path: Path) -> tuple[AlignmentMLP, AlignmentOrigin | None]:
    """Weights that `save_alignment` wrote and their origin; or, from a name ending in .pth, the
    published ones for Next3D, which hold no origin.

    Raises AlignmentError or FileFormatError for a missing, foreign or damaged file, and
    AlignmentError for a map that would tear, mirror or displace a face absurdly.
    """
    if path.suffix == ".pth" and path.exists():
        mlp, origin = _read_published(path), None
    else:
        mlp, origin = _read_trained(path)
    fault = _absurdity(mlp)
    if fault:
        raise AlignmentError(f"the alignment in {path} {fault}. {_WAY_OUT}")
    return mlp, origin


def _read_trained(path: Path) -> tuple[AlignmentMLP, AlignmentOrigin]:
    try:
        tensors, metadata = read_tensors(path, _FORMAT, _KEYS, _layout)
        mlp = AlignmentMLP(metadata["hidden"], metadata["activation"])
        mlp.load_state_dict(tensors)
        return mlp, _origin(metadata)
    except FileNotFoundError as error:
        raise AlignmentError(
            f"alignment weights not found: {path}. Train them with train_alignment_mlp.py "
            f"--output {path}, or leave --alignment out to use the generator's own."
        ) from error
    except TensorFileError as error:
        raise AlignmentError(f"alignment weights {path}: the file {error}. {_WAY_OUT}") from error
    except AlignmentError as error:
        raise AlignmentError(f"alignment weights {path}: {error}. {_WAY_OUT}") from error


def _layout(metadata: Mapping[str, Any]) -> Layout:
    hidden = whole_number("hidden", metadata["hidden"], 3, _MAX_HIDDEN)
    return {
        "inner.weight": (torch.float32, (hidden, 3)),
        "inner.bias": (torch.float32, (hidden,)),
        "outer.weight": (torch.float32, (3, hidden)),
        "outer.bias": (torch.float32, (3,)),
    }


def _origin(metadata: Mapping[str, Any]) -> AlignmentOrigin:
    """Raises TensorFileError for values of another kind."""
    facts = {name: metadata[name] for name in _FACTS}
    for name, fact in facts.items():
        if not (isinstance(fact, str) and fact.isprintable()):
            raise TensorFileError(f"has {name} {fact!r:.40}, expected a name")
    training = metadata["training"]
    if not isinstance(training, dict):
        raise TensorFileError(f"has training {training!r:.40}, expected settings by name")
    scores = named_numbers("scores", metadata["scores"])
    return AlignmentOrigin(**facts, scores=scores, training=training)


@torch.no_grad()
def _absurdity(mlp: AlignmentMLP) -> str:
    """What makes it no alignment of a face, or "".

    Judged on a grid over the face: how far points move, and the singular values of the map's
    Jacobian, from finite differences.
    """
    axis = torch.linspace(-_FACE_HALF_SIZE, _FACE_HALF_SIZE, 5)
    points = torch.cartesian_prod(axis, axis, axis) + torch.tensor(CAMERA_PIVOT)
    points = points.to(mlp.inner.weight)
    moved = mlp(points)
    steps = 0.01 * torch.eye(3).to(points)
    jacobian = torch.stack([(mlp(points + step) - moved) / 0.01 for step in steps], -1)
    if not jacobian.isfinite().all():
        return "is not finite"
    shift = torch.linalg.vector_norm(moved - points, dim=-1).max().item()
    if shift > _MAX_SHIFT:
        return f"moves the face by {shift:.3g} generator units, at most {_MAX_SHIFT:g} make sense"
    if (torch.linalg.det(jacobian) <= 0).any():
        return "turns the face inside out"
    stretch = torch.linalg.svdvals(jacobian)
    low, high = stretch.min().item(), stretch.max().item()
    if low < 1 / _MAX_STRETCH or high > _MAX_STRETCH:
        return (
            f"stretches the face by {low:.3g} to {high:.3g}, only {1 / _MAX_STRETCH:g} to "
            f"{_MAX_STRETCH:g} makes sense"
        )
    return ""


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
            f"{origin.generator:.40} {trained[0]:.40} with head {trained[1]:.40}; this run uses "
            f"{generator.name} {wanted[0]} with head {wanted[1]}. Remove it and train again with "
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
