"""Is a PNG file whole? Its chunks and their checksums, without decoding it."""

from __future__ import annotations

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
_COLORS = {_GREY: "grey", _RGB: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}


def png_kind(content: bytes) -> str:
    """Its bits and colours in words, such as "8-bit RGB"; grey is not named: "16-bit".

    Raises ValueError, in words, unless it is one whole PNG file and nothing else.
    """
    if not content:
        raise ValueError("is empty")
    if not content.startswith(_SIGNATURE):
        raise ValueError("is no PNG")
    kind, place, is_first = "", len(_SIGNATURE), True
    while place + 12 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        end = place + 12 + size
        if end > len(content):
            break
        (checksum,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(memoryview(content)[place + 4 : end - 4]) != checksum:
            raise ValueError(f"has changed bytes: the checksum at byte {place} is wrong")
        if is_first and (name != b"IHDR" or size != 13):
            raise ValueError("is no PNG")
        if is_first:
            bits, color = content[place + 16], content[place + 17]
            named = "" if color == _GREY else f" {_COLORS.get(color, 'of unknown colours')}"
            kind, is_first = f"{bits}-bit{named}", False
        if name == b"IEND":
            if end != len(content):
                raise ValueError(f"goes on for {len(content) - end} bytes after its end")
            return kind
        place = end
    raise ValueError("ends early")
