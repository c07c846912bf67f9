"""Photographs in a folder, and the points of the faces in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.detectors.face_mesh import FaceMesh, face_meshes
from synthforge.errors import ConfigError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_MAX_BYTES = 2**27
# Larger side of the points' box, pixels; smaller faces don't show their expression.
_LEAST_PX = 32
# Share of the points inside the image: the others are guessed.
_LEAST_INSIDE = 0.75


@dataclass(frozen=True)
class Photograph:
    """A face in a photograph, whose frame is the square of its longer side round its middle.

    image: uint8 [H, W, 3] RGB. points_px: float64 [N, 2], of the image, centres at +0.5; as found,
    MediaPipe's 468.
    """

    name: str
    image: NDArray[np.uint8]
    points_px: NDArray[np.float64]

    @property
    def side(self) -> int:
        """Of the frame, pixels."""
        return max(self.image.shape[:2])

    @property
    def points(self) -> NDArray[np.float64]:
        """[N, 2], frame widths from the frame's top left."""
        return (self.points_px + self._margin) / self.side

    def px(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `points`."""
        return points * self.side - self._margin

    @property
    def _margin(self) -> NDArray[np.float64]:
        height, width = self.image.shape[:2]
        return (self.side - np.array([width, height])) / 2


def photographs_in(folder: Path) -> list[Path]:
    """Image files of a folder, by name. Raises ConfigError if there are none."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give one that holds photographs")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise ConfigError(f"{folder} holds no {', '.join(_SUFFIXES)}; give a folder that does")
    return found


def find_faces(paths: list[Path]) -> Iterator[list[Photograph]]:
    """The faces of each photograph as `face_meshes` has them, without those that are too small or
    mostly outside; none if it cannot be read."""
    for path in paths:
        image = _read(path)
        meshes = [] if image is None else face_meshes(image)
        yield [
            Photograph(path.name, image, mesh.points_px)
            for mesh in meshes
            if image is not None and _shown(image, mesh)
        ]


def _shown(image: NDArray[np.uint8], mesh: FaceMesh) -> bool:
    """Whether a face is large enough, and not cut in half by the image's border."""
    points = mesh.points_px
    inside = ((points >= 0) & (points <= image.shape[1::-1])).all(1).mean()
    return bool(np.ptp(points, axis=0).max() >= _LEAST_PX and inside >= _LEAST_INSIDE)


def _read(path: Path) -> NDArray[np.uint8] | None:
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # empty, or more pixels than OpenCV takes
        return None
    if image is None:
        return None
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8, copy=False)
