"""Finds where the 68 landmarks lie on MediaPipe's face mesh, from labelled samples.

    python generate_synthforge_data.py --output_dir faces --num_images 900 --seed 21
    python tools/fit_mesh_points.py faces

Prints the table of synthforge/detectors/landmarks68.py, and its error. Each landmark is a weighted
sum of three mesh points near it; the weights sum to 1, so that it moves with the face. All triples
of the nearest mesh points are tried. Fitted to half of the samples on which nothing is worn; error
and spread are those on the other half. Run it again when the head or its landmarks have changed.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.read import Dataset
from synthforge.detectors.face_mesh import face_mesh
from synthforge.landmarks import FLIP, OUTER_EYE_CORNERS

_NEAR = 16
# Pulls weights together, in outer-eye distances: noise of a mesh point averages out.
_RIDGE = 0.03
_MAX_WEIGHT = 1.6
# A face that the mesh misses by more says nothing about where landmarks lie on it.
_MISSED = 0.15
_WORN = ("glasses", "headwear", "mask", "occluders")

Array = NDArray[np.float64]


@click.command()
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
def fit(dataset: Path) -> None:
    """Fit to the even bare samples of DATASET, measure on the odd ones."""
    mesh, true, index = _detect(Dataset(dataset))
    size = np.linalg.norm(np.subtract(*(true[:, i] for i in OUTER_EYE_CORNERS)), axis=-1)
    mesh, true = mesh / size[:, None, None], true / size[:, None, None]
    even = index % 2 == 0
    rows = [_triple(mesh[even], true[even, k]) for k in range(68)]
    found = np.stack([np.tensordot(w, mesh[:, p], (0, 1)) for p, w in rows], 1)
    errors = np.linalg.norm(found - true, axis=-1)
    spread = np.sqrt((errors[~even] ** 2).mean(0))
    for k, (points, weights) in enumerate(rows):
        numbers = " ".join(f"{w:.2f}" for w in weights)
        click.echo(f"{k} {' '.join(map(str, points))} {numbers} {spread[k]:.3f}")
    for name, kept in (("fitted to", even), ("held out", ~even)):
        error = 100 * errors[kept]
        parts = {"jaw": range(17), "brows": range(17, 27), "nose": range(27, 36)}
        parts |= {"eyes": range(36, 48), "mouth": range(48, 68), "inner 51": range(17, 68)}
        means = ", ".join(f"{part} {error[:, list(k)].mean():.2f}" for part, k in parts.items())
        click.echo(f"{name}: {kept.sum()} views, % of the outer-eye distance: {means}")


def _detect(dataset: Dataset) -> tuple[Array, Array, NDArray[np.int64]]:
    """Mesh points and labels, in pixels, of each bare sample and of its mirror image; their
    indices."""
    meshes, labels, indices = [], [], []
    for index in dataset.indices:
        annotation = dataset.annotation(index)
        if any(annotation[name] for name in _WORN):
            continue
        image = dataset.image("images", index)
        true, _ = dataset.keypoints(index)
        mirrored = true[list(FLIP)] * [-1, 1] + [image.shape[1], 0]
        for view, label in ((image, true), (image[:, ::-1], mirrored)):
            found = face_mesh(np.ascontiguousarray(view))
            size = np.linalg.norm(label[36] - label[45])
            if found is None or np.linalg.norm(found.points_px[1] - label[30]) > _MISSED * size:
                continue
            meshes.append(found.points_px)
            labels.append(label)
            indices.append(index)
    return np.stack(meshes), np.stack(labels), np.array(indices)


def _triple(mesh: Array, true: Array) -> tuple[tuple[int, ...], Array]:
    """Three mesh points and their weights: mesh [N, 468, 2], true [N, 2]."""
    offsets = mesh - true[:, None]
    near = np.linalg.norm(offsets, axis=-1).mean(0).argsort()[:_NEAR]
    products = np.einsum("nid,njd->ij", offsets[:, near], offsets[:, near]) / len(mesh)
    best: tuple[float, tuple[int, ...], Array] = (np.inf, (), np.zeros(0))
    for triple in itertools.combinations(range(_NEAR), 3):
        gram = products[np.ix_(triple, triple)] + _RIDGE**2 * np.eye(3)
        weights = np.linalg.solve(gram, np.ones(3))
        weights = np.round(weights / weights.sum(), 2)
        weights[0] = 1 - weights[1:].sum()
        score = weights @ gram @ weights
        if score < best[0] and np.abs(weights).max() < _MAX_WEIGHT:
            best = score, tuple(int(near[i]) for i in triple), weights
    return best[1:]


if __name__ == "__main__":
    fit()
