"""What today's tools write, in any container: read where it is needed, whatever else is there."""

import collections
import datetime
import decimal
import enum
import fractions
import functools
import operator
import pathlib
import pickle
import uuid

import numpy as np
import pytest
import scipy.sparse
import torch
from support_flame_files import (
    assert_same,
    model_fields,
    python2_model,
    read_model_bytes,
    write_landmark_embedding,
)
from support_flame_heads import random_embedding, random_head
from support_pickles import Made, array_record, dump

from flame_pytorch.errors import FileFormatError
from flame_pytorch.files import (
    read_head_model,
    read_landmark_embedding,
)

HEAD = random_head()
EMBEDDING = random_embedding()


@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
@pytest.mark.parametrize("flavour", ["matrix", "array"])
@pytest.mark.parametrize("protocol", range(6))
def test_sparse_regressors(tmp_path, kind, flavour, protocol):
    make = getattr(scipy.sparse, f"{kind}_{flavour}")
    fields = model_fields(HEAD) | {"J_regressor": make(HEAD.J_regressor)}
    assert_same(read_model_bytes(tmp_path, pickle.dumps(fields, protocol)), HEAD)


def test_a_coordinate_matrix_of_an_older_scipy(tmp_path):
    matrix = scipy.sparse.coo_matrix(HEAD.J_regressor)
    parts = {name: array_record(getattr(matrix, name)) for name in ("row", "col", "data")}
    record = Made("scipy.sparse.coo.coo_matrix", (), {"_shape": (5, 40), **parts}, by_class=True)
    records = {name: array_record(a) for name, a in model_fields(HEAD).items()}
    data = dump(records | {"J_regressor": record})
    assert_same(read_model_bytes(tmp_path, data), HEAD)


def test_other_sparse_matrices_are_named(tmp_path):
    fields = model_fields(HEAD) | {"J_regressor": scipy.sparse.lil_matrix(HEAD.J_regressor)}
    with pytest.raises(FileFormatError, match="a lil matrix of scipy's; csc, csr and coo"):
        read_model_bytes(tmp_path, pickle.dumps(fields))


def of_two_axes(array):
    return np.matrix(array) if array.ndim == 2 else array


OTHER_ARRAYS = {
    "numpy.matrix": of_two_axes,
    "fortran": np.asfortranarray,
    "transposed": lambda array: np.ascontiguousarray(array.T).T,
    "axes permuted": lambda array: np.moveaxis(
        np.ascontiguousarray(np.moveaxis(array, 0, 1)), 1, 0
    ),
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "torch": lambda array: torch.tensor(
        array.astype(np.int64 if array.dtype.kind == "u" else array.dtype)
    ),
    "parameter": lambda array: (
        torch.nn.Parameter(torch.tensor(array)) if array.dtype.kind == "f" else array
    ),
    "object": lambda array: object_array(array),
}


def object_array(array):
    holder = np.empty((), object)
    holder[()] = array
    return holder


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("kind", OTHER_ARRAYS)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_of_todays_tools(tmp_path, kind, protocol):
    fields = {name: OTHER_ARRAYS[kind](array) for name, array in model_fields(HEAD).items()}
    assert_same(read_model_bytes(tmp_path, pickle.dumps(fields, protocol)), HEAD)


def test_lists_and_half_precision(tmp_path):
    fields = model_fields(HEAD)
    fields |= {
        name: fields[name].tolist() for name in ("v_template", "f", "weights", "J_regressor")
    }
    assert_same(read_model_bytes(tmp_path, pickle.dumps(fields)), HEAD)
    fields["weights"] = HEAD.weights.astype(np.float16)
    model = read_model_bytes(tmp_path, pickle.dumps(fields))
    np.testing.assert_allclose(model.weights, HEAD.weights, atol=1e-3)


def torch_saved(tmp_path, zipped, value):
    torch.save(value, tmp_path / "generic_model.pkl", _use_new_zipfile_serialization=zipped)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_model_that_torch_saved(tmp_path, zipped):
    fields = model_fields(HEAD) | {"f": HEAD.faces}
    tensors = {name: torch.tensor(array) for name, array in fields.items()}
    for saved in (fields, tensors, collections.OrderedDict(tensors)):
        torch_saved(tmp_path, zipped, saved)
        assert_same(read_head_model(tmp_path / "generic_model.pkl"), HEAD)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_under_another_name(tmp_path, save):
    with (tmp_path / "generic_model.pkl").open("wb") as file:
        save(file, **model_fields(HEAD), unneeded=np.array([{1: 2}], object))
    assert_same(read_head_model(tmp_path / "generic_model.pkl"), HEAD)
    with (tmp_path / "a.npy").open("wb") as file:
        save(
            file,
            static_lmk_faces_idx=EMBEDDING.static_faces,
            static_lmk_bary_coords=EMBEDDING.static_bary,
            dynamic_lmk_faces_idx=EMBEDDING.contour_faces,
            dynamic_lmk_bary_coords=EMBEDDING.contour_bary,
        )
    assert_same(read_landmark_embedding(tmp_path / "a.npy"), EMBEDDING)


def test_a_sparse_regressor_in_an_npz(tmp_path):
    regressor = object_array(scipy.sparse.csc_array(HEAD.J_regressor))
    np.savez(tmp_path / "a.npz", **model_fields(HEAD) | {"J_regressor": regressor})
    assert_same(read_head_model(tmp_path / "a.npz"), HEAD)


def test_a_zip_of_other_files_is_told_apart(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "generic_model.pkl", "w") as archive:
        archive.writestr("FLAME2020/generic_model.pkl", b"x")
    with pytest.raises(
        FileFormatError, match=r"zip archive of FLAME2020/generic_model.pkl; unpack"
    ):
        read_head_model(tmp_path / "generic_model.pkl")


class Kind(enum.Enum):
    NEUTRAL = 1


class Custom:
    class Nested:
        pass

    def method(self) -> None:
        pass


class WithKeywords:
    def __new__(cls, *, size):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"size": 3}


class Attributes(dict):
    pass


def slotted():
    value = Slotted()
    value.a = 1
    return value


class Slotted:
    __slots__ = ("a",)


Point = collections.namedtuple("Point", "x y")


UNNEEDED = {
    "datetime": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    "path": pathlib.PurePosixPath("/a/b"),
    "windows path": pathlib.PureWindowsPath("C:/a"),
    "enum": Kind.NEUTRAL,
    "class": Custom,
    "instance": Custom(),
    "nested class": Custom.Nested,
    "bound method": Custom().method,
    "function": model_fields,
    "builtin": operator.itemgetter(1),
    "partial": functools.partial(int, base=2),
    "keywords": WithKeywords(size=3),
    "slots": slotted(),
    "dict subclass": Attributes(a=1),
    "counter": collections.Counter("aab"),
    "defaultdict": collections.defaultdict(list, {"a": [1]}),
    "namedtuple": Point(1, 2),
    "deque": collections.deque([1, 2], 3),
    "odd keys": {Kind.NEUTRAL: 1, (1, (2, 3)): 2, datetime.date(2026, 1, 1): 3, 2**70: 4},
    "odd set": {Kind.NEUTRAL, frozenset({1}), Point(1, 2)},
    "complex": 1 + 2j,
    "range": range(3),
    "bytearray": bytearray(b"abc"),
    "decimal": decimal.Decimal("1.5"),
    "fraction": fractions.Fraction(1, 3),
    "uuid": uuid.UUID(int=7),
    "error": ValueError("x"),
    "structured array": np.zeros(2, [("a", "f8"), ("b", "i4")]),
    "dates array": np.array(["2026-01-01"], "datetime64[D]"),
    "masked array": np.ma.masked_array([1, 2], [True, False]),
    "text array": np.array(["a", "b"]),
    "random state": np.random.default_rng(0),
    "dtype": np.dtype("f4"),
    "sparse": scipy.sparse.dok_matrix((3, 3)),
    "network": torch.nn.Linear(2, 3),
    "device": torch.device("cpu"),
    "torch dtype": torch.float32,
    "size": torch.Size([1, 2]),
}


@pytest.mark.parametrize("name", UNNEEDED)
@pytest.mark.parametrize("protocol", range(6))
def test_entries_that_are_not_needed_may_hold_anything(tmp_path, name, protocol):
    try:
        data = pickle.dumps(model_fields(HEAD) | {"J": UNNEEDED[name]}, protocol)
    except TypeError:
        pytest.skip("Python can't write it in this protocol")
    assert_same(read_model_bytes(tmp_path, data), HEAD)


@pytest.mark.parametrize("name", ["datetime", "enum", "instance", "partial", "keywords", "network"])
def test_where_they_are_needed_they_are_named(tmp_path, name):
    data = pickle.dumps(model_fields(HEAD) | {"weights": UNNEEDED[name]})
    with pytest.raises(FileFormatError, match="'weights': it should hold an array, but holds"):
        read_model_bytes(tmp_path, data)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_windows_line_ends_are_told(tmp_path, protocol):
    for data in (python2_model(HEAD, min(protocol, 2)), pickle.dumps(model_fields(HEAD), protocol)):
        with pytest.raises(FileFormatError, match=r"generic_model.pkl was copied as text"):
            read_model_bytes(tmp_path, data.replace(b"\n", b"\r\n"))


def test_windows_line_ends_in_an_npy(tmp_path):
    path = tmp_path / "landmark_embedding.npy"
    write_landmark_embedding(path, EMBEDDING)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(FileFormatError, match=r"landmark_embedding.npy was copied as text"):
        read_landmark_embedding(path)
