"""Camera, shape and expression together: Gauss-Newton, a batch of faces at once.

Minimised is the negative log of the posterior: squared distances of projected and detected points,
the shape's standard normal prior, the expression's `Prior`. Bounds are kept by projection
(Bertsekas 1982): what stands at a bound and is pushed out of it stays there for a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flame_pytorch.lbs import rotation_matrix
from synthforge.camera import Camera
from synthforge.frames import UNITS_PER_METRE, place_in_generator
from synthforge.photofit.closed_form import scaled_orthography
from synthforge.photofit.points_model import PointsModel
from synthforge.photofit.priors import Prior

# Shape coefficients that are recovered; the others stay 0.
SHAPES = 40
_ITERATIONS = 10
# Detected points are off by so much of the outer-eye distance, and neighbours are off together: so
# many points say no more than one.
_SD, _ALIKE = 0.03, 3.0
# A step is halved so often before a face is left as it is.
_HALVINGS = 5
# Faces at once.
_CHUNK = 16
# Columns of the unknowns: the head's rotation vector, log focal length, principal point.
_ROTATION, _FOCAL, _CENTER = slice(0, 3), 3, slice(4, 6)
_CAMERA = 6


@dataclass(frozen=True)
class Recovered:
    """B heads as a camera straight ahead (yaw and pitch 0) sees them.

    neck_rad: [B, 3], axis-angle. focal: [B], frame widths. center: [B, 2], where the optical axis
    meets the frame, widths from the top left. shape: [B, n_shape]. expression: [B, n_expression].
    jaw_rad: [B]. points: [B, N, 2], the model's points in the frame, widths. All float64.
    """

    neck_rad: Tensor
    focal: Tensor
    center: Tensor
    shape: Tensor
    expression: Tensor
    jaw_rad: Tensor
    points: Tensor

    @property
    def R_view_head(self) -> Tensor:
        return rotation_matrix(self.neck_rad)

    def pose_rad(self) -> Tensor:
        """[B, 15], axis-angles of global, neck, jaw, left eye, right eye."""
        return _pose(self.neck_rad, self.jaw_rad)


def straight_camera(focal: Tensor, center: Tensor) -> Camera:
    """Cameras of yaw and pitch 0, float64. focal: [B]. center: [B, 2]."""
    zero = torch.zeros_like(focal)
    camera = Camera.look_at(zero, zero, torch.full_like(focal, 20.0))
    K = camera.K.double().clone()
    K[:, 0, 0] = K[:, 1, 1] = focal
    K[:, :2, 2] = center
    return Camera(camera.T_gen_cam.double(), K)


def recover(
    model: PointsModel,
    prior: Prior,
    points: Tensor,
    weights: Tensor,
    to_gen: Callable[[Tensor], Tensor] = place_in_generator,
) -> Recovered:
    """Heads whose points are seen at `points` [B, N, 2], frame widths from the frame's top left.

    weights: [N], inverse variances against each other; their mean is 1. to_gen: places points
    of the FLAME frame in the generator's world.
    """
    parts = [
        _recover(model, prior, chunk.double(), weights.double(), to_gen)
        for chunk in points.split(_CHUNK)
    ]
    return Recovered(*(torch.cat([getattr(p, n) for p in parts]) for n in vars(parts[0])))


def _recover(
    model: PointsModel,
    prior: Prior,
    points: Tensor,
    weights: Tensor,
    to_gen: Callable[[Tensor], Tensor],
) -> Recovered:
    batch, shapes = len(points), min(SHAPES, model.n_shape)
    size = _CAMERA + shapes + len(prior.slope)
    shape_columns = slice(_CAMERA, _CAMERA + shapes)
    expression_columns = slice(_CAMERA + shapes, size)
    low, high = points.new_full((size,), -torch.inf), points.new_full((size,), torch.inf)
    low[shape_columns], high[shape_columns] = -4, 4
    low[expression_columns], high[expression_columns] = prior.low, prior.high
    precision = points.new_zeros(size, size)
    precision[shape_columns, shape_columns] = torch.eye(shapes, dtype=points.dtype)
    precision[expression_columns, expression_columns] = prior.precision
    slope = points.new_zeros(size)
    slope[expression_columns] = prior.slope

    def unpack(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shape = torch.nn.functional.pad(x[:, shape_columns], (0, model.n_shape - shapes))
        expression = x[:, expression_columns]
        return shape, expression[:, :-1], expression[:, -1]

    def projected(x: Tensor) -> Tensor:
        shape, expression, jaw = unpack(x)
        placed = to_gen(model(shape, expression, _pose(x[:, _ROTATION], jaw)))
        camera = straight_camera(x[:, _FOCAL].exp(), x[:, _CENTER])
        return camera.project(placed, 1)[0]

    x = points.new_zeros(batch, size)
    x[:, expression_columns] = prior.start
    x[:, :_CAMERA] = _closed_form(model, prior, points, weights, to_gen)
    extent = points.amax(1) - points.amin(1)
    # The outer-eye distance is half of a face's height and more, whatever its turn.
    unit = extent.amax(1) * 0.5 * _SD * _ALIKE**0.5
    scale = weights.sqrt() / unit[:, None]

    def residuals(x: Tensor) -> Tensor:
        return ((projected(x) - points) * scale[..., None]).flatten(1)

    def cost(x: Tensor, r: Tensor) -> Tensor:
        return (r * r).sum(1) / 2 + x @ slope + ((x @ precision) * x).sum(1) / 2

    offset = points.new_zeros(size)
    with torch.no_grad():
        r = residuals(x)
        best = cost(x, r)
        for _ in range(_ITERATIONS):
            J = torch.func.jacfwd(lambda d, x=x: residuals(x + d))(offset)
            gradient = torch.einsum("bmp,bm->bp", J, r) + slope + x @ precision
            H = J.transpose(1, 2) @ J + precision
            held = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
            free = (~held).to(x)
            H = H * free[:, :, None] * free[:, None] + torch.diag_embed(held.to(x))
            step = -torch.linalg.solve(H, (gradient * free)[..., None])[..., 0]
            for _ in range(_HALVINGS):
                moved = torch.clamp(x + step, low, high)
                moved_r = residuals(moved)
                moved_cost = cost(moved, moved_r)
                better = moved_cost < best
                x = torch.where(better[:, None], moved, x)
                r = torch.where(better[:, None], moved_r, r)
                best = torch.where(better, moved_cost, best)
                step = torch.where(better[:, None], 0, step / 2)
                if better.all():
                    break
        shape, expression, jaw = unpack(x)
        neck, focal, center = x[:, _ROTATION], x[:, _FOCAL].exp(), x[:, _CENTER]
        return Recovered(neck, focal, center, shape, expression, jaw, projected(x))


def _pose(neck: Tensor, jaw: Tensor) -> Tensor:
    none = torch.zeros_like(neck)
    opening = torch.stack([jaw, none[:, 0], none[:, 0]], 1)
    return torch.cat([none, neck, opening, none, none], 1)


def _closed_form(
    model: PointsModel,
    prior: Prior,
    points: Tensor,
    weights: Tensor,
    to_gen: Callable[[Tensor], Tensor],
) -> Tensor:
    """Rotation vector, log focal length and principal point, [B, 6], of the average head."""
    zeros = points.new_zeros
    shape, expression = zeros(1, model.n_shape), prior.start[None, :-1]
    rest = model(shape, expression, zeros(1, 15))
    R, scale, _ = scaled_orthography(rest[0], points, weights)
    neck = _rotation_vector(R)
    one = points.new_ones(len(points))
    camera = straight_camera(one, zeros(len(points), 2))
    many_shapes, many = (part.expand(len(points), -1) for part in (shape, expression))
    seen, depth = camera.project(
        to_gen(model(many_shapes, many, _pose(neck, zeros(len(points))))), 1
    )
    focal = scale * depth.mean(1) / UNITS_PER_METRE
    w = weights / weights.sum()
    center = ((points - focal[:, None, None] * seen) * w[:, None]).sum(1)
    return torch.cat([neck, focal.log()[:, None], center], 1)


def _rotation_vector(R: Tensor) -> Tensor:
    """Axis-angles [B, 3] of rotations [B, 3, 3] by less than half a turn."""
    sine = torch.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]])
    length = torch.linalg.vector_norm(sine, dim=0).clamp(min=1e-12)
    angle = torch.atan2(length, R.diagonal(dim1=1, dim2=2).sum(1) - 1)
    return (sine / length * angle).T
