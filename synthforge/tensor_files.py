"""Safetensors files of our own: a format, a checksum, tensors of known types and shapes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from synthforge.whole_files import replacing

# Name of a tensor -> its dtype and shape.
Layout = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]

# The types that these files may hold, as safetensors names them.
_TYPE_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.uint8: "U8", torch.bool: "BOOL"}
# Integers beyond this are not exact as floats.
_MAX_INTEGER = 2**53


class TensorFileError(ValueError):
    """A file that cannot be used. The message begins with a verb and follows the file's name."""


def write_tensors(
    path: Path, file_format: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write tensors and metadata, whole or not at all.

    tensors: float32, float16, uint8 or bool, on any device. metadata: values that JSON can hold.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    entries = {name: json.dumps(value) for name, value in metadata.items()}
    entries["format"] = file_format
    entries["sha256"] = _checksum(plain, entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        save_file(plain, partial, metadata=entries)


def read_tensors(
    path: Path,
    file_format: str,
    keys: Collection[str],
    layout: Callable[[Mapping[str, Any]], Layout],
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, on the CPU, and metadata that `write_tensors` wrote.

    keys: of the metadata. layout: what the file must hold, given its metadata, whose values are
    untrusted. No tensor is read before its dtype and shape are as expected.

    Raises FileNotFoundError, or TensorFileError for a file that cannot be read, is of another
    format, does not hold what it should, is damaged, or has values that are not finite.
    """
    try:
        with safe_open(path, framework="pt") as file:
            entries: dict[str, str] = file.metadata() or {}
            if entries.get("format") != file_format:
                raise TensorFileError(
                    f"has the format {entries.get('format')!r:.60}, expected {file_format!r}"
                )
            if entries.keys() != {"format", "sha256", *keys}:
                raise TensorFileError(
                    f"has the metadata {sorted(entries)!r:.200}, expected {sorted(keys)}"
                )
            metadata = {key: _parse(key, entries[key]) for key in keys}
            expected = {
                name: (_TYPE_NAMES[dtype], list(shape))
                for name, (dtype, shape) in layout(metadata).items()
            }
            views = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            found = {name: (view.get_dtype(), view.get_shape()) for name, view in views.items()}
            for name in sorted({*expected, *found}):
                if expected.get(name) != found.get(name):
                    raise TensorFileError(
                        f"holds {name!r:.60} as {_describe(found.get(name))}, "
                        f"expected {_describe(expected.get(name))}"
                    )
            tensors = {name: file.get_tensor(name) for name in expected}
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError) as error:
        raise TensorFileError(f"is not a readable safetensors file: {error}") from error
    if entries.pop("sha256") != _checksum(tensors, entries):
        raise TensorFileError("is damaged: its content does not match its checksum")
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise TensorFileError(f"has values in {name} that are not finite")
        if value.dtype == torch.bool and value.view(torch.uint8).gt(1).any():
            raise TensorFileError(f"has values in {name} that are neither 0 nor 1")
    return tensors, metadata


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """`value`, which came from a file. Raises TensorFileError unless it is an integer in
    [low, high]."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise TensorFileError(f"has {name} {value!r:.40}, expected an integer in {low}..{high}")
    return value


def named_numbers(name: str, value: object) -> dict[str, float]:
    """`value`, which came from a file. Raises TensorFileError unless it maps names to numbers;
    they may be infinite, but not NaN."""
    if not isinstance(value, dict) or not all(map(_is_number, value.values())):
        raise TensorFileError(f"has {name} {value!r:.40}, expected numbers by name")
    return {key: float(number) for key, number in value.items()}


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return value == value
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER


def _parse(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TensorFileError(f"has metadata {key!r} that is not JSON: {error!s:.60}") from error


def _describe(kind: tuple[str, list[int]] | None) -> str:
    return "no tensor" if kind is None else f"{kind[0]} {kind[1]}"


def _checksum(tensors: Mapping[str, Tensor], entries: Mapping[str, str]) -> str:
    """sha256 of names, dtypes, shapes, contents and metadata."""
    names = sorted(tensors)
    heads = [(name, str(tensors[name].dtype), list(tensors[name].shape)) for name in names]
    digest = hashlib.sha256(json.dumps([heads, sorted(entries.items())]).encode())
    for name in names:
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
