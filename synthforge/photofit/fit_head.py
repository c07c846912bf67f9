"""What photographs are compared with: a head reduced to points, and what is known of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthforge.photofit.photographs import Photograph
from synthforge.photofit.point_errors import PointErrors
from synthforge.photofit.points_model import PointsModel
from synthforge.photofit.priors import Prior
from synthforge.photofit.solve import Recovered


@dataclass(frozen=True)
class FitHead:
    """A head that is recovered by N points.

    seen: photographs -> where these points are found, [B, N, 2], pixels. eye_corners: which of them
    are the outer corners of the subject's right and left eye. errors: of the points seen. arrays:
    recovered heads -> synthforge.like's arrays of this head, without the residuals.
    """

    model: PointsModel
    prior: Prior
    errors: PointErrors
    seen: Callable[[Sequence[Photograph]], NDArray[np.float64]]
    eye_corners: tuple[int, int]
    arrays: Callable[[Recovered], dict[str, NDArray[np.float64]]]
