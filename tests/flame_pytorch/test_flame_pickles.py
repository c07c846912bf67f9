"""The pickle parser against Python's own, and against files made to exhaust it."""

import gzip
import lzma
import pickle
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_pickles import (
    Made,
    Shared,
    array_record,
    dump,
    object_array_record,
    scalar_record,
    tensor_record,
)

from flame_pytorch.errors import FileFormatError
from flame_pytorch.reading.arrays import to_array
from flame_pytorch.reading.pickle_literals import Blob
from flame_pytorch.reading.pickles import parse, parse_whole
from flame_pytorch.reading.records import Call, Global

keys = st.text(max_size=8) | st.integers(-(2**60), 2**60) | st.booleans() | st.none()
scalars = keys | st.floats(allow_nan=False) | st.integers(-(2**500), 2**500)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(keys, inner, max_size=5)
        | st.sets(keys, max_size=5)
    ),
    max_leaves=30,
)


def parsed(data: bytes) -> object:
    return parse_whole(memoryview(data))


@settings(max_examples=100, deadline=None)
@given(values, st.integers(4, 5))
def test_plain_values_come_out_as_python_reads_them(value, protocol):
    assert parsed(pickle.dumps(value, protocol)) == value


@settings(max_examples=100, deadline=None)
@given(st.recursive(scalars, lambda inner: st.lists(inner, max_size=4)), st.integers(0, 3))
def test_and_in_old_protocols(value, protocol):
    assert parsed(pickle.dumps(value, protocol)) == value


@given(st.binary(max_size=3000), st.integers(0, 2))
def test_python2_strings(data, protocol):
    value = parsed(dump(data, protocol, python2=True))
    assert bytes(value.data if isinstance(value, Blob) else value) == data


@given(st.binary(max_size=400))
def test_random_bytes_parse_or_are_refused(data):
    try:
        parse(memoryview(data))
    except FileFormatError as error:
        assert str(error)


def test_every_prefix_of_a_pickle_is_refused():
    data = pickle.dumps({"a": [1, 2.5, (b"x" * 2000, "y")], "b": {3}, "c": 10**30})
    parsed(data)
    for length in range(len(data)):
        with pytest.raises(FileFormatError):
            parsed(data[:length])


def test_calls_are_recorded_with_all_that_is_done_to_them():
    made = Made("a.b", (1, 2), state={"x": 3}, mapping={"k": 4}, items=[5])
    for protocol in range(5):
        call = parsed(dump(made, protocol))
        assert isinstance(call, Call)
        assert (call.name, call.args, call.state) == ("a.b", (1, 2), {"x": 3})
        assert (call.mapping, call.items) == ({"k": 4}, [5])


def test_old_style_instances_and_classes():
    assert parsed(b"(S'x'\nia\nb\n.").args == (b"x",)
    assert parsed(b"(ca\nb\nI7\no.").args == (7,)
    assert parsed(b"ca\nb\n.") == Global("a.b")


def test_long_strings_stay_where_they_are():
    data = pickle.dumps(b"x" * 5000)
    blob = parsed(data)
    assert isinstance(blob, Blob) and blob.data.obj is data


def test_shared_values_are_shared():
    a, b = parsed(dump((Shared(1, [1]), Shared(1, [1]))))
    assert a is b


NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("protocol", range(6))
def test_arrays(dtype, protocol):
    array = (np.arange(24).reshape(2, 3, 4) % 7).astype(dtype)
    for variant in (array, np.asfortranarray(array), array[:, ::2], array[0, 0, 0], array[:0]):
        found = to_array(parsed(pickle.dumps(variant, protocol)))
        assert found.dtype == variant.dtype
        np.testing.assert_array_equal(found, variant)


def test_arrays_of_objects_and_tensors():
    nested = object_array_record([array_record(np.arange(3)), array_record(np.ones(3))], (2,))
    np.testing.assert_array_equal(to_array(parsed(dump(nested))), [[0, 1, 2], [1, 1, 1]])
    tensor = torch.arange(12.0).view(3, 4).T
    np.testing.assert_array_equal(to_array(parsed(dump(tensor_record(tensor)))), tensor)


def wrong_array(shape, data=b"", dtype="f8", fortran=False) -> Made:
    record = array_record(np.zeros(1))
    dtype_record = Made("numpy.dtype", (dtype, False, True), (3, "<", None, None, None, -1, -1, 0))
    return Made(record.name, record.args, (1, shape, dtype_record, fortran, data))


@pytest.mark.parametrize(
    "record, message",
    [
        (wrong_array((2,), b"x" * 15), "15 bytes for an array of shape .* takes 16"),
        (wrong_array((2,), b"x" * 17), "17 bytes where 16 should be"),
        (wrong_array((2**40,)), "damaged shape"),
        (wrong_array((2**39, 0, 2**39)), "array of shape"),
        (wrong_array((-1,)), "damaged shape"),
        (wrong_array((1,) * 40, b"x" * 8), "damaged shape"),
        (wrong_array((1,), b"x" * 8, dtype="V8"), "type '<V8', not of numbers"),
        (wrong_array((1,), b"x" * 8, dtype="O8"), "damaged array of objects"),
        (wrong_array((1,), b"x" * 8, dtype="f8,f8"), "not of numbers"),
        (wrong_array((1,), 7), "should hold bytes, but holds int"),
        ([1, [2]], "different shapes"),
        ([[1], [1, 2]], "different shapes"),
        ([[[[[[[1]]]]]]], "more than 4 deep"),
        ("text", "should hold an array, but holds str"),
        ([], None),
    ],
)
def test_wrong_arrays(record, message):
    value = parsed(dump(record))
    if message is None:
        assert to_array(value).size == 0
        return
    with pytest.raises(FileFormatError, match=message):
        to_array(value)


def doubled(levels: int) -> object:
    """A list that spells 2 ** levels numbers by holding each list twice."""
    value: object = 1
    for level in range(levels):
        value = [Shared(2 * level, value), Shared(2 * level, value)]
    return value


def thousandfold(levels: int) -> object:
    value: object = 1
    for level in range(levels):
        value = [Shared(level, value)] * 1000
    return value


@pytest.mark.parametrize("value", [doubled(60), thousandfold(4), thousandfold(3)])
def test_lists_that_share_without_end(value):
    start = time.process_time()
    record = parsed(dump(value))
    with pytest.raises(FileFormatError, match=r"deep|holds a list of"):
        to_array(record)
    assert time.process_time() - start < 5


def test_a_list_that_holds_itself():
    value = parsed(b"\x80\x04]\x94h\x00a.")
    with pytest.raises(FileFormatError, match="deep"):
        to_array(value)


def test_nesting_without_end():
    depth = 50_000
    value = parsed(b"\x80\x04" + b"]" * depth + b"a" * (depth - 1) + b".")
    with pytest.raises(FileFormatError, match="deep"):
        to_array(value)


def test_calls_nested_without_end():
    depth = 100_000
    data = b"ca\nb\nq\x00" + b"h\x00" * depth + b"N" + b"\x85R" * (depth + 1) + b"."
    assert parsed(data).name == "a.b"


def test_texts_are_not_decoded_without_end():
    # 1,000 scalars that share one long text as their 8 bytes.
    text = Shared(1, Made("_codecs.encode", ("\x00" * 3_000_000, "latin1")))
    scalar = scalar_record(np.float64(1))
    record = [Made(scalar.name, (scalar.args[0], text)) for _ in range(1000)]
    value = parsed(dump(record))
    start = time.process_time()
    with pytest.raises(FileFormatError, match="a text of 3000000 bytes where 8 fit"):
        to_array(value)
    assert time.process_time() - start < 1


def chumpy(name: str, state: dict) -> Made:
    return Made(name, (), state, by_class=True)


def test_chumpy_without_end():
    value: object = array_record(np.zeros(3))
    for _ in range(100):
        value = chumpy("chumpy.ch.Ch", {"x": value})
    with pytest.raises(FileFormatError, match="more than 4 deep"):
        to_array(parsed(dump(value)))
    selection = {"a": array_record(np.zeros(3)), "idxs": [0, 3], "preferred_shape": (2,)}
    with pytest.raises(FileFormatError, match="damaged chumpy selection"):
        to_array(parsed(dump(chumpy("chumpy.reordering.Select", selection))))
    with pytest.raises(FileFormatError, match=r"chumpy.ch.Ch without its 'x'"):
        to_array(parsed(dump(chumpy("chumpy.ch.Ch", {}))))


@pytest.mark.parametrize(
    "change",
    [
        {"_shape": (10**6, 10**6)},
        {"_shape": (3,)},
        {"indptr": [0, 1]},
        {"indptr": [0, 2, 1, 3]},
        {"indptr": [-1, 1, 2, 3]},
        {"indices": [0, 1, 4]},
        {"indices": [0, -1, 1]},
        {"indices": [0.0, 1.0, 1.0]},
        {"data": [1.0]},
        {"data": None},
    ],
)
def test_damaged_sparse_matrices(change):
    sound = {"_shape": (4, 3), "indptr": [0, 1, 2, 3], "indices": [0, 1, 3], "data": [1.0, 2, 3]}
    name = "scipy.sparse.csc.csc_matrix"
    dense = to_array(parsed(dump(chumpy(name, sound))))
    np.testing.assert_array_equal(dense.sum(0), [1, 2, 3])
    with pytest.raises(FileFormatError):
        to_array(parsed(dump(chumpy(name, sound | change))))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (lzma.compress(pickle.dumps([1])), "xz -d"),
        (gzip.compress(pickle.dumps([1]), mtime=0), "gzip -d"),
        (b"<!DOCTYPE html><html>", "web page"),
    ],
    ids=["git-lfs", "xz", "gzip", "html"],
)
def test_what_is_handed_over_instead_of_a_pickle_is_recognised(data, message):
    with pytest.raises(FileFormatError, match=message):
        parse_whole(memoryview(data))
