"""The neckline, and cloth on the shoulders."""

from dataclasses import replace

import pytest
import torch
from support_mannequin import latent, rotation

from synthforge.frames import UNITS_PER_METRE, place_in_generator
from synthforge.mannequin import baked_head
from synthforge.mannequin.head.baked import Piece
from synthforge.mannequin.person import person_from
from synthforge.mannequin.render.body import clothed, neckline_height
from synthforge.mannequin.render.template import template
from synthforge.regions import REGION_ID

COLLARS = ("round", "v", "high", "wide", "shirt", "hood")


@pytest.fixture(scope="module")
def person():
    return person_from(latent(3))


@pytest.mark.parametrize("collar", COLLARS)
def test_clothes_cover_the_shoulders_and_not_the_face(person, collar):
    head = template()
    above = neckline_height(replace(person, collar=collar), head.vertices.T)
    neck = (head.region == REGION_ID["neck"]) | (head.region == REGION_ID["neck_back"])
    assert (above[head.faces[~neck]] > 0).all()
    assert (above[head.vertices[:, 1] < -0.23] < 0).all()
    shoulder = (head.vertices[:, 0].abs() > 0.15) & (head.vertices[:, 1] < -0.15)
    assert (above[shoulder] < 0).all()


@pytest.mark.parametrize("collar", COLLARS)
def test_the_neckline_is_the_same_on_both_sides(person, collar):
    head = template()
    above = neckline_height(replace(person, collar=collar), head.vertices.T)
    mirrored = above[torch.from_numpy(baked_head().mirror)]
    assert torch.allclose(above, mirrored, atol=1e-4)


def test_the_face_is_where_the_mesh_is_and_cloth_lies_on_the_skin(person):
    head = template()
    vertices = place_in_generator(head.vertices) @ rotation(5).T
    landmarks = place_in_generator(head.landmarks) @ rotation(5).T
    body = clothed(head, person, vertices, landmarks)
    face = head.vertices[:, 1] > head.landmarks[8, 1]
    assert torch.equal(body.vertices[face], vertices[face])
    thickness = (body.vertices - vertices).norm(dim=1) / UNITS_PER_METRE
    assert 0.003 < thickness.max() < 0.004
    assert torch.isfinite(body.normals).all()


def test_no_light_falls_into_a_shut_mouth(person):
    head = template()
    vertices, landmarks = place_in_generator(head.vertices), place_in_generator(head.landmarks)
    shut = clothed(head, person, vertices, landmarks).shut
    assert (shut[head.piece == Piece.TONGUE] > 0.9).all()
    assert shut[head.faces[head.region == REGION_ID["upper_lip"]]].max() == 0
    landmarks[66, 1] -= 0.01 * UNITS_PER_METRE
    assert clothed(head, person, vertices, landmarks).shut.max() == 0
