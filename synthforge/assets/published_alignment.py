"""The alignment that SynthForge's authors publish, `fixMapMLP01.pth`, read without running it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from torch import Tensor

from flame_pytorch.errors import FileFormatError, naming
from flame_pytorch.mapped import open_mapped
from flame_pytorch.pickles import Call, parse_whole
from flame_pytorch.tensors import (
    STORAGE_DTYPES,
    TENSOR_NAMES,
    FindStorage,
    Storage,
    read_legacy_stream,
    storage_reference,
)
from flame_pytorch.values import INERT_NAMES, MAPPING_NAMES, to_mapping
from flame_pytorch.zips import read_zip
from synthforge.assets.modules import module_tensors, named_tensors

_WAY_OUT = "Leave the file out: its figures are built in. Or train with train_alignment_mlp.py"
# It holds 31 numbers in a few kilobytes. Tensors may share storages, so both are bounded.
_MAX_BYTES = 2**20
_MAX_ELEMENTS = 1000

_NAMES = TENSOR_NAMES | STORAGE_DTYPES.keys() | MAPPING_NAMES | INERT_NAMES | {"torch.Size"}
# The network's class, in the authors' training script, and those of its layers.
_CLASSES = re.compile(r"__main__\.\w+|torch\.nn\.modules\.[\w.]+", re.ASCII)


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
        if bytes(data[:2]) == b"PK":
            value, find_storage = _read_zip(path)
        else:
            value, find_storage = read_legacy_stream(data, _is_allowed)

        def find_small_storage(reference: object) -> Storage:
            storage = find_storage(reference)
            if storage.count > _MAX_ELEMENTS:
                raise FileFormatError(f"holds {storage.count} numbers in one tensor")
            return storage

        if isinstance(value, Call) and value.name not in MAPPING_NAMES:
            tensors = module_tensors(value, find_small_storage)
        else:
            tensors = named_tensors(to_mapping(value).items(), find_small_storage)
        return _layers(tensors)


def _is_allowed(name: str) -> bool:
    return name in _NAMES or _CLASSES.fullmatch(name) is not None


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
        raise FileFormatError("has weights that are not finite")
    return layers[0], layers[1]


def _read_zip(path: str | os.PathLike[str]) -> tuple[object, FindStorage]:
    """torch's zip format: NAME/data.pkl, and each storage's raw data as NAME/data/KEY."""
    members = read_zip(path, lambda name: "/data" in name or "/byteorder" in name, _MAX_BYTES)
    folder = next((name.split("/")[0] for name in members if name.endswith("/data.pkl")), None)
    if folder is None:
        raise FileFormatError("is a zip archive, but not torch's")
    if bytes(members.get(f"{folder}/byteorder", b"little")) != b"little":
        raise FileFormatError("is a torch file of a big-endian machine")

    def find_storage(reference: object) -> Storage:
        dtype, key, count = storage_reference(reference)
        data = members.get(f"{folder}/data/{key}")
        if data is None or len(data) != count * dtype.itemsize:
            raise FileFormatError(f"holds no tensor storage {key!r:.50} of {count} elements")
        return Storage(dtype, count, data)

    return parse_whole(members[f"{folder}/data.pkl"], _is_allowed), find_storage
