"""Glasses sit on the nose and the ears, before the eyes and outside of the skin."""

import pytest
import torch
from support_worn import is_closed, posed_heads

from synthforge.mannequin.render.template import template
from synthforge.mannequin.wear.glasses import _EAR, glasses
from synthforge.mannequin.wear.glasses_style import style_of

HEADS = 18


@pytest.fixture(scope="module", params=range(HEADS))
def worn(request):
    """A head, and the parts and lenses of glasses for it: tinted ones for every third."""
    posed = posed_heads(HEADS)[request.param]
    style = style_of(posed.look("glasses"), tinted=request.param % 3 == 0)
    return posed, *glasses(style, posed.fit)


def test_lenses_stand_before_the_eyes(worn):
    posed, _, lenses = worn
    head = template()
    for eye, lens in zip(posed.fit.eyes, lenses, strict=True):
        center = lens.shape.vertices[0]
        assert (center[:2] - eye[:2]).abs().max() < 0.008
        # Where the pupil looks through: so far before the eyeball.
        ball = (posed.own.vertices[head.eyeball] - eye).norm(dim=1) < 0.02
        apex = posed.own.vertices[head.eyeball][ball, 2].max()
        gap = float(center[2] - apex)
        assert 0.006 < gap < 0.030, gap


def test_temples_reach_the_ears(worn):
    posed, parts, _ = worn
    frame = parts[0].shape.vertices
    for side in (-1, 1):
        (ear,), _ = posed.fit.at(tuple((side * x, y, z) for x, y, z in _EAR))
        assert (frame - ear).norm(dim=1).min() < 0.004
        assert frame[frame[:, 0] * side > 0, 2].min() < ear[2] - 0.010


def test_the_bridge_touches_the_nose(worn):
    posed, parts, _ = worn
    points = torch.cat([part.shape.vertices for part in parts])
    near = points[(points[:, 0] - posed.marks[27, 0]).abs() < 0.012]
    skin = posed.fit.front_z(near[:, 0], near[:, 1])
    # Pads of silicone press themselves into it a little.
    assert -0.0022 < (near[:, 2] - skin).min() < 0.0045


def test_no_frame_cuts_into_the_skin(worn):
    posed, parts, lenses = worn
    frame, *pads = (part.shape.vertices for part in parts)
    rigid = torch.cat([frame, *(lens.shape.vertices for lens in lenses)])
    depth = posed.depth(rigid)
    assert depth.max() < 0.001, (depth.max(), rigid[depth.argmax()])
    assert all(posed.depth(pad).max() < 0.0025 for pad in pads)


def test_parts_are_closed_and_lenses_face_forward(worn):
    _, parts, lenses = worn
    assert all(is_closed(part.shape) for part in parts)
    for lens in lenses:
        a, b, c = (lens.shape.vertices[corner] for corner in lens.shape.faces.T)
        assert (torch.linalg.cross(b - a, c - a)[:, 2] > 0).all()
        assert (lens.normals[:, 2] > 0.7).all()
        assert -1.1 < lens.height.min() < -0.9 and 0.9 < lens.height.max() < 1.1


def test_the_same_person_wears_the_same_pair():
    first, again = (style_of(posed_heads(2)[0].look("glasses"), False) for _ in range(2))
    assert first == again
    assert first != style_of(posed_heads(2)[1].look("glasses"), False)
