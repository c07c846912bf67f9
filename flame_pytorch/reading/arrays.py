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
from flame_pytorch.reading.records import Call, Global
from flame_pytorch.reading.tensors import FindStorage, is_tensor, to_tensor
from flame_pytorch.reading.torch_files import EmbeddedStorages
from flame_pytorch.reading.values import describe, is_count, to_bytes, to_mapping, to_shape, to_text

Array = NDArray[np.generic]

# A chumpy selection of a chumpy array of numpy's is 2 deep.
_MAX_NESTING = 4
# Lists hold landmarks, a few thousand numbers; large data are arrays.
_MAX_LIST_ELEMENTS = 200_000
# A regressor of 5 joints has 25,000 elements.
_MAX_DENSE_ELEMENTS = 2**22
_MAX_STORAGE_BYTES = 2**26

_NUMERIC_DTYPE = re.compile(r"b1|[iu][1248]|f[248]")
_OBJECT_DTYPE = re.compile(r"O[48]?")


def _both_numpys(name: str) -> set[str]:
    """numpy 2 renamed numpy.core to numpy._core."""
    return {f"numpy.core.{name}", f"numpy._core.{name}"}


_RECONSTRUCT = _both_numpys("multiarray._reconstruct")
_SCALAR = _both_numpys("multiarray.scalar")
_FROM_BUFFER = _both_numpys("numeric._frombuffer")
_SPARSE = re.compile(r"scipy\.sparse\.(?:_?\w+\.)?(?P<format>[a-z]+)_(?:matrix|array)")
_CHUMPY_ARRAY = "chumpy.ch.Ch"
_CHUMPY_SELECT = "chumpy.reordering.Select"


def to_array(value: object, find_storage: FindStorage | None = None, nesting: int = 0) -> Array:
    """An array of numbers from any of the records above; it may be a read-only view of the file.

    Sparse matrices come out dense. find_storage: where the storages of tensors are; inside the
    value itself if None. Raises FileFormatError.
    """
    if nesting > _MAX_NESTING:
        raise FileFormatError(f"nests arrays more than {_MAX_NESTING} deep")
    if isinstance(value, Call):
        sparse = _SPARSE.fullmatch(value.name)
        if sparse:
            return _dense(sparse["format"], value.state)
        if value.name == _CHUMPY_ARRAY:
            return to_array(_field(value, "x"), find_storage, nesting + 1)
        if value.name == _CHUMPY_SELECT:
            return _select(value, to_array(_field(value, "a"), find_storage, nesting + 1))
        if is_tensor(value):
            tensor = to_tensor(value, find_storage or EmbeddedStorages(_MAX_STORAGE_BYTES))
            return (tensor.double() if tensor.is_floating_point() else tensor).numpy()
        single = single_object(value)
        if single is not None:
            return to_array(single, find_storage, nesting + 1)
    return _plain_array(value, 0)


def single_object(value: object) -> object | None:
    """What an array of objects of no dimension holds; None if the value is something else."""
    objects = object_items(value)
    return objects[0][0] if objects is not None and objects[1] == () else None


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
        if value.name in _FROM_BUFFER and len(value.args) in (4, 5):
            return _from_buffer(*value.args)
        if value.name in _SCALAR and len(value.args) == 2:
            return raw_array(value.args[1], _dtype(value.args[0]), (), False)
    raise FileFormatError(f"should hold an array, but holds {describe(value)}")


def _from_buffer(
    data: object, dtype: object, shape: object, order: object, axes: object = None
) -> Array:
    """axes: in which order numpy 2.4 transposes the array afterwards, if the order is "K"."""
    array = raw_array(data, _dtype(dtype), to_shape(shape), order == "F")
    if order != "K" or axes is None:
        return array
    axes = to_shape(axes)
    if sorted(axes) != list(range(array.ndim)):
        raise FileFormatError("holds a damaged numpy array")
    return array.transpose(axes)


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
    kind = value.args[0] if value.args else None  # numpy.ndarray, or numpy.matrix and the like
    if isinstance(kind, Global) and isinstance(state, tuple) and len(state) in (4, 5):
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
    """A matrix from the attributes of scipy's, compressed by columns or rows, or coordinates."""
    fields = to_mapping(state)
    shape = to_shape(fields.get("_shape", fields.get("shape")))
    if len(shape) != 2 or math.prod(shape) > _MAX_DENSE_ELEMENTS:
        raise FileFormatError(f"holds a sparse matrix of shape {shape}")
    if kind not in ("csc", "csr", "coo"):
        raise FileFormatError(f"holds a {kind} matrix of scipy's; csc, csr and coo are known")
    data = _plain_array(fields.get("data"), 0).ravel()
    if kind == "coo":
        coordinates = fields.get("coords", (fields.get("row"), fields.get("col")))
        if not isinstance(coordinates, tuple) or len(coordinates) != 2:
            raise FileFormatError("holds a damaged sparse matrix")
        rows, columns = (_integers(_plain_array(axis, 0).ravel()) for axis in coordinates)
    else:
        indices, starts = (
            _integers(_plain_array(fields.get(name), 0).ravel()) for name in ("indices", "indptr")
        )
        major = shape[0] if kind == "csr" else shape[1]
        lengths = np.diff(starts)
        fits = len(starts) == major + 1 and starts[0] == 0 and starts[-1] == len(indices)
        if not fits or (lengths < 0).any():
            raise FileFormatError("holds a damaged sparse matrix")
        counted = np.repeat(np.arange(major), lengths)
        rows, columns = (counted, indices) if kind == "csr" else (indices, counted)
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    if not len(data) == len(rows) == len(columns) or not inside.all():
        raise FileFormatError("holds a damaged sparse matrix")
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, (rows, columns), data)
    return dense


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
