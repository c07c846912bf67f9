"""The loops over a head's vertices and faces, compiled as those of `raster_kernel` are."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import numpy as np

from synthforge.raster_kernel import compiled

_ZERO = np.float32(0)
_AT_ONCE = 512
# Newton's iteration for a rotation doubles its digits each step.
_NEWTON_STEPS = 12


@compiled("float32[:,::1]", "float32[:,::1]", "float64[:,::1]")
def fit(source, target, R):
    """Set R [3, 3], all 0 before, to that of lighting.fit_rotation (Newton: Higham 1986)."""
    middle_a, middle_b = np.zeros(3), np.zeros(3)
    for i in range(len(source)):
        for k in range(3):
            middle_a[k] += source[i, k]
            middle_b[k] += target[i, k]
    for k in range(3):
        middle_a[k] /= len(source)
        middle_b[k] /= len(source)
    for i in range(len(source)):
        for row in range(3):
            for column in range(3):
                R[row, column] += (target[i, row] - middle_b[row]) * (
                    source[i, column] - middle_a[column]
                )
    square = 0.0
    for k in range(9):
        square += R[k // 3, k % 3] * R[k // 3, k % 3]
    square = np.sqrt(square)
    for k in range(9):
        R[k // 3, k % 3] /= square
    cofactors = np.empty((3, 3))
    for _ in range(_NEWTON_STEPS):
        for row in range(3):
            a, b = R[(row + 1) % 3], R[(row + 2) % 3]
            cofactors[row, 0] = a[1] * b[2] - a[2] * b[1]
            cofactors[row, 1] = a[2] * b[0] - a[0] * b[2]
            cofactors[row, 2] = a[0] * b[1] - a[1] * b[0]
        volume = R[0, 0] * cofactors[0, 0] + R[0, 1] * cofactors[0, 1] + R[0, 2] * cofactors[0, 2]
        for k in range(9):
            row, column = k // 3, k % 3
            R[row, column] = 0.5 * (R[row, column] + cofactors[row, column] / volume)


@compiled("float32[:,::1]", "float32[:,::1]", "float32[:,::1]", "float32[:,::1]", "float32[:,::1]")
def gather_light(normals, directions, light, visibility, result):
    """Set result [4, V], all 0 before: cosine-weighted sums of light [D, 3] that is seen, and of 1.

    normals: [3, V]. directions: [D, 3]. visibility: [D, V].
    """
    count = normals.shape[1]
    for first in range(0, count, _AT_ONCE):
        last = min(first + _AT_ONCE, count)
        nx, ny, nz = normals[0, first:last], normals[1, first:last], normals[2, first:last]
        red, green, blue = result[0, first:last], result[1, first:last], result[2, first:last]
        sky = result[3, first:last]
        for d in range(len(directions)):
            x, y, z = directions[d, 0], directions[d, 1], directions[d, 2]
            r, g, b = light[d, 0], light[d, 1], light[d, 2]
            seen = visibility[d, first:last]
            for i in range(last - first):
                cosine = max(x * nx[i] + y * ny[i] + z * nz[i], _ZERO) * seen[i]
                red[i] += cosine * r
                green[i] += cosine * g
                blue[i] += cosine * b
                sky[i] += cosine


@compiled("float32[:,::1]", "int64[:,::1]", "float32[:,::1]")
def sum_neighbours(values, faces, result):
    """Add to result [V, C] the values of each face's other two corners."""
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        for k in range(values.shape[1]):
            result[a, k] += values[b, k] + values[c, k]
            result[b, k] += values[c, k] + values[a, k]
            result[c, k] += values[a, k] + values[b, k]


@compiled("float32[:,::1]", "int64[:,::1]", "float32[:,::1]")
def sum_normals(vertices, faces, result):
    """Add to result [V, 3] the area-weighted normals of each vertex's faces."""
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        x1, x2 = vertices[b, 0] - vertices[a, 0], vertices[c, 0] - vertices[a, 0]
        y1, y2 = vertices[b, 1] - vertices[a, 1], vertices[c, 1] - vertices[a, 1]
        z1, z2 = vertices[b, 2] - vertices[a, 2], vertices[c, 2] - vertices[a, 2]
        x, y, z = y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2
        for vertex in (a, b, c):
            result[vertex, 0] += x
            result[vertex, 1] += y
            result[vertex, 2] += z
