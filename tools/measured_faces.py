"""Faces of default samples, with what is known of them and what the face mesh finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.camera import Camera
from synthforge.dataset.read import Dataset, StoredSample
from synthforge.detectors.crops import Points
from synthforge.detectors.face_mesh import POINTS, face_mesh
from synthforge.frames import place_in_generator
from synthforge.photofit.built_in import built_in_points

# Of a dataset: the last so many samples are not trained on.
HELD_OUT = 900
# A mesh that misses the face by so much of its height lies on another.
_MISSED = 0.12


@dataclass(frozen=True)
class MeasuredFace:
    """index: the sample's. mesh_px: [468, 2], as found. points_px: [538, 2], the head's own points
    of mediapipe468 and of ibug70. coefficients: [C], in the order of photofit.solve."""

    index: int
    image: NDArray[np.uint8]
    mesh_px: Points
    points_px: Points
    coefficients: NDArray[np.float64]


def measured_faces(folder: Path, held_out: bool) -> Iterator[MeasuredFace]:
    """Of the first samples of a dataset, or of those held out."""
    dataset, model = Dataset(folder), built_in_points()
    first_held = sorted(dataset.indices)[-HELD_OUT:][0]
    for sample in dataset.samples():
        if (sample.index >= first_held) != held_out:
            continue
        image = np.ascontiguousarray(sample.image("images"))
        mesh = face_mesh(image)
        if mesh is None:
            continue
        shape, expression, jaw = (_row(sample, f"flame_{n}") for n in ("shape", "exp", "pose"))
        neck, eyes = _row(sample, "flame_neck_pose"), _row(sample, "flame_eye_pose")
        pose = torch.cat([jaw[:, :3], neck, jaw[:, 3:], eyes], 1)
        placed = place_in_generator(model(shape, expression, pose))
        camera = Camera.from_vector(_row(sample, "camera_params"))
        seen = camera.project(placed, image.shape[1])[0][0].numpy()
        own, pupils = seen[:POINTS], seen[-2:]
        if np.linalg.norm(mesh.points_px - own, axis=-1).mean() > _MISSED * np.ptp(own[:, 1]):
            continue
        landmarks = sample.array("2d_kps").astype(np.float64)
        gaze = (eyes[:, [1, 0]] + eyes[:, [4, 3]]) / 2
        known = shape, expression, jaw[:, 3:4], gaze
        coefficients = torch.cat(known, 1)[0].numpy()
        points = np.concatenate([own, landmarks, pupils])
        yield MeasuredFace(sample.index, image, mesh.points_px, points, coefficients)


def _row(sample: StoredSample, key: str) -> torch.Tensor:
    """[1, N], float64."""
    return torch.from_numpy(np.asarray(sample.array(key), np.float64))[None]
