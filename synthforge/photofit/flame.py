"""FLAME, recovered by the 51 inner landmarks, the pupils, and the chin's five landmarks, which
slide least along the jaw.

Each is weighted by its spread on the built-in head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.detectors.landmarks68 import SPREAD, landmarks_of
from synthforge.head import Head
from synthforge.landmarks import OUTER_EYE_CORNERS
from synthforge.photofit.fit_head import FitHead
from synthforge.photofit.found_points import INNER, found_points
from synthforge.photofit.photographs import Photograph
from synthforge.photofit.point_errors import UNIT_M, PointErrors, built_in_errors, spread
from synthforge.photofit.points_model import PointsModel
from synthforge.photofit.priors import TURNS, flame_prior
from synthforge.photofit.solve import Recovered

_CHIN = slice(6, 11)
# Of ibug70.
LANDMARKS = (*range(_CHIN.start, _CHIN.stop), *range(17, 70))
_RIGHT, _LEFT = (LANDMARKS.index(corner) for corner in OUTER_EYE_CORNERS)


def flame_head(head: Head) -> FitHead:
    """Of a head without eyeballs the pupils are left out, and its eyes look ahead."""
    model = flame_points(head)
    count = len(model)
    return FitHead(
        model,
        flame_prior(model.n_expression),
        landmark_errors(model),
        lambda photographs: seen_landmarks(photographs)[:, :count],
        (_RIGHT, _LEFT),
        flame_arrays,
    )


def flame_points(head: Head) -> PointsModel:
    """FLAME, reduced to LANDMARKS; the chin's are those of a face seen from the front."""
    flame, scheme = head.flame, head.schemes.get("ibug70")
    inner = (
        (flame.static_faces, flame.static_bary) if scheme is None else (scheme.faces, scheme.bary)
    )
    faces = torch.cat([flame.contour_faces[0, _CHIN], inner[0]])
    return PointsModel(flame, faces, torch.cat([flame.contour_bary[0, _CHIN], inner[1]]))


def seen_landmarks(photographs: Sequence[Photograph]) -> NDArray[np.float64]:
    """Where LANDMARKS are found, [B, 58, 2], pixels. Raises DetectorError."""
    chins = np.stack([landmarks_of(each.mesh_px)[_CHIN] for each in photographs])
    return np.concatenate([chins, found_points(photographs)[:, INNER]], 1)


def landmark_errors(model: PointsModel) -> PointErrors:
    """Spread, as large in x as in y."""
    shape, expression = (
        torch.zeros(1, n, dtype=torch.float64) for n in (model.n_shape, model.n_expression)
    )
    rest = model(shape, expression, torch.zeros(1, 15, dtype=torch.float64))[0]
    eyes = torch.linalg.vector_norm(rest[_RIGHT] - rest[_LEFT]) / UNIT_M
    chin = torch.tensor(SPREAD[_CHIN], dtype=torch.float64) * eyes / 2**0.5
    unknowns = model.n_shape + model.n_expression + TURNS
    errors = PointErrors.alike(len(model), unknowns, 1.0)
    response = errors.response.clone()
    seen = len(model) - len(chin)
    # How jaw and gaze are drawn to the average; of the others it is not known.
    response[-TURNS:, len(chin) :] = built_in_errors().response[-TURNS:, INNER][:, :seen]
    sd = torch.cat([chin, spread()[INNER][:seen]])
    return replace(errors, response=response, sd=sd)


def flame_arrays(found: Recovered) -> dict[str, NDArray[np.float64]]:
    """Recovered heads of FLAME as synthforge.like's file has them."""
    return {
        "angles_rad": found.angles_rad,
        "gaze_rad": found.gaze_past_camera_rad,
        "shape": found.shape.numpy(),
        "expression": found.expression.numpy(),
        "jaw_rad": found.jaw_rad.numpy(),
        "left_open": found.left_open.mean(0)[:-TURNS, :-TURNS].numpy(),
    }
