"""Landmark detectors: images in, the 68 points of each image's face out.

A detector is one function. The adapter for face-alignment (Bulat and Tzimiropoulos 2017,
arXiv:1703.07332) is optional: `pip install 'face-alignment>=1.5'`. It downloads its weights on
first use.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge.config import DetectorName
from synthforge.errors import UserError

# uint8 [B, H, W, 3] RGB -> for each image float32 [68, 2] on the CPU, in pixels with centres at
# +0.5, iBUG order; None where no face is found.
Detector = Callable[[Tensor], list[Tensor | None]]

INSTALL_HINT = (
    "face-alignment is not installed. Install it with `pip install 'face-alignment>=1.5'`, "
    "or pass --detector none."
)


class DetectorError(UserError, RuntimeError):
    """The detector that was asked for cannot run; the message says the way out."""


def fan_installed() -> bool:
    return importlib.util.find_spec("face_alignment") is not None


def build_detector(
    name: DetectorName,
    device: torch.device | str,
    say: Callable[[str], None] = print,
    *,
    is_aligned: bool = False,
) -> Detector | None:
    """The detector of that name.

    `auto` is none for a generator that `is_aligned`, whose labels need no check. For others it is
    fan if it is installed and runs, else none, which `say` is told in one line.

    Raises DetectorError if `fan` is asked for and cannot run.
    """
    if name == "none" or (name == "auto" and is_aligned):
        return None
    if name == "auto" and not fan_installed():
        say("Landmark detector: none (`pip install 'face-alignment>=1.5'` adds one).")
        return None
    try:
        return FaceAlignmentDetector(device)
    except DetectorError as error:
        if name == "fan":
            raise
        say(f"No landmark detector: {error}")
        return None


class FaceAlignmentDetector:
    """face-alignment's 2.5D landmarks: jaw points are the projected 3D contour, as FLAME's are.

    Raises DetectorError on construction if the package or its weights are missing.
    """

    def __init__(self, device: torch.device | str, batch_size: int = 16) -> None:
        if not fan_installed():
            raise DetectorError(INSTALL_HINT)
        from face_alignment import FaceAlignment, LandmarksType

        self.device = torch.device(device)
        try:
            # Compiling would need a C compiler; flipping doubles the time, the public SynthForge
            # code leaves it out.
            self._fan = FaceAlignment(
                LandmarksType.TWO_HALF_D,
                device=str(self.device),
                flip_input=False,
                compile=False,
                max_batch_size=batch_size,
            )
        except OSError as error:
            raise DetectorError(
                f"face-alignment could not get its weights: {error}. It downloads them once from "
                "adrianbulat.com into torch's hub cache; run it once with a network, or pass "
                "--detector none."
            ) from error

    def __call__(self, images: Tensor) -> list[Tensor | None]:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"a detector takes uint8 [B, H, W, 3], got {images.dtype} {tuple(images.shape)}"
            )
        batch, height = images.shape[:2]
        found = self._fan.face_detector.detect_from_batch(
            images.permute(0, 3, 1, 2).to(self.device)
        )
        landmarks: list[Tensor | None] = [None] * batch
        boxes = {i: _largest(faces) for i, faces in enumerate(found) if len(faces)}
        if not boxes:
            return landmarks
        # FAN batches the faces of one image, so stack the images into one tall strip. A blank
        # image between two stands for the zeros that FAN sees outside an image.
        strip = torch.nn.functional.pad(images, (0, 0, 0, 0, 0, height)).flatten(0, 1)
        shifted = [
            box + np.array([0, 2 * height * i, 0, 2 * height * i, 0]) for i, box in boxes.items()
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            points = self._fan.get_landmarks_from_image(strip.cpu().numpy(), shifted)
        for i, found_px in zip(boxes, points, strict=True):
            # FAN cuts its coordinates down to whole pixels; the middle of what was cut is 0.5.
            shift = torch.tensor([0.5, 0.5 - 2 * height * i])
            landmarks[i] = torch.from_numpy(np.asarray(found_px, np.float32)) + shift
        return landmarks


def _largest(boxes: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
    """The largest of the boxes (left, top, right, bottom, score)."""
    return max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
