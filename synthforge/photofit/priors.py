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

_FACES = 2000
# Least mean and standard deviation of an action: a photographed face may do what no drawn one does.
_LEAST_MEAN, _LEAST_SD = 0.03, 0.1


# Of the exponential distribution's slope: all of it would let weak actions vanish.
_SPARSE = 0.25


@dataclass(frozen=True)
class Prior:
    """Of E expression parameters, the last of which is the jaw's turn.

    The cost of expression a is sum(slope * a) + a' precision a / 2 inside low..high.

    slope: [E]. precision: [E, E]. low, high, start: [E].
    """

    slope: Tensor
    precision: Tensor
    low: Tensor
    high: Tensor
    start: Tensor


@functools.cache
def face_actions_prior() -> Prior:
    """Of the built-in head: activations of EXPRESSION_ACTIONS, then jawOpen in turns of the jaw.

    Activations are exponentially distributed, so most of them are 0, and not more than the drawn
    faces' second moments let them be.
    """
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_face(rng) for _ in range(_FACES)])
    drawn = drawn[:, [*(ACTIONS.index(name) for name in EXPRESSION_ACTIONS)]]
    jaw = EXPRESSION_ACTIONS.index("jawOpen")
    means = np.maximum(drawn.mean(0), _LEAST_MEAN)
    spread = np.maximum(np.sqrt((drawn**2).mean(0)), _LEAST_SD)
    high = np.zeros(EXPRESSION_SIZE + 1)
    slope, precision = np.zeros_like(high), np.ones_like(high)
    used = slice(0, len(EXPRESSION_ACTIONS))
    high[used] = 1
    slope[used], precision[used] = _SPARSE / means, 1 / spread**2
    # The jaw's joint opens it; the displacement of that name is not drawn by people.
    turn = baked_head().jaw_open_rad
    high[jaw], high[-1] = 0, turn
    slope[-1], precision[-1] = _SPARSE / (means[jaw] * turn), 1 / (spread[jaw] * turn) ** 2
    return _prior(slope, precision, np.zeros_like(high), high)


def _prior(slope: np.ndarray, precision: np.ndarray, low: np.ndarray, high: np.ndarray) -> Prior:
    start = np.clip(0.0, low, high) * np.ones_like(low)
    return Prior(
        torch.from_numpy(slope),
        torch.from_numpy(np.diag(precision)),
        torch.from_numpy(low),
        torch.from_numpy(high),
        torch.from_numpy(start),
    )
