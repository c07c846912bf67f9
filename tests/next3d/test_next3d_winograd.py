"""The fast convolution against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from synthforge.next3d import layers, winograd


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "shape", [(128, 128, 32, 32), (130, 129, 36, 44), (256, 128, 64, 32), (128, 256, 32, 128)]
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("biased", [True, False])
def test_is_a_padded_convolution(shape, layout, biased):
    inputs, outputs, height, width = shape
    x = normal(1, inputs, height, width).to(memory_format=layout)
    weight = normal(outputs, inputs, 3, 3, seed=1) / (9 * inputs) ** 0.5
    bias = normal(outputs, seed=2) if biased else None
    assert winograd.suits(x, weight)
    got = winograd.conv3x3(x, weight, bias)
    torch.testing.assert_close(got, F.conv2d(x, weight, bias, padding=1), atol=2e-4, rtol=0)
    # As convolutions judge it, which is not what is_contiguous says of a batch of one.
    assert got.stride() == torch.empty_like(got, memory_format=torch.channels_last).stride()


def test_in_bfloat16_rounds_little_more_than_a_direct_convolution():
    x = normal(1, 256, 32, 44).to(memory_format=torch.channels_last)
    weight, bias = normal(260, 256, 3, 3, seed=1) / (9 * 256) ** 0.5, normal(260, seed=2)
    want = F.conv2d(x, weight, bias, padding=1)
    low = x.bfloat16(), weight, bias.bfloat16()
    assert winograd.suits(*low[:2])
    got = winograd.conv3x3(*low)
    assert got.dtype == torch.bfloat16
    direct = F.conv2d(low[0], weight.bfloat16(), low[2], padding=1)
    assert rms(got - want) < 3 * rms(direct - want)
    assert (got - want).abs().max() < 0.1


def rms(x):
    return x.float().square().mean().sqrt()


@pytest.mark.parametrize(
    ("shape", "kernel"),
    [
        ((2, 128, 32, 32), 3),
        ((1, 64, 32, 32), 3),
        ((1, 128, 32, 32), 1),
        ((1, 128, 16, 16), 3),
        ((1, 128, 34, 32), 3),
    ],
)
def test_leaves_the_rest_to_torch(shape, kernel):
    x, weight = normal(*shape), normal(128, shape[1], kernel, kernel)
    assert not winograd.suits(x, weight)
    want = F.conv2d(x, weight, padding=kernel // 2)
    assert torch.equal(layers._conv2d(x, weight, None), want)


def test_leaves_gradients_and_low_precision_to_torch():
    x, weight = normal(1, 128, 32, 32), normal(128, 128, 3, 3)
    assert winograd.suits(x, weight)
    assert not winograd.suits(x.half(), weight)
    assert not winograd.suits(x.bfloat16(), weight)  # too few channels for its tile
    x.requires_grad_()
    assert not winograd.suits(x, weight)
    layers._conv2d(x, weight, None).sum().backward()
    assert x.grad is not None
