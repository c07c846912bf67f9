"""The detector `fan`: face-alignment (Bulat and Tzimiropoulos 2017, arXiv:1703.07332).

It is optional: `pip install 'face-alignment>=1.5'`. It downloads its weights on first use.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge.detectors import DetectorError

# Of the public SynthForge code: mean landmark distance, pixels at 512.
REJECT_PX = 11.0
INSTALL_HINT = (
    "face-alignment is not installed. Install it with `pip install 'face-alignment>=1.5'`, "
    "or pass --detector mesh or none."
)


def fan_installed() -> bool:
    return importlib.util.find_spec("face_alignment") is not None


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
                "--detector mesh or none."
            ) from error

    def __call__(self, images: Tensor) -> list[Tensor | None]:
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
