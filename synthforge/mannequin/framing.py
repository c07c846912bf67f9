"""How far a head turns before the camera, and where its face lies in the image."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.camera import Camera, focal_from_fov, fov_from_focal
from synthforge.frames import place_in_generator
from synthforge.mannequin.head.baked import SHAPE_COMPONENTS, average_joints, baked_head
from synthforge.sampling import Row, SampleId
from synthforge.sampling_config import SamplingConfig

# A camera's pitch, in EG3D's way, turns it by so much less.
_CAMERA_PITCH = 2 / math.pi
# What pitch and roll keep at most of, however far a head turns.
_LEAST = 0.3
_NECK = 1
# Round the face's box, in its sides: what an open mouth adds below, and a rim.
_MARGIN = 0.09
# Of the box that a border cuts off, in its sides.
_CUT = (0.05, 0.4)
# Faces smaller than this, in image widths, are not cut by the upper border: the bust's end would be
# seen.
_BUST_REACHES = 0.45


def hold_pose(row: Row, config: SamplingConfig) -> None:
    """Take pitch and roll from those who turn far, as config.pose_limit says."""
    limit = config.pose_limit
    if limit is None:
        return
    pose = row["pose_rad"]
    nod, tilt = config.head_pitch_rad.at(0.5), config.pitch_rad.at(0.5)
    yaw = (pose[4] - row["yaw_rad"]) / limit.yaw_rad
    pitch = (pose[3] - nod - _CAMERA_PITCH * (row["pitch_rad"] - tilt)) / limit.pitch_rad
    roll = pose[5] / limit.roll_rad
    room, wanted = 1 - yaw * yaw, pitch * pitch + roll * roll
    if wanted <= room:
        return
    kept = np.float32(max(math.sqrt(max(room, 0.0) / wanted), _LEAST))
    pose[3] = nod + kept * (pose[3] - nod)
    pose[5] = kept * pose[5]
    row["pitch_rad"] = np.asarray(tilt + kept * (row["pitch_rad"] - tilt), np.float32)


def frame(row: Row, view: SampleId, config: SamplingConfig) -> None:
    """Set row's fov_deg and center so that the face lies in the image as config says.

    From the shape, the head's pose and the camera's; the mouth is taken as closed, so that all
    faces of one person and view are framed alike. Where config says nothing, nothing changes.
    """
    placing = (config.face_size, config.offset_x, config.offset_y)
    if placing == (None, None, None) and config.cut == 0:
        return
    low, high = face_box(row)
    focal = float(focal_from_fov(torch.from_numpy(np.asarray(row["fov_deg"], np.float64))))
    if config.face_size is not None:
        size = config.face_size.at(view.stream("face_size").random())
        focal = size / float((high - low).max())
        row["fov_deg"] = np.asarray(fov_from_focal(focal), np.float32)
    low, high = focal * low, focal * high
    side, middle = (high - low).max(), (low + high) / 2
    center = np.zeros(2)
    for axis, name in enumerate(("offset_x", "offset_y")):
        drawn = getattr(config, name)
        wanted = 0.5 if drawn is None else 0.5 + drawn.at(view.stream(name).random())
        room = 0.5 - (high - low)[axis] / 2 - _MARGIN * side
        center[axis] = min(max(wanted, 0.5 - max(room, 0)), 0.5 + max(room, 0)) - middle[axis]
    cut, border, depth = view.stream("cut").random(3)
    if cut < config.cut:
        axis, far = divmod(int(4 * border), 2)
        if axis == 1 and side < _BUST_REACHES:
            far = 1
        beyond = (_CUT[0] + (_CUT[1] - _CUT[0]) * depth) * (high - low)[axis]
        center[axis] = 1 + beyond - high[axis] if far else -beyond - low[axis]
    row["center"] = center.astype(np.float32)


def face_box(row: Row) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest x and y of the face at focal length 1, from where the axis meets it."""
    points, directions, neck = _face()
    # Summed in order, and to 1e-4 image widths: the same on any CPU.
    shape = row["shape"].astype(np.float64)[:SHAPE_COMPONENTS]
    points = points + np.cumsum(directions * shape, -1)[..., -1]
    R, _ = cv2.Rodrigues(row["pose_rad"][3:6].astype(np.float64))
    turned = neck + ((points - neck)[:, None] * R).sum(-1)
    camera = Camera.look_at(
        *(torch.from_numpy(row[name])[None] for name in ("yaw_rad", "pitch_rad", "fov_deg"))
    )
    turned_gen = place_in_generator(torch.from_numpy(turned)[None]).float()
    seen = camera.to_cam(turned_gen)[0].double().numpy()
    flat = (seen[:, :2] / seen[:, 2:]).round(5)
    return flat.min(0), flat.max(0)


def framing_of(row: Row) -> NDArray[np.float64]:
    """The face_size, offset_x and offset_y (3,) of SamplingConfig that a row's face has."""
    low, high = face_box(row)
    focal = float(focal_from_fov(torch.from_numpy(np.asarray(row["fov_deg"], np.float64))))
    middle = row["center"] + focal * (low + high) / 2 - 0.5
    return np.array([focal * (high - low).max(), *middle])


@functools.cache
def _face() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Points (N, 3) of jaw, brows and nose, their directions (N, 3, 100) and the neck's joint."""
    head = baked_head()
    embedding, model = head.embedding, head.model
    faces = np.concatenate([embedding.contour_faces[0], embedding.static_faces[:14]])
    bary = np.concatenate([embedding.contour_bary[0], embedding.static_bary[:14]])
    vertices = model.faces[faces, bary.argmax(1)]
    return (
        model.v_template[vertices].astype(np.float64),
        model.shapedirs[vertices][..., :SHAPE_COMPONENTS].astype(np.float64),
        average_joints()[_NECK],
    )
