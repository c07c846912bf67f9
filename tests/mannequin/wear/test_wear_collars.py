"""Collars and hoods: closed cloth round the neck, off the skin, whatever the head does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support_worn import is_closed, posed_heads

from synthforge.mannequin.person import person_from
from synthforge.mannequin.render.template import template
from synthforge.mannequin.wear.collars import COLLARS, collar
from synthforge.mannequin.wear.dress import dressed
from synthforge.mannequin.wear.outfit import HEADWEAR, WORN_LATENTS
from synthforge.visible import CLOTHES

HEADS = 6


def worn(posed, kind, loose):
    return collar(replace(posed.person, collar=kind, neckline=loose), posed.own)


@pytest.mark.parametrize("loose", [0.0, 1.0])
@pytest.mark.parametrize("kind", COLLARS)
@pytest.mark.parametrize("index", range(HEADS))
def test_cloth_is_closed_and_lies_on_the_skin(index, kind, loose):
    posed = posed_heads(HEADS)[index]
    parts = worn(posed, kind, loose)
    for part in parts:
        assert part.kind == CLOTHES and is_closed(part.shape)
        assert torch.isfinite(part.shape.vertices).all()
        assert part.shades.min() > 0 and part.shades.max() <= 1
    cloth = parts[0].shape.vertices
    depth = posed.depth(cloth)
    # A roll's lower side may touch the painted clothes.
    assert depth.max() < (-0.001 if kind == "shirt" else 0.006)
    assert depth.min() > (-0.025 if kind == "shirt" else -0.075)


@pytest.mark.parametrize("kind", COLLARS)
@pytest.mark.parametrize("index", range(HEADS))
def test_it_goes_round_the_neck_below_the_chin(index, kind):
    posed = posed_heads(HEADS)[index]
    cloth = worn(posed, kind, 0.5)[0].shape.vertices
    head = template()
    middle = (cloth.amin(0) + cloth.amax(0)) / 2
    turn = torch.atan2(cloth[:, 0] - middle[0], cloth[:, 2] - middle[2])
    found = torch.histc(turn, 18, -np.pi, np.pi)
    assert (found[[*range(8), *range(10, 18)]] > 0).all()
    if kind == "hood":
        assert (found[[8, 9]] > 0).all()
    assert cloth[:, 1].max() < posed.own.vertices[head.skull, 1].max() - 0.1
    chin = posed.marks[8]
    before = cloth[(cloth[:, 2] > middle[2]) & (cloth[:, 0].abs() < 0.02)]
    assert len(before) == 0 or before[:, 1].max() < chin[1] + 0.005


def test_a_collar_is_worn_alone_and_not_over_a_headscarf():
    posed = posed_heads(HEADS)[0]
    head, z = template(), posed.z.clone()
    assert not z[WORN_LATENTS].any()
    plain = replace(posed.person, collar="round")
    shirt = replace(posed.person, collar="shirt")
    assert dressed(z, plain, head, posed.own, posed.marks) is None
    alone = dressed(z, shirt, head, posed.own, posed.marks)
    assert (alone.worn.kind == CLOTHES).all() and alone.head_faces is head.faces
    z[WORN_LATENTS.start + 1] = HEADWEAR.index("headscarf")
    scarf = dressed(z, shirt, head, posed.own, posed.marks)
    assert not (scarf.worn.kind == CLOTHES).any()


def test_people_wear_them_in_the_shares_said():
    z = torch.randn(3000, 256, generator=torch.Generator().manual_seed(0))
    z[:, :6] = torch.tensor([35, 0.5, 0.5, 1 / 3, 1 / 3, 1 / 3])
    kinds = [person_from(row).collar for row in z]
    assert set(kinds) == {"round", "v", "high", "wide", "shirt", "hood"}
    assert abs(kinds.count("shirt") / 3000 - 0.24) < 0.03
    assert abs(kinds.count("hood") / 3000 - 0.12) < 0.025
