"""What a file holds, whichever container it came in: a pickle, .npy, .npz, or torch.save's formats.

Files are told apart by their first bytes, not by their names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from flame_pytorch.errors import FileFormatError
from flame_pytorch.reading.arrays import object_items
from flame_pytorch.reading.mapped import open_mapped
from flame_pytorch.reading.npy import read_npy
from flame_pytorch.reading.pickles import parse_whole
from flame_pytorch.reading.tensors import FindStorage
from flame_pytorch.reading.torch_files import (
    EmbeddedStorages,
    is_legacy,
    is_torch_archive,
    read_archive,
    read_legacy_stream,
    within_budget,
)
from flame_pytorch.reading.values import to_mapping
from flame_pytorch.reading.zips import Archive

# A head model's arrays take 55 MB.
_MAX_NPZ_BYTES = 2**27
_NPY = ".npy"


@dataclass(frozen=True)
class Contents:
    """A parsed value, and where the storages of the tensors in it are."""

    value: object
    find_storage: FindStorage


@dataclass(frozen=True)
class Fields:
    """Named records, and where the storages of the tensors among them are."""

    values: Mapping[object, object]
    find_storage: FindStorage


class NpzFields(Mapping[object, object]):
    """Arrays of an .npz file by name, each read when it is asked for.

    Looking one up raises FileFormatError if it is damaged or if all together are too large.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._left = _MAX_NPZ_BYTES
        self._members = {
            name.removesuffix(_NPY): name for name in archive.names if name.endswith(_NPY)
        }

    def __getitem__(self, key: object) -> object:
        data = self._archive.read(self._members[str(key)], self._left)
        self._left -= len(data)
        return read_npy(data)

    def __iter__(self) -> Iterator[object]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def read_contents(path: str | os.PathLike[str]) -> Contents:
    """Raises FileNotFoundError and FileFormatError."""
    data = open_mapped(path)
    if bytes(data[:2]) == b"PK":
        archive = Archive(path)
        if is_torch_archive(archive):
            value, find_storage = read_archive(archive)
            return Contents(value, within_budget(find_storage, 2 * len(data)))
        fields = NpzFields(archive)
        if not fields:
            names = ", ".join(list(archive.names)[:8])
            raise FileFormatError(
                f"is a zip archive of {names:.300}; unpack it and bring the file inside"
            )
        return Contents(fields, EmbeddedStorages(len(data)))
    if is_legacy(data):
        value, find_storage = read_legacy_stream(data)
        return Contents(value, within_budget(find_storage, 2 * len(data)))
    value = read_npy(data) if bytes(data[:1]) == b"\x93" else parse_whole(data)
    return Contents(value, EmbeddedStorages(len(data)))


def read_fields(path: str | os.PathLike[str]) -> Fields:
    """The file's dictionary, which a .npy file holds as its single object.

    Raises FileNotFoundError and FileFormatError.
    """
    contents = read_contents(path)
    value = contents.value
    if isinstance(value, NpzFields):
        return Fields(value, contents.find_storage)
    objects = object_items(value)
    if isinstance(value, np.ndarray) or (objects is not None and len(objects[0]) != 1):
        raise FileFormatError("should hold a dictionary, but holds an array")
    single = objects[0][0] if objects is not None else value
    return Fields(to_mapping(single), contents.find_storage)
