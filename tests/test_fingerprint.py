"""What a fingerprint tells apart, and what it does not."""

import pytest
import torch

from synthforge.fingerprint import fingerprint

A, B = torch.arange(6.0).view(2, 3), torch.tensor([1, 2])


@pytest.mark.parametrize(
    "other",
    [
        {"a": torch.nextafter(A, A + 1), "b": B},
        {"a": A.view(3, 2), "b": B},
        {"a": A.view(torch.int32), "b": B},
        {"a": A, "c": B},
        {"a": A, "b": B.flip(0)},
        {"a": A},
        {"a": A, "b": B, "c": torch.zeros(0)},
    ],
)
def test_names_dtypes_shapes_and_values_count(other):
    assert fingerprint(other) != fingerprint({"a": A, "b": B})


def test_settings_count():
    assert len({fingerprint({"a": A}, settings) for settings in (None, 1, "1", (1,), (2,))}) == 5


def test_order_strides_and_gradients_do_not_count():
    columns = A.t().contiguous().t().requires_grad_()
    assert not columns.is_contiguous()
    assert fingerprint({"b": B, "a": columns}) == fingerprint({"a": A, "b": B})


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.bfloat16, torch.float64])
def test_every_dtype_and_no_dimension(dtype):
    one, zero = torch.ones((), dtype=dtype), torch.zeros((), dtype=dtype)
    assert fingerprint({"a": one}) != fingerprint({"a": zero})


def test_the_same_in_every_run():
    """Recorded: a dataset of last year is continued by its fingerprint."""
    assert fingerprint({"a": A, "b": B}, ("x", 1)) == "b3f9530275ae0461"


@pytest.mark.gpu
def test_the_device_does_not_count():
    assert fingerprint({"a": A.cuda()}) == fingerprint({"a": A})
