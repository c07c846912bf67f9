"""The one camera. Generator rays, rasterizer and labels all take their geometry from here.

Frames (docs/conventions.md): `gen` is the generator's world, y up; `cam` is OpenCV's, x right,
y down, z forward; `px` has pixel centres at +0.5; `ndc` is the rasterizer's, x left, y up, the
image spanning [-1, 1]. `T_a_b` maps b to a. Images are square.

Every map is written as elementwise sums, not as matrix products, whose rounding depends on the
batch size: a sample has the same bits in any batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.config import CAMERA_PIVOT, CAMERA_RADIUS

# EG3D's cameras (Chan et al. 2022), which Next3D was trained with: constants as published.
_FOV_PI = 3.14159
_FOV_SQRT2 = 1.414


def rotate(R: Tensor, x: Tensor) -> Tensor:
    """R @ x for R [B, 3, 3] and x [B, N, 3]; its rounding does not depend on the batch size."""
    r = R[:, None]
    return r[..., 0] * x[..., 0:1] + r[..., 1] * x[..., 1:2] + r[..., 2] * x[..., 2:3]


def focal_from_fov(fov_diag_deg: Tensor) -> Tensor:
    """Diagonal field of view in degrees -> focal length in image widths."""
    return 1 / (torch.tan(fov_diag_deg * _FOV_PI / 360) * _FOV_SQRT2)


def fov_from_focal(focal: float) -> float:
    """The inverse of `focal_from_fov`."""
    return math.atan(1 / (focal * _FOV_SQRT2)) * 360 / _FOV_PI


def _normalize(x: Tensor) -> Tensor:
    return x / torch.sqrt((x * x).sum(-1, keepdim=True))


@dataclass(frozen=True)
class Camera:
    """A batch of B pinhole cameras.

    T_gen_cam: float32 [B, 4, 4], camera to generator world; rotation and translation.
    K: float32 [B, 3, 3], intrinsics in image widths: [[fx, skew, cx], [0, fy, cy], [0, 0, 1]].
    """

    T_gen_cam: Tensor
    K: Tensor

    def __post_init__(self) -> None:
        batch = self.T_gen_cam.shape[0]
        if self.T_gen_cam.shape != (batch, 4, 4) or self.K.shape != (batch, 3, 3):
            raise ValueError(
                f"Camera takes T_gen_cam [B,4,4] and K [B,3,3], got "
                f"{tuple(self.T_gen_cam.shape)} and {tuple(self.K.shape)}"
            )

    @classmethod
    def look_at(
        cls,
        yaw_rad: Tensor,
        pitch_rad: Tensor,
        fov_diag_deg: Tensor,
        center: Tensor | None = None,
    ) -> Camera:
        """Cameras on a sphere round the world's origin, all looking at one point: see
        config.CAMERA_RADIUS and CAMERA_PIVOT.

        yaw_rad, pitch_rad, fov_diag_deg: [B]. center: [B, 2], where that point appears, in image
        widths from the top left; None: the image's centre. Follows EG3D's sampler: the polar angle
        is arccos(-2 pitch / pi), which is pi/2 + pitch only to first order. Positive yaw moves the
        camera to +x (the subject's left); positive pitch moves it down.
        """
        tilt = (math.pi / 2 + pitch_rad.double()).clamp(1e-5, math.pi - 1e-5)
        phi = torch.acos(1 - 2 * tilt / math.pi)
        yaw = yaw_rad.double()
        position = CAMERA_RADIUS * torch.stack(
            [torch.sin(phi) * torch.sin(yaw), torch.cos(phi), torch.sin(phi) * torch.cos(yaw)], -1
        )
        forward = _normalize(position.new_tensor(CAMERA_PIVOT) - position)
        up = torch.tensor([0.0, 1.0, 0.0], dtype=forward.dtype, device=forward.device)
        right = -_normalize(torch.linalg.cross(up.expand_as(forward), forward))
        down = _normalize(torch.linalg.cross(forward, right))
        T = torch.zeros(len(yaw), 4, 4, dtype=torch.float64, device=yaw.device)
        T[:, :3] = torch.stack([right, down, forward, position], -1)
        T[:, 3, 3] = 1
        K = torch.zeros(len(yaw), 3, 3, dtype=torch.float64, device=yaw.device)
        K[:, 0, 0] = K[:, 1, 1] = focal_from_fov(fov_diag_deg.double())
        K[:, :2, 2] = 0.5 if center is None else center.double()
        K[:, 2, 2] = 1
        return cls(T.float(), K.float())

    @classmethod
    def from_vector(cls, vector: Tensor) -> Camera:
        """From float32 [B, 25]: T_gen_cam row-major (16), then K row-major (9)."""
        if vector.ndim != 2 or vector.shape[1] != 25:
            raise ValueError(f"a camera vector is [B, 25], got {tuple(vector.shape)}")
        return cls(vector[:, :16].reshape(-1, 4, 4), vector[:, 16:].reshape(-1, 3, 3))

    @property
    def vector(self) -> Tensor:
        """float32 [B, 25]: T_gen_cam row-major (16), then K row-major (9)."""
        return torch.cat([self.T_gen_cam.flatten(1), self.K.flatten(1)], 1)

    def __len__(self) -> int:
        return self.K.shape[0]

    def __getitem__(self, index: slice | Tensor) -> Camera:
        return Camera(self.T_gen_cam[index], self.K[index])

    def to(self, device: torch.device | str) -> Camera:
        return Camera(self.T_gen_cam.to(device), self.K.to(device))

    @property
    def R_gen_cam(self) -> Tensor:
        """[B, 3, 3]"""
        return self.T_gen_cam[:, :3, :3]

    @property
    def center_gen(self) -> Tensor:
        """[B, 3]"""
        return self.T_gen_cam[:, :3, 3]

    @property
    def R_view_gen(self) -> Tensor:
        """[B, 3, 3], world to viewer axes (x right, y up, z towards the viewer)."""
        flip = torch.tensor([1.0, -1.0, -1.0], device=self.K.device)
        return flip[:, None] * self.R_gen_cam.transpose(1, 2)

    def to_cam(self, points_gen: Tensor) -> Tensor:
        """[B, N, 3] world -> [B, N, 3] camera frame, generator units."""
        return rotate(self.R_gen_cam.transpose(1, 2), points_gen - self.center_gen[:, None])

    def to_gen(self, points_cam: Tensor) -> Tensor:
        """[B, N, 3] camera frame -> [B, N, 3] world."""
        return rotate(self.R_gen_cam, points_cam) + self.center_gen[:, None]

    def cam_to_px(self, points_cam: Tensor, size: int) -> Tensor:
        """[B, N, 3] camera frame -> [B, N, 2] pixels of an image of `size` squared."""
        K = self.K[:, None]
        x, y, z = points_cam.unbind(-1)
        u = (K[..., 0, 0] * x + K[..., 0, 1] * y) / z + K[..., 0, 2]
        v = K[..., 1, 1] * y / z + K[..., 1, 2]
        return torch.stack([u, v], -1) * size

    def project(self, points_gen: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """[B, N, 3] world -> pixels [B, N, 2] and z-depth [B, N] (generator units)."""
        points_cam = self.to_cam(points_gen)
        return self.cam_to_px(points_cam, size), points_cam[..., 2]

    def unproject(self, points_px: Tensor, z_depth: Tensor, size: int) -> Tensor:
        """Inverse of `project`: [B, N, 2] and [B, N] -> world [B, N, 3]."""
        u, v = (points_px / size).unbind(-1)
        rays = torch.nn.functional.pad(self._plane(u, v), (0, 1), value=1.0)
        return self.to_gen(rays * z_depth[..., None])

    def _plane(self, u: Tensor, v: Tensor) -> Tensor:
        """Image coordinates in widths [B, N] -> x, y at z = 1, [B, N, 2]."""
        K = self.K[:, None]
        y = (v - K[..., 1, 2]) / K[..., 1, 1]
        x = (u - K[..., 0, 2] - K[..., 0, 1] * y) / K[..., 0, 0]
        return torch.stack([x, y], -1)

    def _grid(self, size: int) -> Tensor:
        """[B, size * size, 2]: x, y at z = 1 through every pixel centre, row-major."""
        centers = (torch.arange(size, device=self.K.device, dtype=torch.float32) + 0.5) / size
        v, u = torch.meshgrid(centers, centers, indexing="ij")
        return self._plane(u.reshape(1, -1), v.reshape(1, -1))

    def rays(self, size: int) -> tuple[Tensor, Tensor]:
        """Origins [B, size * size, 3] and unit directions, world, row-major pixel centres."""
        grid = self._grid(size)
        directions = _normalize(
            rotate(self.R_gen_cam, torch.nn.functional.pad(grid, (0, 1), value=1.0))
        )
        return self.center_gen[:, None].expand_as(directions), directions

    def _ray_length(self, size: int) -> Tensor:
        """[B, 1, size, size]: length of a pixel's ray per unit of z-depth."""
        x, y = self._grid(size).unbind(-1)
        return torch.sqrt(x * x + y * y + 1).view(-1, 1, size, size)

    def z_depth(self, ray_distance: Tensor) -> Tensor:
        """[B, 1, h, h] distance along each pixel's ray -> depth along the optical axis."""
        return ray_distance / self._ray_length(ray_distance.shape[-1])

    def ray_distance(self, z_depth: Tensor) -> Tensor:
        """[B, 1, h, h] depth along the optical axis -> distance along each pixel's ray."""
        return z_depth * self._ray_length(z_depth.shape[-1])

    def to_ndc(self, points_gen: Tensor) -> Tensor:
        """[B, N, 3] world -> the rasterizer's frame: x left, y up in [-1, 1], z = z-depth."""
        points_px, z = self.project(points_gen, 1)
        return torch.cat([1 - 2 * points_px, z[..., None]], -1)
