"""Functions that round alike everywhere, against torch's; maps against torch's."""

import math

import pytest
import torch
import torch.nn.functional as F

from flame_pytorch.lbs import fixed_order_sum
from synthforge.mannequin.render import arithmetic, maps


@pytest.fixture
def draws():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("ours", "theirs", "low", "high", "error"),
    [
        (arithmetic.sigmoid, torch.sigmoid, -60, 60, 1e-5),
        (arithmetic.sine, torch.sin, -20, 20, 4e-6),
        (arithmetic.cosine, torch.cos, -20, 20, 4e-6),
        (arithmetic.normal_cdf, torch.special.ndtr, -6, 6, 2e-4),
    ],
)
def test_functions_are_torch_s(ours, theirs, low, high, error):
    x = torch.linspace(low, high, 10001)
    assert (ours(x) - theirs(x.double())).abs().max() < error


def test_exp_is_relative_and_vanishes():
    x = torch.linspace(-10, 10, 10001)
    assert (arithmetic.exp(x) / torch.exp(x.double()) - 1).abs().max() < 1e-4
    assert arithmetic.exp(torch.tensor([-90.0, -1e30])).max() < 1e-25
    assert arithmetic.exp(torch.zeros(3)).tolist() == [1, 1, 1]


def test_atan2_in_every_quadrant_and_on_the_axes(draws):
    y, x = torch.randn(2, 10000, generator=draws)
    assert (arithmetic.atan2(y, x) - torch.atan2(y, x)).abs().max() < 2e-5
    axes = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0], [0.0, 0.0]])
    expected = torch.tensor([0, math.pi / 2, math.pi, -math.pi / 2, 0])
    assert torch.allclose(arithmetic.atan2(*axes.T), expected, atol=2e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 96, 151])
def test_sums_and_products(draws, count):
    x = torch.randn(count, 40, generator=draws)
    assert torch.allclose(fixed_order_sum(x, 0), x.sum(0), atol=1e-5)
    assert torch.allclose(fixed_order_sum(x, 1), x.sum(1), atol=1e-5)
    values = torch.randn(count, 3, generator=draws)
    assert torch.allclose(arithmetic.weighted_sum(x, values), values.T @ x, atol=1e-4)
    R, S = torch.randn(2, 3, 3, generator=draws)
    points = torch.randn(count, 3, generator=draws)
    assert torch.allclose(arithmetic.turned(R, points), points @ R.T, atol=1e-5)
    assert torch.allclose(arithmetic.product(R, points.T), R @ points.T, atol=1e-5)
    assert torch.allclose(arithmetic.product(R, S), R @ S, atol=1e-5)


def test_a_map_is_read_as_grid_sample_reads(draws):
    maps_ = torch.randn(3, 20, 31, generator=draws)
    x, y = 40 * torch.rand(2, 500, generator=draws) - 5
    grid = torch.stack([2 * x / 30 - 1, 2 * y / 19 - 1], -1)[None, None]
    expected = F.grid_sample(maps_[None], grid, align_corners=True, padding_mode="border")
    assert torch.allclose(maps.read(maps_, x, y), expected[0, :, 0], atol=1e-4)


def test_resizing_keeps_corners_and_straight_lines(draws):
    small = torch.randn(2, 5, 7, generator=draws)
    large = maps.resized(small, 17, 31)
    assert torch.allclose(large[:, ::16, ::30], small[:, ::4, ::6], atol=1e-6)
    assert torch.allclose(large[:, ::4, ::5], small, atol=1e-5)
    ramp = torch.arange(8.0).expand(1, 8, 8)
    inside = maps.resized(ramp, 8, 15)[0, 0, 2:-2]
    assert torch.allclose(inside, torch.arange(15)[2:-2] / 2, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.35, 0.9, 3.0])
def test_blur_is_a_gaussian(draws, sigma):
    image = torch.zeros(1, 41, 41)
    image[0, 20, 20] = 1
    blurred = maps.blurred(image, sigma)[0]
    k = torch.arange(41) - 20.0
    profile = torch.exp(-0.5 * (k / sigma) ** 2) * (k.abs() <= max(1, round(3 * sigma)))
    assert torch.allclose(blurred, torch.outer(profile, profile) / profile.sum() ** 2, atol=1e-6)
    flat = torch.full((2, 9, 9), 0.7)
    assert torch.allclose(maps.blurred(flat, sigma), flat, atol=1e-6)
