"""The camera's compression and the images of half resolution."""

from dataclasses import replace

import pytest
import torch
from support_mannequin import latent

from synthforge.mannequin.render.maps import doubled
from synthforge.mannequin.render.scene import scene_from
from synthforge.mannequin.render.tone_mapping import compressed, tone_map


@pytest.fixture
def noise():
    return torch.rand(3, 32, 64, generator=torch.Generator().manual_seed(0)) - 0.5


def test_fine_steps_keep_a_grey_image(noise):
    grey = noise[:1].expand(3, -1, -1)
    assert torch.allclose(compressed(grey, 1e-5), grey, atol=1e-4)


def test_coarse_steps_leave_the_means_of_the_blocks(noise):
    """Of a grey image: the lowest frequency is 8 times a block's mean."""
    grey = noise[:1].expand(3, -1, -1) + 0.5
    image = compressed(grey, 2.0)
    blocks = image[0].view(4, 8, 8, 8)
    means = grey[0].reshape(4, 8, 8, 8).mean((1, 3))
    assert (blocks.mean((1, 3)) - means).abs().max() < 0.5 * 2.0 / 8 + 1e-5
    assert blocks.std((1, 3)).mean() < 0.3 * noise[0].std()


def test_colour_is_stored_more_coarsely(noise):
    """A pattern of single pixels survives in luma alone."""
    checks = (torch.arange(32)[:, None] + torch.arange(64)) % 2 * 0.4
    red = torch.stack([checks, -0.299 / 0.587 * checks, torch.zeros(32, 64)])
    assert compressed(red, 1e-4).std((1, 2)).max() < 0.01 < red.std((1, 2)).min() + 0.02
    slope = torch.linspace(0, 1, 32)[:, None].expand(32, 64)
    slow = torch.stack([slope, 0 * slope, 1 - slope])
    assert torch.allclose(compressed(slow, 1e-4), slow, atol=0.02)
    assert compressed(checks.expand(3, -1, -1), 1e-4).std((1, 2)).min() > 0.19


def test_doubling_keeps_places_and_values():
    """Pixel centres lie at +0.5: a ramp stays the ramp but at the border."""
    ramp = (torch.arange(6) + 0.5).expand(2, 4, 6)
    big = doubled(ramp)
    assert big.shape == (2, 8, 12)
    expected = (torch.arange(12) + 0.5) / 2
    assert torch.allclose(big[..., 1:-1], expected[1:-1].expand(2, 8, 10))
    assert torch.equal(doubled(ramp.mT), big.mT)


def test_small_images_show_no_single_pixels(noise):
    scene = replace(scene_from(latent(2)), vignette=0.0, grain=0.0, compression=0.01, blur=0.35)
    light = noise.abs() + 0.05

    def roughness(small):
        image = tone_map(replace(scene, small=small), light)
        assert image.shape == light.shape and image.abs().max() <= 1
        return image.diff(dim=2).std()

    assert roughness(True) < 0.5 * roughness(False)
