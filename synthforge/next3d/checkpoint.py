"""Next3D's checkpoints: the released pickle, read without running its code, and a plain copy.

The pickle holds three networks and the source code of their classes. Only the averaged generator,
`G_ema`, is made; the others stay in the memory-mapped file as inert records. A generator that was
saved again, by pickle or by torch.save, in a dictionary or alone, is read too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from flame_pytorch.errors import FileFormatError, naming
from flame_pytorch.reading.arrays import to_array
from flame_pytorch.reading.contents import read_contents
from flame_pytorch.reading.mapped import open_mapped
from flame_pytorch.reading.records import Call
from flame_pytorch.reading.tensors import FindStorage, is_tensor, to_tensor
from flame_pytorch.reading.values import describe, is_mapping, listed, to_mapping
from synthforge.assets.modules import module_state, module_tensors
from synthforge.next3d.config import RENDERING_OPTIONS, Next3DConfig
from synthforge.whole_files import replacing

_WAY_OUT = (
    "next3d_ffhq_512.pkl is at the Next3D project page, https://mrtornado24.github.io/Next3D; "
    "without it there is --generator mannequin"
)

_FORMAT = "synthforge next3d 1"
_MASK_KEY = "synthforge.uv_face_mask"

_SIZES = ("channel_base", "channel_max", "z_dim", "w_dim", "c_dim", "neural_rendering_resolution")
_MAX_SIZE = 2**16
# A setting is at most a few numbers.
_MAX_SETTING = 16


@dataclass(frozen=True)
class Checkpoint:
    """A trained Next3D generator.

    tensors: parameters and buffers by their official state-dict names, CPU.
    uv_face_mask: float32 [1, 1, 256, 256] in [0, 1].
    """

    config: Next3DConfig
    tensors: dict[str, Tensor]
    uv_face_mask: Tensor


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """From the released `.pkl` or a `.safetensors` copy of it; nothing in it is executed.

    Raises FileNotFoundError, or FileFormatError naming the file and what is wrong with it.
    """
    with naming(path, _WAY_OUT):
        data = open_mapped(path)
        # Safetensors begin with the length of a JSON header, pickles' own frames with zeros there.
        if Path(path).suffix == ".safetensors" or bytes(data[8:9]) == b"{":
            return _read_safetensors(path)
        contents = read_contents(path)
        return _read_generator(_generator(contents.value), contents.find_storage)


def save_safetensors(checkpoint: Checkpoint, path: str | os.PathLike[str]) -> None:
    """Writes a plain copy, whole or not at all. Raises OSError."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in {**checkpoint.tensors, _MASK_KEY: checkpoint.uv_face_mask}.items():
        tied = any(tensor is other for other in tensors.values())
        tensors[name] = tensor.clone() if tied else tensor.contiguous()
    metadata = {
        "format": _FORMAT,
        "config": json.dumps(asdict(checkpoint.config)),
    }
    try:
        with replacing(Path(path)) as partial:
            save_file(tensors, partial, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"{path} can't be written: {error}") from error


def _generator(value: object) -> Call:
    """The module G_ema, which the file may hold alone or in a dictionary."""
    if not is_mapping(value):
        if isinstance(value, Call):
            return value
        raise FileFormatError(f"should hold a generator, but holds {describe(value)}")
    entries = to_mapping(value)
    generator = entries.get("G_ema")
    if isinstance(generator, Call) and not is_mapping(generator):
        return generator
    weights = generator if is_mapping(generator) else value
    if any(is_tensor(entry) for entry in to_mapping(weights).values()):
        raise FileFormatError(
            "holds a state dict: weights without the generator's settings and its uv_face_mask. "
            "Save the module itself, torch.save({'G_ema': G_ema}, FILE), or take the released file"
        )
    raise FileFormatError(f"holds no generator G_ema; it holds {listed(entries)}")


def _read_generator(generator: Call, find_storage: FindStorage) -> Checkpoint:
    state = module_state(generator)
    mask = state.get("uv_face_mask")
    if not is_tensor(mask):
        raise FileFormatError("holds a generator without its uv_face_mask")
    return Checkpoint(
        config=_config(_Settings(state, find_storage)),
        tensors=module_tensors(generator, find_storage),
        uv_face_mask=_checked_mask(to_tensor(mask, find_storage)),
    )


def _checked_mask(mask: Tensor) -> Tensor:
    if mask.shape != (1, 1, 256, 256):
        raise FileFormatError(
            f"has a uv_face_mask of shape {list(mask.shape)}, expected [1, 1, 256, 256]"
        )
    if not ((mask >= 0) & (mask <= 1)).all():
        raise FileFormatError("has a uv_face_mask with values outside 0 to 1")
    return mask.float()


class _Settings:
    """Settings of the generator by name: its attributes, else the arguments that made it.

    Only what is asked for is looked at; the rest may be of any type.
    """

    def __init__(self, state: Mapping[object, object], find_storage: FindStorage) -> None:
        self.arguments = self._mapping(state, "_init_kwargs")
        self.attributes = state
        self.find_storage = find_storage
        source = state if "rendering_kwargs" in state else self.arguments
        self.rendering = self._mapping(source, "rendering_kwargs")

    @staticmethod
    def _mapping(source: Mapping[object, object], name: str) -> Mapping[object, object]:
        if name not in source:
            raise FileFormatError(f"holds a generator without its {name}")
        return to_mapping(source[name])

    def get(self, name: str) -> Any:
        """None if the file does not say."""
        source = self.attributes if name in self.attributes else self.arguments
        return self._plain(name, source.get(name))

    def rendering_options(self) -> dict[str, Any]:
        return {
            name: self._plain(name, self.rendering[name])
            for name in RENDERING_OPTIONS
            if name in self.rendering
        }

    def _plain(self, name: str, value: object) -> Any:
        """Text, a number, or a list of them; from a numpy scalar, an array or a tensor too."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        try:
            array = to_array(value, self.find_storage)
        except FileFormatError as error:
            raise FileFormatError(f"is damaged at the setting {name}: it {error}") from None
        if array.size > _MAX_SETTING:
            raise FileFormatError(f"has the setting {name} of {array.size} numbers")
        return array.tolist()


def _checked_size(name: str, size: object) -> int:
    if not isinstance(size, int) or not 1 <= size <= _MAX_SIZE:
        raise FileFormatError(
            f"has the setting {name}={size!r:.60}, expected an integer from 1 to {_MAX_SIZE}"
        )
    return size


def _config(settings: _Settings) -> Next3DConfig:
    found: dict[str, Any] = {}
    for name in _SIZES:
        size = settings.get(name)
        if size is not None:
            found[name] = _checked_size(name, size)
    fill_mouth, scale, shift = map(settings.get, ("fill_mouth", "orth_scale", "orth_shift"))
    try:
        if fill_mouth is not None:
            found["fill_mouth"] = bool(fill_mouth)
        if scale is not None:
            found["orth_scale"] = float(np.ravel(scale)[0])
        if shift is not None:
            found["orth_shift"] = tuple(np.ravel(shift).astype(float).tolist())
        return Next3DConfig.from_rendering_kwargs(settings.rendering_options(), **found)
    except FileFormatError:
        raise
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise FileFormatError(f"has settings that can't be used: {error}") from None


def _read_safetensors(path: str | os.PathLike[str]) -> Checkpoint:
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
        stored = dict(json.loads(metadata["config"]))
        # Copies of earlier versions hold settings that nothing uses.
        settings: dict[str, Any] = {
            entry.name: stored[entry.name] for entry in fields(Next3DConfig)
        }
        settings["orth_shift"] = tuple(settings["orth_shift"])
        for name in _SIZES:
            _checked_size(name, settings[name])
        config = Next3DConfig(**settings)
        mask = tensors.pop(_MASK_KEY)
    except SafetensorError as error:
        raise FileFormatError(f"is not a readable safetensors file: {error}") from None
    except FileFormatError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FileFormatError(f"has damaged settings: {error!r:.200}") from None
    return Checkpoint(config, tensors, _checked_mask(mask))
