"""Photographed places: their light on the person, and what is seen behind."""

import math
from dataclasses import replace

import pytest
import torch

from synthforge.mannequin.render.background import background
from synthforge.mannequin.render.lighting import ambient_cube
from synthforge.mannequin.render.maps import defocused
from synthforge.mannequin.render.panoramas import (
    Place,
    panoramas,
    pixel_directions,
    solid_angles,
)
from synthforge.mannequin.render.scene import rotation_of_camera, scene_from
from synthforge.mannequin.render.tone_mapping import exposure, tone_map


def place(name, azimuth=0.0, pitch=0.0, roll=0.0, defocus=0.02):
    panorama = next(panorama for panorama in panoramas() if panorama.name == name)
    return Place(panorama, rotation_of_camera(azimuth, pitch, roll), 0.5, defocus)


@pytest.fixture(scope="module")
def scenes():
    latents = torch.randn(200, 256, generator=torch.Generator().manual_seed(0))
    return [scene_from(z) for z in latents]


def in_place(scene, *args, **kwargs):
    return replace(scene, surroundings=place(*args, **kwargs), fills=(), backdrop="place")


def test_every_place_is_seen_and_none_too_often(scenes):
    behind = [scene.backdrop for scene in scenes]
    assert 0.6 < behind.count("place") / len(scenes) < 0.8
    seen = [scene.surroundings.panorama.name for scene in scenes]
    assert set(seen) == {panorama.name for panorama in panoramas()}
    assert seen.count("lobby") < len(scenes) / len(panoramas())


def test_a_flash_is_on_the_camera_and_outshines_dim_places(scenes):
    keys = [(scene, scene.key.direction) for scene in scenes]
    flashes = [scene for scene, (x, y, _) in keys if abs(x) < 0.2 and -0.03 < y < 0.27]
    assert 0.2 < len(flashes) / len(scenes) < 0.45
    shares = [sum(s.key.color) / sum(s.surroundings.facing) for s in flashes]
    assert max(shares) > 4


@pytest.mark.parametrize("name", ["park", "bridge", "hall", "night"])
def test_the_light_on_surfaces_is_the_panorama_s(scenes, name):
    """The person looks against the camera, so sees what the camera turned away from."""
    scene = in_place(scenes[0], name, azimuth=1.0)
    cube = ambient_cube(scene, torch.eye(3))
    towards, weight = pixel_directions(256), solid_angles(256)
    right = (math.cos(1.0), 0.0, math.sin(1.0))
    facing = (-math.sin(1.0), 0.0, math.cos(1.0))
    for row, normal in ((0, right), (1, (0.0, 1.0, 0.0)), (2, facing)):
        cosine = (towards * torch.tensor(normal)[:, None, None]).sum(0).clamp(min=0)
        radiance = scene.surroundings.panorama.radiance
        expected = (radiance * cosine * weight).sum((1, 2)) / math.pi
        torch.testing.assert_close(cube[row], expected, rtol=0.08, atol=0.06)
    assert scene.surroundings.facing == pytest.approx(cube[2].tolist(), rel=0.08)


def test_the_key_turns_with_the_panorama():
    """A camera turned to its right sees the sun move to its left."""
    x, y, z = place("park").panorama.key_direction
    assert place("park").key_direction == pytest.approx((x, y, z))
    azimuth = math.atan2(x, -z)
    towards = place("park", azimuth).key_direction
    assert towards[0] == pytest.approx(0, abs=1e-6) and towards[2] < -0.9
    assert place("park", azimuth + 0.5).key_direction[0] < -0.3
    assert place("park", azimuth + math.pi).key_direction[2] > 0.9


def test_the_backdrop_is_what_lies_behind_the_person():
    """Not mirrored, not upside down: pixels of the panorama's middle columns."""
    behind = place("city").view(64)
    panorama = place("city").panorama.radiance
    for row, column in ((10, 8), (10, 56), (50, 8), (50, 56)):
        x, y = ((p / 63 - 0.5) for p in (column, row))
        at_column = round(256 + math.atan(x) * 256 / math.pi - 0.5)
        at_row = round(128 + math.atan2(y, math.hypot(1, x)) * 256 / math.pi - 0.5)
        near = panorama[:, at_row - 1 : at_row + 2, at_column - 1 : at_column + 2].flatten(1)
        assert (behind[:, row, column] >= near.amin(1) - 1e-4).all()
        assert (behind[:, row, column] <= near.amax(1) + 1e-4).all()


def test_a_camera_turned_right_moves_the_backdrop_left_and_one_tilted_down_moves_it_up():
    level = place("lobby").view(65)[:, :, 32]
    step = math.atan(0.25)
    assert torch.allclose(place("lobby", azimuth=step).view(65)[:, 32, 16], level[:, 32], atol=0.02)
    tilted = place("lobby", pitch=step).view(65)
    assert torch.allclose(tilted[:, 16, 32], level[:, 32], atol=0.02)


def test_a_place_s_backdrop_is_as_bright_as_its_light(scenes):
    """In a lit room the person and what is behind are of about one brightness."""
    scene = in_place(scenes[0], "lobby")
    image = background(scene, 96)
    assert image.shape == (3, 96, 96) and image.min() >= 0
    assert 0.2 < float(image.mean()) / (sum(scene.surroundings.facing) / 3) < 5
    assert float(image.max()) * exposure(scene) < 4.1


def test_a_defocused_point_is_a_disc_of_the_same_light():
    point = torch.zeros(1, 41, 41)
    point[0, 20, 20] = 7.0
    disc = defocused(point, 6.0)[0]
    assert float(disc.sum()) == pytest.approx(7, rel=1e-5)
    assert int((disc > 0).sum()) == pytest.approx(math.pi * 6**2, rel=0.1)
    assert torch.allclose(disc, disc.flip(0)) and torch.allclose(disc, disc.flip(1))
    assert disc[20, 26] > 0 and disc[20, 27] == 0 and disc[25, 25] == 0


def test_the_key_of_a_place_comes_from_the_camera_s_side(scenes):
    """Be it the panorama's strongest light, a lamp or a flash; a light behind is a fill."""
    assert all(scene.key.direction[2] > 0.15 for scene in scenes)
    assert any(fill.direction[2] < 0 for scene in scenes for fill in scene.fills)
    assert any(not scene.fills for scene in scenes)


def test_faces_are_lit_well_in_most_places(scenes):
    """What the key and the surroundings bring to a face, as the exposure leaves it."""
    levels = []
    for scene in scenes:
        facing = max(0.0, scene.key.direction[2])
        light = sum(scene.surroundings.facing) + facing * sum(scene.key.color)
        levels.append(exposure(scene) / scene.exposure * light / 3)
    levels = torch.tensor(levels)
    assert levels.quantile(0.05) > 0.4 and levels.quantile(0.95) < 1.3


def test_the_camera_takes_most_of_the_light_s_tint_out(scenes):
    for scene in scenes:
        color = [
            (around + 0.62 * key) * balance
            for around, key, balance in zip(
                scene.surroundings.facing, scene.key.color, scene.white_balance, strict=True
            )
        ]
        assert max(color) < 2.5 * min(color)


def test_flat_light_stays_flat_however_the_camera_sharpens(scenes):
    scene = replace(scenes[0], grain=0.0, vignette=0.0, sharpening=0.9)
    flat = tone_map(scene, torch.full((3, 32, 32), 0.4))
    assert flat.std((1, 2)).max() < 1e-5


def test_sharpening_overshoots_at_edges(scenes):
    plain = replace(scenes[0], grain=0.0, vignette=0.0, blur=0.4, small=False)
    step = torch.full((3, 32, 32), 0.1)
    step[..., 16:] = 0.3
    soft, sharp = (
        tone_map(replace(plain, sharpening=amount), step)[1, 16] for amount in (0.0, 0.8)
    )
    assert soft.max() < soft[-1] + 1e-3 and sharp.max() > soft[-1] + 0.02
    assert soft.min() > soft[0] - 1e-3 and sharp.min() < soft[0] - 0.02
    assert sharp[0] == pytest.approx(float(soft[0]), abs=1e-3)
