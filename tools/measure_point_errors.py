"""Measures how the points that `synthforge fit` finds lie against the built-in head's own.

    python generate_synthforge_data.py --output_dir faces --num_images 6600 --seed 21
    python tools/measure_point_errors.py faces

On the samples that tools/train_point_net.py held out. Writes synthforge/photofit/point_errors.npz.
Run it again when the head or the net has changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from measured_faces import measured_faces  # noqa: E402

from synthforge.detectors.face_mesh import POINTS  # noqa: E402
from synthforge.photofit.built_in import EYE_CORNERS, built_in_points  # noqa: E402
from synthforge.photofit.found_points import inner_points, mesh_points, net_points  # noqa: E402
from synthforge.photofit.point_errors import APART, face_frame  # noqa: E402
from synthforge.photofit.point_net import (  # noqa: E402
    OUTPUTS,
    VIEW,
    face_view,
    find_points,
    flip,
    point_net,
)
from synthforge.whole_files import replacing  # noqa: E402

OUT = ROOT / "synthforge/photofit/point_errors.npz"
# Kept of the responses to coefficients, and of what points err together.
_RESPONSES = 16
_SHARED = 60
# Of the regression on coefficients, in images.
_RIDGE = 30.0

Array = NDArray[np.float64]


@click.command()
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(dataset: Path) -> None:
    """Measure on the last samples of DATASET, default samples of the built-in head."""
    mesh, net, true, coefficients = _found(dataset)
    arrays = measure(mesh, net, true, coefficients)
    with replacing(OUT) as part, part.open("wb") as stream:
        np.savez_compressed(
            stream, allow_pickle=False, **{name: a.astype(np.float16) for name, a in arrays.items()}
        )
    share = arrays["net_share"][:, None]
    size = np.linalg.norm(true[:, EYE_CORNERS[0]] - true[:, EYE_CORNERS[1]], axis=-1)
    for name, points in (("mesh", mesh), ("net", net), ("both", mesh + share * (net - mesh))):
        off = 100 * np.linalg.norm(points - true, axis=-1) / size[:, None]
        parts = off[:, :POINTS].mean(1), off[:, POINTS:].mean(1)
        click.echo("{}: {:.2f}, {:.2f}".format(name, *map(np.median, parts)))
    click.echo(
        f"{OUT}: {len(true)} faces; above the medians of the 468 points and of the 51 landmarks, "
        "% of the outer-eye distance"
    )


def measure(mesh: Array, net: Array, true: Array, coefficients: Array) -> dict[str, Array]:
    """Arrays of the file. mesh, net, true: [V, 521, 2], any unit. coefficients: [V, C]."""
    one, other = (_errors(points, true, coefficients)["left"] for points in (mesh, net))
    kept = [points.reshape(len(points), -1, 2) for points in (one, other)]
    both = [(a * b).mean((0, 2)) for a, b in ((kept[0], kept[0]), (kept[1], kept[1]), kept)]
    # The mean of two of the least variance.
    share = np.clip((both[0] - both[2]) / (both[0] + both[1] - 2 * both[2]), 0, 1)
    found = _errors(mesh + share[:, None] * (net - mesh), true, coefficients)
    left = found.pop("left").reshape(-1, len(share), 2)
    mirrored = left[:, _flip()] * [-1, 1]
    left = np.concatenate([left, mirrored])
    sd = np.sqrt((left**2).mean((0, 2)))
    normal = (left / sd[:, None]).reshape(len(left), -1)
    variances, directions = np.linalg.eigh(normal.T @ normal / len(normal))
    variances, directions = variances[-_SHARED:], directions[:, -_SHARED:]
    shortened = np.clip(1 - np.sqrt(APART / variances), 0, 1)
    found |= {"sd": sd, "shared": directions * np.sqrt(shortened)}
    return found | {"net_share": share}


def _errors(found: Array, true: Array, coefficients: Array) -> dict[str, Array]:
    """What PointErrors has of points found, and what is left, [V, 2 N], of the usual images."""
    model = built_in_points()
    zeros = (
        torch.zeros(1, n, dtype=torch.float64) for n in (model.n_shape, model.n_expression, 15)
    )
    frame = face_frame(model(*zeros)[0], torch.from_numpy(found))
    off = np.einsum("bij,bnj->bni", frame.A.numpy(), found - true).reshape(len(found), -1)
    turn = frame.turn.numpy()
    scale = coefficients.std(0)
    scale[scale == 0] = np.inf
    X = np.concatenate([turn, coefficients / scale], 1)
    ridge = np.diag([0.0] * 3 + [_RIDGE] * len(scale))
    means = np.linalg.solve(X.T @ X + ridge, X.T @ off)
    offset, (U, S, Vt) = means[:3], np.linalg.svd(means[3:], full_matrices=False)
    by_coefficient = U[:, :_RESPONSES] * S[:_RESPONSES] / scale[:, None]
    responses = Vt[:_RESPONSES]
    return {
        "offset": offset.reshape(3, -1, 2),
        "coefficients": by_coefficient,
        "responses": responses.reshape(_RESPONSES, -1, 2),
        "left": off - turn @ offset - coefficients @ by_coefficient @ responses,
    }


def _flip() -> NDArray[np.int64]:
    """Where each of the 521 points is in a mirrored face."""
    used = inner_points(np.arange(OUTPUTS))
    return np.argsort(used)[np.searchsorted(np.sort(used), flip().numpy()[used])]


def _found(dataset: Path) -> tuple[Array, Array, Array, Array]:
    """Points of the mesh, of the net and of the head, [V, 521, 2], and coefficients [V, C]."""
    faces = list(measured_faces(dataset, held_out=True))
    views = [face_view(face.mesh_px).cut_averaged(face.image, VIEW) for face in faces]
    seen = find_points(point_net(), views)
    return (
        np.stack([mesh_points(face.mesh_px) for face in faces]),
        np.stack([net_points(face.mesh_px, p) for face, p in zip(faces, seen, strict=True)]),
        np.stack([inner_points(face.points_px) for face in faces]),
        np.stack([face.coefficients for face in faces]),
    )


if __name__ == "__main__":
    main()
