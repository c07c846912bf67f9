"""What a head's parameters are before anything was seen: its own statistics."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge.config import EXPRESSION_SIZE
from synthforge.likeness import FLAME_EYES_RAD
from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS, baked_head
from synthforge.mannequin.head.faces import draw_face

_FACES = 4000
# Beside the drawn faces' covariance: a photographed face may do what no drawn one does.
_SD = 0.1
# Of FLAME. That mouths open by so much is an assumption: nothing was measured.
_MOST_EXPRESSION = 4.0
_JAW_SD_RAD, _MOST_JAW_RAD = 0.15, 0.6
# The eyes' turns to the left and down, of drawn faces.
_GAZE_SD_RAD = (0.14, 0.085)
# Angles at the end of the expression parameters: the jaw's, then the eyes'.
TURNS = 3


@dataclass(frozen=True)
class Prior:
    """Of E expression parameters: coefficients, the jaw's turn, the eyes' to the left and down.

    The cost of expression a is slope' a + a' precision a / 2 inside low..high.

    slope: [E]. precision: [E, E]. low, high, start: [E].
    """

    slope: Tensor
    precision: Tensor
    low: Tensor
    high: Tensor
    start: Tensor


def flame_prior(expressions: int) -> Prior:
    """Of FLAME: expression coefficients and gaze normal, and the jaw's turn half normal."""
    most = torch.tensor([*[_MOST_EXPRESSION] * expressions, _MOST_JAW_RAD, *FLAME_EYES_RAD])
    sd = torch.tensor([*[1.0] * expressions, _JAW_SD_RAD, *_GAZE_SD_RAD])
    high, precision = most.double(), torch.diag(sd.double() ** -2)
    low, zeros = -high, torch.zeros_like(high)
    low[expressions] = 0
    return Prior(zeros, precision, low, high, zeros)


@functools.cache
def face_actions_prior() -> Prior:
    """Of the built-in head: activations of EXPRESSION_ACTIONS, jawOpen in turns of the jaw, gaze.

    Normal, the actions with mean and covariance of the faces that are drawn.
    """
    size, (columns, unit) = EXPRESSION_SIZE + TURNS, action_columns()
    drawn = _drawn_faces()[:, [ACTIONS.index(name) for name in EXPRESSION_ACTIONS]]
    covariance = np.cov(drawn.T) + _SD**2 * np.eye(len(columns))
    mean, low, high, precision = np.zeros(size), np.zeros(size), np.zeros(size), np.eye(size)
    mean[columns], high[columns] = drawn.mean(0) * unit, unit
    precision[np.ix_(columns, columns)] = np.linalg.inv(covariance) / np.outer(unit, unit)
    down, inwards, outwards, up = baked_head().gaze_rad.tolist()
    across = min(inwards, outwards)
    low[1 - TURNS :], high[1 - TURNS :] = (-across, -up), (across, down)
    precision[1 - TURNS :, 1 - TURNS :] = np.diag(np.array(_GAZE_SD_RAD) ** -2.0)
    parts = (-precision @ mean, precision, low, high, mean)
    return Prior(*(torch.from_numpy(part) for part in parts))


def action_columns() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where the prior's parameters have EXPRESSION_ACTIONS, and what a full action is there.

    The jaw's joint opens it; the displacement of that name is not drawn by people.
    """
    columns, jaw = np.arange(len(EXPRESSION_ACTIONS)), EXPRESSION_ACTIONS.index("jawOpen")
    unit = np.ones(len(columns))
    columns[jaw], unit[jaw] = EXPRESSION_SIZE, baked_head().jaw_open_rad
    return columns, unit


def usual_face() -> NDArray[np.float64]:
    """Mean activations of ACTIONS of the faces that are drawn, (52,)."""
    return np.asarray(_drawn_faces().mean(0), np.float64)


@functools.cache
def _drawn_faces() -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return np.stack([draw_face(rng) for _ in range(_FACES)])
