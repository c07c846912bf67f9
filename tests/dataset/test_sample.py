"""The bytes of a sample's files."""

import json

import numpy as np
import pytest

from synthforge.dataset.sample import encode_annotation


def test_a_float32_is_written_as_its_shortest_decimal():
    numbers = {"a": np.float32(0.1), "b": np.array([[0.1, -2.5e-9], [1e20, 256]], np.float32)}
    expected = b'{"a": 0.1, "b": [[0.1, -2.5e-09], [1e+20, 256.0]]}'
    assert encode_annotation(numbers) == expected


def test_a_float32_reads_back_as_the_same():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 4000, np.uint32).view(np.float32)
    numbers = np.concatenate([rng.normal(size=4000).astype(np.float32), bits[np.isfinite(bits)]])
    text = encode_annotation({"x": numbers})
    np.testing.assert_array_equal(np.array(json.loads(text)["x"], np.float32), numbers)
    assert len(text) < 14.5 * len(numbers)  # doubles of float32 take 20 characters and more


def test_other_numbers_are_written_as_they_are():
    numbers = {
        **{"double": 0.1 + 0.2, "doubles": [1.5, 2.5], "whole": np.int64(2**62)},
        **{"seen": np.array([True, False]), "byte": np.uint8(255)},
    }
    expected = (
        b'{"double": 0.30000000000000004, "doubles": [1.5, 2.5], "whole": 4611686018427387904, '
        b'"seen": [1, 0], "byte": 255}'
    )
    assert encode_annotation(numbers) == expected


@pytest.mark.parametrize("value", ["text", None, float("nan"), np.float32("inf"), {"a": 1}])
def test_annotations_hold_finite_numbers_only(value):
    with pytest.raises(ValueError, match=r"numbers only|not JSON compliant"):
        encode_annotation({"x": value})
