"""Draws of the built-in head like faces in photographs."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.camera import Camera
from synthforge.distributions import Range
from synthforge.like import Face
from synthforge.sampling import SampleId
from synthforge.sampling_config import MAX_FACE_SIZE, MIN_FACE_SIZE, SamplingConfig

# A photograph shows how a head is turned before the camera, not which of them turned: the camera
# takes a share of yaw and pitch.
_CAMERA_SHARE = (0.3, 0.8)
_FURTHEST = math.pi / 2


def like_config(config: SamplingConfig, sample: SampleId) -> tuple[SamplingConfig, Face | None]:
    """`config` with the pose and the framing of one draw of config.like, and that draw.

    Without config.like they are as they were, and None.
    """
    if config.like is None:
        return config, None
    rng = sample.stream("like")
    face = config.like.draw(rng)
    share = _CAMERA_SHARE[0] + (_CAMERA_SHARE[1] - _CAMERA_SHARE[0]) * rng.random()
    yaw, pitch, roll = face.angles_rad
    # A camera's pitch, in EG3D's way, turns it by less.
    camera = -share * yaw, -share * pitch * math.pi / 2
    camera_yaw, camera_pitch = (_within(x, -_FURTHEST, _FURTHEST) for x in camera)
    neck = _neck_rad(yaw, pitch, roll, camera_yaw, camera_pitch)
    size, x, y = face.framing
    fixed = {
        "yaw_rad": camera_yaw,
        "pitch_rad": camera_pitch,
        "head_pitch_rad": _within(neck[0], -_FURTHEST, _FURTHEST),
        "head_yaw_rad": _within(neck[1], -_FURTHEST, _FURTHEST),
        "head_roll_rad": _within(neck[2], -_FURTHEST, _FURTHEST),
        "face_size": _within(size, MIN_FACE_SIZE, MAX_FACE_SIZE),
        "offset_x": _within(x, -1, 1),
        "offset_y": _within(y, -1, 1),
    }
    ranges = {name: Range(value, value) for name, value in fixed.items()}
    return replace(config, pose_limit=None, cut=0.0, **ranges), face  # type: ignore[arg-type]


def _within(value: float, low: float, high: float) -> float:
    """Rounded, which hides by how little mathematical functions differ between CPUs."""
    return float(min(max(round(float(value), 6), low), high))


def _neck_rad(
    yaw: float, pitch: float, roll: float, camera_yaw: float, camera_pitch: float
) -> NDArray[np.float64]:
    """Axis-angle of the neck (3,) that turns the head so before a camera at these angles."""
    at_yaw, at_pitch = (torch.tensor([value]).double() for value in (camera_yaw, camera_pitch))
    camera = Camera.look_at(at_yaw, at_pitch, torch.tensor([20.0]))
    turns = [(0, yaw, 0), (pitch, 0, 0), (0, 0, roll)]
    R_y, R_x, R_z = (cv2.Rodrigues(np.array(turn, np.float64))[0] for turn in turns)
    R = camera.R_view_gen[0].double().numpy().T @ R_y @ R_x @ R_z
    return np.asarray(cv2.Rodrigues(R)[0], np.float64).ravel()
