"""Writes pickles opcode by opcode, in the ways that old and new Pythons do.

The values are plain Python's, and records of what real objects pickle to (`Made`, `Name`), so
that neither Python 2 nor chumpy nor an old numpy is needed to write their files.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Name:
    """A global: `numpy.ndarray`."""

    name: str


@dataclass(frozen=True)
class Made:
    """An object made by calling `name` with `args`; the rest as pickle's BUILD, SETITEMS, APPENDS.

    by_class: made by NEWOBJ, as objects without a `__reduce__` are (before protocol 2, by
        copy_reg._reconstructor).
    """

    name: str
    args: tuple = ()
    state: object = None
    mapping: dict | None = None
    items: list | None = None
    by_class: bool = False


@dataclass(frozen=True)
class Shared:
    """A value that is written once and referred to afterwards, by `key`."""

    key: int
    value: object


def dump(value: object, protocol: int = 4, python2: bool = False) -> bytes:
    """A pickle of `value`. python2: str and bytes become Python 2's strings."""
    return _Writer(protocol, python2).dump(value)


class _Writer:
    def __init__(self, protocol: int, python2: bool) -> None:
        self.protocol = protocol
        self.python2 = python2
        self.out = io.BytesIO()
        self.memo: dict[int, int] = {}

    def dump(self, value: object) -> bytes:
        if self.protocol >= 2:
            self.out.write(b"\x80" + bytes([self.protocol]))
        self.save(value)
        self.out.write(b".")
        return self.out.getvalue()

    def save(self, value: object) -> None:
        write = self.out.write
        match value:
            case None:
                write(b"N")
            case bool():
                if self.protocol >= 2:
                    write(b"\x88" if value else b"\x89")
                else:
                    write(b"I01\n" if value else b"I00\n")
            case int():
                self._int(value)
            case float():
                if self.protocol:
                    write(b"G" + struct.pack(">d", value))
                else:
                    write(b"F" + repr(value).encode() + b"\n")
            case str():
                self._text(value)
            case bytes():
                self._bytes(value)
            case tuple():
                self._marked(value, b"t")
            case list():
                self._marked(value, b"l")
            case dict():
                self._marked([part for pair in value.items() for part in pair], b"d")
            case set():
                self._set(value)
            case Name():
                self._name(value.name)
            case Made():
                self._made(value)
            case Shared():
                self._shared(value)
            case _:
                raise TypeError(type(value))

    def _int(self, value: int) -> None:
        write = self.out.write
        if self.protocol == 0:
            write(f"I{value}\n".encode() if abs(value) < 2**31 else f"L{value}L\n".encode())
        elif 0 <= value < 256:
            write(b"K" + bytes([value]))
        elif -(2**31) <= value < 2**31:
            write(b"J" + struct.pack("<i", value))
        elif self.protocol >= 2:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            write(b"\x8a" + bytes([len(data)]) + data)
        else:
            write(f"L{value}L\n".encode())

    def _text(self, value: str) -> None:
        if self.python2:
            return self._bytes(value.encode("latin1"))
        data = value.encode()
        if self.protocol == 0:
            self.out.write(b"V" + value.encode("raw_unicode_escape") + b"\n")
        elif self.protocol >= 4 and len(data) < 256:
            self.out.write(b"\x8c" + bytes([len(data)]) + data)
        else:
            self.out.write(b"X" + struct.pack("<I", len(data)) + data)
        return None

    def _bytes(self, value: bytes) -> None:
        if self.python2 and self.protocol == 0:
            self.out.write(b"S" + repr(value)[1:].encode() + b"\n")
        elif self.python2:
            self._sized(b"U", b"T", value)
        elif self.protocol >= 3:
            self._sized(b"C", b"B", value)
        elif value:
            self.save(Made("_codecs.encode", (value.decode("latin1"), "latin1")))
        else:
            self.save(Made("__builtin__.bytes"))

    def _sized(self, short: bytes, long: bytes, value: bytes) -> None:
        if len(value) < 256:
            self.out.write(short + bytes([len(value)]) + value)
        else:
            self.out.write(long + struct.pack("<I", len(value)) + value)

    def _marked(self, values: object, end: bytes) -> None:
        self.out.write(b"(")
        for value in values:
            self.save(value)
        self.out.write(end)

    def _set(self, value: set) -> None:
        if self.protocol >= 4:
            self.out.write(b"\x8f")
            self._marked(sorted(value), b"\x90")
        else:
            self.save(Made("__builtin__.set", (sorted(value),)))

    def _name(self, name: str) -> None:
        module, attribute = name.rsplit(".", 1)
        if self.protocol >= 4:
            self.save(module)
            self.save(attribute)
            self.out.write(b"\x93")
        else:
            self.out.write(f"c{module}\n{attribute}\n".encode())

    def _made(self, value: Made) -> None:
        if not value.by_class:
            self._name(value.name)
            self.save(value.args)
            self.out.write(b"R")
        elif self.protocol >= 2:
            self._name(value.name)
            self.save(value.args)
            self.out.write(b"\x81")
        else:
            base = Name("__builtin__.object")
            self.save(Made("copy_reg._reconstructor", (Name(value.name), base, None)))
        if value.items:
            self._marked(value.items, b"e")
        if value.mapping:
            self._marked([part for pair in value.mapping.items() for part in pair], b"u")
        if value.state is not None:
            self.save(value.state)
            self.out.write(b"b")

    def _shared(self, value: Shared) -> None:
        if value.key in self.memo:
            self.out.write(b"j" + struct.pack("<I", value.key))
        else:
            self.save(value.value)
            self.memo[value.key] = value.key
            self.out.write(b"r" + struct.pack("<I", value.key))


def dtype_record(dtype: np.dtype) -> Made:
    order = "|" if dtype.itemsize == 1 or dtype.hasobject else "<"
    size = 8 if dtype.hasobject else dtype.itemsize
    state = (3, order, None, None, None, -1, -1, 63 if dtype.hasobject else 0)
    return Made("numpy.dtype", (f"{dtype.kind}{size}", False, True), state)


def array_record(array: np.ndarray, numpy_core: str = "numpy.core") -> Made:
    """What a numpy array pickles to, from any numpy (numpy_core: or `numpy._core`)."""
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    state = (1, array.shape, dtype_record(array.dtype), fortran, array.tobytes("A"))
    return _reconstruct(numpy_core, state)


def object_array_record(items: list, shape: tuple, numpy_core: str = "numpy.core") -> Made:
    """What a numpy array of objects pickles to."""
    return _reconstruct(numpy_core, (1, shape, dtype_record(np.dtype(object)), False, items))


def _reconstruct(numpy_core: str, state: tuple) -> Made:
    args = (Name("numpy.ndarray"), (0,), b"b")
    return Made(f"{numpy_core}.multiarray._reconstruct", args, state)


def scalar_record(value: np.generic, numpy_core: str = "numpy.core") -> Made:
    args = (dtype_record(value.dtype), value.tobytes())
    return Made(f"{numpy_core}.multiarray.scalar", args)


def tensor_record(tensor: torch.Tensor) -> Made:
    """What a torch tensor pickles to: its storage is a legacy torch.save stream."""
    tensor = tensor.detach()
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # typed storages are deprecated, but what files hold
        torch.save(tensor.storage(), stream, _use_new_zipfile_serialization=False)
    storage = Made("torch.storage._load_from_bytes", (stream.getvalue(),))
    layout = (tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
    hooks = Made("collections.OrderedDict")
    return Made("torch._utils._rebuild_tensor_v2", (storage, *layout, False, hooks))


def parameter_record(tensor: torch.Tensor) -> Made:
    args = (tensor_record(tensor), True, Made("collections.OrderedDict"))
    return Made("torch._utils._rebuild_parameter", args)
