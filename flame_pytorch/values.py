"""Text, bytes, mappings and sizes out of parsed pickles, type by type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from flame_pytorch.errors import FileFormatError
from flame_pytorch.pickle_literals import Blob
from flame_pytorch.pickles import Call, Global

# EasyDict is NVIDIA's, in the files of StyleGAN and its heirs.
MAPPING_NAMES = frozenset(
    {"collections.OrderedDict", "dnnlib.util.EasyDict", "builtins.dict", "__builtin__.dict"}
)
# Python 3 writes bytes into pickles of protocol 0 to 2 as text to encode.
BYTES_NAMES = frozenset({"_codecs.encode", "builtins.bytes", "__builtin__.bytes"})


# Types of plain data, and the functions by which Python makes an object of a class. Files may
# name them anywhere; they stay records.
INERT_NAMES = frozenset(
    {
        f"{module}.{name}"
        for module in ("builtins", "__builtin__")
        for name in (
            *("object", "bool", "int", "long", "float", "complex", "str", "unicode", "bytes"),
            *("bytearray", "list", "tuple", "set", "frozenset", "range", "xrange", "slice"),
        )
    }
    | {"collections.defaultdict", "collections.deque"}
    | {"copyreg._reconstructor", "copyreg.__newobj__", "copy_reg._reconstructor"}
)
_MAX_PAIRS = 1000


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


def to_bytes(value: object, max_bytes: int) -> memoryview:
    """Bytes, from wherever the protocol put them; in time and memory bounded by `max_bytes`.

    Raises FileFormatError.
    """
    if isinstance(value, Blob) and not value.is_text:
        data = value.data
    elif isinstance(value, bytes):
        data = memoryview(value)
    elif isinstance(value, Call) and value.name in BYTES_NAMES:
        data = memoryview(_encoded(value.args, max_bytes))
    else:
        raise FileFormatError(f"should hold bytes, but holds {describe(value)}")
    if len(data) > max_bytes:
        raise FileFormatError(f"holds {len(data)} bytes where {max_bytes} should be")
    return data


def _encoded(args: tuple[object, ...], max_bytes: int) -> bytes:
    if not args:
        return b""
    # Each of the upper 128 characters takes two bytes in the file.
    if isinstance(args[0], Blob) and len(args[0].data) > 2 * max_bytes:
        raise FileFormatError(f"holds a text of {len(args[0].data)} bytes where {max_bytes} fit")
    if len(args) == 2 and args[1] in ("latin1", "latin-1"):
        try:
            return to_text(args[0]).encode("latin1")
        except UnicodeError:
            pass
    raise FileFormatError("holds damaged bytes")


def to_mapping(value: object) -> Mapping[object, object]:
    """A dict, OrderedDict or EasyDict, keys as they are. Raises FileFormatError."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Call) and value.name in MAPPING_NAMES:
        # Python 2 hands an OrderedDict its pairs at once.
        pairs = value.args[0] if value.args else ()
        if isinstance(pairs, list | tuple) and len(pairs) <= _MAX_PAIRS:
            return dict(map(_pair, pairs)) | (value.mapping or {}) if pairs else value.mapping or {}
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
