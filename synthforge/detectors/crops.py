"""Square views of an image, turned and scaled, and points carried back from them.

Points are pixels with centres at +0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

# Of means: so many pixels a side.
_FINEST = 8


@dataclass(frozen=True)
class Square:
    """A square of an image: its middle and side in pixels, and its turn in radians, from the
    image's x axis towards its y axis."""

    x: float
    y: float
    side: float
    roll_rad: float = 0.0

    def cut(self, image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
        """The square as float32 [size, size, 3], 0 to 255; black outside of the image."""
        to_image = self._to_image(size)
        to_image[:, 2] += to_image[:, :2].sum(1) / 2 - 0.5  # OpenCV's centres are at whole numbers
        return cv2.warpAffine(
            image,
            to_image,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
        ).astype(np.float32)

    def cut_averaged(self, image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """The same as uint8; where its pixels are larger than the image's, their means."""
        finer = min(max(math.ceil(self.side / size), 1), _FINEST)
        cut = self.cut(image, size * finer)
        mean = cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA)
        return mean.round().astype(np.uint8)

    def back(self, points: Points, size: int) -> Points:
        """Points [N, 2] of the cut square -> of the image."""
        to_image = self._to_image(size)
        return points @ to_image[:, :2].T + to_image[:, 2]

    def into(self, points: Points, size: int) -> Points:
        """The inverse of `back`."""
        to_image = self._to_image(size)
        return (points - to_image[:, 2]) @ np.linalg.inv(to_image[:, :2]).T

    def _to_image(self, size: int) -> Points:
        """[2, 3]: pixels of the cut square to pixels of the image."""
        scale = self.side / size
        cos, sin = scale * math.cos(self.roll_rad), scale * math.sin(self.roll_rad)
        half = size / 2
        return np.array(
            [
                [cos, -sin, self.x - half * (cos - sin)],
                [sin, cos, self.y - half * (sin + cos)],
            ]
        )


def roll_of(right_eye: Points, left_eye: Points) -> float:
    """How a face is turned, radians: 0 where the subject's right eye is left of its left eye."""
    x, y = left_eye - right_eye
    return math.atan2(y, x)
