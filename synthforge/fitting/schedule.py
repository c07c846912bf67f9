"""How the learning rate and the robust scale fall over a run, resumed or not."""

from __future__ import annotations

import math
from dataclasses import dataclass

from synthforge.alignment_config import AlignmentTrainingConfig

# The learning rate falls along a half cosine to this share of its start.
_FINAL_LR = 0.01
# Progress at which the robust scale has reached its end.
_ROBUST_UNTIL = 2 / 3


@dataclass(frozen=True)
class Schedule:
    """Progress from `start_progress` at `start_epoch` to 1 at the end of epoch `epochs`, linear.

    A run resumed with another number of epochs goes on from the progress that it had reached, so
    neither learning rate nor robust scale ever rises. One that had reached its end keeps the final
    values for as many epochs as it is given.
    """

    epochs: int
    start_epoch: int = 0
    start_progress: float = 0.0

    def progress(self, epoch: float) -> float:
        """epoch: epochs done, counted from the beginning of the first run."""
        share = (epoch - self.start_epoch) / (self.epochs - self.start_epoch)
        return min(1.0, self.start_progress + (1 - self.start_progress) * share)

    def resumed(self, done: int, epochs: int) -> Schedule:
        """The schedule after `done` epochs, for a run of `epochs` in all."""
        if epochs == self.epochs or epochs <= done:
            return self
        return Schedule(epochs, done, self.progress(done))

    def learning_rate(self, config: AlignmentTrainingConfig, epoch: float) -> float:
        cosine = (1 + math.cos(math.pi * self.progress(epoch))) / 2
        return config.lr * (_FINAL_LR + (1 - _FINAL_LR) * cosine)

    def robust_scale(self, config: AlignmentTrainingConfig, epoch: float) -> float:
        """Generator units."""
        narrowing = min(1.0, self.progress(epoch) / _ROBUST_UNTIL)
        return config.robust_start * (config.robust_end / config.robust_start) ** narrowing
