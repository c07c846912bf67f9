"""Alignment weights on disk: written with their origin, read as untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from synthforge.alignment import MAX_HIDDEN, AlignmentError, AlignmentMLP
from synthforge.assets.published_alignment import PUBLISHED_FOR, read_published_alignment
from synthforge.config import CAMERA_PIVOT
from synthforge.generator import Generator
from synthforge.tensor_files import (
    Layout,
    TensorFileError,
    named_numbers,
    read_tensors,
    whole_number,
    write_tensors,
)

_FORMAT = "synthforge alignment 2"
_FACTS = ("generator", "generator_fingerprint", "head_fingerprint")
_KEYS = ("hidden", "activation", *_FACTS, "scores", "training")
_WAY_OUT = (
    "Remove it, and train again with train_alignment_mlp.py or use the generator's own alignment."
)

# The most that an alignment may do to a face: move a point, in generator units, and stretch or
# shrink it. The published one moves the face by 0.07 units and stretches it by 0.94 to 1.03.
_MAX_SHIFT = 0.5
_MAX_STRETCH = 2.0
# Half the edge of the cube that a face fills, round the point that the cameras look at.
_FACE_HALF_SIZE = 0.25
_JACOBIAN_STEP = 0.01


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

    Raises AlignmentError for a map that `read_alignment` would refuse.
    """
    fault = _fault(mlp)
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
    AlignmentError for a map that moves, stretches or mirrors a face as no alignment does.
    """
    if path.suffix == ".pth" and path.exists():
        mlp, origin = _read_published(path), None
    else:
        mlp, origin = _read_trained(path)
    fault = _fault(mlp)
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
    hidden = whole_number("hidden", metadata["hidden"], 3, MAX_HIDDEN)
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
def _fault(mlp: AlignmentMLP) -> str:
    """Why the map cannot be the alignment of a face; "" if it can.

    Judged on a grid over the face by how far points move, and by the determinant and singular
    values of the Jacobian there (finite differences).
    """
    axis = torch.linspace(-_FACE_HALF_SIZE, _FACE_HALF_SIZE, 5)
    points = torch.cartesian_prod(axis, axis, axis) + torch.tensor(CAMERA_PIVOT)
    points = points.to(mlp.inner.weight)
    moved = mlp(points)
    steps = _JACOBIAN_STEP * torch.eye(3).to(points)
    jacobian = torch.stack([(mlp(points + s) - moved) / _JACOBIAN_STEP for s in steps], -1)
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
        if generator.name != PUBLISHED_FOR and not force:
            raise AlignmentError(
                f"{path} holds the published weights for {PUBLISHED_FOR}; this run uses "
                f"{generator.name} {generator.fingerprint}. Leave --alignment out, or pass "
                "--force_alignment."
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
