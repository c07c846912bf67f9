"""The rasterizer's loops over faces and pixels, compiled for the CPU by numba.

They compute what the torch code of `synthforge.rasterizer` computes, in the same float32 operations
and order, so results are equal bit for bit: no operation may be fused or reordered (no fastmath).
One thread, which does not hold the GIL.

Importing this module compiles the loops, or loads them from numba's cache on disk.
"""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}

# Not Python's floats: with those numba would compute in float64.
_EPSILON, _SLACK = np.float32(1e-8), np.float32(1e-2)
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_INF, _NAN = np.float32(np.inf), np.float32(np.nan)


def compiled(*arguments: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile for arguments of these types, at once.

    The result is cached beside this file, or else in the user's cache folder. Without a cache on a
    full disk, where neither can be written to, and where what is cached is cut short.
    """
    signature = f"void({', '.join(arguments)})"

    def decorate(loops: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return numba.njit(signature, cache=True, **_OPTIONS)(loops)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
            return numba.njit(signature, **_OPTIONS)(loops)

    return decorate


# Of functions that compiled loops of the same file call: numba's cache does not see other files.
inlined: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(**_OPTIONS)


@inlined
def _corner(vertices, image, vertex):
    return vertices[image, vertex, 0], vertices[image, vertex, 1], vertices[image, vertex, 2]


@inlined
def _edge(px, py, ax, ay, bx, by):
    return (px - ax) * (by - ay) - (py - ay) * (bx - ax)


@inlined
def _weights(px, py, ax, ay, az, bx, by, bz, cx, cy, cz, perspective_correct):
    area = _edge(cx, cy, ax, ay, bx, by) + _EPSILON
    w0 = _edge(px, py, bx, by, cx, cy) / area
    w1 = _edge(px, py, cx, cy, ax, ay) / area
    w2 = _edge(px, py, ax, ay, bx, by) / area
    if perspective_correct:
        w0, w1, w2 = w0 * bz * cz, w1 * az * cz, w2 * az * bz
        total = w0 + w1 + w2
        if total < _EPSILON:
            total = _EPSILON
        w0, w1, w2 = w0 / total, w1 / total, w2 / total
    return w0, w1, w2


@inlined
def _to_pixels(ndc, half, scale):
    return (half - ndc) * scale - _HALF


@inlined
def _first_and_last(low_ndc, high_ndc, half, scale, size):
    """Indices of the columns (or rows) between two NDC coordinates; none if last < first."""
    first = np.ceil(_to_pixels(high_ndc, half, scale) - _SLACK)
    last = np.floor(_to_pixels(low_ndc, half, scale) + _SLACK)
    count = np.float32(size)
    return int(min(max(first, _ZERO), count)), int(min(max(last, -_ONE), count - _ONE))


@compiled(
    "float32[:,:,::1]",
    "int64[:,::1]",
    "float32[::1]",
    "float32[::1]",
    "boolean",
    "boolean",
    "int64[:,:,::1]",
)
def find_visible(vertices, faces, columns, rows, perspective_correct, cull_backfaces, face_ids):
    """Set face_ids [B, H, W], all -1 before, to the nearest face at every pixel centre.

    vertices: NDC [B, V, 3]. faces: [F, 3]. columns [W], rows [H]: NDC of the pixel centres.
    """
    batch, height, width = face_ids.shape
    half_x, half_y = max(width / height, 1.0), max(height / width, 1.0)
    scale_x, scale_y = np.float32(width / (2 * half_x)), np.float32(height / (2 * half_y))
    half_x, half_y = np.float32(half_x), np.float32(half_y)
    nearest = np.empty((height, width), np.float32)
    for image in range(batch):
        for face in range(len(faces)):
            ax, ay, az = _corner(vertices, image, faces[face, 0])
            bx, by, bz = _corner(vertices, image, faces[face, 1])
            cx, cy, cz = _corner(vertices, image, faces[face, 2])
            if not (_EPSILON <= az < _INF and _EPSILON <= bz < _INF and _EPSILON <= cz < _INF):
                continue
            area = _edge(ax, ay, bx, by, cx, cy)
            if not _EPSILON < abs(area) < _INF or (cull_backfaces and area < 0):
                continue
            left, right = max(ax, bx, cx), min(ax, bx, cx)
            first, last = _first_and_last(right, left, half_x, scale_x, width)
            if last < first:
                continue
            top, bottom = max(ay, by, cy), min(ay, by, cy)
            first, last = _first_and_last(bottom, top, half_y, scale_y, height)
            for row in range(first, last + 1):
                y = rows[row]
                low, high = _INF, -_INF
                for xa, ya, xb, yb in ((ax, ay, bx, by), (bx, by, cx, cy), (cx, cy, ax, ay)):
                    if min(ya, yb) <= y <= max(ya, yb) and ya != yb:
                        along = min(max((y - ya) / (yb - ya), _ZERO), _ONE)
                        x = xa + along * (xb - xa)
                        low, high = np.minimum(low, x), np.maximum(high, x)
                if not low <= high:
                    continue
                start, end = _first_and_last(low, high, half_x, scale_x, width)
                for column in range(start, end + 1):
                    w0, w1, w2 = _weights(
                        columns[column], y, ax, ay, az, bx, by, bz, cx, cy, cz, perspective_correct
                    )
                    if not (w0 > 0 and w1 > 0 and w2 > 0):
                        continue
                    z = w0 * az + w1 * bz + w2 * cz
                    seen = face_ids[image, row, column]
                    if z >= 0 and (seen < 0 or z < nearest[row, column]):
                        nearest[row, column] = z
                        face_ids[image, row, column] = face


@compiled(
    "float32[:,:,::1]",
    "int64[:,::1]",
    "float32[::1]",
    "float32[::1]",
    "boolean",
    "int64[:,:,::1]",
    "float32[:,:,::1]",
    "float32[:,:,:,::1]",
)
def find_fragments(vertices, faces, columns, rows, perspective_correct, face_ids, z, barycentrics):
    """Set z [B, H, W] and barycentrics [B, H, W, 3]: -1 where face_ids is, NaN where it is less."""
    batch, height, width = face_ids.shape
    for image in range(batch):
        for row in range(height):
            for column in range(width):
                face = face_ids[image, row, column]
                if face < 0:
                    nothing = -_ONE if face == -1 else _NAN
                    z[image, row, column] = nothing
                    for k in range(3):
                        barycentrics[image, row, column, k] = nothing
                    continue
                ax, ay, az = _corner(vertices, image, faces[face, 0])
                bx, by, bz = _corner(vertices, image, faces[face, 1])
                cx, cy, cz = _corner(vertices, image, faces[face, 2])
                px, py = columns[column], rows[row]
                w0, w1, w2 = _weights(
                    px, py, ax, ay, az, bx, by, bz, cx, cy, cz, perspective_correct
                )
                z[image, row, column] = w0 * az + w1 * bz + w2 * cz
                barycentrics[image, row, column, 0] = w0
                barycentrics[image, row, column, 1] = w1
                barycentrics[image, row, column, 2] = w2


@compiled("float32[:,:,:,::1]", "int64[:,:,::1]", "float32[:,:,:,::1]", "float32[:,:,:,::1]")
def interpolate(corners, face_ids, barycentrics, values):
    """Set values [B, H, W, C] from attributes at face corners [B or 1, F, 3, C]."""
    batch, height, width, channels = values.shape
    for image in range(batch):
        shared = min(image, len(corners) - 1)
        for row in range(height):
            for column in range(width):
                face = face_ids[image, row, column]
                if face < 0:
                    continue
                w0 = barycentrics[image, row, column, 0]
                w1 = barycentrics[image, row, column, 1]
                w2 = barycentrics[image, row, column, 2]
                for channel in range(channels):
                    values[image, row, column, channel] = (
                        _ZERO
                        + w0 * corners[shared, face, 0, channel]
                        + w1 * corners[shared, face, 1, channel]
                        + w2 * corners[shared, face, 2, channel]
                    )
