"""Visibility, irradiance, shadows, tone mapping and backdrops."""

from dataclasses import replace

import pytest
import torch
from support_mannequin import Dome, latent, rotation

from synthforge.frames import place_in_generator
from synthforge.mannequin.kernels import run
from synthforge.mannequin.kernels.strands import cast_strands
from synthforge.mannequin.render.arithmetic import product
from synthforge.mannequin.render.background import background
from synthforge.mannequin.render.lighting import Light, fit_rotation, irradiance, key_shadow
from synthforge.mannequin.render.occlusion import directions, look_from, visibility
from synthforge.mannequin.render.scene import scene_from
from synthforge.mannequin.render.template import template
from synthforge.mannequin.render.tone_mapping import exposure, metered, tone_map

BLACK = (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def scene():
    return scene_from(latent(2))


def nearest_vertex(landmark, above=0.0):
    """To a landmark, or to a point `above` metres above it."""
    head = template()
    point = head.landmarks[landmark] + torch.tensor([0.0, above, 0.0])
    return int((head.vertices - point).norm(dim=-1).argmin())


def test_directions_are_even_over_the_sphere():
    around = directions()
    assert torch.allclose(around.norm(dim=-1), torch.ones(len(around)), atol=1e-6)
    assert around.mean(0).abs().max() < 0.02


def test_look_from_is_a_rotation():
    for R in look_from(directions()):
        assert torch.allclose(R @ R.T, torch.eye(3), atol=1e-5)
        assert torch.linalg.det(R) > 0


def test_a_viewer_in_front_has_the_subject_s_left_on_its_right():
    left, up, forward = look_from(torch.tensor([0.0, 0.0, 1.0]))
    assert torch.equal(left, torch.tensor([-1.0, 0.0, 0.0]))
    assert torch.equal(up, torch.tensor([0.0, 1.0, 0.0]))
    assert torch.equal(forward, torch.tensor([0.0, 0.0, -1.0]))


def test_the_forehead_sees_more_sky_than_the_inner_eye_and_the_chin_s_underside():
    seen = visibility()
    assert seen.min() >= 0 and seen.max() <= 1
    up = directions()[:, 1] > 0.5
    open_to_sky = seen[up].mean(0)
    assert open_to_sky[nearest_vertex(21, 0.03)] > open_to_sky[nearest_vertex(33)] + 0.2
    assert open_to_sky[nearest_vertex(21, 0.03)] > open_to_sky[nearest_vertex(39)] + 0.2
    facing = (directions() @ template().normals.T).clamp(min=0)
    openness = (seen * facing).sum(0) / facing.sum(0)
    assert openness[nearest_vertex(30)] > 0.9
    assert openness[nearest_vertex(39)] < openness[nearest_vertex(30)]


def test_a_uniform_sky_gives_its_own_radiance_to_what_is_open(scene):
    head = template()
    grey = replace(scene, surroundings=Dome((0.5, 0.5, 0.5)), fills=())
    eye = torch.eye(3)
    light = irradiance(grey, BLACK, head.normals, eye, eye)
    assert torch.allclose(light[nearest_vertex(30)], torch.full((3,), 0.5), atol=0.06)
    assert light.max() < 0.56
    lit = irradiance(grey, (0.6, 0.3, 0.2), head.normals, eye, eye)
    assert torch.allclose(lit[nearest_vertex(30)], light[nearest_vertex(30)], atol=0.04)
    inner_eye = nearest_vertex(39)
    assert lit[inner_eye, 0] > light[inner_eye, 0] + 0.05
    gain = (lit - light)[inner_eye]
    assert gain[0] > gain[1] > gain[2] > 0


@pytest.mark.parametrize("seed", range(3))
def test_fit_rotation_finds_the_rotation(seed):
    points = torch.randn(50, 3, generator=torch.Generator().manual_seed(seed + 10))
    R = rotation(seed)
    found = fit_rotation(points, 2.5 * points @ R.T + torch.tensor([1.0, -2.0, 0.3]))
    assert torch.allclose(found, R, atol=1e-5)


def test_each_texel_under_hair_keeps_the_nearest_point():
    points = 0.6 * torch.randn(2000, 3, generator=torch.Generator().manual_seed(0))
    points[:2] = torch.tensor([[40.0, 0, 0], [0, -40.0, 0]])  # beside the map
    R, center = torch.eye(3)[[1, 2, 0]] * 1.4, torch.tensor([0.1, -0.2, 0.3])
    depth, first, count = torch.full((64, 64), 2.0), torch.full((16, 16), 9.0), torch.zeros(16, 16)
    surface = depth.clone()
    run(cast_strands, points, R, center, depth, first, count)
    x, y, far = product(R, (points - center).T)
    for result, before in ((depth, surface), (first, torch.full_like(first, 9.0))):
        column, row = (
            ((1 - of) * (len(result) / 2)).long().clamp(0, len(result) - 1) for of in (x, y)
        )
        texel = row * len(result) + column
        assert torch.equal(
            result.view(-1), before.view(-1).scatter_reduce(0, texel, far + 2, "amin")
        )
    assert torch.equal(count.view(-1), torch.bincount(texel, minlength=256).float())


def test_the_far_side_of_the_head_is_in_shadow():
    head = template()
    vertices = place_in_generator(head.vertices)
    key = Light((0.0, 0.0, 1.0), (1.0, 1.0, 1.0), 0.2)
    away = vertices.new_full((1, 3), 50.0)
    shadow = key_shadow(
        key, torch.eye(3), vertices, head.faces, vertices.mean(0), away, torch.tensor(1e-4)
    )
    lit = shadow.lit(shadow.to_light(vertices.T))
    front = nearest_vertex(30)
    back = int(head.vertices[:, 2].argmin())
    assert lit[front] > 0.95
    assert lit[back] < 0.05


def test_tone_mapping_keeps_black_black_and_range(scene):
    image = tone_map(replace(scene, grain=0.0), torch.zeros(3, 64, 64))
    assert image.max() < -0.85
    bright = tone_map(scene, torch.full((3, 64, 64), 1e3))
    assert bright.max() <= 1 and bright.mean() > 0.8


def test_more_light_is_a_brighter_image(scene):
    ramp = torch.linspace(0, 3, 64).expand(3, 64, 64).contiguous()
    clean = replace(scene, grain=0.0, vignette=0.0)
    luma = tone_map(clean, ramp).mean((0, 1))
    assert (luma.diff() > -1e-4).all()


def test_a_camera_exposes_longer_for_dark_skin_but_not_in_full(scene):
    fair, dark = (0.45, 0.31, 0.25), (0.13, 0.08, 0.06)
    assert metered(scene, fair).exposure == scene.exposure
    longer = exposure(metered(scene, dark)) / exposure(scene)
    assert 1.3 < longer < 0.75 * sum(fair) / sum(dark)


def test_grain_is_as_strong_as_the_scene_says_and_shows_in_the_shadows(scene):
    clean = replace(scene, grain=0.0, vignette=0.0)
    grainy = replace(clean, grain=0.02)

    def spread(scene, light):
        return float(tone_map(scene, torch.full((3, 128, 128), light)).std((1, 2)).mean())

    assert spread(clean, 0.2) < 1e-3
    # In [-1, 1]: twice the amount, less where it is bright.
    assert 0.02 < spread(grainy, 0.05) < 0.05
    assert spread(replace(clean, grain=0.01), 0.05) == pytest.approx(
        spread(grainy, 0.05) / 2, rel=0.02
    )
    assert spread(grainy, 0.3) < 0.9 * spread(grainy, 0.05)


@pytest.mark.parametrize("kind", ["place", "wall", "room"])
def test_backdrops_are_images(scene, kind):
    studio = replace(scene, backdrop=kind)
    image = background(studio, 96)
    assert image.shape == (3, 96, 96)
    assert image.min() >= 0 and torch.isfinite(image).all()
    assert image.std() > 0
    assert torch.equal(image, background(studio, 96))
