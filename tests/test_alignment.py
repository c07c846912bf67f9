import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support_alignment import some_points, trained_mlp

from synthforge.alignment import (
    PUBLISHED_A,
    PUBLISHED_B,
    AlignmentError,
    AlignmentMLP,
    published_alignment,
)


@pytest.fixture
def points():
    return some_points()


@pytest.fixture
def trained():
    return trained_mlp()


@pytest.mark.parametrize("hidden", [3, 4, 9])
@pytest.mark.parametrize("activation", ["none", "tanh", "relu"])
def test_starts_as_the_identity(points, hidden, activation):
    torch.testing.assert_close(AlignmentMLP(hidden, activation)(points), points)


def test_as_affine_is_forward(points, trained):
    A, b = trained.as_affine()
    layers = trained.outer(trained.inner(points))
    torch.testing.assert_close(trained(points), layers, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(points @ A.T + b, layers, rtol=1e-5, atol=1e-5)


@given(st.lists(st.floats(-2, 2, width=32), min_size=12, max_size=12))
def test_from_affine_is_that_affine(numbers):
    A, b = torch.tensor(numbers[:9]).view(3, 3), torch.tensor(numbers[9:])
    got_A, got_b = AlignmentMLP.from_affine(A, b).as_affine()
    torch.testing.assert_close(got_A, A)
    torch.testing.assert_close(got_b, b)


def test_published_figures(points):
    A, b = published_alignment().as_affine()
    torch.testing.assert_close(A, torch.tensor(PUBLISHED_A))
    torch.testing.assert_close(b, torch.tensor(PUBLISHED_B))


@pytest.mark.parametrize("activation", ["none", "tanh"])
def test_bits_do_not_depend_on_the_batch(points, activation):
    mlp = AlignmentMLP(5, activation)
    with torch.no_grad():
        mlp.outer.weight.add_(0.1)
        assert torch.equal(mlp(points)[1:, 7:9], mlp(points[1:, 7:9]))


def test_an_activation_learns_and_is_not_affine(points):
    mlp = AlignmentMLP(8, "tanh")
    mlp(points).square().sum().backward()
    assert mlp.outer.weight.grad.abs().min() > 0
    with pytest.raises(AlignmentError, match="tanh is not an affine map"):
        mlp.as_affine()


def test_bad_sizes_and_names():
    with pytest.raises(AlignmentError, match=r"in 3\.\.4096, got 2"):
        AlignmentMLP(2)
    with pytest.raises(AlignmentError, match="choose from none, tanh, relu"):
        AlignmentMLP(4, "sine")
