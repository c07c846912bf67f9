"""Strands: where they grow, how they are drawn."""

import itertools
import math
from dataclasses import replace

import pytest
import support_mannequin
import torch
from scipy.spatial import cKDTree
from support_mannequin import latent, rotation

from synthforge.frames import UNITS_PER_METRE, place_in_generator
from synthforge.mannequin.hair.facial_hair import facial_hair
from synthforge.mannequin.hair.hair import grow_hair, strand_colors
from synthforge.mannequin.hair.hair_styles import STYLES
from synthforge.mannequin.hair.roots import GUIDES, beard_roots, brow_roots, scalp_roots
from synthforge.mannequin.hair.scalp import head_in_own_frame
from synthforge.mannequin.hair.strands import Strands, splat
from synthforge.mannequin.person import person_from
from synthforge.mannequin.render.lighting import fit_rotation
from synthforge.mannequin.render.template import template
from synthforge.mesh import vertex_normals
from synthforge.regions import REGION_ID
from synthforge.visible import FACIAL_HAIR, HAIR


def styled(style, seed=1):
    person = person_from(latent(seed))
    return replace(person, hair=replace(person.hair, style=style))


def grown(person, vertices):
    head = template()
    R = fit_rotation(head.vertices[head.skull], vertices[head.skull])
    normals = vertex_normals(vertices, head.topology)
    own = head_in_own_frame(vertices, normals, R)
    marks = head.landmarks
    return grow_hair(person, own) + facial_hair(person, own, marks)


@pytest.mark.parametrize("style", STYLES)
def test_hair_grows_and_leaves_the_eyes_free(style):
    head = template()
    groups = grown(styled(style), place_in_generator(head.vertices))
    eyes = place_in_generator(head.landmarks[36:48])
    for group in groups:
        assert torch.isfinite(group.points).all()
        assert group.color.shape == (len(group), 3)
        assert group.color.min() >= 0 and group.color.max() <= 1
    scalp_hair = groups[0].points
    in_front = scalp_hair[..., 2] > eyes[:, 2].amin()
    for side in (eyes[:6], eyes[6:]):
        low, high = side.amin(0), side.amax(0)
        over = in_front
        for axis in (0, 1):
            over = over & (scalp_hair[..., axis] > low[axis]) & (scalp_hair[..., axis] < high[axis])
        assert over.any(1).float().mean() < 0.002


@pytest.mark.parametrize("style", ["crop", "long", "afro"])
def test_hair_turns_with_the_head(style):
    """The same person in another pose: the same hair, turned."""
    head = template()
    vertices = place_in_generator(head.vertices)
    R, shift = rotation(4), torch.tensor([0.1, -0.2, 0.05])
    still = grown(styled(style), vertices)[0]
    turned = grown(styled(style), vertices @ R.T + shift)[0]
    expected = still.points @ R.T + shift
    error = (turned.points - expected).norm(dim=-1)
    assert error.median() < 1e-4
    assert (error < 5e-3).float().mean() > 0.99
    assert torch.equal(turned.color, still.color)


@pytest.mark.parametrize("style", ["crop", "long"])
def test_hair_is_in_proportion_to_the_head(style):
    """A smaller head, as a child's: the same hair, smaller."""
    head = template()
    vertices = place_in_generator(head.vertices)
    full = grown(styled(style), vertices)[0]
    small = grown(styled(style), 0.75 * vertices)[0]
    assert (small.points - 0.75 * full.points).norm(dim=-1).median() < 1e-4


@pytest.mark.parametrize("style", ["bob", "long"])
@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_long_hair_lies_on_neck_and_shoulders(style, turn):
    """Also where the head is turned and the shoulders are not."""
    head = template()
    vertices = head.vertices.clone()
    cos, sin = math.cos(turn), math.sin(turn)
    R = torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    vertices[head.skull] = vertices[head.skull] @ R.T
    person = styled(style)
    person = replace(person, hair=replace(person.hair, length=1.0, part_side=0.2))
    vertices = place_in_generator(vertices)
    points = grown(person, vertices)[0].points[::20, ::3].flatten(0, 1)
    normals = vertex_normals(vertices, head.topology)
    low = place_in_generator(head.landmarks)[8, 1]
    skin = torch.isin(torch.arange(len(vertices)), head.faces[head.region == REGION_ID["neck"]])
    skin |= torch.isin(
        torch.arange(len(vertices)), head.faces[head.region == REGION_ID["neck_back"]]
    )
    points = points[points[:, 1] < low]
    assert len(points) > 200
    _, nearest = cKDTree(vertices[skin]).query(points)
    depth = -((points - vertices[skin][nearest]) * normals[skin][nearest]).sum(1)
    assert (depth > 0.006 * UNITS_PER_METRE).float().mean() < 0.03


def test_facial_hair_is_of_the_class_and_side_it_grows_on():
    """The subject's left is x > 0. Stubble is skin, a beard is not."""
    head = template()
    person = replace(styled("crop"), beard=0.8, beard_style=0, stubble=0.8)
    brows, lashes, stubble, beard = grown(person, place_in_generator(head.vertices))[-4:]
    for group, left, right in (
        (brows, "left_eyebrow", "right_eyebrow"),
        (lashes, "left_eye_region", "right_eye_region"),
    ):
        is_left = group.points[:, 0, 0] > 0
        assert (group.kind[is_left] == REGION_ID[left]).all() and is_left.any()
        assert (group.kind[~is_left] == REGION_ID[right]).all() and (~is_left).any()
    skin = ("face", "neck", "nose", "upper_lip")
    assert set(stubble.kind.tolist()) <= {REGION_ID[name] for name in skin}
    assert beard.kind == FACIAL_HAIR and grown(person, head.vertices)[0].kind == HAIR


@pytest.mark.parametrize("grey", [0.0, 0.3, 1.0])
def test_grey_hair_is_a_mixture(grey):
    """No strand is black or white alone: few stand far from the person's share."""
    random = scalp_roots().random
    red = strand_colors((0.1, 0.0, 0.0), grey, random, random.roll(1, 0))[:, 1]
    share = red / strand_colors((0.1, 0.0, 0.0), 1.0, random, random.roll(1, 0))[:, 1]
    assert share.mean() == pytest.approx(grey, abs=0.06)
    assert (share - grey).abs().mean() < 0.25


def test_roots_are_on_their_triangles_and_places():
    head = template()
    scalp, beard, brow = scalp_roots(), beard_roots(), brow_roots()
    for roots in (scalp, beard, brow):
        assert torch.allclose(roots.bary.sum(1), torch.ones(len(roots.bary)), atol=1e-5)
        assert roots.bary.min() > -1e-4
        assert torch.allclose(roots.posed(head.vertices), roots.position, atol=1e-6)
    assert len(scalp.face) > 15000 and scalp.guide.max() < GUIDES
    on_scalp = head.region[scalp.face] == REGION_ID["scalp"]
    assert on_scalp.float().mean() > 0.98
    hidden = [REGION_ID[n] for n in ("left_ear", "right_ear", "inner_mouth", "left_eye_region")]
    assert not torch.isin(head.region[scalp.face], torch.tensor(hidden)).any()
    lips = torch.tensor([REGION_ID["upper_lip"], REGION_ID["lower_lip"]])
    assert not torch.isin(head.region[beard.face], lips).any()
    assert (scalp.position[:, 1] > head.landmarks[8, 1]).float().mean() > 0.95
    assert (beard.position[:, 1] < head.landmarks[30, 1]).float().mean() > 0.9


def test_brows_are_mirrored():
    position = brow_roots().position
    left, right = position.chunk(2)
    assert torch.allclose(left * torch.tensor([-1.0, 1, 1]), right, atol=5e-4)


def test_splat_is_a_z_buffer_of_points():
    """Against a plain loop over all points."""
    size = 24
    generator = torch.Generator().manual_seed(0)
    camera = support_mannequin.samples(1)[2]
    groups = [
        Strands(
            points=0.25 * torch.randn(count, 4, 3, generator=generator),
            color=torch.zeros(count, 3),
            exposed=torch.ones(count),
            shine=1.0,
            depth=(1.0, 0.5),
        )
        for count in (30, 20)
    ]
    wall = camera.to_cam(torch.zeros(1, 1, 3))[0, 0, 2]
    z_behind = torch.full((size * size,), float(wall) + 0.1)
    seen = splat(groups, camera, size, z_behind)

    nearest = {}
    for g, group in enumerate(groups):
        pixels, z = camera.project(group.points.reshape(1, -1, 3), size)
        knots = torch.cat([pixels[0], z[0, :, None]], 1).view(len(group), 4, 3)
        for strand, span in itertools.product(range(len(group)), range(3)):
            start, end = knots[strand, span], knots[strand, span + 1]
            for t in torch.linspace(0, 1, 400).tolist():
                x, y, depth = (start + t * (end - start)).tolist()
                if 0 <= x < size and 0 <= y < size and depth < float(z_behind[0]):
                    pixel = int(y) * size + int(x)
                    if depth < nearest.get(pixel, (9e9,))[0]:
                        nearest[pixel] = (depth, g, strand, (span + t) / 3)
    found = {
        int(pixel): (g, int(strand), float(along))
        for g, part in enumerate(seen)
        for pixel, strand, along in zip(part.pixel, part.strand, part.along, strict=True)
    }
    assert len(found) > 50
    # Points a pixel apart miss corners that a line cuts.
    assert set(found) <= set(nearest) and len(found) > 0.85 * len(nearest)
    agree = [found[pixel][:2] == nearest[pixel][1:3] for pixel in found]
    assert sum(agree) > 0.75 * len(found)
    apart = [abs(found[p][2] - nearest[p][3]) for p, same in zip(found, agree, strict=True) if same]
    assert sorted(apart)[len(apart) // 2] < 0.05


def test_strands_cover_without_gaps_and_by_their_number():
    """A line of strands that cross the image: every row is hit, and less passes where more lie."""
    size = 64
    camera = support_mannequin.samples(1)[2]
    y = torch.linspace(-0.3, 0.3, 3)
    line = torch.stack([0 * y, y, 0 * y], 1)

    def drawn(count):
        strands = Strands(
            line.repeat(count, 1, 1), torch.zeros(count, 3), torch.ones(count), 0.0, (0.5, 0.5)
        )
        return splat([strands], camera, size, torch.full((size * size,), 99.0))[0]

    one, many = drawn(1), drawn(30)
    rows = one.pixel.div(size, rounding_mode="floor").unique()
    assert torch.equal(rows, torch.arange(rows[0], rows[-1] + 1)) and len(rows) > 20
    assert torch.allclose(one.passed, torch.full_like(one.passed, math.exp(-0.5)), rtol=1e-3)
    assert many.passed.median() < 0.5 * one.passed.median()


def test_the_template_s_frames():
    head = template()
    assert len(head.skull) > 1000 and not head.eyeball[head.skull].any()
    ball = head.eye_local[head.eyeball]
    assert torch.allclose(ball[:, :2].norm(dim=-1).max(), torch.tensor(1.0), atol=0.05)
