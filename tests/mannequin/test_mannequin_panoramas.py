"""The baked panoramas, and looking them up."""

import math

import numpy as np
import pytest
import torch

from synthforge.mannequin.render.occlusion import directions
from synthforge.mannequin.render.panoramas import (
    look_up,
    panoramas,
    pixel_directions,
    solid_angles,
)


def named(name):
    return next(panorama for panorama in panoramas() if panorama.name == name)


def mean_over_the_sphere(radiance):
    return (radiance * solid_angles(radiance.shape[1])).sum((1, 2)) / (4 * math.pi)


def test_pixels_lie_as_the_baking_script_lays_them_out():
    """The middle column at -z, columns to +x, rows from the zenith down."""
    towards = pixel_directions(128)
    assert torch.allclose(towards.norm(dim=0), torch.ones(128, 256), atol=1e-5)
    assert towards[1, 0].min() > 0.99 and towards[1, -1].max() < -0.99
    assert towards[2, 64, 128] < -0.99 and towards[0, 64, 192] > 0.99
    assert float(solid_angles(128).sum()) * 256 == pytest.approx(4 * math.pi, rel=1e-4)


@pytest.mark.parametrize("panorama", panoramas(), ids=lambda panorama: panorama.name)
def test_each_panorama_is_whole(panorama):
    radiance = panorama.radiance
    assert radiance.shape == (3, 256, 512)
    assert radiance.isfinite().all() and radiance.min() >= 0
    assert np.linalg.norm(panorama.key_direction) == pytest.approx(1, abs=1e-5)
    # What was cut out as the key light, with the rest, has a mean radiance of 1.
    key = np.mean(panorama.key_irradiance) / (4 * math.pi)
    assert float(mean_over_the_sphere(radiance).mean()) + key == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("panorama", panoramas(), ids=lambda panorama: panorama.name)
def test_the_renderer_s_directions_add_up_to_the_panorama_s_light(panorama):
    """Which they don't where single pixels of the sharp map are read."""
    found = look_up(panorama.soft, directions()).mean(0)
    torch.testing.assert_close(found, mean_over_the_sphere(panorama.radiance), rtol=0.03, atol=0)


def test_light_on_a_surface_is_the_integral_over_the_sharp_map():
    normal = (0.6, 0.48, 0.64)
    for name in ("park", "lobby", "workshop"):
        radiance = named(name).radiance
        towards = pixel_directions(256)
        cosine = (towards * torch.tensor(normal)[:, None, None]).sum(0).clamp(min=0)
        light = (radiance * cosine * solid_angles(256)).sum((1, 2)) / math.pi
        assert named(name).light_on(normal) == pytest.approx(light.tolist(), rel=0.05)


def test_looking_up_a_pixels_direction_gives_the_pixel():
    radiance = panoramas()[0].radiance
    # An angle of 1e-5 rad is a thousandth of a pixel, and edges are steep.
    found = look_up(radiance, pixel_directions(256).flatten(1).T).T.view(3, 256, 512)
    torch.testing.assert_close(found, radiance, rtol=5e-2, atol=1e-2)


def test_there_is_no_seam_behind():
    radiance = panoramas()[0].radiance
    angle = torch.linspace(math.pi - 0.01, math.pi + 0.01, 21)
    ring = torch.stack([torch.sin(angle), torch.full_like(angle, 0.1), -torch.cos(angle)], -1)
    light = look_up(radiance, ring)
    edge = radiance[..., [0, -1]].amax() - radiance[..., [0, -1]].amin()
    assert (light[1:] - light[:-1]).abs().max() < 0.3 * edge


def test_the_sun_of_the_park_is_white_and_low():
    park = named("park")
    assert max(park.key_irradiance) < 1.1 * min(park.key_irradiance)
    assert 0 < park.key_direction[1] < 0.5
