"""The alignment that SynthForge's authors publish, `fixMapMLP01.pth`, read without running it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from torch import Tensor

from flame_pytorch.errors import FileFormatError, naming
from flame_pytorch.reading.contents import read_contents
from flame_pytorch.reading.mapped import open_mapped
from flame_pytorch.reading.tensors import Storage, is_tensor
from flame_pytorch.reading.values import is_mapping, to_mapping
from synthforge.assets.modules import module_tensors, named_tensors

# The generator whose faces it fits.
PUBLISHED_FOR = "next3d"

_WAY_OUT = "Leave the file out: its figures are built in. Or train with train_alignment_mlp.py"
# It holds 31 numbers in a few kilobytes. Tensors may share storages, so both are bounded.
_MAX_BYTES = 2**20
_MAX_ELEMENTS = 1000


@dataclass(frozen=True)
class LinearLayer:
    """y = weight @ x + bias. weight: float [out, in]; bias: float [out]."""

    weight: Tensor
    bias: Tensor


def read_published_alignment(path: str | os.PathLike[str]) -> tuple[LinearLayer, LinearLayer]:
    """The two layers, 3-4-3 with no activation between them, of a pickled module or state dict.

    Both of torch's file formats are read. Raises FileNotFoundError, or FileFormatError naming the
    file and what is wrong with it.
    """
    with naming(path, _WAY_OUT):
        data = open_mapped(path)
        if len(data) > _MAX_BYTES:
            raise FileFormatError(f"has {len(data)} bytes, far too many for an alignment")
        contents = read_contents(path)

        def find_small_storage(reference: object) -> Storage:
            storage = contents.find_storage(reference)
            if storage.count > _MAX_ELEMENTS:
                raise FileFormatError(f"holds {storage.count} numbers in one tensor")
            return storage

        if is_mapping(contents.value):
            records = to_mapping(contents.value).items()
            tensors = named_tensors(
                ((name, record) for name, record in records if is_tensor(record)),
                find_small_storage,
            )
        else:
            tensors = module_tensors(contents.value, find_small_storage)
        return _layers(tensors)


def _layers(tensors: dict[str, Tensor]) -> tuple[LinearLayer, LinearLayer]:
    weights = [(name, tensor) for name, tensor in tensors.items() if tensor.ndim == 2]
    layers = []
    for name, weight in weights:
        bias = tensors.get(name.removesuffix("weight") + "bias")
        if bias is None or bias.shape != weight.shape[:1]:
            raise FileFormatError(f"has a weight {name!r} without its bias")
        layers.append(LinearLayer(weight, bias))
    shapes = [tuple(layer.weight.shape) for layer in layers]
    if shapes != [(4, 3), (3, 4)]:
        raise FileFormatError(f"has layers of shapes {shapes}, expected [(4, 3), (3, 4)]")
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise FileFormatError("has weights that are NaN or infinite")
    return layers[0], layers[1]
