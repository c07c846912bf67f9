"""The points that heads are recovered by: MediaPipe's 468, the 51 inner landmarks and the pupils.

They are the built-in head's own, 521 in this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthforge.detectors.crops import Points
from synthforge.detectors.face_mesh import POINTS
from synthforge.detectors.landmarks68 import landmarks_of
from synthforge.landmarks import JAW, LEFT_EYE, RIGHT_EYE
from synthforge.photofit.photographs import Photograph
from synthforge.photofit.point_errors import net_share
from synthforge.photofit.point_net import VIEW, face_view, find_points, point_net

# Of the points: the inner landmarks, then the pupils, the subject's right one first.
INNER = slice(POINTS, None)
# Of ibug70: the same.
_INNER = slice(JAW.stop, 70)


def found_points(photographs: Sequence[Photograph]) -> NDArray[np.float64]:
    """Where these 521 points are found, [B, 521, 2], pixels: means of what MediaPipe's mesh and our
    net say, each weighted by what it is worth. Raises DetectorError."""
    views = find_points(point_net(), [each.view for each in photographs])
    mesh = np.stack([mesh_points(each.mesh_px) for each in photographs])
    net = np.stack(
        [net_points(each.mesh_px, view) for each, view in zip(photographs, views, strict=True)]
    )
    return mesh + net_share()[:, None] * (net - mesh)


def mesh_points(mesh_px: Points) -> Points:
    """The 521 points as the mesh [468, 2] has them, which takes the middles of eyes for pupils."""
    landmarks = landmarks_of(mesh_px)
    pupils = [landmarks[eye].mean(0) for eye in (RIGHT_EYE, LEFT_EYE)]
    return np.concatenate([mesh_px, landmarks[_INNER], pupils])


def net_points(mesh_px: Points, seen: Points) -> Points:
    """The 521 points in the image as the net sees them in the view of a mesh, [538, 2]."""
    return inner_points(face_view(mesh_px).back(seen, VIEW))


def inner_points(points: NDArray[Any]) -> NDArray[Any]:
    """Of mediapipe468 and ibug70, [538, ...], those without the jaw's landmarks."""
    return np.concatenate([points[:POINTS], points[POINTS:][_INNER]])
