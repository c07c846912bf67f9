"""The built-in head, recovered by MediaPipe's 468 points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthforge.camera import fov_from_focal
from synthforge.mannequin.framing import face_box
from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS, baked_head
from synthforge.mannequin.head.built_in_flame import built_in_flame
from synthforge.mannequin.head.points import built_in_schemes
from synthforge.photofit.fit_head import FitHead
from synthforge.photofit.point_errors import mesh_errors
from synthforge.photofit.points_model import PointsModel
from synthforge.photofit.priors import face_actions_prior
from synthforge.photofit.solve import Recovered

SCHEME = "mediapipe468"
# MediaPipe's points of the outer corners of the subject's right and left eye.
_EYE_CORNERS = (33, 263)


def built_in_head() -> FitHead:
    return FitHead(
        built_in_points(),
        face_actions_prior(),
        mesh_errors(),
        lambda mesh_points: mesh_points,
        _EYE_CORNERS,
        head_arrays,
    )


def built_in_points() -> PointsModel:
    """The built-in head, reduced to MediaPipe's 468 points."""
    scheme = built_in_schemes(baked_head())[SCHEME]
    return PointsModel(built_in_flame(), scheme.faces, scheme.bary)


def head_arrays(found: Recovered) -> dict[str, NDArray[np.float64]]:
    """Recovered heads of the built-in head as synthforge.like's file has them."""
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
        "angles_rad": found.angles_rad,
        "framing": np.clip(framing, (0, -1, -1), (2, 1, 1)),
        "fov_deg": fov_deg,
        "face_actions": actions.clip(0, 1),
        "shape": found.shape.numpy(),
    }
