"""From photographs to the file that samples are drawn like: see synthforge.like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from flame_pytorch import FLAME
from synthforge.camera import fov_from_focal
from synthforge.config import EXPRESSION_SIZE, SHAPE_SIZE
from synthforge.mannequin.framing import face_box
from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS, baked_head
from synthforge.mannequin.head.points import built_in_schemes
from synthforge.photofit.photographs import Photograph
from synthforge.photofit.point_errors import mesh_errors
from synthforge.photofit.points_model import PointsModel
from synthforge.photofit.priors import face_actions_prior
from synthforge.photofit.solve import Recovered, recover
from synthforge.pose import euler_deg

SCHEME = "mediapipe468"
# MediaPipe's points of the outer corners of the subject's right and left eye.
_EYE_CORNERS = (33, 263)


@dataclass(frozen=True)
class Fitted:
    """arrays: of synthforge.like's file. points_px: [468, 2] of each photograph, recovered."""

    arrays: dict[str, NDArray[np.float32]]
    points_px: list[NDArray[np.float64]]


def built_in_points() -> PointsModel:
    """The built-in head, reduced to MediaPipe's 468 points."""
    head = baked_head()
    flame = FLAME.from_arrays(head.model, head.embedding, SHAPE_SIZE, EXPRESSION_SIZE)
    scheme = built_in_schemes(head)[SCHEME]
    return PointsModel(flame, scheme.faces, scheme.bary)


def fit_photographs(photographs: Sequence[Photograph]) -> Fitted:
    """Recover the heads in some photographs, all at once."""
    points = torch.from_numpy(np.stack([each.points for each in photographs]))
    found = recover(built_in_points(), face_actions_prior(), points, mesh_errors())
    recovered = [
        each.px(seen) for each, seen in zip(photographs, found.points.numpy(), strict=True)
    ]
    off = np.array(
        [
            np.linalg.norm(seen - each.points_px, axis=-1).mean()
            for each, seen in zip(photographs, recovered, strict=True)
        ]
    )
    corners = np.stack([each.points_px[list(_EYE_CORNERS)] for each in photographs])
    eyes = np.linalg.norm(corners[:, 0] - corners[:, 1], axis=-1)
    arrays = head_arrays(found) | {"residual_px": off, "residual": off / np.maximum(eyes, 1)}
    return Fitted({name: a.astype(np.float32) for name, a in arrays.items()}, recovered)


def head_arrays(found: Recovered) -> dict[str, NDArray[np.float64]]:
    """Recovered heads of the built-in head as synthforge.like's file has them."""
    flip = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    angles_rad = np.radians(euler_deg(flip[:, None] * found.R_view_head).double().numpy())
    actions = np.zeros((len(found.focal), len(ACTIONS)))
    columns = [ACTIONS.index(name) for name in EXPRESSION_ACTIONS]
    actions[:, columns] = found.expression[:, : len(columns)].numpy()
    actions[:, ACTIONS.index("jawOpen")] = found.jaw_rad.numpy() / baked_head().jaw_open_rad
    fov_deg = np.array([fov_from_focal(focal) for focal in found.focal.tolist()])
    framing = []
    pose = found.pose_rad().float().numpy()
    for i, focal in enumerate(found.focal.tolist()):
        row = {"shape": found.shape[i].float().numpy(), "pose_rad": pose[i]}
        row |= {name: np.zeros((), np.float32) for name in ("yaw_rad", "pitch_rad")}
        low, high = face_box(row | {"fov_deg": np.asarray(fov_deg[i], np.float32)})
        middle = found.center[i].numpy() + focal * (low + high) / 2 - 0.5
        framing.append([focal * (high - low).max(), *middle])
    return {
        "angles_rad": angles_rad,
        "framing": np.clip(framing, (0, -1, -1), (2, 1, 1)),
        "fov_deg": fov_deg,
        "face_actions": actions.clip(0, 1),
        "shape": found.shape.numpy(),
    }
