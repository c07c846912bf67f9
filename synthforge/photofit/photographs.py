"""Photographs in a folder, and the points of the faces in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from synthforge.detectors.crops import Points, Square
from synthforge.detectors.face_mesh import FaceMesh, face_meshes
from synthforge.errors import ConfigError
from synthforge.photofit.point_net import VIEW, face_view

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_MAX_BYTES = 2**27
# Larger side of the points' box, pixels; smaller faces don't show their expression.
_LEAST_PX = 32
# Share of the points inside the image: the others are guessed.
_LEAST_INSIDE = 0.75
TILE = 240  # pixels
# Of the face's extent, round its middle.
_TILE_VIEW = 1.6


@dataclass(frozen=True)
class Photograph:
    """A face in a photograph, whose frame is the square of its longer side round its middle.

    Of the photograph itself, which may be large, only what is needed is kept.

    width, height: of the image, pixels. mesh_px: float64 [468, 2], MediaPipe's points in the image,
    centres at +0.5. view: what the point net sees, uint8 [128, 128, 3] RGB. tile: what the sheet of
    overlays shows, uint8 [240, 240, 3].
    """

    name: str
    width: int
    height: int
    mesh_px: Points
    view: NDArray[np.uint8]
    tile: NDArray[np.uint8]

    @classmethod
    def of(cls, name: str, image: NDArray[np.uint8], mesh_px: Points) -> Photograph:
        """image: uint8 [H, W, 3] RGB."""
        height, width = image.shape[:2]
        view = face_view(mesh_px).cut_averaged(image, VIEW)
        tile = tile_square(mesh_px).cut_averaged(image, TILE)
        return cls(name, width, height, mesh_px, view, tile)

    @property
    def side(self) -> int:
        """Of the frame, pixels."""
        return max(self.width, self.height)

    def framed(self, points_px: Points) -> Points:
        """Points [N, 2] of the image, in frame widths from the frame's top left."""
        return (points_px + self._margin) / self.side

    def px(self, points: Points) -> Points:
        """The inverse of `framed`."""
        return points * self.side - self._margin

    @property
    def _margin(self) -> Points:
        return (self.side - np.array([self.width, self.height])) / 2


def tile_square(mesh_px: Points) -> Square:
    """What a tile shows of the image, by the mesh's points [468, 2], pixels."""
    low, high = mesh_px.min(0), mesh_px.max(0)
    x, y = (low + high) / 2
    return Square(x, y, _TILE_VIEW * max((high - low).max(), 1))


def photographs_in(folder: Path) -> list[Path]:
    """Image files of a folder, by name. Raises ConfigError if there are none."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give one that holds photographs")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise ConfigError(f"{folder} holds no {', '.join(SUFFIXES)}; give a folder that does")
    return found


def find_faces(paths: list[Path]) -> Iterator[list[Photograph] | None]:
    """The faces of each photograph as `face_meshes` has them, without those that are too small or
    mostly outside; None where it cannot be read."""
    for path in paths:
        image = _read(path)
        if image is None:
            yield None
            continue
        yield [
            Photograph.of(path.name, image, mesh.points_px)
            for mesh in face_meshes(image)
            if _shown(image, mesh)
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
