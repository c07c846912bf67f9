"""What each part of the light adds: highlights, reflections, shadows of skin and hair."""

import math
from dataclasses import replace

import pytest
import torch
from support_mannequin import Dome, latent, transmitted

from synthforge.camera import Camera
from synthforge.frames import place_in_generator
from synthforge.mannequin.hair.hair import grow_hair
from synthforge.mannequin.hair.scalp import head_in_own_frame
from synthforge.mannequin.hair.strands import Strands, shade_strands, splat
from synthforge.mannequin.person import person_from
from synthforge.mannequin.render.albedo import skin_texture
from synthforge.mannequin.render.body import clothed, surface_of
from synthforge.mannequin.render.eye_shading import Eye, shade_eye
from synthforge.mannequin.render.lighting import Light, key_shadow
from synthforge.mannequin.render.pixel_faces import pixel_faces
from synthforge.mannequin.render.scene import scene_from
from synthforge.mannequin.render.shading import shade
from synthforge.mannequin.render.template import template
from synthforge.rasterizer import visible

SIZE = 128
FRONT = Light((0.0, 0.0, 1.0), (1.0, 1.0, 1.0), 0.0)
NOTHING = torch.full((1, 3), 50.0)


@pytest.fixture(scope="module")
def person():
    return replace(person_from(latent(3)), collar="round")


@pytest.fixture(scope="module")
def scene():
    """One white light from the camera, and nothing else."""
    dark = (0.0, 0.0, 0.0)
    return replace(scene_from(latent(2)), key=FRONT, fills=(), surroundings=Dome(dark))


@pytest.fixture(scope="module")
def camera():
    return Camera.look_at(torch.zeros(1), torch.zeros(1), torch.tensor([20.0]))


@pytest.fixture(scope="module")
def body(person):
    head = template()
    vertices, landmarks = place_in_generator(head.vertices), place_in_generator(head.landmarks)
    return clothed(head, person, vertices, landmarks)


def shadow_of(body, hair=NOTHING, opacity=1e-4):
    return key_shadow(
        FRONT, torch.eye(3), body.vertices, template().faces, body.vertices.mean(0), hair,
        torch.tensor(opacity),
    )  # fmt: skip


def test_skin_that_faces_the_light_is_not_in_its_own_shadow(body):
    shadow = shadow_of(body)
    surface = surface_of(body, torch.zeros_like(body.vertices), shadow)
    facing = body.normals[template().faces, 2].amin(1) > 0.8
    lit = shadow.lit(surface[template().faces[:, 0], 6:9].T)[facing]
    assert facing.sum() > 200
    assert lit.mean() > 0.9


def test_black_skin_shows_the_highlight_alone(person, scene, body, camera):
    """It is there, brightest where the surface mirrors the light, and more of it on oily skin."""
    ndc = camera.to_ndc(body.vertices[None])
    face_ids = visible(ndc, template().faces, SIZE, SIZE, perspective_correct=True)
    seen = pixel_faces(ndc[0], template().faces, face_ids[0])
    texture = skin_texture(person).clone()
    texture[:3] = 0
    shadow = shadow_of(body)
    surface = surface_of(body, torch.zeros_like(body.vertices), shadow)

    def shine(oiliness):
        oily = replace(person, oiliness=oiliness, clothing=(0.0, 0.0, 0.0))
        return shade(template(), surface, seen, texture, oily, scene, shadow, torch.eye(3), ())[0]

    dull, oily = shine(0.0), shine(1.0)
    normal = body.normals[template().faces].mean(1)[seen.face]
    brightest = oily > 0.8 * oily.max()
    assert oily.max() > 0.02
    assert normal[brightest, 2].mean() > 0.9
    assert oily.sum() > 1.5 * dull.sum() > 0


def test_a_wet_eye_mirrors_the_light(person, scene):
    """Where its surface faces the light; turned away only the dim globe is left."""
    eye = torch.tensor([[0.0, -0.1, 0.995]])
    ambient, lit = torch.zeros(1, 3), torch.ones(1)
    lids = (torch.tensor([[-0.8, y], [0.8, y]]) for y in (0.5, -0.5))
    open_eye = Eye(torch.eye(3), torch.eye(3), *lids)

    def at(light):
        lamp = replace(scene, key=replace(FRONT, direction=light))
        return shade_eye(person, lamp, open_eye, eye, ambient, lit)

    mirrored, beside = at((0.0, -0.4, 0.917)), at((0.71, 0.0, 0.71))
    assert mirrored.min() > 0.3
    assert beside.max() < 0.2


def test_hair_shades_the_skin_behind_it(body):
    """Through its density on skin, and through its depth on hair."""
    front = body.vertices[body.vertices[:, 2].argmax()]
    spread = 0.05 * torch.randn(2000, 3, generator=torch.Generator().manual_seed(0))
    curtain = front + torch.tensor([0.0, 0.0, 0.1]) + spread * torch.tensor([1, 1, 0.1])
    bare, behind = shadow_of(body), shadow_of(body, curtain, opacity=2e-4)
    point = behind.to_light(front[:, None] + torch.tensor([[0.0], [0.0], [0.012]]))
    assert bare.lit(point) > 0.95 and transmitted(bare, point) > 0.95
    assert behind.lit(point) < 0.6 and transmitted(behind, point) < 0.4
    away = behind.to_light(front[:, None] + torch.tensor([[0.3], [0.0], [0.0]]))
    assert behind.lit(away) > 0.95


def test_hair_has_the_colour_of_the_person_s(person, scene, body, camera):
    """Red, green and blue keep their order from the person to the painted pixel."""
    head = template()
    red = replace(person, hair=replace(person.hair, style="crop", color=(0.5, 0.2, 0.05), grey=0.0))
    vertices = place_in_generator(head.vertices)
    own = head_in_own_frame(vertices, body.normals, torch.eye(3))
    group = grow_hair(red, own)[0]
    image = torch.zeros(3, SIZE * SIZE)
    seen = splat([group], camera, SIZE, torch.full((SIZE * SIZE,), 99.0))[0]
    shadow = shadow_of(body, group.points.flatten(0, 1)[::50])
    sky = replace(scene, surroundings=Dome((1.0, 1.0, 1.0)))
    covered = torch.zeros(SIZE * SIZE)
    shade_strands(image, covered, group, seen, sky, shadow, torch.eye(3), own.frame.origin)
    r, g, b = image.sum(1)
    assert r > 1.5 * g > 1.5 * 1.5 * b > 0


def test_strands_shine_along_the_light(scene, camera):
    """Kajiya-Kay: light across the fibre is mirrored, light along it is not."""
    length = torch.linspace(-0.1, 0.1, 5)
    lying = torch.stack([length, 0 * length, 0 * length], 1)[None]
    towards = torch.stack([0 * length, 0.3 * length, length], 1)[None]
    shadow = shadow_of_nothing()

    def brightness(points):
        strands = Strands(points, torch.full((1, 3), 0.1), torch.ones(1), 1.0, (9.0, 9.0))
        image = torch.zeros(3, SIZE * SIZE)
        seen = splat([strands], camera, SIZE, torch.full((SIZE * SIZE,), 99.0))[0]
        center = torch.tensor([0.0, 0.0, -1.0])
        shade_strands(image, image[0].clone(), strands, seen, scene, shadow, torch.eye(3), center)
        return image[:, seen.pixel].mean()

    assert brightness(lying) > 7 * brightness(towards) > 0


def test_thin_strands_let_the_skin_through(scene, camera):
    """More so at the tip than at the root; coverage grows as the image does."""
    length = torch.linspace(-0.1, 0.1, 5)
    points = torch.stack([length, 0 * length, 0 * length], 1)[None]
    size = SIZE * SIZE

    def painted(depth, behind):
        strands = Strands(points, torch.zeros(1, 3), torch.ones(1), 0.0, depth)
        image, covered = torch.full((3, size), behind), torch.full((size,), 0.5)
        seen = splat([strands], camera, SIZE, torch.full((size,), 99.0))[0]
        center = torch.tensor([0.0, 0.0, -1.0])
        shadow = shadow_of_nothing()
        shade_strands(image, covered, strands, seen, scene, shadow, torch.eye(3), center)
        order = seen.along.argsort()
        return image[0, seen.pixel[order]], covered[seen.pixel[order]]

    solid, full = painted((30.0, 30.0), 0.8)
    assert solid.abs().max() < 1e-6 and (full > 0.9999).all()
    # Optical depths that let a quarter through and three quarters.
    thin, some = painted((math.log(4), math.log(4 / 3)), 0.8)
    assert thin[0] == pytest.approx(0.8 * 0.25, abs=0.02)
    assert thin[-1] == pytest.approx(0.8 * 0.75, abs=0.02)
    assert some[0] == pytest.approx(0.875, abs=0.02) and some[-1] == pytest.approx(0.625, abs=0.02)


def shadow_of_nothing():
    faces = torch.tensor([[0, 1, 2]])
    return key_shadow(
        FRONT, torch.eye(3), NOTHING.expand(3, 3), faces, torch.zeros(3), NOTHING,
        torch.tensor(1e-4),
    )  # fmt: skip
