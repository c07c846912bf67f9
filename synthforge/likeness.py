"""How head and camera turn so that a head is seen like one in a photograph, and where its eyes find
the camera."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.camera import Camera
from synthforge.frames import place_in_generator

# How far FLAME's eyes turn to the side, and up or down, radians: an assumption.
FLAME_EYES_RAD = (0.6, 0.45)
_FURTHEST = math.pi / 2


def camera_angles(
    neck_rad: NDArray[np.float32],
    camera: Sequence[NDArray[np.float32]],
    neck_flame: NDArray[np.float64],
    eyes_flame: NDArray[np.float64],
) -> NDArray[np.float64]:
    """How far eyes turn to the head's left and down to look at the camera, radians, (2,).

    neck_rad: axis-angle (3,). camera: yaw, pitch and fov of the one that is looked at. neck_flame,
    eyes_flame: the neck's joint and the middle between the eyes at rest, metres, (3,).
    """
    R_flame_head, _ = cv2.Rodrigues(neck_rad.astype(np.float64))
    eyes_flame = neck_flame + R_flame_head @ (eyes_flame - neck_flame)
    eyes_gen = place_in_generator(torch.from_numpy(eyes_flame)[None])[0].numpy()
    looked_at = Camera.look_at(*(torch.from_numpy(number)[None] for number in camera))
    return across_and_down(R_flame_head.T @ (looked_at.center_gen[0].numpy() - eyes_gen))


def across_and_down(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles to the head's left and down, radians, (2,), of a direction (3,) in the head's axes: x
    to its left, y up, z out of the face."""
    x, y, z = direction
    return np.array([math.atan2(x, z), -math.atan2(y, math.hypot(x, z))])


def turns(angles_rad: NDArray[np.float64], camera_share: float) -> dict[str, float]:
    """Fields of SamplingConfig that show a head at yaw, pitch and roll angles_rad (3,).

    A photograph doesn't tell whether head or camera turned: the camera takes a share of yaw and
    pitch, and the neck the rest.
    """
    yaw, pitch, roll = angles_rad
    # A camera's pitch, in EG3D's way, turns it by less.
    camera = -camera_share * yaw, -camera_share * pitch * math.pi / 2
    camera_yaw, camera_pitch = (within(x, -_FURTHEST, _FURTHEST) for x in camera)
    neck = _neck_rad(yaw, pitch, roll, camera_yaw, camera_pitch)
    return {
        "yaw_rad": camera_yaw,
        "pitch_rad": camera_pitch,
        "head_pitch_rad": within(neck[0], -_FURTHEST, _FURTHEST),
        "head_yaw_rad": within(neck[1], -_FURTHEST, _FURTHEST),
        "head_roll_rad": within(neck[2], -_FURTHEST, _FURTHEST),
    }


def within(value: float, low: float, high: float) -> float:
    """Rounded, which hides by how little mathematical functions differ between CPUs."""
    return float(min(max(round(float(value), 6), low), high))


def _neck_rad(
    yaw: float, pitch: float, roll: float, camera_yaw: float, camera_pitch: float
) -> NDArray[np.float64]:
    """Axis-angle of the neck (3,) that turns the head so before a camera at these angles."""
    at_yaw, at_pitch = (torch.tensor([value]).double() for value in (camera_yaw, camera_pitch))
    camera = Camera.look_at(at_yaw, at_pitch, torch.tensor([20.0]))
    turned = [(0, yaw, 0), (pitch, 0, 0), (0, 0, roll)]
    R_y, R_x, R_z = (cv2.Rodrigues(np.array(turn, np.float64))[0] for turn in turned)
    R = camera.R_view_gen[0].double().numpy().T @ R_y @ R_x @ R_z
    return np.asarray(cv2.Rodrigues(R)[0], np.float64).ravel()
