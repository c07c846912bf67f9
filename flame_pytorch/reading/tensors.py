"""torch tensors out of parsed pickles: `torch._utils` records and their storages."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flame_pytorch.errors import FileFormatError
from flame_pytorch.reading.mapped import forget
from flame_pytorch.reading.records import Call, Global, Persistent
from flame_pytorch.reading.values import describe, is_count, to_shape, to_text

STORAGE_DTYPES = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
    "torch.ComplexFloatStorage": torch.complex64,
    "torch.ComplexDoubleStorage": torch.complex128,
}
_TENSOR_NAMES = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
_PARAMETER_NAMES = {
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
}
_SUBCLASS_NAME = "torch._tensor._rebuild_from_type_v2"
# A parameter of a derived class of tensors.
_MAX_WRAPPERS = 2


@dataclass(frozen=True)
class Storage:
    """A one-dimensional run of elements: `data` holds `count` of `dtype`, little-endian."""

    dtype: torch.dtype
    count: int
    data: memoryview


# Finds the storage that a record in a pickle refers to.
FindStorage = Callable[[object], Storage]


def is_tensor(value: object) -> bool:
    return isinstance(value, Call) and (
        value.name in _TENSOR_NAMES
        or value.name in _PARAMETER_NAMES
        or value.name == _SUBCLASS_NAME
    )


def to_tensor(value: object, find_storage: FindStorage) -> Tensor:
    """A tensor or parameter record as a new contiguous CPU tensor without gradient.

    Raises FileFormatError.
    """
    for _ in range(_MAX_WRAPPERS):
        value = _unwrapped(value)
    if not isinstance(value, Call) or value.name not in _TENSOR_NAMES or len(value.args) < 4:
        raise FileFormatError(f"should hold a torch tensor, but holds {describe(value)}")
    storage = find_storage(value.args[0])
    offset, size, stride = value.args[1], to_shape(value.args[2]), to_shape(value.args[3])
    if not is_count(offset) or len(size) != len(stride):
        raise FileFormatError("holds a tensor with a damaged size")
    numel = math.prod(size)
    if numel == 0:
        if not is_count(math.prod(max(n, 1) for n in size)):
            raise FileFormatError(f"holds an empty tensor of size {size}")
        return torch.empty(size, dtype=storage.dtype)
    end = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1
    # More elements than the storage has would let a small file fill the memory.
    if end > storage.count or numel > storage.count:
        raise FileFormatError(
            f"holds a tensor of size {size} whose storage has {storage.count} elements"
        )
    width = storage.dtype.itemsize
    raw = bytearray(storage.data[offset * width : end * width])
    forget(storage.data)
    if storage.dtype == torch.bool:
        elements = torch.frombuffer(raw, dtype=torch.uint8) != 0
    else:
        elements = torch.frombuffer(raw, dtype=storage.dtype)
    return elements.as_strided(size, stride).contiguous()


def _unwrapped(value: object) -> object:
    """The tensor within a parameter or an instance of a class derived from torch.Tensor."""
    if isinstance(value, Call) and value.name in _PARAMETER_NAMES and value.args:
        return value.args[0]
    if isinstance(value, Call) and value.name == _SUBCLASS_NAME and len(value.args) >= 3:
        rebuild, _, args = value.args[:3]
        if isinstance(rebuild, Global) and isinstance(args, tuple):
            return Call(rebuild.name, args)
    return value


def storage_reference(value: object) -> tuple[torch.dtype, str, int]:
    """What a persistent id of torch says: dtype, key, element count. Raises FileFormatError."""
    if isinstance(value, Persistent) and isinstance(value.id, tuple) and len(value.id) >= 5:
        kind, storage_type, key, _location, count = value.id[:5]
        whole = value.id[5:] in ((), (None,))
        if kind in ("storage", b"storage") and whole and is_count(count):
            if not isinstance(storage_type, Global) or storage_type.name not in STORAGE_DTYPES:
                raise FileFormatError(
                    f"holds a tensor of type {describe(storage_type)}, which is not allowed"
                )
            return STORAGE_DTYPES[storage_type.name], to_text(key), count
    raise FileFormatError("refers to a tensor's storage in an unknown way")
