"""Text, bytes, mappings and sizes out of parsed pickles, type by type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from flame_pytorch.errors import FileFormatError
from flame_pytorch.reading.pickle_literals import Blob
from flame_pytorch.reading.records import Call, Global

_MAPPING_NAMES = frozenset({"collections.OrderedDict", "builtins.dict", "__builtin__.dict"})
# NVIDIA's, in the files of StyleGAN and its heirs, within any package.
_EASY_DICT = "dnnlib.util.EasyDict"
# Python 3 writes bytes into pickles of protocol 0 to 2 as text to encode.
BYTES_NAMES = frozenset({"_codecs.encode", "builtins.bytes", "__builtin__.bytes"})

_MAX_PAIRS = 1000
MAX_DIMENSIONS = 8


def describe(value: object) -> str:
    """The value's class, for error messages."""
    if isinstance(value, Call | Global):
        return value.name[:200] if value.name.isprintable() else ascii(value.name[:200])
    return type(value).__name__


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


def is_mapping(value: object) -> bool:
    """Whether the value is a dict, or a record of one of a class derived from it."""
    if not isinstance(value, Call):
        return isinstance(value, dict)
    return (
        value.name in _MAPPING_NAMES
        or value.name == _EASY_DICT
        or value.name.endswith(f".{_EASY_DICT}")
        or (value.mapping is not None and value.items is None)
    )


def to_mapping(value: object) -> Mapping[object, object]:
    """A dict or a record of one, keys as they are. Raises FileFormatError."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Call) and is_mapping(value):
        # Python 2 hands an OrderedDict its pairs at once.
        pairs = value.args[0] if value.name in _MAPPING_NAMES and value.args else ()
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


def to_shape(value: object) -> tuple[int, ...]:
    """A tuple of counts. Raises FileFormatError."""
    if isinstance(value, Call) and value.name == "torch.Size" and len(value.args) == 1:
        value = value.args[0]
    if (
        not isinstance(value, tuple | list)
        or len(value) > MAX_DIMENSIONS
        or not all(is_count(size) for size in value)
    ):
        raise FileFormatError("holds an array with a damaged shape")
    return tuple(value)


def listed(fields: Mapping[object, object]) -> str:
    """The first keys, for error messages."""
    names = ", ".join(key if isinstance(key, str) else describe(key) for key in list(fields)[:12])
    return f"{names:.300}" if names.isprintable() else ascii(f"{names:.300}")
