"""The literals of a pickle: its numbers and strings, read with bounds."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from flame_pytorch.errors import FileFormatError

# Longer strings stay in the file. Short ones are names and numbers.
_BLOB_BYTES = 1024
# No honest integer is longer; torch's magic number takes 10 bytes.
_MAX_INT_BYTES = 64
_MAX_INT_DIGITS = 160
# Enough of a file to tell whether all of its line ends are Windows'.
_SEARCHED_BYTES = 2**20
_MIN_LINES = 3

WINDOWS_LINE_ENDS = (
    "was copied as text: its line ends are Windows'. Copy it again as a binary file (in git, mark "
    "it `-text` in .gitattributes)"
)


def check_line_ends(data: memoryview) -> None:
    """Raises FileFormatError if the bytes were converted to Windows' line ends.

    A binary file has line feeds without a carriage return before them.
    """
    start = bytes(data[:_SEARCHED_BYTES])
    if _MIN_LINES <= start.count(b"\n") == start.count(b"\r\n"):
        raise FileFormatError(WINDOWS_LINE_ENDS)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Blob:
    """A string too long to copy: its bytes in the file, and whether they are UTF-8 text."""

    data: memoryview
    is_text: bool


class Reader:
    """Bounded reads. Past the end they raise IndexError."""

    def __init__(self, data: memoryview, position: int) -> None:
        self.data = data
        self.position = position

    def take(self, count: int) -> memoryview:
        start, self.position = self.position, self.position + count
        if self.position > len(self.data):
            raise IndexError
        return self.data[start : self.position]

    def integer(self, count: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(count), "little", signed=signed)

    def long(self, length_bytes: int) -> int:
        count = self.integer(length_bytes)
        if count > _MAX_INT_BYTES:
            raise FileFormatError(f"holds an integer of {count} bytes")
        return self.integer(count, signed=True)

    def string(self, length_bytes: int) -> bytes | Blob:
        data = self.take(self.integer(length_bytes))
        return bytes(data) if len(data) <= _BLOB_BYTES else Blob(data, False)

    def text(self, length_bytes: int) -> str | Blob:
        data = self.take(self.integer(length_bytes))
        if len(data) > _BLOB_BYTES:
            return Blob(data, True)
        return bytes(data).decode("utf-8", "surrogatepass")

    def line(self) -> bytes:
        """A line of a kind that never ends in a carriage return."""
        line = self.raw_line()
        if line.endswith(b"\r"):
            raise FileFormatError(WINDOWS_LINE_ENDS)
        return line

    def raw_line(self) -> bytes:
        window = 256
        while True:
            chunk = bytes(self.data[self.position : self.position + window])
            length = chunk.find(b"\n")
            if length >= 0:
                self.position += length + 1
                return chunk[:length]
            if len(chunk) < window:
                raise IndexError
            window *= 4

    def number(self) -> int | bool:
        line = self.line()
        if line in (b"00", b"01"):
            return line == b"01"
        if len(line) > _MAX_INT_DIGITS:
            raise FileFormatError(f"holds an integer of {len(line)} digits")
        return int(line.removesuffix(b"L"))

    def quoted(self) -> bytes:
        line = self.line()
        if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
            raise ValueError
        return line[1:-1].decode("unicode_escape").encode("latin1")


# By the names of pickletools.
LITERALS: dict[str, Callable[[Reader], object]] = {
    "NONE": lambda reader: None,
    "NEWTRUE": lambda reader: True,
    "NEWFALSE": lambda reader: False,
    "INT": Reader.number,
    "LONG": Reader.number,
    "BININT": lambda reader: reader.integer(4, signed=True),
    "BININT1": lambda reader: reader.integer(1),
    "BININT2": lambda reader: reader.integer(2),
    "LONG1": lambda reader: reader.long(1),
    "LONG4": lambda reader: reader.long(4),
    "FLOAT": lambda reader: float(reader.line()),
    "BINFLOAT": lambda reader: struct.unpack(">d", reader.take(8))[0],
    "STRING": Reader.quoted,
    "SHORT_BINSTRING": lambda reader: reader.string(1),
    "BINSTRING": lambda reader: reader.string(4),
    "SHORT_BINBYTES": lambda reader: reader.string(1),
    "BINBYTES": lambda reader: reader.string(4),
    "BINBYTES8": lambda reader: reader.string(8),
    "BYTEARRAY8": lambda reader: reader.string(8),
    "UNICODE": lambda reader: reader.raw_line().decode("raw_unicode_escape"),
    "SHORT_BINUNICODE": lambda reader: reader.text(1),
    "BINUNICODE": lambda reader: reader.text(4),
    "BINUNICODE8": lambda reader: reader.text(8),
    "EMPTY_TUPLE": lambda reader: (),
    "EMPTY_LIST": lambda reader: [],
    "EMPTY_DICT": lambda reader: {},
    "EMPTY_SET": lambda reader: set(),
}
