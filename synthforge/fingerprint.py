"""Fingerprints of tensors: short names that differ where any value does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def fingerprint(tensors: Mapping[str, Tensor], settings: object = None) -> str:
    """16 hex digits of a SHA-256 over each tensor's name, dtype, shape and values.

    settings: what counts beside the tensors; its `repr` is hashed, so it must hold values only.

    The device, the strides and the order of the mapping do not matter. Every bit of a value does:
    hash what was read or drawn, not results of arithmetic that CPUs round differently.
    """
    digest = hashlib.sha256(f"{settings!r}\n".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        values = tensor.detach().cpu().contiguous().view(-1)
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
