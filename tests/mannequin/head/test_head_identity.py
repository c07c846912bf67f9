"""Attributes make faces, faces show their attributes, and coefficients are standard."""

from dataclasses import replace

import numpy as np
import pytest

from synthforge.distributions import Range
from synthforge.mannequin.head.baked import baked_head
from synthforge.mannequin.head.identity import (
    Attributes,
    average_coefficients,
    draw_attributes,
    draw_coefficients,
    estimate_attributes,
)
from synthforge.sampling_config import AGES, MANNEQUIN_SAMPLING


def drawn(count=1500, seed=0, **ranges):
    rng = np.random.default_rng(seed)
    ages = {"age_years": Range(*AGES)}
    attributes = draw_attributes(rng, count, replace(MANNEQUIN_SAMPLING, **(ages | ranges)))
    return attributes, draw_coefficients(rng, attributes)


def adult(**changes):
    values = {"age": 30.0, "sex": 0.5, "weight": 0.5, "muscle": 0.5, "height": 0.5}
    values |= {"proportions": 0.5, "ancestry": (1 / 3, 1 / 3, 1 / 3)} | changes
    return Attributes(**{name: np.array([value]) for name, value in values.items()})


def shaped(attributes):
    head = baked_head()
    return (
        head.model.v_template
        + head.model.shapedirs[..., :100] @ average_coefficients(attributes)[0]
    )


def test_coefficients_are_about_standard_normal():
    _, coefficients = drawn(6000)
    assert np.abs(coefficients.mean(0)).max() < 0.12
    assert coefficients.std(0).min() > 0.9 and coefficients.std(0).max() < 1.1
    assert np.abs(np.corrcoef(coefficients.T) - np.eye(100)).max() < 0.15


def test_the_average_adult_is_annys():
    """The baked mean and components give the reference head back."""
    off = np.linalg.norm(shaped(adult()) - baked_head().adult, axis=1)
    above = baked_head().adult[:, 1] > -0.1
    assert off[above].mean() < 0.0013


def test_ranges_hold():
    attributes, _ = drawn(
        400,
        age_years=Range(18, 80),
        sex=Range(0.2, 0.4),
        weight=Range(0.2, 0.4),
        african=Range(0.5, 0.7),
        asian=Range(0.3, 1),
    )
    for values, low, high in (
        (attributes.age, 18, 80),
        (attributes.sex, 0.2, 0.4),
        (attributes.weight, 0.2, 0.4),
        (attributes.ancestry[:, 0], 0.5, 0.7),
        (attributes.ancestry[:, 1], 0.3, 0.5),
        (attributes.ancestry[:, 2], 0, 0.2),
    ):
        assert low <= values.min() + 1e-6 and values.max() - 1e-6 <= high
        assert np.ptp(values) > 0.6 * (high - low)
    assert np.allclose(attributes.ancestry.sum(1), 1)


def test_a_range_leaves_the_other_attributes_alone():
    free, _ = drawn(50)
    for name, range_ in (("age_years", Range(30, 30)), ("african", Range(0, 0))):
        held, _ = drawn(50, **{name: range_})
        assert np.array_equal(free.sex, held.sex)
    assert np.array_equal(free.age, held.age) and not held.ancestry[:, 0].any()


def test_by_default_most_are_clearly_women_or_men():
    attributes, _ = drawn(1000)
    assert 0.45 < (attributes.sex > 0.5).mean() < 0.55
    assert (np.abs(attributes.sex - 0.5) > 0.25).mean() > 0.85


def test_men_have_larger_jaws_than_women():
    """Sex runs from female to male."""
    jaw = baked_head().adult[:, 1] < -0.06
    face = jaw & (baked_head().adult[:, 1] > -0.11) & (baked_head().adult[:, 2] > 0)
    widths = [np.ptp(shaped(adult(sex=sex))[face, 0]) for sex in (0.0, 1.0)]
    assert widths[1] > widths[0] + 0.003


def test_attributes_can_be_told_from_coefficients():
    attributes, coefficients = drawn(1500)
    seen = estimate_attributes(coefficients)
    assert np.abs(seen.age - attributes.age).mean() < 8
    assert ((seen.sex > 0.5) == (attributes.sex > 0.5)).mean() > 0.93
    assert np.corrcoef(seen.weight, attributes.weight)[0, 1] > 0.75
    for k in range(3):
        assert np.corrcoef(seen.ancestry[:, k], attributes.ancestry[:, k])[0, 1] > 0.85


def test_children_are_smaller():
    def width(age):
        return np.ptp(shaped(adult(age=age))[:, 0][baked_head().adult[:, 1] > 0.05])

    assert width(4.0) < 0.97 * width(30.0)
    assert AGES[0] <= 4


def test_estimates_want_a_hundred_coefficients():
    with pytest.raises(ValueError, match="100"):
        estimate_attributes(np.zeros((2, 50)))


def test_brows_spread_as_in_photographs():
    """Gap of the inner ends, and how the outer ends lie, in outer-eye distances."""
    head, (_, coefficients) = baked_head(), drawn(400)
    points = head.embedding.static_faces, head.embedding.static_bary.astype(float)[..., None]
    corners = head.model.faces[points[0]]
    mean = (head.model.v_template[corners] * points[1]).sum(1)
    moved = (head.model.shapedirs[corners][..., :100] * points[1][..., None]).sum(1)
    seen = mean + np.einsum("pck,bk->bpc", moved, coefficients)
    eyes = seen[:, 28, 0] - seen[:, 19, 0]
    gap = (seen[:, 5, 0] - seen[:, 4, 0]) / eyes
    assert 0.026 < gap.std() < 0.045
    middle = (seen[:, 19] + seen[:, 28])[:, None] / 2
    ends = (seen[:, [0, 9]] - middle) / eyes[:, None, None]
    assert (ends[..., :2].std(0) > 0.018).all() and (ends[..., :2].std(0) < 0.05).all()
    assert np.corrcoef(ends[:, 0, 1], ends[:, 1, 1])[0, 1] > 0.6
