"""Camera, shape, expression and gaze together: Gauss-Newton, a batch of faces at once.

Minimised is the negative log of the posterior: squared distances of projected and detected points,
the shape's standard normal prior, the expression's `Prior`. Bounds are kept by projection
(Bertsekas 1982): what stands at a bound and is pushed out of it stays there for a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flame_pytorch.lbs import rotation_matrix
from synthforge.camera import Camera
from synthforge.frames import UNITS_PER_METRE, place_in_generator
from synthforge.likeness import camera_angles
from synthforge.mannequin.head.baked import average_joints
from synthforge.photofit.closed_form import scaled_orthography
from synthforge.photofit.point_errors import PointErrors, face_frame
from synthforge.photofit.points_model import PointsModel
from synthforge.photofit.priors import TURNS, Prior
from synthforge.pose import euler_deg

_ITERATIONS = 10
# Bound of a shape coefficient.
_MOST_SHAPE = 4
# A step is halved so often before a face is left as it is.
_HALVINGS = 5
# Of a camera whose intrinsics are set anew.
_FOV_DEG = 20.0
# Faces at once.
_CHUNK = 16
# Columns of the unknowns: the head's rotation vector, log focal length, principal point; at the end
# the prior's.
_ROTATION, _FOCAL, _CENTER = slice(0, 3), 3, slice(4, 6)
_CAMERA = 6
_JAW, _GAZE = -TURNS, slice(1 - TURNS, None)


@dataclass(frozen=True)
class Recovered:
    """B heads as a camera straight ahead (yaw and pitch 0) sees them.

    neck_rad: [B, 3], axis-angle. focal: [B], frame widths. center: [B, 2], where the optical axis
    meets the frame, widths from the top left. shape: [B, n_shape]. expression: [B, n_expression].
    jaw_rad: [B]. gaze_rad: [B, 2], turns of both eyes in the head, to the subject's left and down.
    points: [B, N, 2], the model's points in the frame, widths. left_open: [B, E, E], of the prior's
    parameters: posterior covariance times prior precision, what their departure from the prior's
    mean is multiplied by and then lost. All float64.
    """

    neck_rad: Tensor
    focal: Tensor
    center: Tensor
    shape: Tensor
    expression: Tensor
    jaw_rad: Tensor
    gaze_rad: Tensor
    points: Tensor
    left_open: Tensor

    @property
    def R_view_head(self) -> Tensor:
        return rotation_matrix(self.neck_rad)

    @property
    def angles_rad(self) -> NDArray[np.float64]:
        """[B, 3], yaw, pitch and roll: see synthforge.pose."""
        flip = self.neck_rad.new_tensor([1.0, -1.0, -1.0])
        return np.radians(euler_deg(flip[:, None] * self.R_view_head).double().numpy())

    @property
    def looks(self) -> Tensor:
        """[B, 3], unit vectors along the eyes' axes; the viewer's x right, y up, z towards it."""
        left, down = self.gaze_rad.unbind(1)
        turn = rotation_matrix(torch.stack([down, left, torch.zeros_like(left)], 1))
        return (self.R_view_head @ turn)[..., 2]

    @property
    def gaze_past_camera_rad(self) -> NDArray[np.float64]:
        """[B, 2], how far the eyes look past the camera, to the subject's left and down; a quarter
        turn at most."""
        _, neck, _, left_eye, right_eye = average_joints()
        straight = [np.array(angle, np.float32) for angle in (0, 0, _FOV_DEG)]
        to_camera = [
            camera_angles(turn, straight, neck, (left_eye + right_eye) / 2)
            for turn in self.neck_rad.numpy()
        ]
        return (self.gaze_rad.numpy() - np.stack(to_camera)).clip(-np.pi / 2, np.pi / 2)

    def pose_rad(self) -> Tensor:
        """[B, 15], axis-angles of global, neck, jaw, left eye, right eye."""
        return _pose(self.neck_rad, self.jaw_rad, self.gaze_rad)


def straight_camera(focal: Tensor, center: Tensor) -> Camera:
    """Cameras of yaw and pitch 0, float64. focal: [B]. center: [B, 2]."""
    zero = torch.zeros_like(focal)
    camera = Camera.look_at(zero, zero, torch.full_like(focal, _FOV_DEG))
    K = camera.K.double().clone()
    K[:, 0, 0] = K[:, 1, 1] = focal
    K[:, :2, 2] = center
    return Camera(camera.T_gen_cam.double(), K)


def recover(
    model: PointsModel,
    prior: Prior,
    points: Tensor,
    errors: PointErrors,
    to_gen: Callable[[Tensor], Tensor] = place_in_generator,
) -> Recovered:
    """Heads whose points are seen at `points` [B, N, 2], frame widths from the frame's top left.

    errors: of the points seen. to_gen: places points of the FLAME frame in the generator's world;
    affine.
    """
    solver = _Solver(model, prior, errors, to_gen)
    parts = [solver.recover(chunk.double()) for chunk in points.split(_CHUNK)]
    return Recovered(*(torch.cat([getattr(p, n) for p in parts]) for n in vars(parts[0])))


class _Solver:
    def __init__(
        self,
        model: PointsModel,
        prior: Prior,
        errors: PointErrors,
        to_gen: Callable[[Tensor], Tensor],
    ) -> None:
        self.model, self.errors, self.to_gen = model, errors, to_gen
        shapes = _CAMERA + model.n_shape
        size = shapes + len(prior.slope)
        self.shape, self.expression = slice(_CAMERA, shapes), slice(shapes, size)
        self.start = torch.zeros(size, dtype=torch.float64)
        self.start[self.expression] = prior.start
        self.low, self.high = self.start - torch.inf, self.start + torch.inf
        self.low[self.shape], self.high[self.shape] = -_MOST_SHAPE, _MOST_SHAPE
        self.low[self.expression], self.high[self.expression] = prior.low, prior.high
        self.slope = torch.zeros_like(self.start)
        self.slope[self.expression] = prior.slope
        self.precision = torch.zeros(size, size, dtype=torch.float64)
        self.precision[self.shape, self.shape] = torch.eye(model.n_shape, dtype=torch.float64)
        self.precision[self.expression, self.expression] = prior.precision
        # Unknowns that points are not linear in, and the coefficients, in which they are.
        self.turning = [*range(_CAMERA), *range(size - TURNS, size)]
        self.linear = slice(_CAMERA, size - TURNS)

    @torch.no_grad()
    def recover(self, points: Tensor) -> Recovered:
        """points: float64 [B, N, 2]."""
        x = self.start.repeat(len(points), 1)
        rest = self.model(*self._coefficients(x[:1]), x.new_zeros(1, 15))[0]
        frame = face_frame(rest, points)
        x[:, :_CAMERA] = self._closed_form(rest, points)

        def residuals(x: Tensor) -> Tensor:
            off = self._projected(x) - points
            return self.errors.residuals(off, x[:, _CAMERA:], frame)

        def cost(x: Tensor, r: Tensor) -> Tensor:
            prior = x @ self.slope + ((x @ self.precision) * x).sum(1) / 2
            return (r * r).sum(1) / 2 + prior

        r = residuals(x)
        best = cost(x, r)
        for _ in range(_ITERATIONS):
            J = self.errors.jacobian(self._jacobian(x), _CAMERA, frame)
            gradient = torch.einsum("bmp,bm->bp", J, r) + self.slope + x @ self.precision
            H = posterior = J.transpose(1, 2) @ J + self.precision
            held = ((x <= self.low) & (gradient > 0)) | ((x >= self.high) & (gradient < 0))
            free = (~held).to(x)
            H = H * free[:, :, None] * free[:, None] + torch.diag_embed(held.to(x))
            step = -torch.linalg.solve(H, (gradient * free)[..., None])[..., 0]
            for _ in range(_HALVINGS):
                moved = torch.clamp(x + step, self.low, self.high)
                moved_r = residuals(moved)
                moved_cost = cost(moved, moved_r)
                better = moved_cost < best
                x = torch.where(better[:, None], moved, x)
                r = torch.where(better[:, None], moved_r, r)
                best = torch.where(better, moved_cost, best)
                step = torch.where(better[:, None], 0, step / 2)
                if better.all():
                    break
        shape, expression = self._coefficients(x)
        neck, focal, center = x[:, _ROTATION], x[:, _FOCAL].exp(), x[:, _CENTER]
        covariance = torch.linalg.inv(posterior)[:, self.expression, self.expression]
        left_open = covariance @ self.precision[self.expression, self.expression]
        turns, points = (x[:, _JAW], x[:, _GAZE]), self._projected(x)
        return Recovered(neck, focal, center, shape, expression, *turns, points, left_open)

    def _coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, self.shape], x[:, self.expression][:, :-TURNS]

    def _pose(self, x: Tensor) -> Tensor:
        return _pose(x[:, _ROTATION], x[:, _JAW], x[:, _GAZE])

    def _projected(self, x: Tensor) -> Tensor:
        """[B, N, 2], frame widths."""
        return self._seen(x, self.model(*self._coefficients(x), self._pose(x)))

    def _seen(self, x: Tensor, points_flame: Tensor) -> Tensor:
        camera = straight_camera(x[:, _FOCAL].exp(), x[:, _CENTER])
        return camera.project(self.to_gen(points_flame), 1)[0]

    def _jacobian(self, x: Tensor) -> Tensor:
        """Of _projected, [B, N, 2, P]."""

        def turned(some: Tensor) -> Tensor:
            return self._projected(x.index_copy(1, turning, x[:, turning] + some))

        turning = torch.tensor(self.turning)
        J = x.new_zeros(*x.shape[:1], len(self.model), 2, x.shape[1])
        J[..., self.turning] = torch.func.jacfwd(turned)(x.new_zeros(len(turning)))
        pose = self._pose(x)
        posed = self.model(*self._coefficients(x), pose)

        def shifted(shift: Tensor) -> Tensor:
            return self._seen(x, posed + shift)

        by_point = torch.func.jacfwd(shifted)(x.new_zeros(3))
        J[..., self.linear] = by_point @ self.model.directions(pose)
        return J

    def _closed_form(self, rest: Tensor, points: Tensor) -> Tensor:
        """Rotation vector, log focal length and principal point, [B, 6], of the average head."""
        weights = self.errors.sd**-2
        R, scale, _ = scaled_orthography(rest, points, weights)
        x = self.start.repeat(len(points), 1)
        x[:, _ROTATION] = neck = _rotation_vector(R)
        posed = self.model(*self._coefficients(x), self._pose(x))
        camera = straight_camera(x.new_ones(len(x)), x[:, _CENTER])
        seen, depth = camera.project(self.to_gen(posed), 1)
        focal = scale * depth.mean(1) / UNITS_PER_METRE
        w = weights / weights.sum()
        center = ((points - focal[:, None, None] * seen) * w[:, None]).sum(1)
        return torch.cat([neck, focal.log()[:, None], center], 1)


def _pose(neck: Tensor, jaw: Tensor, gaze: Tensor) -> Tensor:
    none, zero = torch.zeros_like(neck), torch.zeros_like(jaw)
    opening = torch.stack([jaw, zero, zero], 1)
    eye = torch.stack([gaze[:, 1], gaze[:, 0], zero], 1)
    return torch.cat([none, neck, opening, eye, eye], 1)


def _rotation_vector(R: Tensor) -> Tensor:
    """Axis-angles [B, 3] of rotations [B, 3, 3] by less than half a turn."""
    sine = torch.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]])
    length = torch.linalg.vector_norm(sine, dim=0).clamp(min=1e-12)
    angle = torch.atan2(length, R.diagonal(dim1=1, dim2=2).sum(1) - 1)
    return (sine / length * angle).T
