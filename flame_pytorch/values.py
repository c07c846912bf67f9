"""Text, bytes, mappings and sizes out of parsed pickles, type by type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from flame_pytorch.errors import FileFormatError
from flame_pytorch.pickle_literals import Blob
from flame_pytorch.pickles import Call, Global

MAPPING_NAMES = frozenset(
    {"collections.OrderedDict", "dnnlib.util.EasyDict", "builtins.dict", "__builtin__.dict"}
)
# Python 3 writes bytes into pickles of protocol 0 to 2 as text to encode.
BYTES_NAMES = frozenset({"_codecs.encode", "builtins.bytes", "__builtin__.bytes"})


def describe(value: object) -> str:
    """The value's class, for error messages."""
    return value.name if isinstance(value, Call | Global) else type(value).__name__


def to_text(value: object) -> str:
    """Text, or a string of Python 2. Raises FileFormatError."""
    if isinstance(value, Blob):
        value = bytes(value.data).decode("utf-8" if value.is_text else "latin1", "surrogatepass")
    if isinstance(value, bytes):
        value = value.decode("latin1")
    if not isinstance(value, str):
        raise FileFormatError(f"should hold text, but holds {describe(value)}")
    return value


def to_bytes(value: object) -> memoryview:
    """Bytes, from wherever the protocol put them. Raises FileFormatError."""
    if isinstance(value, bytes):
        return memoryview(value)
    if isinstance(value, Blob) and not value.is_text:
        return value.data
    if isinstance(value, Call) and value.name in BYTES_NAMES:
        if not value.args:
            return memoryview(b"")
        if len(value.args) == 2 and value.args[1] in ("latin1", "latin-1"):
            try:
                return memoryview(to_text(value.args[0]).encode("latin1"))
            except UnicodeError:
                raise FileFormatError("holds damaged bytes") from None
    raise FileFormatError(f"should hold bytes, but holds {describe(value)}")


def to_mapping(value: object) -> Mapping[object, object]:
    """A dict, OrderedDict or EasyDict, keys as they are. Raises FileFormatError."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Call) and value.name in MAPPING_NAMES:
        pairs = value.args[0] if value.args else ()
        if isinstance(pairs, list | tuple):
            # Python 2 hands an OrderedDict its pairs at once.
            head = {key: item for key, item in map(_pair, pairs)}
            return head | (value.mapping or {})
    raise FileFormatError(f"should hold a dictionary, but holds {describe(value)}")


def _pair(value: object) -> tuple[str, object]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise FileFormatError("holds a damaged dictionary")
    return to_text(value[0]), value[1]


def is_count(value: object) -> TypeGuard[int]:
    """Whether the value is a non-negative int of a size that memory could have."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


def to_shape(value: object, max_dimensions: int = 8) -> tuple[int, ...]:
    """A tuple of counts. Raises FileFormatError."""
    if isinstance(value, Call) and value.name == "torch.Size" and len(value.args) == 1:
        value = value.args[0]
    if (
        not isinstance(value, tuple | list)
        or len(value) > max_dimensions
        or not all(is_count(size) for size in value)
    ):
        raise FileFormatError("holds an array with a damaged shape")
    return tuple(value)
