"""Where faces are in an image, by MediaPipe's short-range detector.

The detector is a single-shot one with 896 anchors (its model card, and BlazeFace,
arXiv:1907.05047): on an input of 128 px two anchors in each cell of 16 x 16 and six in each of
8 x 8. An anchor is the middle of its cell and has no size of its own. Each answers with a score and
16 numbers, all in input pixels from there: the box's middle and size, then six points, of which the
first two are the subject's right and left eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthforge.detectors.crops import Points, Square, roll_of
from synthforge.detectors.nets import face_finder_net

_SIZE = 128
_GRIDS = ((16, 2), (8, 6))  # cells a side, anchors a cell
# Boxes that overlap by more are of one face (BlazeFace: 0.3).
_SAME_FACE = 0.3
# Of the side of the face's box: what the face mesh is given (MediaPipe's own figure).
_MESH_VIEW = 1.5


@dataclass(frozen=True)
class FoundFace:
    """view: the square to cut for the face mesh, upright in it. score: 0 to 1; an upside-down face
    may have 0.8."""

    view: Square
    score: float


def find_faces(image: NDArray[np.uint8], view: Square, least_score: float) -> list[FoundFace]:
    """Faces of uint8 [H, W, 3] RGB inside a square of it, the surest first."""
    cut = view.cut(image, _SIZE)
    numbers, logits = face_finder_net()(cut / np.float32(127.5) - 1)
    scores = 1 / (1 + np.exp(-np.clip(logits.ravel().astype(np.float64), -50, 50)))
    kept = np.flatnonzero(scores >= least_score)
    if not len(kept):
        return []
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    rows = numbers.reshape(-1, 16)[kept].astype(np.float64)
    rows[:, :2] += _ANCHORS[kept]
    rows[:, 4:] += np.tile(_ANCHORS[kept], 6)
    faces = []
    for group in _groups(rows[:, :4]):
        # Boxes of one face are averaged by their scores, which is steadier than the best of them.
        weights = scores[kept[group]]
        row = (rows[group] * weights[:, None]).sum(0) / weights.sum()
        middle, right_eye, left_eye = view.back(row[[0, 1, 4, 5, 6, 7]].reshape(3, 2), _SIZE)
        side = max(row[2:4]) * view.side / _SIZE * _MESH_VIEW
        square = Square(middle[0], middle[1], side, roll_of(right_eye, left_eye))
        faces.append(FoundFace(square, float(weights[0])))
    return faces


def _anchors() -> Points:
    rows = []
    for cells, anchors in _GRIDS:
        middles = (np.arange(cells) + 0.5) * _SIZE / cells
        x, y = np.meshgrid(middles, middles)
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), anchors, 0))
    return np.concatenate(rows)


_ANCHORS = _anchors()


def _groups(boxes: Points) -> Sequence[NDArray[np.intp]]:
    """Boxes (middle, size) that overlap the first of their group, in order."""
    left = np.arange(len(boxes))
    groups = []
    while len(left):
        same = _overlap(boxes[left[0]], boxes[left]) > _SAME_FACE
        same[0] = True
        groups.append(left[same])
        left = left[~same]
    return groups


def _overlap(box: Points, boxes: Points) -> Points:
    """Intersection over union of one box and [N, 4]."""
    low = np.maximum(box[:2] - box[2:] / 2, boxes[:, :2] - boxes[:, 2:] / 2)
    high = np.minimum(box[:2] + box[2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2)
    both = np.clip(high - low, 0, None).prod(1)
    return both / np.maximum(box[2:].prod() + boxes[:, 2:].prod(1) - both, 1e-9)
