"""How a detector's points lie against a head's own: what tools/measure_point_errors.py measured.

Errors are seen in the face's frame: roll is undone, and the unit is a decimetre of the average
head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge.photofit.closed_form import scaled_orthography

_FILE = "point_errors.npz"
UNIT_M = 0.1
# Of a point's variance, taken as its own at least: photographs are not samples.
APART = 0.5


@dataclass(frozen=True)
class FaceFrame:
    """Frames of B faces; float64.

    A: [B, 2, 2], from offsets in the image to the face's frame, both x right, y down. turn: [B, 3],
    1 and the head's unit z axis in that frame, x right, y up.
    """

    A: Tensor
    turn: Tensor


def face_frame(rest: Tensor, points: Tensor) -> FaceFrame:
    """rest: [N, 3], the average head's points, FLAME frame, metres. points: [B, N, 2], where they
    are seen, y down, in any unit."""
    R, scale, _ = scaled_orthography(rest, points, torch.ones_like(rest[:, 0]))
    x, z = R[:, :2, 0], R[:, :2, 2]
    c, s = (x / torch.linalg.vector_norm(x, dim=1, keepdim=True)).unbind(1)
    A = torch.stack([c, -s, s, c], 1).unflatten(1, (2, 2)) / (scale * UNIT_M)[:, None, None]
    one = torch.ones_like(c)
    turn = torch.stack([one, c * z[:, 0] + s * z[:, 1], c * z[:, 1] - s * z[:, 0]], 1)
    return FaceFrame(A, turn)


@dataclass(frozen=True)
class PointErrors:
    """Of N points of a head with C coefficients, in the face's frame; all float64.

    A detector puts points at those of the head plus: offset [3, N, 2], linear in FaceFrame.turn;
    response [C, N, 2], linear in the coefficients, since it draws unusual heads towards the
    average; and chance. Chance is of standard deviation sd [N] in each coordinate, apart from what
    many points share: `shared` [2 N, K] are the directions of that in standard deviations, as
    long as the square root of the part of it by which they are to be shortened.
    """

    offset: Tensor
    response: Tensor
    sd: Tensor
    shared: Tensor

    @classmethod
    def alike(cls, points: int, coefficients: int, sd: float) -> PointErrors:
        """Chance alone, as large for every point."""
        zeros = torch.zeros(points, 2, dtype=torch.float64)
        offset, response = zeros.expand(3, -1, -1), zeros.expand(coefficients, -1, -1)
        none = zeros.new_zeros(2 * points, 0)
        return cls(offset, response, torch.full_like(zeros[:, 0], sd), none)

    def residuals(self, off: Tensor, coefficients: Tensor, frame: FaceFrame) -> Tensor:
        """In standard deviations, [B, 2 N]. off: [B, N, 2], the head's points less those detected,
        in the image. coefficients: [B, C]."""
        seen = torch.einsum("bij,bnj->bni", frame.A, off)
        mean = torch.einsum("bf,fni->bni", frame.turn, self.offset)
        mean = mean + torch.einsum("bc,cni->bni", coefficients, self.response)
        alone = ((seen + mean) / self.sd[:, None]).flatten(1)
        return alone - alone @ self.shared @ self.shared.T

    def jacobian(self, J: Tensor, first: int, frame: FaceFrame) -> Tensor:
        """Of `residuals`, [B, 2 N, P]. J: [B, N, 2, P], of off, by P unknowns; from `first` on
        they are the coefficients."""
        seen = torch.einsum("bij,bnjp->bnip", frame.A, J)
        seen[..., first:] += self.response.permute(1, 2, 0)
        alone = (seen / self.sd[:, None, None]).flatten(1, 2)
        return alone - self.shared @ (self.shared.T @ alone)


def built_in_errors() -> PointErrors:
    """Of the built-in head's points, as photofit.found_points finds them."""
    arrays = _measured()
    response = torch.einsum("ck,kni->cni", arrays["coefficients"], arrays["responses"])
    return PointErrors(arrays["offset"], response, APART**0.5 * arrays["sd"], arrays["shared"])


def spread() -> Tensor:
    """Standard deviations of all that chance does to these points, [521]."""
    return _measured()["sd"]


def net_share() -> NDArray[np.float64]:
    """Of our net in each of these points, [521]; the rest is MediaPipe's."""
    return _measured()["net_share"].numpy()


@cache
def _measured() -> dict[str, Tensor]:
    path = resources.files(__package__) / _FILE
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name].astype(np.float64)) for name in file.files}
