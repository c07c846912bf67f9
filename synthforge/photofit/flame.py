"""FLAME, recovered by the 51 inner landmarks and the chin's five, which slide least.

The detector's 68 landmarks are weighted by their spread on the built-in head.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from flame_pytorch import FLAME
from synthforge.detectors.landmarks68 import SPREAD, landmarks_of
from synthforge.landmarks import OUTER_EYE_CORNERS
from synthforge.photofit.fit_head import FitHead
from synthforge.photofit.point_errors import UNIT_M, PointErrors
from synthforge.photofit.points_model import PointsModel
from synthforge.photofit.priors import flame_prior
from synthforge.photofit.solve import SHAPES, Recovered

_CHIN = slice(6, 11)
# Of the 68 landmarks.
LANDMARKS = (*range(_CHIN.start, _CHIN.stop), *range(17, 68))
_RIGHT, _LEFT = (LANDMARKS.index(corner) for corner in OUTER_EYE_CORNERS)


def flame_head(flame: FLAME) -> FitHead:
    model = flame_points(flame)
    return FitHead(
        model,
        flame_prior(model.n_expression),
        landmark_errors(model),
        lambda photographs: np.stack(
            [landmarks_of(each.mesh_px)[list(LANDMARKS)] for each in photographs]
        ),
        (_RIGHT, _LEFT),
        flame_arrays,
    )


def flame_points(flame: FLAME) -> PointsModel:
    """FLAME, reduced to LANDMARKS; the chin's are those of a face seen from the front."""
    faces = torch.cat([flame.contour_faces[0, _CHIN], flame.static_faces])
    bary = torch.cat([flame.contour_bary[0, _CHIN], flame.static_bary])
    return PointsModel(flame, faces, bary)


def landmark_errors(model: PointsModel) -> PointErrors:
    """The detector's spread, as large in x as in y."""
    zeros = [torch.zeros(1, n, dtype=torch.float64) for n in (model.n_shape, model.n_expression)]
    shape, expression = zeros
    rest = model(shape, expression, torch.zeros(1, 15, dtype=torch.float64))[0]
    eyes = torch.linalg.vector_norm(rest[_RIGHT] - rest[_LEFT]) / UNIT_M
    spread = torch.tensor([SPREAD[i] for i in LANDMARKS], dtype=torch.float64)
    unknowns = min(SHAPES, model.n_shape) + model.n_expression + 1
    return replace(PointErrors.alike(len(model), unknowns, 1.0), sd=spread * eyes / 2**0.5)


def flame_arrays(found: Recovered) -> dict[str, NDArray[np.float64]]:
    """Recovered heads of FLAME as synthforge.like's file has them."""
    return {
        "angles_rad": found.angles_rad,
        "shape": found.shape.numpy(),
        "expression": found.expression.numpy(),
        "jaw_rad": found.jaw_rad.numpy(),
    }
