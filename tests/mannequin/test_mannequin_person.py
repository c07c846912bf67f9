"""z -> person and scene."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_mannequin import latent

from synthforge.mannequin.draws import Draws
from synthforge.mannequin.hair.hair_styles import STYLES
from synthforge.mannequin.person import person_from
from synthforge.mannequin.render.albedo import skin_log_albedo
from synthforge.mannequin.render.scene import scene_from


def people(count=60, **shape):
    return [person_from(latent(seed, **shape)) for seed in range(count)]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


@given(st.integers(0, 10_000), st.floats(-5, 5))
@settings(max_examples=60, deadline=None)
def test_every_z_is_a_person(seed, scale):
    person = person_from(latent(seed) * scale)
    assert person.hair.style in STYLES
    amounts = ("melanin", "brow_thickness", "lipstick", "beard", "eyeliner")
    for name in amounts:
        assert 0 <= getattr(person, name) <= 1, name
    assert all(math.isfinite(c) and 0 <= c <= 1 for c in (*person.iris, *person.hair.color))


@given(st.integers(0, 10_000), st.floats(-5, 5))
@settings(max_examples=60, deadline=None)
def test_every_z_is_a_scene(seed, scale):
    scene = scene_from(latent(seed) * scale)
    assert math.isclose(math.hypot(*scene.key.direction), 1, abs_tol=1e-6)
    assert scene.exposure > 0 and min(scene.white_balance) > 0
    assert min(scene.surroundings.facing) > 0


def test_the_person_is_a_function_of_z_alone():
    assert person_from(latent(4)) == person_from(latent(4))
    assert person_from(latent(4)) != person_from(latent(5))


def test_age_greys_and_wrinkles():
    young, old = people(years=22), people(years=75)
    assert mean(p.hair.grey for p in old) > mean(p.hair.grey for p in young) + 0.4
    assert mean(p.wrinkles for p in old) > mean(p.wrinkles for p in young) + 0.4


def test_children_have_smooth_skin_without_hair_grey_or_paint():
    for child in people(years=8, sex=1) + people(years=8, sex=0):
        assert child.beard == child.stubble == child.hair.grey == child.wrinkles == 0
        assert child.lipstick == child.eyeliner == child.eye_shadow == 0
        assert max(child.spots) == 0
    adults = people(years=35)
    assert mean(p.pores for p in people(years=8)) < 0.4 * mean(p.pores for p in adults)


def test_beards_are_men_s_and_paint_is_women_s():
    men, women = people(sex=1), people(sex=0)
    assert any(p.beard for p in men) and not any(p.beard for p in women)
    assert mean(p.stubble for p in women) == 0
    assert mean(p.lipstick for p in women) > mean(p.lipstick for p in men)
    assert mean(p.hair.style in ("bob", "long", "bun") for p in women) > 0.4
    assert mean(p.hair.style in ("bob", "long", "bun") for p in men) < 0.2


def test_skin_and_hair_follow_ancestry():
    def lightness(people_):
        return mean(sum(math.exp(c) for c in skin_log_albedo(p)) / 3 for p in people_)

    def only(ancestry):
        others = dict.fromkeys(("african", "asian", "caucasian"), 0.0)
        return people(**(others | {ancestry: 1.0}))

    african, asian, caucasian = map(only, ("african", "asian", "caucasian"))
    assert lightness(caucasian) > 2.5 * lightness(african)
    assert lightness(asian) > 2 * lightness(african)
    for dark_haired in (african, asian):
        assert mean(p.hair.color[0] for p in dark_haired) < 0.06
    assert mean(p.hair.color[0] for p in caucasian) > 0.1


def test_a_draw_is_uniform_and_in_order():
    z = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    draws = Draws(z)
    values = torch.tensor([draws.u() for _ in range(len(z))])
    assert torch.equal(values.argsort(), z.argsort())
    assert abs(float(values.mean()) - 0.5) < 0.02
    assert abs(float(values.std()) - 12**-0.5) < 0.01
