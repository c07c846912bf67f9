"""Albedo maps and the shapes that they are painted with."""

import math
from dataclasses import replace

import pytest
import torch
from support_mannequin import latent

from synthforge.mannequin.head.baked import Piece
from synthforge.mannequin.person import person_from
from synthforge.mannequin.render import fields
from synthforge.mannequin.render.albedo import skin_log_albedo, skin_texture
from synthforge.mannequin.render.skin_maps import PIGMENT_MAPS, TEXTURE_SIZE, skin_maps
from synthforge.mannequin.render.template import template


@pytest.fixture(scope="module")
def person():
    return replace(person_from(latent(1)), lipstick=0.0, melanin=0.1)


def at_landmark(texture, index):
    """Texture values at the texel under a landmark."""
    return at_point(texture, template().landmarks[index])


def at_point(texture, point):
    """Texture values at the texel of the vertex nearest to a point [3]."""
    head = template()
    vertex = (head.vertices - point).norm(dim=-1).argmin()
    face, corner = (head.faces == vertex).nonzero()[0]
    u, v = head.uvs[head.uv_faces[face, corner]]
    size = texture.shape[-1]
    return texture[..., int((1 - v) * size), int(u * size)]


def test_the_texture_is_the_person_s_whatever_the_light(person):
    assert torch.equal(skin_texture(person), skin_texture(person))


def test_albedo_is_an_albedo(person):
    albedo = skin_texture(person)[:3]
    assert albedo.shape == (3, TEXTURE_SIZE, TEXTURE_SIZE)
    assert albedo.min() > 0 and albedo.max() < 1


def test_plain_skin_has_the_colour_asked_for(person):
    """Beer-Lambert: away from features the texture is exp(log-albedo)."""
    albedo = skin_texture(person)[:3]
    median = albedo.flatten(1).median(1).values.log()
    assert torch.allclose(median, torch.tensor(skin_log_albedo(person)).float(), atol=0.25)


def test_lips_are_redder_than_cheeks(person):
    albedo = skin_texture(person)[:3]
    lip, forehead = at_landmark(albedo, 62), at_landmark(albedo, 27)
    assert lip[0] / lip[1] > 1.2 * forehead[0] / forehead[1]


def test_melanin_darkens_blue_most(person):
    fair, dark = (torch.tensor(skin_log_albedo(replace(person, melanin=m))) for m in (0.1, 0.9))
    drop = fair - dark
    assert 0 < drop[0] < drop[1] < drop[2]


def test_lip_map_covers_the_lips_and_not_the_nose():
    lip = skin_maps().pigments[PIGMENT_MAPS.index("lip")].view(TEXTURE_SIZE, TEXTURE_SIZE)
    assert at_landmark(lip, 30) == 0
    assert 0.001 < lip.mean() < 0.1


def pigment(name):
    return skin_maps().pigments[PIGMENT_MAPS.index(name)].view(TEXTURE_SIZE, TEXTURE_SIZE)


def test_wrinkles_lie_beside_the_mouth_and_not_on_lips_or_nose():
    head = template()
    wrinkles = pigment("wrinkles")
    wing, corner = head.landmarks[35], head.landmarks[54]
    places = head.vertices - torch.lerp(wing, corner, 0.6) - torch.tensor([0.006, 0.0, 0.0])
    beside = places[:, :2].norm(dim=-1) < 0.005
    shown = [at_point(wrinkles, head.vertices[i]) for i in beside.nonzero().flatten()]
    assert max(shown) > 0.4
    for landmark in (30, 51, 57):
        assert at_landmark(wrinkles, landmark) < 0.1


def test_no_tooth_is_outside_the_mouth():
    head = template()
    enamel = skin_texture(replace(person_from(latent(1)), melanin=0.8))[:3]
    for piece in (Piece.UPPER_TEETH, Piece.LOWER_TEETH):
        row = head.vertices[head.piece == piece]
        front = row[row[:, 2] > row[:, 2].amax() - 0.004]
        edge = front[(front[:, 1] - head.landmarks[62, 1]).abs().argsort()[:8]]
        assert torch.stack([at_point(enamel, point) for point in edge]).amax(0).min() > 0.4
    assert all(at_landmark(pigment("tooth"), k) == 0 for k in range(68))


def test_segment_distance_is_that_of_the_nearest_segment():
    polyline = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    points = torch.tensor([[0.5, 0.3], [2.0, 0.5], [-3.0, 4.0], [1.0, 0.7]])
    expected = torch.tensor([0.3, 1.0, 5.0, 0.0])
    assert torch.allclose(fields.segment_distance(points, polyline), expected, atol=1e-6)


def test_inside_polygon_of_a_circle():
    angle = torch.linspace(0, 2 * math.pi, 200)[:-1]
    circle = torch.stack([torch.cos(angle), torch.sin(angle)], -1)
    points = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    radius = points.norm(dim=-1)
    clear = (radius - 1).abs() > 1e-3
    assert torch.equal(fields.inside_polygon(points, circle)[clear], (radius < 1)[clear])


def test_a_smooth_curve_passes_through_its_points():
    points = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    curve = fields.smooth_curve(points, 4001)
    assert torch.cdist(points, curve).amin(1).max() < 5e-3


def test_noise_has_unit_spread_and_no_seams():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(20000, 3, generator=generator) - 0.5
    values = fields.value_noise(points, 0.01, 2, seed=3)
    assert abs(float(values.mean())) < 0.1
    assert 0.5 < float(values.std()) < 2
    near = fields.value_noise(points + 1e-6, 0.01, 2, seed=3)
    assert (near - values).abs().max() < 0.02
