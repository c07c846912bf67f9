"""The tensors of a torch.nn.Module out of a parsed pickle, by their state-dict names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

from flame_pytorch.errors import FileFormatError
from flame_pytorch.reading.records import Call
from flame_pytorch.reading.tensors import FindStorage, to_tensor
from flame_pytorch.reading.values import describe, is_mapping, to_mapping, to_text

# StyleGAN's classes pickle themselves with their source code, which a reader is to run; the
# function that would is in a module of this name, within any package.
_PERSISTENT = re.compile(r"(.+\.)?torch_utils\.persistence\._reconstruct_persistent_obj")

# Next3D has about 300 modules with 1,300 entries, 4 deep. A hostile file could share or nest
# them without end.
_MAX_MODULES = 10_000
_MAX_ENTRIES = 100_000
_MAX_DEPTH = 32
_NAME = re.compile(r"[\w.]{1,500}", re.ASCII)


def module_state(module: object) -> Mapping[object, object]:
    """A module's attributes, its class's code left alone. Raises FileFormatError."""
    if isinstance(module, Call):
        state = module.state
        if _PERSISTENT.fullmatch(module.name) and len(module.args) == 1:
            state = to_mapping(module.args[0]).get("state")
        if is_mapping(state):
            return to_mapping(state)
    raise FileFormatError(f"should hold a torch module, but holds {describe(module)}")


def module_tensors(module: object, find_storage: FindStorage) -> dict[str, Tensor]:
    """Parameters and persistent buffers, by name, in state-dict order.

    A module that occurs twice counts where it occurs first. Raises FileFormatError.
    """
    return named_tensors(_named_records(module), find_storage)


def named_tensors(
    records: Iterable[tuple[object, object]], find_storage: FindStorage
) -> dict[str, Tensor]:
    """A tensor for every name and record; tied ones are one tensor. Raises FileFormatError."""
    tensors: dict[str, Tensor] = {}
    decoded: dict[int, Tensor] = {}
    for key, value in records:
        name = to_text(key)
        try:
            if id(value) not in decoded:
                decoded[id(value)] = to_tensor(value, find_storage)
        except FileFormatError as error:
            raise FileFormatError(f"is damaged at {name!r:.200}: it {error}") from None
        tensors[name] = decoded[id(value)]
    return tensors


def _named_records(root: object) -> Iterator[tuple[str, object]]:
    pending = [("", 0, root)]
    seen: dict[int, Mapping[object, object]] = {}
    entries = 0
    while pending:
        prefix, depth, module = pending.pop()
        state = module_state(module)
        if id(state) in seen:
            continue
        seen[id(state)] = state
        parameters, buffers, children = (
            to_mapping(state.get(key, {})) for key in ("_parameters", "_buffers", "_modules")
        )
        entries += len(parameters) + len(buffers) + len(children)
        if depth > _MAX_DEPTH or len(seen) > _MAX_MODULES or entries > _MAX_ENTRIES:
            raise FileFormatError("holds a torch module of absurd size")
        transient = state.get("_non_persistent_buffers_set")
        hidden = transient if isinstance(transient, set) else set()
        for key, value in parameters.items():
            if value is not None:
                yield _name(prefix, key), value
        for key, value in buffers.items():
            if value is not None and key not in hidden:
                yield _name(prefix, key), value
        pending += [
            (_name(prefix, key) + ".", depth + 1, child)
            for key, child in reversed(list(children.items()))
            if child is not None
        ]


def _name(prefix: str, key: object) -> str:
    name = prefix + to_text(key)
    if not _NAME.fullmatch(name):
        raise FileFormatError(f"holds a tensor or module named {name!r:.100}")
    return name
