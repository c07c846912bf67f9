"""What a head's parameters are before anything was seen: its own statistics."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthforge.config import EXPRESSION_SIZE
from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS, baked_head
from synthforge.mannequin.head.faces import draw_face

_FACES = 4000
# Beside the drawn faces' covariance: a photographed face may do what no drawn one does.
_SD = 0.1
# Of FLAME. That mouths open by so much is an assumption: nothing was measured.
_MOST_EXPRESSION = 4.0
_JAW_SD_RAD, _MOST_JAW_RAD = 0.15, 0.6


@dataclass(frozen=True)
class Prior:
    """Of E expression parameters, the last of which is the jaw's turn.

    The cost of expression a is slope' a + a' precision a / 2 inside low..high.

    slope: [E]. precision: [E, E]. low, high, start: [E].
    """

    slope: Tensor
    precision: Tensor
    low: Tensor
    high: Tensor
    start: Tensor


def flame_prior(expressions: int) -> Prior:
    """Of FLAME: expression coefficients standard normal, and the jaw's turn half normal."""
    zeros = torch.zeros(expressions + 1, dtype=torch.float64)
    high = torch.full_like(zeros, _MOST_EXPRESSION)
    low, precision = -high, torch.ones_like(zeros)
    low[-1], high[-1], precision[-1] = 0, _MOST_JAW_RAD, _JAW_SD_RAD**-2
    return Prior(zeros, torch.diag(precision), low, high, zeros)


@functools.cache
def face_actions_prior() -> Prior:
    """Of the built-in head: activations of EXPRESSION_ACTIONS, then jawOpen in turns of the jaw.

    Normal, with mean and covariance of the faces that are drawn.
    """
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_face(rng) for _ in range(_FACES)])
    drawn = drawn[:, [ACTIONS.index(name) for name in EXPRESSION_ACTIONS]]
    size, jaw, turn = (
        EXPRESSION_SIZE + 1,
        EXPRESSION_ACTIONS.index("jawOpen"),
        baked_head().jaw_open_rad,
    )
    # The jaw's joint opens it; the displacement of that name is not drawn by people.
    columns = np.arange(len(EXPRESSION_ACTIONS))
    columns[jaw] = size - 1
    unit = np.ones(size)
    unit[-1] = turn
    mean, high, precision = np.zeros(size), np.zeros(size), np.eye(size)
    mean[columns], high[columns] = drawn.mean(0), 1
    covariance = np.cov(drawn.T) + _SD**2 * np.eye(len(columns))
    precision[np.ix_(columns, columns)] = np.linalg.inv(covariance)
    precision /= np.outer(unit, unit)
    mean, high = mean * unit, high * unit
    parts = (-precision @ mean, precision, np.zeros(size), high, mean)
    return Prior(*(torch.from_numpy(part) for part in parts))
