"""The loops over strands of hair, compiled as those of `raster_kernel` are."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import numpy as np

from synthforge.raster_kernel import compiled, inlined

# Layers are counted in cells of so many pixels' side.
CELL = 4
_ONE = np.float32(1)
_BEHIND = 16


@compiled(
    "float32[:,:,::1]",
    "float32[:,::1]",
    "int64",
    "float32[:,::1]",
    "float32[:,::1]",
    "int32[:,::1]",
    "float32[:,::1]",
    "float32[:,::1]",
)
def draw_strands(points, projection, first, z_behind, nearest, strands, along, layers):
    """Draw curves [N, T, 3] into a z-buffer, in steps of a pixel or less.

    Not drawn are spans whose two ends are behind the surface or beyond the same border, and those
    that reach behind the camera.

    projection: [3, 4], from a point to (u z, v z, z), u and v in pixels. first: number of the first
    curve. z_behind: [S, S], the surface. Set where a curve is nearest, [S, S] each: nearest, its z;
    strands, its number; along, 0 at its root to 1 at its tip. layers: one more for each point in a
    cell.
    """
    count, knots, _ = points.shape
    size = len(nearest)
    border = np.float32(size)
    p = projection
    for strand in range(count):
        u = v = z = np.float32(0)
        # Bits: which borders the knot is beyond, or that it is behind the surface.
        out = -1
        for knot in range(knots):
            start_u, start_v, start_z, start_out = u, v, z, out
            x, y, w = points[strand, knot, 0], points[strand, knot, 1], points[strand, knot, 2]
            z = p[2, 0] * x + p[2, 1] * y + p[2, 2] * w + p[2, 3]
            u = (p[0, 0] * x + p[0, 1] * y + p[0, 2] * w + p[0, 3]) / z
            v = (p[1, 0] * x + p[1, 1] * y + p[1, 2] * w + p[1, 3]) / z
            # NaN is beyond a border: it must not become an index.
            out = (not u >= 0) + 2 * (u >= border) + 4 * (not v >= 0) + 8 * (v >= border)
            if out == 0 and z > z_behind[int(v), int(u)]:
                out = _BEHIND
            if out & start_out or not (z > 0 and start_z > 0):
                continue
            steps = np.ceil(min(max(abs(u - start_u), abs(v - start_v), _ONE), border))
            step_u, step_v = (u - start_u) / steps, (v - start_v) / steps
            step_z = (z - start_z) / steps
            for step in range(int(steps)):
                k = np.float32(step)
                at_u, at_v, at_z = start_u + k * step_u, start_v + k * step_v, start_z + k * step_z
                if not (0 <= at_u < border and 0 <= at_v < border):
                    continue
                # At least 0 already: LLVM does not know.
                row, column = max(int(at_v), 0), max(int(at_u), 0)
                layers[row // CELL, column // CELL] += _ONE
                if at_z < nearest[row, column]:
                    nearest[row, column] = at_z
                    strands[row, column] = first + strand
                    along[row, column] = (np.float32(knot - 1) + k / steps) / np.float32(knots - 1)


@inlined
def _group(ends, number):
    """Of which group a strand is."""
    group = 0
    while number >= ends[group]:
        group += 1
    return group


@compiled(
    "int32[:,::1]", "float32[:,::1]", "float32[:,::1]", "float32[:,::1]", "int64[::1]",
    "int64[::1]", "int64[::1]", "int32[::1]", "float32[:,::1]",
)  # fmt: skip
def gather_seen(strands, along, nearest, layers, ends, counts, pixel, strand, numbers):
    """Set, group by group, the pixels in which a strand is seen, its number in its group, and its
    along, z and layers: [N], [N], [3, N]; counts: [G], how many are of each group.

    ends: [G], number of the first strand after each group. layers: of the cells.
    """
    size = len(strands)
    for row in range(size):
        for column in range(size):
            number = strands[row, column]
            if number >= 0:
                counts[_group(ends, number)] += 1
    places = np.zeros(len(counts), np.int64)
    for group in range(1, len(counts)):
        places[group] = places[group - 1] + counts[group - 1]
    for row in range(size):
        for column in range(size):
            number = strands[row, column]
            if number < 0:
                continue
            group = _group(ends, number)
            place = places[group]
            places[group] += 1
            pixel[place] = row * size + column
            strand[place] = number - (ends[group - 1] if group > 0 else 0)
            numbers[0, place] = along[row, column]
            numbers[1, place] = nearest[row, column]
            numbers[2, place] = layers[row // CELL, column // CELL]


@compiled(
    "float32[:,:,::1]", "int64[::1]", "int64[:,::1]", "float32[:,::1]", "int64[::1]",
    "float32[:,:,::1]", "float32[:,::1]", "float32[:,:,::1]",
)  # fmt: skip
def lay_along(curves, guide, first, on, rank, amounts, shapes, points):
    """Set points [N, T, 3] of strands: along their guides, plus amounts [N, K, 3] of shapes [K, T].

    curves: [G, S, 3]. A strand of a rank runs between the guide's knots first [E, T] and the next,
    `on` [E, T] of the way.
    """
    knots = points.shape[1]
    line = np.empty(knots, np.float32)
    for strand in range(len(points)):
        curve, end = curves[guide[strand]], rank[strand]
        for axis in range(3):
            for knot in range(knots):
                start = curve[first[end, knot], axis]
                line[knot] = start + (curve[first[end, knot] + 1, axis] - start) * on[end, knot]
            for k in range(len(shapes)):
                amount = amounts[strand, k, axis]
                for knot in range(knots):
                    line[knot] += amount * shapes[k, knot]
            for knot in range(knots):
                points[strand, knot, axis] = line[knot]


@inlined
def _texel(place, size):
    """The column or row of a shadow map; NaN must not become one."""
    place = (_ONE - place) * np.float32(size / 2)
    return min(int(place), size - 1) if place > 0 else 0


@compiled(
    "float32[:,::1]", "float32[:,:]", "float32[::1]", "float32[:,::1]", "float32[:,::1]",
    "float32[:,::1]",
)  # fmt: skip
def cast_strands(points, to_map, center, depth, first, count):
    """Enter points [N, 3] of strands into two maps [S, S], of depth and of where hair begins:
    the least depth from the light, and for the second how many points there are.

    to_map: [3, 3], from positions about center to Shadow.to_light.
    """
    for i in range(len(points)):
        x, y, z = points[i, 0] - center[0], points[i, 1] - center[1], points[i, 2] - center[2]
        across = to_map[0, 0] * x + to_map[0, 1] * y + to_map[0, 2] * z
        up = to_map[1, 0] * x + to_map[1, 1] * y + to_map[1, 2] * z
        far = to_map[2, 0] * x + to_map[2, 1] * y + to_map[2, 2] * z + np.float32(2)
        row, column = _texel(up, len(depth)), _texel(across, len(depth))
        depth[row, column] = min(depth[row, column], far)
        row, column = _texel(up, len(first)), _texel(across, len(first))
        first[row, column] = min(first[row, column], far)
        count[row, column] += _ONE
