"""Measures how MediaPipe's 468 detected points lie against the built-in head's own.

    python generate_synthforge_data.py --output_dir faces --num_images 500 --seed 21
    python tools/measure_point_errors.py faces

Writes synthforge/photofit/point_errors.npz. Run it again when the head has changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from synthforge.camera import Camera  # noqa: E402
from synthforge.dataset.read import Dataset, StoredSample  # noqa: E402
from synthforge.detectors.face_mesh import face_mesh  # noqa: E402
from synthforge.frames import place_in_generator  # noqa: E402
from synthforge.photofit.built_in import built_in_points  # noqa: E402
from synthforge.photofit.point_errors import face_frame  # noqa: E402
from synthforge.photofit.points_model import PointsModel  # noqa: E402
from synthforge.photofit.solve import SHAPES  # noqa: E402
from synthforge.whole_files import replacing  # noqa: E402

OUT = ROOT / "synthforge/photofit/point_errors.npz"
# Kept of the responses to coefficients.
_RESPONSES = 16
# Images that are off by more than so many times what is usual say little about the others.
_FAR = 2.5
# Of the regression on coefficients, in images.
_RIDGE = 30.0

Array = NDArray[np.float64]


@click.command()
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(dataset: Path) -> None:
    """Measure on DATASET, default samples of the built-in head."""
    model = built_in_points()
    found, true, coefficients = _detect(Dataset(dataset), model)
    arrays = measure(model, found, true, coefficients)
    with replacing(OUT) as part, part.open("wb") as stream:
        np.savez_compressed(
            stream, allow_pickle=False, **{name: a.astype(np.float16) for name, a in arrays.items()}
        )
    click.echo(f"{OUT}: {len(found)} images")


def measure(
    model: PointsModel, found: Array, true: Array, coefficients: Array
) -> dict[str, NDArray[np.float64]]:
    """Arrays of the file. found, true: [V, 468, 2], any unit. coefficients: [V, C]."""
    zeros = (
        torch.zeros(1, n, dtype=torch.float64) for n in (model.n_shape, model.n_expression, 15)
    )
    frame = face_frame(model(*zeros)[0], torch.from_numpy(found))
    off = np.einsum("bij,bnj->bni", frame.A.numpy(), found - true).reshape(len(found), -1)
    size = np.median(np.abs(off), 1)
    kept = size < _FAR * np.median(size)
    off, turn, coefficients = off[kept], frame.turn.numpy()[kept], coefficients[kept]
    scale = coefficients.std(0)
    scale[scale == 0] = np.inf
    X = np.concatenate([turn, coefficients / scale], 1)
    ridge = np.diag([0.0] * 3 + [_RIDGE] * len(scale))
    means = np.linalg.solve(X.T @ X + ridge, X.T @ off)
    offset, (U, S, Vt) = means[:3], np.linalg.svd(means[3:], full_matrices=False)
    by_coefficient = U[:, :_RESPONSES] * S[:_RESPONSES] / scale[:, None]
    responses = Vt[:_RESPONSES]
    left = off - turn @ offset - coefficients @ by_coefficient @ responses
    return {
        "offset": offset.reshape(3, -1, 2),
        "coefficients": by_coefficient,
        "responses": responses.reshape(_RESPONSES, -1, 2),
        "sd": np.sqrt((left**2).reshape(len(left), -1, 2).mean((0, 2))),
    }


def _detect(dataset: Dataset, model: PointsModel) -> tuple[Array, Array, Array]:
    """Of each sample with a face: points found, the head's own [V, 468, 2], and coefficients in
    the order of photofit.solve, [V, C]."""
    found, true, coefficients = [], [], []
    for sample in dataset.samples():
        image = np.ascontiguousarray(sample.image("images"))
        mesh = face_mesh(image)
        if mesh is None:
            continue
        found.append(mesh.points_px)
        shape, expression, jaw = (_row(sample, f"flame_{n}") for n in ("shape", "exp", "pose"))
        neck, eyes = _row(sample, "flame_neck_pose"), _row(sample, "flame_eye_pose")
        pose = torch.cat([jaw[:, :3], neck, jaw[:, 3:], eyes], 1)
        placed = place_in_generator(model(shape, expression, pose))
        camera = Camera.from_vector(_row(sample, "camera_params"))
        true.append(camera.project(placed, image.shape[1])[0][0].numpy())
        coefficients.append(torch.cat([shape[:, :SHAPES], expression, jaw[:, 3:4]], 1)[0].numpy())
    return np.stack(found), np.stack(true), np.stack(coefficients)


def _row(sample: StoredSample, key: str) -> torch.Tensor:
    """[1, N], float64."""
    return torch.from_numpy(np.asarray(sample.array(key), np.float64))[None]


if __name__ == "__main__":
    main()
