"""Is what a file holds a head, in metres, with a face's landmarks on it?

Shapes and types are the readers' business; here it is meaning. Each check raises FileFormatError.
The bounds are wide: they tell a mistake (another unit, another head's file) from an unusual head.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from flame_pytorch.errors import FileFormatError
from flame_pytorch.model import FloatArray, HeadModel, IntArray, LandmarkEmbedding

# What FLAME_masks.pkl holds.
MASK_NAMES = (
    *("face", "scalp", "neck", "boundary", "forehead", "eye_region", "nose", "lips"),
    *("left_ear", "right_ear", "left_eye_region", "right_eye_region"),
    *("left_eyeball", "right_eyeball"),
)

# Root, neck, jaw, left eye, right eye.
_PARENTS = [-1, 0, 1, 1, 1]
# Largest extent of a head with its neck, metres. FLAME's is 0.3.
_EXTENT_M = (0.1, 1.0)
# Farthest that a head's middle is from the origin, and that a component moves a vertex, metres.
# FLAME's move it by a few hundredths.
_MAX_OFFSET_M = 0.5
_MAX_DISPLACEMENT_M = 1.0
# Of weights that should sum to 1. float16 is good for 5e-4.
_SUM_TOLERANCE = 1e-2
# Points may lie a little beside their triangle.
_MIN_BARYCENTRIC = -0.1
# Between the outer eye corners, metres; an adult's are 0.09 apart.
_EYE_DISTANCE_M = (0.04, 0.2)
# Farthest that landmarks are from their mirror images, in the median, metres.
_MAX_ASYMMETRY_M = 0.02
_MAX_UV = 0.01
_MIN_OF_ONE_VERTEX = 0.9

# Landmarks in pairs that mirror each other, iBUG order.
_MIRRORED = [
    *((i, 16 - i) for i in range(8)),
    *((i, 43 - i) for i in range(17, 22)),
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
    *((31, 35), (32, 34), (48, 54), (49, 53), (50, 52), (59, 55), (58, 56)),
    *((60, 64), (61, 63), (67, 65)),
]


def check_head(model: HeadModel) -> None:
    """Metres, FLAME's joints, and weights that sum to 1."""
    if model.parents.tolist() != _PARENTS:
        raise FileFormatError(
            f"has joints with the parents {model.parents.tolist()}, expected {_PARENTS}: root, "
            "neck, jaw and two eyes"
        )
    if len(model.faces) == 0 or len(model.v_template) == 0:
        raise FileFormatError("has no vertices or triangles")
    low, high = model.v_template.min(0), model.v_template.max(0)
    extent = float((high - low).max())
    if not _EXTENT_M[0] <= extent <= _EXTENT_M[1]:
        raise FileFormatError(
            f"has a head of {extent:.4g} m, expected {_EXTENT_M[0]} to {_EXTENT_M[1]}: "
            "'v_template' is in another unit than metres"
        )
    if np.abs(low + high).max() / 2 > _MAX_OFFSET_M:
        raise FileFormatError(
            f"has a head around {((low + high) / 2).round(2).tolist()}, more than "
            f"{_MAX_OFFSET_M} m from the origin"
        )
    for name in ("shapedirs", "posedirs"):
        largest = float(np.abs(getattr(model, name)).max())
        if largest > _MAX_DISPLACEMENT_M:
            raise FileFormatError(
                f"has {name!r} that move a vertex by {largest:.4g} m; are they in metres?"
            )
    _check_sums("J_regressor", model.J_regressor)
    _check_sums("weights", model.weights)
    if model.weights.min() < -_SUM_TOLERANCE:
        raise FileFormatError(f"has 'weights' down to {model.weights.min():.4g}, expected 0 to 1")
    joints = model.J_regressor @ model.v_template
    if (joints < low - _SUM_TOLERANCE).any() or (joints > high + _SUM_TOLERANCE).any():
        raise FileFormatError("has a 'J_regressor' that puts joints outside the head")


def _check_sums(name: str, rows: FloatArray) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        sums = rows.sum(-1)
    worst = sums.flat[np.abs(sums - 1).argmax()]
    if not abs(worst - 1) <= _SUM_TOLERANCE:  # NaN, if the sum overflows
        raise FileFormatError(f"has {name!r} with a row that sums to {worst:.4g}, expected 1")


def check_embedding(embedding: LandmarkEmbedding) -> None:
    """Barycentric coordinates of points on triangles."""
    for name in ("static_bary", "contour_bary"):
        bary = getattr(embedding, name)
        _check_sums(name, bary)
        if bary.min() < _MIN_BARYCENTRIC:
            raise FileFormatError(f"has {name!r} down to {bary.min():.4g}, expected 0 to 1")


def check_landmarks(model: HeadModel, embedding: LandmarkEmbedding) -> None:
    """68 points that lie on the head as they do on a face: x to its left, y up, z to the front."""
    largest = max(embedding.static_faces.max(), embedding.contour_faces.max())
    if largest >= len(model.faces):
        raise FileFormatError(
            f"is for another head: it refers to triangle {largest}, but the model has "
            f"{len(model.faces)}"
        )
    inner = _on_head(model, embedding.static_faces, embedding.static_bary)
    contour = _on_head(model, embedding.contour_faces, embedding.contour_bary)
    wrong = _misplaced(np.concatenate([contour[0], inner]), contour)
    if wrong:
        raise FileFormatError(f"is for another head: on this one {wrong}")


def _on_head(model: HeadModel, faces: IntArray, bary: FloatArray) -> FloatArray:
    return (model.v_template[model.faces[faces]] * bary[..., None]).sum(-2)


def _misplaced(points: FloatArray, contour: FloatArray) -> str:
    """What is wrong with the 68 points of a head seen from the front; empty if nothing is.

    contour: (79, 17, 3), for all views.
    """
    brows, right_eye, left_eye = points[17:27].mean(0), points[36:42].mean(0), points[42:48].mean(0)
    eyes, mouth = (right_eye + left_eye) / 2, points[48:68].mean(0)
    nose_tip, nose_base, chin = points[30], points[33], points[8]
    distance = float(np.linalg.norm(points[45] - points[36]))
    right, left = np.array(_MIRRORED).T
    asymmetry = np.linalg.norm(points[left] * [-1, 1, 1] - points[right], axis=-1)
    checks = {
        "the left eye is not left of the right one": left_eye[0] > right_eye[0],
        "the left mouth corner is not left of the right one": points[54, 0] > points[48, 0],
        "the jaw line does not run from right to left": points[16, 0] > chin[0] > points[0, 0],
        "the brows are not above the eyes": brows[1] > eyes[1],
        "the eyes are not above the nose": eyes[1] > nose_base[1],
        "the nose is not above the mouth": nose_base[1] > mouth[1],
        "the chin is not below the mouth": (contour[:, 8, 1] < mouth[1]).all(),
        "the nose is not in front": nose_tip[2] > max(points[0, 2], points[16, 2]),
        f"the eye corners are {distance:.3g} m apart": (
            _EYE_DISTANCE_M[0] <= distance <= _EYE_DISTANCE_M[1]
        ),
        "left and right landmarks do not mirror each other": (
            np.median(asymmetry) <= _MAX_ASYMMETRY_M
        ),
    }
    return next((wrong for wrong, holds in checks.items() if not holds), "")


def check_masks(model: HeadModel, masks: Mapping[str, IntArray]) -> None:
    """The left masks are at larger x than the right ones."""
    for name in masks:
        if name.startswith("left_"):
            left, right = masks[name], masks[name.replace("left_", "right_")]
            x = model.v_template[:, 0]
            if len(left) and len(right) and x[left].mean() <= x[right].mean():
                raise FileFormatError(
                    f"has a mask {name!r} that is not to the subject's left; is it for another "
                    "head?"
                )


def check_uvs(uvs: FloatArray) -> None:
    """Texture coordinates within the texture."""
    if len(uvs) == 0 or uvs.min() < -_MAX_UV or uvs.max() > 1 + _MAX_UV:
        raise FileFormatError("has 'vt' outside 0 to 1")


def check_uv_faces(faces: IntArray, uv_faces: IntArray) -> None:
    """The layout's triangles are the head's, corner by corner."""
    if len(uv_faces) != len(faces):
        raise FileFormatError(
            f"has {len(uv_faces)} triangles and the head {len(faces)}; they must come from the "
            "same FLAME"
        )
    corners = np.unique(np.stack([uv_faces.ravel(), faces.ravel()], 1), axis=0)
    _, vertices = np.unique(corners[:, 0], return_counts=True)
    if (vertices == 1).mean() < _MIN_OF_ONE_VERTEX:
        raise FileFormatError(
            "has triangles in another order than the head's; they must come from the same FLAME"
        )
