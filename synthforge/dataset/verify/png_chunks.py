"""Is a PNG file whole? Its chunks and their checksums, without decoding it."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from synthforge.dataset.png import GREY, RGB, SIGNATURE

_COLORS = {GREY: "grey", RGB: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}


class PngHeader(NamedTuple):
    """kind: bits and colours in words, such as "8-bit RGB"; grey is not named: "16-bit"."""

    kind: str
    width: int
    height: int


def png_header(content: bytes) -> PngHeader:
    """What it says of its image, which is not decoded.

    Raises ValueError, in words, unless it is one whole PNG file and nothing else.
    """
    if not content:
        raise ValueError("is empty")
    if not content.startswith(SIGNATURE):
        raise ValueError("is no PNG")
    header, place = None, len(SIGNATURE)
    while place + 12 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        end = place + 12 + size
        if end > len(content):
            break
        (checksum,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(memoryview(content)[place + 4 : end - 4]) != checksum:
            raise ValueError(f"has changed bytes: the checksum at byte {place} is wrong")
        if header is None:
            if name != b"IHDR" or size != 13:
                raise ValueError("is no PNG")
            width, height, bits, color = struct.unpack_from(">IIBB", content, place + 8)
            named = "" if color == GREY else f" {_COLORS.get(color, 'of unknown colours')}"
            header = PngHeader(f"{bits}-bit{named}", width, height)
        if name == b"IEND":
            if end != len(content):
                raise ValueError(f"goes on for {len(content) - end} bytes after its end")
            return header
        place = end
    raise ValueError("ends early")
