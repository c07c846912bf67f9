"""The built-in head, recovered by MediaPipe's 468 points and the 51 inner landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.camera import fov_from_focal
from synthforge.detectors.crops import Points
from synthforge.detectors.face_mesh import POINTS
from synthforge.detectors.landmarks68 import landmarks_of
from synthforge.landmarks import JAW
from synthforge.mannequin.framing import face_box
from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS, baked_head
from synthforge.mannequin.head.built_in_flame import built_in_flame
from synthforge.mannequin.head.points import built_in_schemes
from synthforge.photofit.fit_head import FitHead
from synthforge.photofit.photographs import Photograph
from synthforge.photofit.point_errors import built_in_errors, net_share
from synthforge.photofit.point_net import VIEW, face_view, find_points, point_net
from synthforge.photofit.points_model import PointsModel
from synthforge.photofit.priors import face_actions_prior
from synthforge.photofit.solve import Recovered

SCHEME = "mediapipe468"
# MediaPipe's points of the outer corners of the subject's right and left eye.
EYE_CORNERS = (33, 263)
_INNER = slice(JAW.stop, 68)


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
    """The built-in head, reduced to MediaPipe's 468 points and the inner 51 landmarks."""
    scheme, flame = built_in_schemes(baked_head())[SCHEME], built_in_flame()
    faces = torch.cat([scheme.faces, flame.static_faces])
    return PointsModel(flame, faces, torch.cat([scheme.bary, flame.static_bary]))


def found_points(photographs: Sequence[Photograph]) -> NDArray[np.float64]:
    """Where these 519 points are found, [B, 519, 2], pixels: means of what MediaPipe's mesh and our
    net say, each weighted by what it is worth. Raises DetectorError."""
    views = find_points(point_net(), [each.view for each in photographs])
    mesh = np.stack([mesh_points(each.mesh_px) for each in photographs])
    net = np.stack(
        [net_points(each.mesh_px, view) for each, view in zip(photographs, views, strict=True)]
    )
    return mesh + net_share()[:, None] * (net - mesh)


def mesh_points(mesh_px: Points) -> Points:
    """The 519 points as the mesh [468, 2] has them."""
    return np.concatenate([mesh_px, landmarks_of(mesh_px)[_INNER]])


def net_points(mesh_px: Points, seen: Points) -> Points:
    """The 519 points in the image as the net sees them in the view of a mesh, [536, 2]."""
    return inner_points(face_view(mesh_px).back(seen, VIEW))


def inner_points(points: NDArray[Any]) -> NDArray[Any]:
    """Of the mesh's points and the 68 landmarks, [536, ...], those without the jaw's landmarks."""
    return np.concatenate([points[:POINTS], points[POINTS:][_INNER]])


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
