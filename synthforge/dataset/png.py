"""Lossless PNG files."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def encode_png(image: NDArray[Any]) -> bytes:
    """uint8 or uint16, [H, W] or RGB [H, W, 3], not empty -> PNG bytes.

    The same bytes for the same image and build of OpenCV. Raises ValueError for any other array.
    """
    kind = image.dtype in (np.uint8, np.uint16) and (image.ndim == 2 or image.shape[2:] == (3,))
    if not kind or image.size == 0:
        raise ValueError(f"cannot store {image.dtype} {image.shape} as PNG")
    stored = np.ascontiguousarray(image)
    if image.ndim == 3:
        stored = cv2.cvtColor(stored, cv2.COLOR_RGB2BGR)
    # Runs only, OpenCV's default: a search for more takes several times as long. Differences to the
    # row above make files 2 to 30 % smaller than those to the left, sooner.
    done, encoded = cv2.imencode(
        ".png", stored, [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    )
    if not done:
        raise ValueError(f"OpenCV could not encode {image.dtype} {image.shape} as PNG")
    return encoded.tobytes()
