"""Where the head and its eyes are turned, as the camera sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flame_pytorch.lbs import apply
from synthforge.camera import Camera
from synthforge.frames import UNITS_PER_METRE
from synthforge.landmarks import LEFT_EYE, RIGHT_EYE
from synthforge.mesh import cross, unit

_NECK = 1
_EYES = slice(3, 5)
# Axes are mapped by their ends, metres from where they begin.
_ARM_M = 0.1
# Steps of Newton's method to the nearest rotation: more than a shear of 20 % needs.
_STEPS = 8


@dataclass(frozen=True)
class Pose:
    """Of B heads. Eyes are left, right.

    R_cam_head: [B, 3, 3], from the head's axes (x to its left, y up, z out of the face).
    gaze_cam: [B, 2, 3], unit vectors along the eyes' axes. eyes_cam: [B, 2, 3], the eyeballs'
    centres, generator units.
    """

    R_cam_head: Tensor
    gaze_cam: Tensor
    eyes_cam: Tensor


def pose_of(
    R_flame: Tensor, joints_flame: Tensor, to_gen: Callable[[Tensor], Tensor], camera: Camera
) -> Pose:
    """The pose of heads whose joints are turned by R_flame [B, 5, 3, 3] and sit at joints_flame
    [B, 5, 3], metres.

    to_gen: places points [B, N, 3] of the FLAME frame in the generator's world.
    """
    eyes = joints_flame[:, _EYES]
    middle = (eyes[:, :1] + eyes[:, 1:]) / 2
    axes = R_flame[:, _NECK].transpose(1, 2)
    ahead = apply(R_flame[:, _EYES], eyes.new_tensor([0.0, 0.0, 1.0]).expand_as(eyes))
    points = torch.cat([middle, eyes, middle + _ARM_M * axes, eyes + _ARM_M * ahead], 1)
    seen = camera.to_cam(to_gen(points)).double()
    middle, eyes, arms, ends = seen.split([1, 2, 3, 2], 1)
    return Pose(
        _nearest_rotation((arms - middle).transpose(1, 2) / (_ARM_M * UNITS_PER_METRE)).float(),
        unit(ends - eyes).float(),
        eyes.float(),
    )


def _nearest_rotation(A: Tensor) -> Tensor:
    """The rotation nearest to each of [B, 3, 3]: Newton's iteration for the polar factor (Higham
    1986), in operations that round alike on every CPU."""
    for _ in range(_STEPS):
        a, b, c = A.unbind(-1)
        cofactors = torch.stack([cross(b, c), cross(c, a), cross(a, b)], -1)
        determinant = _dot(cofactors[..., 0], a)
        A = (A + cofactors / determinant[:, None, None]) / 2
    return A


def euler_deg(R_cam_head: Tensor) -> Tensor:
    """Yaw, pitch, roll in degrees, [B, 3]: R_view_head = R_y(yaw) R_x(pitch) R_z(roll), where the
    viewer's axes are x right, y up, z towards the viewer. Pitch lies in -90..90, others in
    -180..180."""
    flip = R_cam_head.new_tensor([1.0, -1.0, -1.0])
    R = (flip[:, None] * R_cam_head).double()
    yaw = torch.atan2(R[:, 0, 2], R[:, 2, 2])
    pitch = torch.atan2(-R[:, 1, 2], torch.sqrt(R[:, 0, 2] ** 2 + R[:, 2, 2] ** 2))
    roll = torch.atan2(R[:, 1, 0], R[:, 1, 1])
    return torch.rad2deg(torch.stack([yaw, pitch, roll], -1)).float()


def eye_opening(landmarks_cam: Tensor) -> Tensor:
    """Height over width of the left and the right eye, [B, 2], from landmarks [B, 68, 3]: the eye
    aspect ratio of Soukupova and Cech (2016), in 3D."""
    ratios = []
    for eye in (LEFT_EYE, RIGHT_EYE):
        p1, p2, p3, p4, p5, p6 = landmarks_cam[:, eye].unbind(1)
        ratios.append((_length(p2 - p6) + _length(p3 - p5)) / (2 * _length(p1 - p4)))
    return torch.stack(ratios, -1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def _length(x: Tensor) -> Tensor:
    return torch.sqrt(_dot(x, x))
