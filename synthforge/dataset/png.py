"""Lossless PNG files."""

from __future__ import annotations

import struct
from typing import Any

import deflate
import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2

_DIFFERENCE_TO_THE_ROW_ABOVE = 2
# Of 1 to 12: the next one takes half as long again, for images 2 % smaller.
_LEVEL = 1


def encode_png(image: NDArray[Any]) -> bytes:
    """uint8 or uint16, [H, W] or RGB [H, W, 3], not empty -> PNG bytes.

    The same bytes for the same image and version of libdeflate, on any CPU: of its code only
    integers decide. Raises ValueError for any other array.
    """
    kind = image.dtype in (np.uint8, np.uint16) and (image.ndim == 2 or image.shape[2:] == (3,))
    if not kind or image.size == 0:
        raise ValueError(f"cannot store {image.dtype} {image.shape} as PNG")
    height, width = image.shape[:2]
    big_endian = np.ascontiguousarray(image, image.dtype.newbyteorder(">"))
    raw = big_endian.view(np.uint8).reshape(height, -1)
    rows = np.empty((height, 1 + raw.shape[1]), np.uint8)
    rows[:, 0] = _DIFFERENCE_TO_THE_ROW_ABOVE
    rows[0, 1:] = raw[0]
    np.subtract(raw[1:], raw[:-1], out=rows[1:, 1:])
    color = GREY if image.ndim == 2 else RGB
    header = struct.pack(">IIBBBBB", width, height, 8 * image.itemsize, color, 0, 0, 0)
    data = deflate.zlib_compress(rows, _LEVEL)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes | bytearray) -> bytes:
    checksum = deflate.crc32(content, deflate.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
