"""Next3D's checkpoints: the released pickle, read without running its code, and a plain copy.

The pickle holds three networks and the source code of their classes. Only the averaged generator,
`G_ema`, is made; the others stay in the memory-mapped file as inert records.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from flame_pytorch.arrays import NUMPY_NAMES, SCALAR_NAMES, to_array
from flame_pytorch.errors import FileFormatError, naming
from flame_pytorch.mapped import open_mapped
from flame_pytorch.pickles import Call, parse_whole
from flame_pytorch.tensors import (
    STORAGE_DTYPES,
    TENSOR_NAMES,
    EmbeddedStorages,
    is_tensor,
    to_tensor,
)
from flame_pytorch.values import INERT_NAMES, MAPPING_NAMES, to_mapping, to_text
from synthforge.assets.modules import PERSISTENT_OBJECT, module_state, module_tensors
from synthforge.next3d.config import Next3DConfig

_WAY_OUT = (
    "next3d_ffhq_512.pkl is at the Next3D project page, https://mrtornado24.github.io/Next3D; "
    "without it there is --generator mannequin"
)

_FORMAT = "synthforge next3d 1"
_MASK_KEY = "synthforge.uv_face_mask"

_NAMES = (
    NUMPY_NAMES
    | TENSOR_NAMES
    | STORAGE_DTYPES.keys()
    | MAPPING_NAMES
    | INERT_NAMES
    | {PERSISTENT_OBJECT}
)
# Classes of the three networks, in any release of the training code. They stay records.
_CLASSES = re.compile(
    r"(training\w*|torch_utils|dnnlib|torch\.nn)\.[\w.]+"
    r"|torch\.(Size|device|float\d+|bfloat16|u?int\d+|bool)",
    re.ASCII,
)

_SIZES = ("channel_base", "channel_max", "z_dim", "w_dim", "c_dim", "neural_rendering_resolution")
_MAX_SIZE = 2**16
_MAX_PLAIN_DEPTH = 8
_MAX_PLAIN_VALUES = 100_000


@dataclass(frozen=True)
class Checkpoint:
    """A trained Next3D generator.

    tensors: parameters and buffers by their official state-dict names, CPU.
    uv_face_mask: float32 [1, 1, 256, 256] in [0, 1].
    attributes: the generator's other settings as stored, in JSON's types; its constructor's
        arguments are `init_kwargs`.
    """

    config: Next3DConfig
    tensors: dict[str, Tensor]
    uv_face_mask: Tensor
    attributes: dict[str, Any]


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """From the released `.pkl` or a `.safetensors` copy of it; nothing in it is executed.

    Raises FileNotFoundError, or FileFormatError naming the file and what is wrong with it.
    """
    with naming(path, _WAY_OUT):
        if Path(path).suffix == ".safetensors":
            return _read_safetensors(path)
        data = open_mapped(path)
        top = to_mapping(parse_whole(data, _is_allowed))
        if not isinstance(top.get("G_ema"), Call):
            keys = ", ".join(str(key) for key in list(top)[:8])
            raise FileFormatError(f"holds no generator G_ema; it holds {keys:.200}")
        return _read_generator(top["G_ema"], EmbeddedStorages(len(data)))


def save_safetensors(checkpoint: Checkpoint, path: str | os.PathLike[str]) -> None:
    """Writes a plain copy, whole or not at all. Raises OSError."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in {**checkpoint.tensors, _MASK_KEY: checkpoint.uv_face_mask}.items():
        tied = any(tensor is other for other in tensors.values())
        tensors[name] = tensor.clone() if tied else tensor.contiguous()
    metadata = {
        "format": _FORMAT,
        "config": json.dumps(asdict(checkpoint.config)),
        "attributes": json.dumps(checkpoint.attributes),
    }
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        save_file(tensors, partial, metadata=metadata)
        os.replace(partial, path)
    except SafetensorError as error:
        raise OSError(f"{path} can't be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _is_allowed(name: str) -> bool:
    return name in _NAMES or _CLASSES.fullmatch(name) is not None


def _read_generator(generator: object, find_storage: EmbeddedStorages) -> Checkpoint:
    state = module_state(generator)
    mask = state.get("uv_face_mask")
    if not is_tensor(mask):
        raise FileFormatError("holds a generator without its uv_face_mask")
    attributes = _attributes(state, find_storage)
    return Checkpoint(
        config=_config(attributes),
        tensors=module_tensors(generator, find_storage),
        uv_face_mask=_checked_mask(to_tensor(mask, find_storage)),
        attributes=attributes,
    )


def _checked_mask(mask: Tensor) -> Tensor:
    if mask.shape != (1, 1, 256, 256):
        raise FileFormatError(
            f"has a uv_face_mask of shape {list(mask.shape)}, expected [1, 1, 256, 256]"
        )
    return mask.float()


def _attributes(state: Mapping[object, object], find_storage: EmbeddedStorages) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    converter = _PlainValues()
    # What the config needs goes first, lest something large uses up what may be converted.
    for key in sorted(state, key=lambda key: key not in ("_init_kwargs", "rendering_kwargs")):
        name, value = to_text(key), state[key]
        if name in ("orth_scale", "orth_shift") and is_tensor(value):
            attributes[name] = to_tensor(value, find_storage).flatten()[:3].tolist()
        elif name == "_init_kwargs" or not name.startswith("_"):
            with contextlib.suppress(_NotPlain):
                attributes[name.removeprefix("_")] = converter.convert(value, 0)
    return attributes


class _NotPlain(Exception):
    """A record has no type of JSON's."""


class _PlainValues:
    """Turns records into JSON's types, at most `_MAX_PLAIN_VALUES` of them."""

    def __init__(self) -> None:
        self.left = _MAX_PLAIN_VALUES

    def convert(self, value: object, depth: int) -> Any:
        self.left -= 1
        if self.left < 0 or depth > _MAX_PLAIN_DEPTH:
            raise _NotPlain
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple):
            return [self.convert(item, depth + 1) for item in value]
        if isinstance(value, Call) and value.name in SCALAR_NAMES:
            return to_array(value).tolist()
        if isinstance(value, dict) or (isinstance(value, Call) and value.name in MAPPING_NAMES):
            items = to_mapping(value).items()
            return {str(key): self.convert(item, depth + 1) for key, item in items}
        raise _NotPlain


def _checked_size(name: str, size: object) -> int:
    if not isinstance(size, int) or not 1 <= size <= _MAX_SIZE:
        raise FileFormatError(
            f"has the setting {name}={size!r:.60}, expected an integer from 1 to {_MAX_SIZE}"
        )
    return size


def _config(attributes: Mapping[str, Any]) -> Next3DConfig:
    arguments = attributes.get("init_kwargs")
    rendering = attributes.get("rendering_kwargs")
    if not isinstance(arguments, dict) or not isinstance(rendering, dict):
        raise FileFormatError("holds a generator without its init_kwargs or rendering_kwargs")
    fields: dict[str, Any] = {}
    for name in _SIZES:
        size = attributes.get(name, arguments.get(name))
        if size is not None:
            fields[name] = _checked_size(name, size)
    try:
        if "fill_mouth" in attributes:
            fields["fill_mouth"] = bool(attributes["fill_mouth"])
        if "orth_scale" in attributes:
            fields["orth_scale"] = float(attributes["orth_scale"][0])
        if "orth_shift" in attributes:
            fields["orth_shift"] = tuple(float(x) for x in attributes["orth_shift"])
        return Next3DConfig.from_rendering_kwargs(rendering, **fields)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise FileFormatError(f"has settings that can't be used: {error}") from None


def _read_safetensors(path: str | os.PathLike[str]) -> Checkpoint:
    open_mapped(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise FileFormatError(
                    f"is not a Next3D copy of ours: its format is {metadata.get('format')!r:.60}, "
                    f"expected {_FORMAT!r}. Write one with `python -m synthforge "
                    "convert-checkpoint next3d_ffhq_512.pkl OUT.safetensors`"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        settings: dict[str, Any] = json.loads(metadata["config"])
        for name in ("avg_camera_pivot", "orth_shift"):
            settings[name] = tuple(settings[name])
        for name in _SIZES:
            _checked_size(name, settings[name])
        config = Next3DConfig(**settings)
        attributes = dict(json.loads(metadata["attributes"]))
        mask = tensors.pop(_MASK_KEY)
    except SafetensorError as error:
        raise FileFormatError(f"is not a readable safetensors file: {error}") from None
    except FileFormatError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FileFormatError(f"has damaged settings: {error!r:.200}") from None
    return Checkpoint(config, tensors, _checked_mask(mask), attributes)
