"""numpy arrays out of parsed pickles: numpy's, scipy's and chumpy's records, and lists of them.

Sizes are checked against the bytes that are there before anything is made; none of the libraries'
own unpickling code runs.
"""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from flame_pytorch.errors import FileFormatError
from flame_pytorch.pickles import Call, Global
from flame_pytorch.tensors import STORAGE_DTYPES, TENSOR_NAMES, EmbeddedStorages, to_tensor
from flame_pytorch.values import (
    BYTES_NAMES,
    describe,
    is_count,
    to_bytes,
    to_mapping,
    to_shape,
    to_text,
)

Array = NDArray[np.generic]

# A chumpy selection of a chumpy array of numpy's is 2 deep.
_MAX_NESTING = 4
# Lists hold landmarks, a few thousand numbers; large data are arrays.
_MAX_LIST_ELEMENTS = 200_000
_MAX_DENSE_ELEMENTS = 2**26
_MAX_STORAGE_BYTES = 2**26

_NUMERIC_DTYPE = re.compile(r"b1|[iu][1248]|f[248]")
_OBJECT_DTYPE = re.compile(r"O[48]?")


def _both_numpys(name: str) -> set[str]:
    """numpy 2 renamed numpy.core to numpy._core."""
    return {f"numpy.core.{name}", f"numpy._core.{name}"}


_RECONSTRUCT = _both_numpys("multiarray._reconstruct")
SCALAR_NAMES = _both_numpys("multiarray.scalar")
_FROM_BUFFER = _both_numpys("numeric._frombuffer")
_SPARSE = {
    f"scipy.sparse.{module}.{kind}_matrix": kind
    for kind in ("csc", "csr")
    for module in (kind, f"_{kind}")
}
_CHUMPY_ARRAY = "chumpy.ch.Ch"
_CHUMPY_SELECT = "chumpy.reordering.Select"

NUMPY_NAMES = frozenset(
    _RECONSTRUCT | SCALAR_NAMES | _FROM_BUFFER | BYTES_NAMES | {"numpy.ndarray", "numpy.dtype"}
)
ARRAY_NAMES = (
    NUMPY_NAMES
    | TENSOR_NAMES
    | STORAGE_DTYPES.keys()
    | _SPARSE.keys()
    | {_CHUMPY_ARRAY, _CHUMPY_SELECT}
)


def to_array(value: object, nesting: int = 0) -> Array:
    """An array of numbers from any of the records above; it may be a read-only view of the file.

    Sparse matrices come out dense. Raises FileFormatError.
    """
    if nesting > _MAX_NESTING:
        raise FileFormatError(f"nests arrays more than {_MAX_NESTING} deep")
    if isinstance(value, Call):
        if value.name in _SPARSE:
            return _dense(_SPARSE[value.name], value.state)
        if value.name == _CHUMPY_ARRAY:
            return to_array(_field(value, "x"), nesting + 1)
        if value.name == _CHUMPY_SELECT:
            return _select(value, to_array(_field(value, "a"), nesting + 1))
        if value.name in TENSOR_NAMES:
            tensor = to_tensor(value, EmbeddedStorages(_MAX_STORAGE_BYTES))
            return (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    return _plain_array(value, 0)


def _plain_array(value: object, nesting: int) -> Array:
    """numpy's records, and lists of them."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, bool | int | float):
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise FileFormatError("holds an integer of more than 64 bits")
        return np.asarray(value)
    if isinstance(value, list | tuple):
        return _stack(value, nesting)
    if isinstance(value, Call):
        if value.name in _RECONSTRUCT:
            return _numpy_array(value, nesting)
        if value.name in _FROM_BUFFER and len(value.args) == 4:
            data, dtype, shape, order = value.args
            return raw_array(data, _dtype(dtype), to_shape(shape), order == "F")
        if value.name in SCALAR_NAMES and len(value.args) == 2:
            return raw_array(value.args[1], _dtype(value.args[0]), (), False)
    raise FileFormatError(f"should hold an array, but holds {describe(value)}")


def _stack(values: list[object] | tuple[object, ...], nesting: int) -> Array:
    if nesting > _MAX_NESTING:
        raise FileFormatError(f"nests lists more than {_MAX_NESTING} deep")
    if not values:
        return np.zeros(0)
    first = _plain_array(values[0], nesting + 1)
    # Lists may share their items, so that a small file could spell an enormous array.
    if first.size == 0 or first.size * len(values) > _MAX_LIST_ELEMENTS:
        raise FileFormatError(f"holds a list of {len(values)} arrays of {first.size} numbers")
    arrays = [first, *(_plain_array(value, nesting + 1) for value in values[1:])]
    if any(array.shape != first.shape for array in arrays):
        raise FileFormatError("holds a list of arrays of different shapes")
    return np.stack(arrays)


def object_items(value: object) -> tuple[list[object], tuple[int, ...]] | None:
    """Items and shape of a numpy array of objects; None if the value is something else."""
    if not isinstance(value, Call) or value.name not in _RECONSTRUCT:
        return None
    shape, dtype, fortran, data = _array_state(value)
    if not isinstance(dtype, Call) or dtype.name != "numpy.dtype" or not dtype.args:
        return None
    if not _OBJECT_DTYPE.fullmatch(to_text(dtype.args[0])):
        return None
    sizes = to_shape(shape)
    if fortran or not isinstance(data, list) or len(data) != math.prod(sizes):
        raise FileFormatError("holds a damaged array of objects")
    return data, sizes


def _numpy_array(value: Call, nesting: int) -> Array:
    objects = object_items(value)
    if objects is not None:
        items, sizes = objects
        array = _stack(items, nesting)
        return array.reshape(sizes + array.shape[1:])
    shape, dtype, fortran, data = _array_state(value)
    return raw_array(data, _dtype(dtype), to_shape(shape), bool(fortran))


def _array_state(value: Call) -> tuple[object, object, object, object]:
    """shape, dtype, is_fortran, data; after a version number since numpy 1."""
    state = value.state
    ndarray = value.args[0] if value.args else None
    if ndarray == Global("numpy.ndarray") and isinstance(state, tuple) and len(state) in (4, 5):
        shape, dtype, fortran, data = state[-4:]
        return shape, dtype, fortran, data
    raise FileFormatError("holds a damaged numpy array")


def _dtype(value: object) -> np.dtype[np.generic]:
    """numpy.dtype's record: args (kind and size, ...), state (version, byte order, ...)."""
    if isinstance(value, Call) and value.name == "numpy.dtype" and value.args:
        state = value.state
        order = to_text(state[1]) if isinstance(state, tuple) and len(state) > 1 else "<"
        return numeric_dtype(order + to_text(value.args[0]))
    raise FileFormatError(f"holds an array of type {describe(value)}, not of numbers")


def numeric_dtype(text: str) -> np.dtype[np.generic]:
    """'<f8' and the like. Raises FileFormatError."""
    if text[:1] not in "<>|=" or not _NUMERIC_DTYPE.fullmatch(text[1:]):
        raise FileFormatError(f"holds an array of type {text!r:.40}, not of numbers")
    return np.dtype(text.replace("=", "<"))


def raw_array(
    data: object, dtype: np.dtype[np.generic], shape: tuple[int, ...], fortran: bool
) -> Array:
    """An array over `data` (a view, or a record of bytes), which it must fill exactly.

    Raises FileFormatError.
    """
    if not is_count(math.prod(max(size, 1) for size in shape)):
        raise FileFormatError(f"holds an array of shape {shape}")
    expected = math.prod(shape) * dtype.itemsize
    raw = data if isinstance(data, memoryview) else to_bytes(data, expected)
    if len(raw) != expected:
        raise FileFormatError(
            f"holds {len(raw)} bytes for an array of shape {shape}, which takes {expected}"
        )
    array: Array = np.frombuffer(raw, np.uint8 if dtype.kind == "b" else dtype)
    if dtype.kind == "b":
        array = array != 0
    return array.reshape(shape, order="F" if fortran else "C")


def _field(value: Call, key: str) -> object:
    state = to_mapping(value.state)
    if key not in state:
        raise FileFormatError(f"holds a {value.name} without its {key!r}")
    return state[key]


def _dense(kind: str, state: object) -> Array:
    fields = to_mapping(state)
    shape = to_shape(fields.get("_shape", fields.get("shape")))
    if len(shape) != 2 or math.prod(shape) > _MAX_DENSE_ELEMENTS:
        raise FileFormatError(f"holds a sparse matrix of shape {shape}")
    data, indices, indptr = (
        _plain_array(fields.get(name), 0).ravel() for name in ("data", "indices", "indptr")
    )
    major, minor = shape if kind == "csr" else shape[::-1]
    columns, starts = _integers(indices), _integers(indptr)
    lengths = np.diff(starts)
    sound = (
        len(data) == len(columns)
        and len(starts) == major + 1
        and starts[0] == 0
        and starts[-1] == len(data)
        and (lengths >= 0).all()
        and ((columns >= 0) & (columns < minor)).all()
    )
    if not sound:
        raise FileFormatError("holds a damaged sparse matrix")
    dense = np.zeros((major, minor), data.dtype)
    np.add.at(dense, (np.repeat(np.arange(major), lengths), columns), data)
    return dense if kind == "csr" else dense.T


def _select(value: Call, source: Array) -> Array:
    """chumpy's a.ravel()[idxs].reshape(preferred_shape)."""
    indices = _integers(_plain_array(_field(value, "idxs"), 0).ravel())
    wanted = _integers(_plain_array(_field(value, "preferred_shape"), 0).ravel())
    shape = to_shape(wanted.tolist())
    if math.prod(shape) != len(indices) or ((indices < 0) | (indices >= source.size)).any():
        raise FileFormatError("holds a damaged chumpy selection")
    return source.ravel()[indices].reshape(shape)


def _integers(array: Array) -> NDArray[np.int64]:
    if array.size and array.dtype.kind not in "iu":
        raise FileFormatError("holds indices that are not integers")
    return array.astype(np.int64)
