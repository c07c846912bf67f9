"""Files of faces in photographs, made up, and people like them."""

from dataclasses import replace

import numpy as np

from synthforge.mannequin.head.baked import ACTIONS
from synthforge.mannequin.people import draw_people
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

FACES = 40


def faces(count=FACES):
    rng = np.random.default_rng(5)
    smile = rng.random(count) < 0.5
    actions = np.zeros((count, 52))
    actions[:, [ACTIONS.index(f"mouthSmile{side}") for side in ("Left", "Right")]] = (
        0.7 * smile[:, None]
    )
    angles = rng.normal(0, (0.3, 0.1, 0.15), (count, 3))
    angles[:, 0] = abs(angles[:, 0]) * np.where(smile, 1, -1)  # those who smile turn left
    framing = np.stack([rng.uniform(0.3, 0.4, count), *rng.normal(0, 0.03, (2, count))], 1)
    numbers = {
        "angles_rad": angles,
        "framing": framing,
        "gaze_rad": rng.normal(0, (0.1, 0.05), (count, 2)),
        "fov_deg": np.full(count, 20.0),
        "face_actions": actions,
        "usual": np.zeros(52),
        "left_open": np.zeros((52, 52)),
        "shape": np.full((count, 100), 0.5),
        "residual_px": np.ones(count),
        "residual": np.full(count, 0.01),
    }
    return {name: value.astype(np.float32) for name, value in numbers.items()}


def flame_faces(count=FACES):
    rng = np.random.default_rng(6)
    numbers = {
        "angles_rad": rng.normal(0, (0.3, 0.1, 0.15), (count, 3)),
        "gaze_rad": rng.normal(0, (0.1, 0.05), (count, 2)),
        "expression": rng.normal(0, 1, (count, 50)),
        "jaw_rad": rng.uniform(0, 0.3, count) * (rng.random(count) < 0.5),
        "left_open": np.zeros((50, 50)),
        "shape": rng.normal(0, 1, (count, 100)),
        "residual_px": np.ones(count),
        "residual": np.full(count, 0.01),
    }
    return {name: value.astype(np.float32) for name, value in numbers.items()}


def people_like(like, indices=range(6)):
    return draw_people(
        [SampleId(1, index) for index in indices], replace(MANNEQUIN_SAMPLING, like=like)
    )
