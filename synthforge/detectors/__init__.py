"""Landmark detectors: images in, the 68 points of each image's face out.

`mesh` comes with the package: MediaPipe's face mesh, its points mapped to the 68 (`mesh.py`). `fan`
is face-alignment's, where that is installed (`fan.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.config import DetectorName
from synthforge.errors import UserError


class DetectorError(UserError, RuntimeError):
    """The detector that was asked for cannot run; the message says the way out."""


# The spread of a detector of which nothing is measured: 3 % is what good ones have.
ALIKE = (0.03,) * 68


@dataclass(frozen=True)
class Detector:
    """What finds landmarks.

    find: takes uint8 [B, H, W, 3] RGB, gives for each image float32 [68, 2] on the CPU, in pixels
    with centres at +0.5, iBUG order; None where no face is found.
    reject_px: the quality gate's threshold: mean landmark distance in pixels at 512.
    spread: of each of the 68, the root mean square of its distance from the label, in outer-eye
    distances. The alignment weighs them by it; the gate's distance is of all alike.
    """

    name: str
    find: Callable[[Tensor], list[Tensor | None]]
    reject_px: float
    spread: tuple[float, ...] = ALIKE

    def __call__(self, images: Tensor) -> list[Tensor | None]:
        """What `find` gives. Raises ValueError for images of another dtype or shape."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"a detector takes uint8 [B, H, W, 3], got {images.dtype} {tuple(images.shape)}"
            )
        return self.find(images)


def build_detector(
    name: DetectorName,
    device: torch.device | str,
    reject_px: float | None = None,
    *,
    is_aligned: bool = False,
) -> Detector | None:
    """The detector of that name. reject_px: None for the detector's own.

    `auto` is none for a generator that `is_aligned`, whose labels need no check, and mesh for
    others.

    Raises DetectorError if `fan` is asked for and cannot run.
    """
    from synthforge.detectors import fan, mesh
    from synthforge.detectors.landmarks68 import SPREAD

    if name == "none" or (name == "auto" and is_aligned):
        return None
    if name == "fan":
        return Detector("fan", fan.FaceAlignmentDetector(device), reject_px or fan.REJECT_PX)
    return Detector("mesh", mesh.find_landmarks, reject_px or mesh.REJECT_PX, SPREAD)
