"""The baked panoramas, and looking them up."""

import math

import numpy as np
import pytest
import torch

from synthforge.mannequin.render.panoramas import look_up, panoramas


def pixel_directions(height: int, width: int) -> torch.Tensor:
    """[H, W, 3] as the baking script lays them out, told with angles."""
    elevation = torch.linspace(90 - 90 / height, -90 + 90 / height, height).deg2rad()[:, None]
    azimuth = torch.linspace(-180 + 180 / width, 180 - 180 / width, width).deg2rad()
    return torch.stack(
        [
            torch.sin(azimuth) * torch.cos(elevation),
            torch.sin(elevation).expand(height, width),
            -torch.cos(azimuth) * torch.cos(elevation),
        ],
        -1,
    )


@pytest.mark.parametrize("panorama", panoramas(), ids=lambda panorama: panorama.name)
def test_each_panorama_is_whole(panorama):
    radiance = panorama.radiance
    assert radiance.shape == (1, 3, 128, 256)
    assert radiance.isfinite().all() and radiance.min() >= 0
    assert np.linalg.norm(panorama.key_direction) == pytest.approx(1, abs=1e-5)
    # What was cut out as the key light, with the rest, has a mean radiance of 1.
    rows = torch.cos(pixel_directions(128, 1)[:, 0, 1].asin())
    mean = (radiance[0].mean((0, 2)) * rows).sum() / rows.sum()
    key = np.mean(panorama.key_irradiance) / (4 * math.pi)
    assert float(mean) + key == pytest.approx(1, abs=0.02)


def test_looking_up_a_pixels_direction_gives_the_pixel():
    radiance = panoramas()[0].radiance
    towards = pixel_directions(128, 256)
    found = look_up(radiance, towards.view(-1, 3)).T.view(3, 128, 256)
    torch.testing.assert_close(found, radiance[0], rtol=1e-3, atol=1e-3)


def test_there_is_no_seam_behind():
    radiance = panoramas()[0].radiance
    angle = torch.linspace(math.pi - 0.01, math.pi + 0.01, 21)
    ring = torch.stack([torch.sin(angle), torch.full_like(angle, 0.1), -torch.cos(angle)], -1)
    light = look_up(radiance, ring)
    edge = radiance[0, :, :, [0, -1]].amax() - radiance[0, :, :, [0, -1]].amin()
    assert (light[1:] - light[:-1]).abs().max() < 0.3 * edge


def test_the_sun_of_the_park_is_white_and_low():
    park = next(panorama for panorama in panoramas() if panorama.name == "park")
    assert max(park.key_irradiance) < 1.1 * min(park.key_irradiance)
    assert 0 < park.key_direction[1] < 0.5
