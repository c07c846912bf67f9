"""Damaged and forged copies of a file of `synthforge.tensor_files`."""

import math
import struct

import torch
from safetensors import safe_open
from safetensors.torch import save

from synthforge.tensor_files import _checksum

NONSENSE = {
    "empty": "",
    "text": "nonsense",
    "string": '"text"',
    "null": "null",
    "true": "true",
    "negative": "-1",
    "huge": "20000000",
    "long": "9" * 4000,
    "longer": "9" * 20_000,
    "overflow": "1e999",
    "nan": "NaN",
    "list": "[]",
    "list of a list": "[[]]",
    "mapping": "{}",
    "mapping to text": '{"a": "b"}',
    "mapping to NaN": '{"a": NaN}',
    "mapping to a long integer": '{"a": ' + "9" * 4000 + "}",
    "deep": "[" * 100_000,
    "deep and closed": "[" * 100_000 + "]" * 100_000,
}


def damaged(path, flips=60):
    """name -> bytes that are not what was written."""
    content = path.read_bytes()
    (header,) = struct.unpack("<Q", content[:8])
    for length in (0, 7, 8, 20, 8 + header - 1, 8 + header, len(content) - 1):
        yield f"cut to {length}", content[:length]
    yield "longer", content + b"\0"
    yield "an endless header", struct.pack("<Q", 2**63) + content[8:]
    yield "a deep header", struct.pack("<Q", 100_000) + b"[" * 100_000
    yield "text", b"weights"
    # Spaces pad the header.
    solid = len(content[8 : 8 + header].rstrip()) + 8
    places = torch.linspace(0, solid - 1, flips // 2).long().tolist()
    places += torch.linspace(8 + header, len(content) - 1, flips // 2).long().tolist()
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 4
        yield f"byte {place} of {8 + header} + data", bytes(flipped)


def forged(path):
    """name -> bytes with a right checksum and wrong content."""
    with safe_open(path, framework="pt") as file:
        entries = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del entries["sha256"]

    def packed(tensors, entries):
        return save(tensors, {**entries, "sha256": _checksum(tensors, entries)})

    for key in entries:
        yield f"no {key}", packed(tensors, {k: v for k, v in entries.items() if k != key})
        for name, text in NONSENSE.items():
            yield f"{key}: {name}", packed(tensors, {**entries, key: text})
    yield "one key more", packed(tensors, {**entries, "more": "1"})
    yield "no metadata", save(tensors)
    yield "no checksum", save(tensors, entries)
    for name, value in tensors.items():
        yield f"no {name}", packed({k: v for k, v in tensors.items() if k != name}, entries)
        for label, changed in _changed(value):
            yield f"{name}: {label}", packed({**tensors, name: changed}, entries)
    yield "one tensor more", packed({**tensors, "more": torch.zeros(1)}, entries)


def _changed(value):
    yield "flat", value.reshape(-1)[:-1] if value.ndim else value[None]
    yield "deeper", value[None]
    yield "none of it", value.reshape(-1)[:0]
    yield "float64", value.double()
    yield "int64", value.long()
    yield "float16", value.half()
    if value.is_floating_point():
        for label, wrong in (("NaN", math.nan), ("infinite", -math.inf)):
            changed = value.clone()
            changed.view(-1)[-1] = wrong
            yield label, changed
        yield "times 1e6", value * 1e6 + 1e6
    if value.dtype == torch.bool:
        yield "neither", torch.full(value.shape, 2, dtype=torch.uint8).view(torch.bool)
