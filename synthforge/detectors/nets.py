"""The two nets of MediaPipe that ship with the package, run by OpenCV on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Net:
    """A .tflite file of this package.

    outputs: names of what it gives.
    """

    def __init__(self, file: str, outputs: Sequence[str]) -> None:
        # OpenCV 5 has several engines, and these two nets need the one that 4 had. It heeds the
        # wish for files only, not for buffers.
        engine = getattr(cv2.dnn, "ENGINE_CLASSIC", None)
        read: Any = cv2.dnn.readNetFromTFLite
        with resources.as_file(resources.files("synthforge.detectors") / file) as path:
            self._net = read(str(path), *([] if engine is None else [engine]))
        self._outputs = tuple(outputs)

    def __call__(self, image: Array) -> list[Array]:
        """image: float32 [S, S, 3] in the net's own range."""
        self._net.setInput(np.ascontiguousarray(image.transpose(2, 0, 1))[None])
        return list(self._net.forward(self._outputs))


@cache
def face_finder_net() -> Net:
    """BlazeFace, short range (Bazarevsky et al. 2019, arXiv:1907.05047): 128 px, -1 to 1."""
    return Net("face_detection_short_range.tflite", ("regressors", "classificators"))


@cache
def face_mesh_net() -> Net:
    """Face mesh (Kartynnik et al. 2019, arXiv:1907.06724): 192 px, 0 to 1."""
    return Net("face_landmark.tflite", ("conv2d_21", "conv2d_31"))
