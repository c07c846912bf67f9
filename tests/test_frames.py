"""FLAME's metres in the generator's world."""

import math

import torch

from synthforge.frames import apply_affine, place_in_generator


def test_placement():
    point = torch.tensor([0.1, 0.01, 0.11])
    expected = [0.25, 0.0, 0.25 + math.sqrt(2) / 10]
    torch.testing.assert_close(place_in_generator(point), torch.tensor(expected))


def test_an_affine_map_is_the_matrix_product_in_any_batch():
    A, b, points = torch.randn(2, 3), torch.randn(2), torch.randn(5, 7, 3)
    mapped = apply_affine(A, b, points)
    torch.testing.assert_close(mapped, points @ A.T + b)
    assert torch.equal(mapped[3:4, 2:3], apply_affine(A, b, points[3:4, 2:3]))
