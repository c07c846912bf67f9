"""The built-in head, recovered by MediaPipe's 468 points, the 51 inner landmarks and the pupils."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.camera import fov_from_focal
from synthforge.mannequin.framing import framing_of
from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS, baked_head
from synthforge.mannequin.head.built_in_flame import built_in_flame
from synthforge.mannequin.head.points import built_in_schemes
from synthforge.photofit.fit_head import FitHead
from synthforge.photofit.found_points import found_points
from synthforge.photofit.point_errors import built_in_errors
from synthforge.photofit.points_model import PointsModel
from synthforge.photofit.priors import action_columns, face_actions_prior, usual_face
from synthforge.photofit.solve import Recovered

SCHEME = "mediapipe468"
# MediaPipe's points of the outer corners of the subject's right and left eye.
EYE_CORNERS = (33, 263)


def built_in_head() -> FitHead:
    return FitHead(
        built_in_points(),
        face_actions_prior(),
        built_in_errors(),
        found_points,
        EYE_CORNERS,
        head_arrays,
    )


def built_in_points() -> PointsModel:
    """The built-in head, reduced to the points that are found."""
    schemes = built_in_schemes(baked_head())
    mesh, inner = schemes[SCHEME], schemes["ibug70"]
    faces, bary = torch.cat([mesh.faces, inner.faces]), torch.cat([mesh.bary, inner.bary])
    return PointsModel(built_in_flame(), faces, bary)


def head_arrays(found: Recovered) -> dict[str, NDArray[np.float64]]:
    """Recovered heads of the built-in head as synthforge.like's file has them."""
    columns, unit = action_columns()
    recovered = np.concatenate([found.expression.numpy(), found.jaw_rad.numpy()[:, None]], 1)
    actions, left_open = np.zeros((len(recovered), len(ACTIONS))), np.zeros([len(ACTIONS)] * 2)
    ours = [ACTIONS.index(name) for name in EXPRESSION_ACTIONS]
    actions[:, ours] = recovered[:, columns] / unit
    left = found.left_open.mean(0).numpy()[np.ix_(columns, columns)]
    left_open[np.ix_(ours, ours)] = left * unit / unit[:, None]
    fov_deg = np.array([fov_from_focal(focal) for focal in found.focal.tolist()])
    framing = []
    pose = found.pose_rad().float().numpy()
    for i in range(len(fov_deg)):
        row = {"shape": found.shape[i].float().numpy(), "pose_rad": pose[i]}
        row |= {name: np.zeros((), np.float32) for name in ("yaw_rad", "pitch_rad")}
        row |= {"fov_deg": np.asarray(fov_deg[i], np.float32), "center": found.center[i].numpy()}
        framing.append(framing_of(row))
    return {
        "angles_rad": found.angles_rad,
        "gaze_rad": found.gaze_past_camera_rad,
        "framing": np.clip(framing, (0, -1, -1), (2, 1, 1)),
        "fov_deg": fov_deg,
        "face_actions": actions.clip(0, 1),
        "usual": usual_face(),
        "left_open": left_open,
        "shape": found.shape.numpy(),
    }
