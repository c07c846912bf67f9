"""The numbers of a sample, and of faces in photographs, whose distributions a report draws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.stored import StoredSample
from synthforge.landmarks import LEFT_EYE, RIGHT_EYE
from synthforge.likeness import across_and_down
from synthforge.mannequin.framing import framing_of

if TYPE_CHECKING:
    from synthforge.like import Like

_ANGLES = ("yaw", "pitch", "roll")
_GAZE = ("gaze past the camera, left", "gaze past the camera, down")
_FRAMING = ("face size", "offset right", "offset down")
# In the page's order.
UNITS = {
    **dict.fromkeys((*_ANGLES, *_GAZE, "field of view"), "deg"),
    **dict.fromkeys(_FRAMING, "% of the image"),
    "age": "years",
}
# Where the annotation has no pose of the head, the camera's.
_CAMERA_ANGLES = {"yaw": "yaw_rad", "pitch": "pitch_rad"}
_PLAIN = {"field of view": "fov_deg", "age": "age_years"}


def numbers_of(sample: StoredSample, image_width: int) -> dict[str, float]:
    """By title, in the units of UNITS; what the annotation doesn't tell is left out.

    The size of the built-in head's face is that of its box with a closed mouth, of other heads that
    of the keypoints' box. Raises DatasetError for values that are none.
    """
    shown = {
        title: float(sample.numbers(key)) for title, key in _PLAIN.items() if _has(sample, key)
    }
    return shown | _angles(sample) | _gaze(sample) | _framing(sample, image_width)


def numbers_beside(like: Like) -> dict[str, NDArray[np.float64]]:
    """Such numbers of faces in photographs: by title, one of each face."""
    arrays = {name: values.astype(np.float64).T for name, values in like.arrays.items()}
    columns = dict(zip(_ANGLES, np.degrees(arrays["angles_rad"]), strict=True))
    columns |= zip(_GAZE, np.degrees(arrays["gaze_rad"]), strict=True)
    if "framing" in arrays:
        columns |= zip(_FRAMING, 100 * arrays["framing"], strict=True)
    return columns


def _angles(sample: StoredSample) -> dict[str, float]:
    if _has(sample, "head_euler_deg"):
        return dict(zip(_ANGLES, sample.numbers("head_euler_deg").tolist(), strict=True))
    points = sample.numbers("2d_kps")
    x, y = points[LEFT_EYE].mean(0) - points[RIGHT_EYE].mean(0)
    camera = {
        title: math.degrees(float(sample.numbers(key)))
        for title, key in _CAMERA_ANGLES.items()
        if _has(sample, key)
    }
    return camera | {"roll": math.degrees(math.atan2(y, x))}


def _gaze(sample: StoredSample) -> dict[str, float]:
    """The eyes' common turn, less the angles at which the head sees the camera."""
    if not _has(sample, "head_rotation", "eye_centers", "flame_eye_pose"):
        return {}
    R_head_cam = sample.numbers("head_rotation").T
    to_camera = across_and_down(R_head_cam @ -sample.numbers("eye_centers").mean(0))
    down, across, _ = sample.numbers("flame_eye_pose").reshape(2, 3).mean(0)
    past_deg = np.degrees(np.array([across, down]) - to_camera)
    return dict(zip(_GAZE, past_deg.tolist(), strict=True))


def _framing(sample: StoredSample, image_width: int) -> dict[str, float]:
    if not _has(sample, "face_actions", "flame_shape", "flame_neck_pose", "camera_params"):
        points = sample.numbers("2d_kps")
        return {"face size": float(100 * (points.max(0) - points.min(0)).max() / image_width)}
    row = {name: sample.numbers(name) for name in ("yaw_rad", "pitch_rad", "fov_deg")}
    row["shape"] = sample.numbers("flame_shape")
    row["pose_rad"] = np.pad(sample.numbers("flame_neck_pose"), (3, 9))
    row["center"] = sample.numbers("camera_params")[16:].reshape(3, 3)[:2, 2]
    return dict(zip(_FRAMING, (100 * framing_of(row)).tolist(), strict=True))


def _has(sample: StoredSample, *keys: str) -> bool:
    return all(key in sample.annotation for key in keys)
