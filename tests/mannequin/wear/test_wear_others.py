"""Masks, headwear, earrings and what is held: where they must be, and closed."""

from dataclasses import replace

import pytest
import torch
from support_worn import is_closed, posed_heads

from synthforge.mannequin.hair.hair import grow_hair
from synthforge.mannequin.hair.scalp import scalp_of, shoulders_of
from synthforge.mannequin.render.template import template
from synthforge.mannequin.wear.earrings import earrings
from synthforge.mannequin.wear.headscarf import headscarf
from synthforge.mannequin.wear.headwear import headwear
from synthforge.mannequin.wear.mask import mask, under_mask
from synthforge.mannequin.wear.occluders import occluder
from synthforge.mannequin.wear.outfit import EARRINGS, HEADWEAR, OCCLUDERS
from synthforge.rasterizer import rasterize
from synthforge.visible import VISIBLE_ID

HEADS = 8
BARE_FACES = len(template().faces)
SKIN = SLEEVE = (0.3, 0.2, 0.15)


def hat_of(posed, kind):
    head, look = template(), posed.look("headwear")
    if kind == "headscarf":
        scalp, trunk = scalp_of(head, posed.own, True), shoulders_of(head, posed.own)
        return headscarf(look, posed.person.hair, scalp, trunk, posed.fit)
    scalp = scalp_of(head, posed.own, False)
    brow_y = float(posed.marks[[19, 24], 1].max())
    return headwear(kind, look, posed.person.hair, scalp, posed.own.vertices, brow_y)


def seen_from(direction, own, parts, hidden=None):
    """Ids of the faces that pixels [S, S] see, the head's first, without perspective."""
    faces = [template().faces if hidden is None else template().faces * ~hidden[:, None]]
    vertices, first = [own.vertices], len(own.vertices)
    for part in parts:
        faces.append(part.shape.faces + first)
        vertices.append(part.shape.vertices)
        first += len(part.shape.vertices)
    x, y, z = torch.cat(vertices).unbind(1)
    across, towards = {"front": (-x, z), "left": (z + 0.05, x), "right": (-z - 0.05, -x)}[direction]
    ndc = torch.stack([across / 0.2, (y + 0.03) / 0.2, 2 - towards], 1)[None]
    seen = rasterize(
        ndc, torch.cat(faces), 300, 300, perspective_correct=False, cull_backfaces=True
    )
    return seen.face_ids[0]


def covered(ids, point):
    """Whether something worn is seen from the front at a point [3]."""
    column, row = int((1 + point[0] / 0.2) * 150), int((1 - (point[1] + 0.03) / 0.2) * 150)
    window = ids[row - 1 : row + 2, column - 1 : column + 2]
    return int((window >= BARE_FACES).sum()) >= 5


def solid(mask):
    """Pixels of a mask [S, S] in squares of 2x2: slivers seen edge-on leave single ones."""
    whole = torch.nn.functional.avg_pool2d(mask.float()[None, None], 2, 1)[0, 0] == 1
    return torch.nn.functional.pad(whole, (0, 1, 0, 1))


@pytest.fixture(scope="module", params=range(HEADS))
def posed(request):
    return posed_heads(HEADS)[request.param]


def test_a_mask_covers_nose_mouth_and_chin_whatever_they_do(posed):
    parts = mask(posed.look("mask"), posed.fit)
    assert all(is_closed(part.shape) for part in parts)
    ids = seen_from("front", posed.own, parts, under_mask())
    for mark in (30, 33, 48, 51, 54, 57, 62, 66, 8):
        assert covered(ids, posed.marks[mark] + torch.tensor([0.0, 0.001, 0.0])), mark
    for mark in (19, 24, 37, 41, 44, 46):
        assert not covered(ids, posed.marks[mark]), mark
    for direction in ("front", "left", "right"):
        worn = seen_from(direction, posed.own, parts, under_mask()) >= BARE_FACES
        around = torch.nn.functional.avg_pool2d(worn.float()[None, None], 9, 1, 4)[0, 0]
        assert not (solid(~worn) & (around > 0.8)).any(), direction
    plate = parts[0].shape.vertices
    inner = plate[: len(plate) // 2].view(34, -1, 3)[2:-2, 2:-2]
    assert posed.depth(inner.reshape(-1, 3)).max() < 0


@pytest.mark.parametrize("kind", HEADWEAR[1:])
def test_headwear_covers_the_crown_and_leaves_the_face_free(posed, kind):
    hat = hat_of(posed, kind)
    assert all(is_closed(part.shape) for part in hat.parts)
    assert all(part.kind == VISIBLE_ID["headwear"] for part in hat.parts)
    skull = posed.own.vertices[template().skull]
    ids = seen_from("front", posed.own, hat.parts)
    assert covered(ids, skull[skull[:, 1].argmax()] - torch.tensor([0.0, 0.004, 0.0]))
    for mark in (27, 30, 33, 51, 57, 37, 44):
        assert not covered(ids, posed.marks[mark]), mark
    # From no side does the scalp look out above the rim.
    for direction in ("front", "left", "right"):
        ids = seen_from(direction, posed.own, hat.parts)
        bare = torch.unique(ids[solid((ids >= 0) & (ids < BARE_FACES))])
        middle = posed.own.vertices[template().faces[bare]].mean(1)
        assert hat.rim.above(middle[middle[:, 1] > 0]).max() < (
            0.03 if kind == "headscarf" else 0.012
        )
    assert hat.shade.min() > 0.3 and hat.shade.max() <= 1


def test_hair_stays_under_the_hat():
    """Long hair is pressed down above the rim, and short hair grows below it only."""
    posed = posed_heads(HEADS)[0]
    for style in ("long", "crop"):
        person = replace(posed.person, hair=replace(posed.person.hair, style=style, fringe=False))
        hat = hat_of(replace(posed, person=person), "cap")
        person = replace(person, hair=hat.hair)
        scalp = scalp_of(template(), posed.own, False)
        free, pressed = (
            group[0].points[:, ::4].flatten(0, 1)
            for group in (
                grow_hair(person, posed.own),
                grow_hair(person, posed.own, hat.rim),
            )
        )
        heights = []
        for points in (free, pressed):
            local = posed.own.frame.to_local(points)
            above = local[hat.rim.above(local) > 0.008]
            offset = above - scalp.center
            distance = offset.norm(dim=1)
            heights.append(distance - scalp.at(offset / distance[:, None]))
        if style == "crop":
            assert len(heights[1]) < 0.05 * len(heights[0])
        else:
            assert heights[1].quantile(0.9) < 0.008 < heights[0].quantile(0.9)


@pytest.mark.parametrize("kind", EARRINGS[1:])
def test_earrings_hang_from_the_lobes(posed, kind):
    parts = earrings(kind, posed.look("earrings"), posed.fit)
    points = torch.cat([part.shape.vertices for part in parts])
    assert all(is_closed(part.shape) for part in parts)
    for side in (-1, 1):
        own = points[points[:, 0] * side > 0]
        skin = posed.own.vertices
        assert torch.cdist(own, skin).min() < 0.003
        assert own[:, 1].max() < posed.marks[30, 1] + 0.02


@pytest.mark.parametrize("kind", OCCLUDERS[1:])
def test_what_is_held_stands_before_the_face_and_is_held(posed, kind):
    parts = occluder(kind, posed.look("occluders"), posed.fit, SKIN, SLEEVE)
    assert all(is_closed(part.shape) for part in parts)
    points = {}
    for part in parts:
        points.setdefault(part.kind, []).append(part.shape.vertices)
    held, hand = (torch.cat(points[VISIBLE_ID[name]]) for name in ("object", "hand"))
    assert torch.cdist(held[::3], hand[::3]).min() < 0.006
    assert (held - posed.marks[62]).norm(dim=1).min() < 0.22
    assert posed.depth(held).max() < 0.001
