"""Is an annotation what the table of labels says? Keys, shapes, finite numbers, the camera."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from synthforge.dataset.folder import MOST_JSON_BYTES
from synthforge.labels import NUMBERS

# How far the camera's rotation, and projected keypoints in px, may be off by rounding.
_ROTATION = 1e-4
_PROJECTION_PX = 0.05

Numbers = dict[str, NDArray[np.float64]]


def parse_numbers(content: bytes) -> Numbers:
    """An annotation's values. Raises ValueError, in words, unless all are finite numbers."""
    if not content:
        raise ValueError("is empty")
    if len(content) > MOST_JSON_BYTES:
        raise ValueError("is too large for an annotation")
    try:
        record = json.loads(content, parse_constant=_no_number)
    except _NoNumberError as error:
        raise ValueError(f"holds {error}, which is no number") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("is no whole JSON") from error
    if not isinstance(record, dict):
        raise ValueError("is no JSON object")
    return {key: _array(key, value) for key, value in record.items()}


class _NoNumberError(Exception):
    pass


def _no_number(text: str) -> NoReturn:
    raise _NoNumberError(text)


def _array(key: str, value: Any) -> NDArray[np.float64]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{key} has rows of different lengths") from error
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{key} holds something else than numbers")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{key} holds a number that is not finite")
    return array


def number_faults(numbers: Numbers, index: int, seed: Any, size: int) -> Iterator[str]:
    """What is wrong with a sample's annotation, a line for each fault.

    seed: of the dataset's recipe, None if not known. size: of its images.
    """
    for key, array in numbers.items():
        if key in NUMBERS and array.shape != NUMBERS[key].shape:
            yield f"{key} is {list(array.shape)}, expected {list(NUMBERS[key].shape)}"
            return
    for key, wanted in (("index", index), ("seed", seed)):
        if key in numbers and wanted is not None and numbers[key] != wanted:
            yield f"{key} is {numbers[key]:.0f}, expected {wanted}"
    if "kps_visible" in numbers and not np.isin(numbers["kps_visible"], (0, 1)).all():
        yield "kps_visible holds other values than 0 and 1"
    if "depth_range" in numbers:
        near, far = numbers["depth_range"]
        if not 0 <= near <= far:
            yield f"depth_range is {near:g} to {far:g}"
    if "camera_params" in numbers:
        yield from _camera_faults(numbers, size)


def _camera_faults(numbers: Mapping[str, NDArray[np.float64]], size: int) -> Iterator[str]:
    T = numbers["camera_params"][:16].reshape(4, 4)
    K = numbers["camera_params"][16:].reshape(3, 3)
    R = T[:3, :3]
    is_rigid = np.allclose(R @ R.T, np.eye(3), atol=_ROTATION) and np.linalg.det(R) > 0
    if not (is_rigid and (T[3] == (0, 0, 0, 1)).all()):
        yield "camera_params begins with no rigid transform"
    elif not (K[0, 0] > 0 and K[1, 1] > 0 and (K[2] == (0, 0, 1)).all()):
        yield "camera_params ends with no intrinsics"
    elif {"2d_kps", "3d_kps"} <= numbers.keys():
        points = numbers["3d_kps"]
        if not (points[:, 2] > 0).all():
            yield "3d_kps has points behind the camera"
            return
        projected = points @ K.T
        off = projected[:, :2] / projected[:, 2:] * size - numbers["2d_kps"]
        farthest = float(np.abs(off).max())
        # float32 rounds points far outside of the image by more.
        if farthest > _PROJECTION_PX + 1e-5 * float(np.abs(numbers["2d_kps"]).max()):
            yield f"3d_kps project {farthest:.2f} px away from 2d_kps"
