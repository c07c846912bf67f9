"""numpy's .npy files, read without numpy's unpickling."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from flame_pytorch.errors import FileFormatError
from flame_pytorch.reading.arrays import numeric_dtype, object_items, raw_array
from flame_pytorch.reading.pickle_literals import WINDOWS_LINE_ENDS
from flame_pytorch.reading.pickles import parse_whole
from flame_pytorch.reading.records import Call
from flame_pytorch.reading.values import MAX_DIMENSIONS, describe, is_count

_MAGIC = b"\x93NUMPY"
_MAX_HEADER_BYTES = 10_000
# What numpy writes. Python 2 put an L after long integers.
_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>[^']+)', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[\dL, ]*)\),? *\}\s*"
)


def read_npy(data: memoryview) -> NDArray[np.generic] | Call:
    """The array in a .npy file; an array of objects as `pickles.parse` leaves it.

    Raises FileFormatError.
    """
    if bytes(data[:6]) != _MAGIC or len(data) < 12 or data[6] not in (1, 2, 3):
        raise FileFormatError("is not a .npy file of a known version")
    start = 10 if data[6] == 1 else 12
    end = start + int.from_bytes(data[8:start], "little")
    if data[end - 1 : end] == b"\r":
        raise FileFormatError(WINDOWS_LINE_ENDS)
    header = None
    if end - start <= _MAX_HEADER_BYTES:
        header = _HEADER.fullmatch(bytes(data[start:end]).decode("latin1"))
    if header is None:
        raise FileFormatError("has a damaged .npy header")
    if header["dtype"] in ("|O", "O"):
        value = parse_whole(data[end:])
        if not isinstance(value, Call) or object_items(value) is None:
            raise FileFormatError(f"should hold an array of objects, but holds {describe(value)}")
        return value
    shape = tuple(int(size) for size in re.findall(r"\d+", header["shape"]))
    if len(shape) > MAX_DIMENSIONS or not all(map(is_count, shape)):
        raise FileFormatError(f"holds an array of shape {shape!r:.100}")
    return raw_array(data[end:], numeric_dtype(header["dtype"]), shape, header["fortran"] == "True")
