"""torch tensors out of parsed pickles: `torch._utils` records and their storages.

A tensor inside a plain pickle brings its storage along as a complete `torch.save` stream of the
legacy format: four pickles (magic, version, system, object), one with the storages' keys, and then
each storage as an int64 element count and its raw little-endian data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flame_pytorch.errors import FileFormatError
from flame_pytorch.mapped import forget
from flame_pytorch.pickles import Call, Global, Persistent, parse
from flame_pytorch.values import describe, is_count, to_bytes, to_shape, to_text

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001

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
}
TENSOR_NAMES = frozenset(
    {
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.storage._load_from_bytes",
    }
)


@dataclass(frozen=True)
class Storage:
    """A one-dimensional run of elements: `data` holds `count` of `dtype`, little-endian."""

    dtype: torch.dtype
    count: int
    data: memoryview


# Finds the storage that a record in a pickle refers to.
FindStorage = Callable[[object], Storage]


def is_tensor(value: object) -> bool:
    return isinstance(value, Call) and value.name in TENSOR_NAMES


def to_tensor(value: object, find_storage: FindStorage) -> Tensor:
    """A tensor or parameter record as a new contiguous CPU tensor without gradient.

    Raises FileFormatError.
    """
    if isinstance(value, Call) and value.name == "torch._utils._rebuild_parameter" and value.args:
        value = value.args[0]
    if (
        not isinstance(value, Call)
        or not value.name.startswith("torch._utils._rebuild_tensor")
        or len(value.args) < 4
    ):
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


class EmbeddedStorages:
    """Finds storages inside the pickle.

    budget_bytes: how much it reads in all. No honest file refers to a storage twice, so the file's
    size is enough; a hostile one could refer to a large storage without end.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes

    def __call__(self, reference: object) -> Storage:
        if (
            not isinstance(reference, Call)
            or reference.name != "torch.storage._load_from_bytes"
            or len(reference.args) != 1
        ):
            raise FileFormatError("holds a tensor whose storage is not in the file")
        stream = to_bytes(reference.args[0], self.budget_bytes)
        self.budget_bytes -= len(stream)
        value, find_storage = read_legacy_stream(stream, STORAGE_DTYPES.__contains__)
        return find_storage(value)


def read_legacy_stream(
    stream: memoryview, allowed: Callable[[str], bool]
) -> tuple[object, FindStorage]:
    """A legacy `torch.save` stream: its parsed object, and where that object's storages are.

    Raises FileFormatError.
    """
    position = 0
    parts: list[object] = []
    references: list[Persistent] = []
    for _ in range(5):
        parsed = parse(stream, allowed, position)
        position = parsed.end
        parts.append(parsed.value)
        references += parsed.persistent
    magic, version, system, value, keys = parts
    if magic != _LEGACY_MAGIC or version != _LEGACY_VERSION or not isinstance(system, dict):
        raise FileFormatError("is not a torch file of a known version")
    if system.get("little_endian") is not True:
        raise FileFormatError("is a torch file of a big-endian machine")
    dtypes = {key: dtype for dtype, key, _ in map(storage_reference, references)}
    storages: dict[str, Storage] = {}
    for key in map(to_text, keys if isinstance(keys, list) else []):
        count = int.from_bytes(stream[position : position + 8], "little")
        position += 8
        if key not in dtypes:
            raise FileFormatError("holds a tensor storage that nothing refers to")
        end = position + count * dtypes[key].itemsize
        if end > len(stream):
            raise FileFormatError(f"ends inside the tensor storage {key!r:.50}")
        storages[key] = Storage(dtypes[key], count, stream[position:end])
        position = end

    def find_storage(reference: object) -> Storage:
        dtype, key, count = storage_reference(reference)
        storage = storages.get(key)
        if storage is None or storage.count != count or storage.dtype != dtype:
            raise FileFormatError(f"refers to a tensor storage {key!r:.50} that it doesn't hold")
        return storage

    return value, find_storage
