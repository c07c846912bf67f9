"""The trunk and the neckline."""

from dataclasses import replace

import pytest
import torch
from support_mannequin import latent, rotation

from synthforge.alignment import place_in_generator
from synthforge.mannequin.body import clothed
from synthforge.mannequin.clothes import neckline_height, trunk_below, trunk_border
from synthforge.mannequin.person import person_from
from synthforge.mannequin.template import template


@pytest.fixture(scope="module")
def person():
    return person_from(latent(3))


def test_the_trunk_s_border_is_one_closed_line():
    border = trunk_border("cpu")
    assert len(border) > 20
    assert torch.equal(border[:, 0].sort().values, border[:, 1].sort().values)
    assert torch.equal(border[:, 0].unique(), border[:, 0].sort().values)


def test_the_trunk_continues_the_head_s_surface():
    """Each border edge is used once by the head and once, the other way, by the trunk."""
    head = template()
    _, faces = trunk_below(head)
    edges = torch.cat([faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]).tolist()
    for a, b in trunk_border("cpu").tolist():
        assert [b, a] in edges and [a, b] not in edges


@pytest.mark.parametrize("collar", range(4))
def test_clothes_cover_the_shoulders_and_not_the_face(person, collar):
    head = template()
    above = neckline_height(replace(person, collar=collar), head)
    assert (above[head.vertices[:, 1] > head.landmarks[8, 1]] > 0).all()
    assert (above[head.vertices[:, 1] < head.vertices[:, 1].amin() + 0.005] < 0).all()


def test_the_face_is_where_the_mesh_is(person):
    head = template()
    vertices = place_in_generator(head.vertices) @ rotation(5).T
    body = clothed(head, person, vertices)
    face = head.vertices[:, 1] > head.landmarks[8, 1]
    assert torch.equal(body.vertices[: len(vertices)][face], vertices[face])
    assert torch.isfinite(body.vertices).all() and torch.isfinite(body.normals).all()
