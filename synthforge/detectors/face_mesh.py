"""The 468 points of MediaPipe's face mesh in an image, whatever the face's size and roll."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthforge.detectors.crops import Points, Square, roll_of
from synthforge.detectors.face_finder import find_faces
from synthforge.detectors.nets import face_mesh_net

POINTS = 468
_SIZE = 192
# The net sees the face with this margin (MediaPipe's own figure).
_MARGIN = 1.5
# Outer corners of the subject's right and left eye, by which MediaPipe turns its view.
_EYES = (33, 263)
# Searches, until one finds a face: least score of the face finder, sides of the searched squares in
# sides of the image, and their rolls in degrees. The finder sees faces of 15 to 90 % of its view
# that are rolled by up to 35 degrees.
_SEARCHES = (
    (0.5, (1.0,), (0,)),
    (0.4, (1.0, 1.8, 0.6), (0, -40, 40)),
    (0.3, (1.0, 1.8), (-80, 80)),
)
# Where all faces are wanted, after the first: small ones are seen in parts of the image.
_PARTS = (0.5, (0.5,), (0,), (0.25, 0.5, 0.75))
_MOST_CANDIDATES = 3
_LEAST_SCORE = 0.5


@dataclass(frozen=True)
class FaceMesh:
    """points_px: float64 [468, 2] of the image, centres at +0.5. score: 0 to 1, that it is a face.

    It is high for faces that stand on their heads as well.
    """

    points_px: Points
    score: float


def face_mesh(image: NDArray[np.uint8]) -> FaceMesh | None:
    """The mesh of the face in uint8 [H, W, 3] RGB that is largest and surest, or None."""
    for search in _SEARCHES:
        for view in _found(image, *search)[:_MOST_CANDIDATES]:
            mesh = _fit(image, view)
            if mesh.score > _LEAST_SCORE:
                return mesh
    return None


def face_meshes(image: NDArray[np.uint8]) -> list[FaceMesh]:
    """The meshes of all faces in uint8 [H, W, 3] RGB: those seen in the whole image first, the
    largest and surest at their head, then those seen only in one of nine parts of it.

    If there are none, they are searched for as `face_mesh` goes on.
    """
    first, *others = _SEARCHES
    for searches in ((first, _PARTS), *((search,) for search in others)):
        meshes: list[FaceMesh] = []
        for view in (view for search in searches for view in _found(image, *search)):
            mesh = _fit(image, view)
            if mesh.score > _LEAST_SCORE and not any(_same(mesh, other) for other in meshes):
                meshes.append(mesh)
        if meshes:
            return meshes
    return []


def view_of(points_px: Points, margin: float) -> Square:
    """The square round the points [468, 2] of a mesh, upright, in sides of their box."""
    roll_rad = roll_of(*points_px[list(_EYES)])
    turn = np.array(
        [[math.cos(roll_rad), -math.sin(roll_rad)], [math.sin(roll_rad), math.cos(roll_rad)]]
    )
    upright = points_px @ turn
    low, high = upright.min(0), upright.max(0)
    x, y = turn @ ((low + high) / 2)
    return Square(x, y, (high - low).max() * margin, roll_rad)


def _found(
    image: NDArray[np.uint8],
    least_score: float,
    sides: tuple[float, ...],
    rolls_deg: tuple[float, ...],
    places: tuple[float, ...] = (0.5,),
) -> list[Square]:
    """Views of faces. places: where middles of what is searched lie across and down the image."""
    views = [
        _view(image, side, roll_deg, (x, y))
        for side in sides
        for roll_deg in rolls_deg
        for x, y in itertools.product(places, repeat=2)
    ]
    faces = [face for view in views for face in find_faces(image, view, least_score)]
    faces.sort(key=lambda face: -face.score * face.view.side)
    return [face.view for face in faces]


def _same(mesh: FaceMesh, other: FaceMesh) -> bool:
    """Whether the middle of one lies inside the box of another: faces hide no larger part."""
    low, high = mesh.points_px.min(0), mesh.points_px.max(0)
    middle = (low + high) / 2
    inside = (other.points_px.min(0) < middle) & (middle < other.points_px.max(0))
    return bool(inside.all())


def _view(
    image: NDArray[np.uint8], side: float, roll_deg: float, middle: tuple[float, float]
) -> Square:
    height, width = image.shape[:2]
    x, y = middle
    return Square(x * width, y * height, side * max(height, width), math.radians(roll_deg))


def _fit(image: NDArray[np.uint8], view: Square) -> FaceMesh:
    """The mesh in a view, and once more in the view that this mesh gives."""
    return _run(image, view_of(_run(image, view).points_px, _MARGIN))


def _run(image: NDArray[np.uint8], view: Square) -> FaceMesh:
    numbers, logit = face_mesh_net()(view.cut(image, _SIZE) / np.float32(255))
    points = numbers.reshape(POINTS, 3)[:, :2].astype(np.float64)
    score = 1 / (1 + math.exp(-min(max(float(logit.ravel()[0]), -50), 50)))
    return FaceMesh(view.back(points, _SIZE), score)
