"""Weights by their official names: taken from a checkpoint, or drawn afresh."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from synthforge.mesh import Topology
from synthforge.next3d.layers import FullyConnected

_MAX_NAMED = 8


def select_live(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], *, strict: bool
) -> dict[str, Tensor]:
    """The tensors of `given` that `own` names, each with the dtype and strides of its own.

    Raises ValueError naming those of another shape, with values that are NaN or infinite and, if
    strict, those that are missing.
    """
    missing = [name for name in own if name not in given] if strict else []
    misshaped = [
        f"{name} {tuple(given[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if missing or misshaped:
        raise ValueError(describe_mismatch(missing, misshaped))
    broken = [name for name in own if name in given and not given[name].isfinite().all()]
    if broken:
        raise ValueError(f"these weights hold NaN or infinite values: {_first(broken)}")
    return {
        name: _laid_out_like(tensor, given[name]) for name, tensor in own.items() if name in given
    }


def describe_mismatch(missing: list[str], misshaped: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"missing ({len(missing)}): {_first(missing)}")
    if misshaped:
        parts.append(f"of another shape ({len(misshaped)}): {_first(misshaped)}")
    return f"these weights do not fit the generator's configuration: {'; '.join(parts)}"


def _first(names: list[str]) -> str:
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _laid_out_like(own: Tensor, given: Tensor) -> Tensor:
    if given.dtype == own.dtype and given.stride() == own.stride():
        return given
    laid_out = torch.empty_strided(own.shape, own.stride(), dtype=own.dtype, device=given.device)
    return laid_out.copy_(given)


def initialise(module: nn.Module, seed: int) -> None:
    """StyleGAN2's initialisation, drawn from `seed`."""
    random = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith((".bias", ".noise_strength", ".w_avg")):
            tensor.fill_(1.0 if name.endswith("affine.bias") else 0.0)
        else:
            tensor.normal_(generator=random)
    for layer in module.modules():
        if isinstance(layer, FullyConnected):
            layer.weight.div_(layer.lr_mul)


def checkpoint_mesh(topology: Topology) -> tuple[Tensor, Tensor]:
    """Faces [1, F, 3] and texture coordinates of their corners [1, F, 3, 3] as checkpoints hold
    them: (2u - 1, 1 - 2v, 1)."""
    u, v = topology.face_uvs.unbind(-1)
    return topology.faces[None], torch.stack([2 * u - 1, 1 - 2 * v, torch.ones_like(u)], -1)[None]
