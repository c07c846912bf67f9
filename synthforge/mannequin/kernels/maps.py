"""The loops over two-dimensional maps and angles, compiled as those of `raster_kernel` are."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import numpy as np

from synthforge.raster_kernel import compiled, inlined

# float32 constants: with Python's floats numba would compute in float64.
_F = np.float32
_ZERO, _HALF, _ONE = _F(0), _F(0.5), _F(1)
# Abramowitz & Stegun (1964), 4.4.49: within 1e-5 rad.
_ARCTANGENT = np.array([0.9998660, -0.3302995, 0.1801410, -0.0851330, 0.0208351], np.float32)


@compiled("float32[:,:,::1]", "float32[::1]", "float32[:,:,::1]")
def blur(maps, weights, result):
    """Set result [C, H, W] to the maps weighted by distance, down and then across."""
    channels, height, width = maps.shape
    reach = len(weights) - 1
    row_of = np.empty(width + 2 * reach, np.float32)
    for channel in range(channels):
        for row in range(height):
            middle = row_of[reach : reach + width]
            for x in range(width):
                middle[x] = maps[channel, row, x] * weights[0]
            for k in range(1, reach + 1):
                above, below = max(row - k, 0), min(row + k, height - 1)
                for x in range(width):
                    pair = maps[channel, above, x] + maps[channel, below, x]
                    middle[x] += pair * weights[k]
            for x in range(reach):
                row_of[x], row_of[reach + width + x] = middle[0], middle[width - 1]
            for x in range(width):
                result[channel, row, x] = middle[x] * weights[0]
            for k in range(1, reach + 1):
                before, after = row_of[reach - k :], row_of[reach + k :]
                for x in range(width):
                    result[channel, row, x] += (before[x] + after[x]) * weights[k]


@compiled("float32[:,:,::1]", "int64[::1]", "float32[:,:,::1]")
def average_discs(maps, halves, result):
    """Set result [C, H, W], all 0 before, to averages over discs.

    halves: of the disc's rows from its middle down, how many cells it reaches to either side.
    """
    channels, height, width = maps.shape
    reach = len(halves) - 1
    count = _F(2 * halves[0] + 1)
    for row in range(1, reach + 1):
        count += _F(2 * (2 * halves[row] + 1))
    # Of a row: sums of up to `half` cells to either side.
    sums = np.empty((reach + 1, width), np.float32)
    padded = np.empty(width + 2 * reach, np.float32)
    for channel in range(channels):
        for row in range(height):
            for x in range(width + 2 * reach):
                padded[x] = maps[channel, row, min(max(x - reach, 0), width - 1)]
            for x in range(width):
                sums[0, x] = maps[channel, row, x]
            for half in range(1, reach + 1):
                before, after = padded[reach - half :], padded[reach + half :]
                for x in range(width):
                    sums[half, x] = sums[half - 1, x] + (before[x] + after[x])
            # The first and the last row stand for those beyond the border too.
            first = -reach if row == 0 else row
            last = height - 1 + reach if row == height - 1 else row
            for source in range(first, last + 1):
                for target in range(max(source - reach, 0), min(source + reach, height - 1) + 1):
                    half = halves[abs(target - source)]
                    for x in range(width):
                        result[channel, target, x] += sums[half, x]
        for row in range(height):
            for x in range(width):
                result[channel, row, x] /= count


@inlined
def _taps(cells, size):
    """Four cells about each of `size` places and their weights; corner cells stay corners."""
    index, weights = np.empty((size, 4), np.int64), np.empty((size, 4), np.float32)
    scale = _F((cells - 1) / (size - 1))
    for i in range(size):
        place = _F(i) * scale
        first = min(int(place), max(cells - 2, 0))
        t = place - _F(first)
        weights[i, 0] = t * (t * (_ONE - _HALF * t) - _HALF)
        weights[i, 1] = t * t * (_F(1.5) * t - _F(2.5)) + _ONE
        weights[i, 2] = t * (t * (_F(2) - _F(1.5) * t) + _HALF)
        weights[i, 3] = t * t * (_HALF * t - _HALF)
        for k in range(4):
            index[i, k] = min(max(first + k - 1, 0), cells - 1)
    return index, weights


@compiled("float32[:,:,::1]", "float32[:,:,::1]")
def resize(maps, result):
    """Set result [C, height, width] to the maps [C, h, w], bicubic (Keys 1981)."""
    channels, height, width = result.shape
    rows, columns = maps.shape[1:]
    row_cells, row_weights = _taps(rows, height)
    cells, weights = _taps(columns, width)
    between = np.empty(columns, np.float32)
    for channel in range(channels):
        for y in range(height):
            for x in range(columns):
                between[x] = _ZERO
            for k in range(4):
                row, weight = row_cells[y, k], row_weights[y, k]
                for x in range(columns):
                    between[x] += maps[channel, row, x] * weight
            for x in range(width):
                result[channel, y, x] = (
                    between[cells[x, 0]] * weights[x, 0]
                    + between[cells[x, 1]] * weights[x, 1]
                    + between[cells[x, 2]] * weights[x, 2]
                    + between[cells[x, 3]] * weights[x, 3]
                )


@inlined
def _angle(y, x):
    """Radians from the x axis to (x, y), as atan2(y, x)."""
    across, up = abs(x), abs(y)
    ratio = min(across, up) / max(max(across, up), _F(1e-30))
    square = ratio * ratio
    angle = _ARCTANGENT[4]
    for k in range(3, -1, -1):
        angle = angle * square + _ARCTANGENT[k]
    angle *= ratio
    if up > across:
        angle = _F(np.pi / 2) - angle
    if x < 0:
        angle = _F(np.pi) - angle
    return -angle if y < 0 else angle


@compiled("float32[::1]", "float32[::1]", "float32[::1]")
def angles(y, x, result):
    """Set result [N] to _angle."""
    for i in range(len(x)):
        result[i] = _angle(y[i], x[i])


@inlined
def _turns(y, x):
    """Angle of (x, y), in turns from -1/2 to 1/2."""
    return _angle(y, x) * _F(0.5 / np.pi)


@inlined
def _read(map_, x, y):
    """Bilinear value of a map [H, W]; beyond the border the border's, at NaN the first."""
    height, width = map_.shape
    x = min(x, _F(width - 1)) if x > 0 else _ZERO
    y = min(y, _F(height - 1)) if y > 0 else _ZERO
    left, top = min(int(x), width - 2), min(int(y), height - 2)
    right, down = x - _F(left), y - _F(top)
    above, below = map_[top, left], map_[top + 1, left]
    above += right * (map_[top, left + 1] - above)
    below += right * (map_[top + 1, left + 1] - below)
    return above + down * (below - above)


@compiled("float32[:,:,::1]", "float32[::1]", "float32[::1]", "float32[:,::1]")
def read_cells(maps, columns, rows, values):
    """Set values [C, N] of maps [C, H, W], bilinear."""
    for channel in range(len(maps)):
        for i in range(len(columns)):
            values[channel, i] = _read(maps[channel], columns[i], rows[i])


@inlined
def _read_around(map_, x, y, z):
    """Value of a map over polar angle and azimuth in a direction."""
    height, width = map_.shape
    column = (_F(2) * _turns(x, z) + _ONE) * (_F(width - 1) * _HALF)
    row = _F(2) * _turns(np.sqrt(x * x + z * z), y) * _F(height - 1)
    return _read(map_, column, row)


@compiled("float32[:,::1]", "float32[:,::1]", "float32[::1]")
def read_around(radius, offsets, values):
    """Set values [N] of a map over polar angle and azimuth in the directions of offsets [N, 3]."""
    for i in range(len(offsets)):
        values[i] = _read_around(radius, offsets[i, 0], offsets[i, 1], offsets[i, 2])


@compiled("float32[:,::1]", "float32[::1]", "float32[:,::1]", "float32[::1]", "float32[::1]")
def keep_off_head(radius, center, points, layer, stand_off):
    """Move points [N, 3] from a center until they are `layer` [N] off a surface, above its bottom.

    radius: of the surface, over polar angle and azimuth. center: [4], x, y, z and y of the bottom.
    stand_off: set to how far they were off the layer, [N].
    """
    for i in range(len(points)):
        y = points[i, 1]
        across, up, ahead = points[i, 0] - center[0], y - center[1], points[i, 2] - center[2]
        distance = np.sqrt(across * across + ahead * ahead + up * up)
        floor = _read_around(radius, across, up, ahead) + layer[i]
        stand_off[i] = distance - floor
        if distance < floor and y > center[3]:
            grown = floor / distance
            points[i, 0] = center[0] + across * grown
            points[i, 1] = center[1] + up * grown
            points[i, 2] = center[2] + ahead * grown


@compiled("float32[:,::1]", "float32[:,::1]", "float32[:,::1]", "float32[::1]", "float32[::1]")
def keep_off_trunk(radius, frame, points, layer, reach):
    """Move points [N, 3] away from a part's axis until they are `layer` [N] off its surface.

    radius: of the surface, over height from top to bottom, and azimuth. frame: [5, 3], rotation,
    origin, origin in the part's own frame. reach: [4], y of the top and of the bottom and z of the
    axis in that frame, and its scale.
    """
    height, width = radius.shape
    top, bottom, axis_z, scale = reach[0], reach[1], reach[2], reach[3]
    local, offset = np.empty(3, np.float32), np.empty(3, np.float32)
    for i in range(len(points)):
        for k in range(3):
            offset[k] = points[i, k] - frame[3, k]
        for k in range(3):
            turned = frame[0, k] * offset[0] + frame[1, k] * offset[1] + frame[2, k] * offset[2]
            local[k] = turned / scale + frame[4, k]
        if not local[1] < top:
            continue
        x, z = local[0], local[2] - axis_z
        row = (top - local[1]) / (top - bottom) * _F(height - 1)
        column = (_F(2) * _turns(x, z) + _ONE) * (_F(width - 1) * _HALF)
        floor = _read(radius, column, row) + layer[i]
        distance = np.sqrt(x * x + z * z)
        if not distance < floor:
            continue
        grown = (floor / distance - _ONE) * scale
        for k in range(3):
            points[i, k] += (frame[k, 0] * x + frame[k, 2] * z) * grown


@compiled("float32[:,:,::1]", "float32[:,::1]", "float32[:,::1]")
def look(radiance, directions, result):
    """Set result [N, 3] to a panorama [3, H, W] in directions [N, 3], bilinear."""
    _, height, width = radiance.shape
    for i in range(len(directions)):
        x, y, z = directions[i, 0], directions[i, 1], directions[i, 2]
        column = (_turns(x, -z) + _HALF) * _F(width) - _HALF
        row = (_F(2) * _turns(-y, np.sqrt(x * x + z * z)) + _HALF) * _F(height) - _HALF
        # NaN must not become an index.
        if not (-1 <= column <= width and -1 <= row <= height):
            for k in range(3):
                result[i, k] = np.nan
            continue
        first = int(np.floor(column))
        right = column - _F(first)
        first, second = first % width, (first + 1) % width
        row = min(max(row, _ZERO), _F(height - 1))
        top = min(int(row), height - 2)
        down = row - _F(top)
        for k in range(3):
            above = radiance[k, top, first]
            above += right * (radiance[k, top, second] - above)
            below = radiance[k, top + 1, first]
            below += right * (radiance[k, top + 1, second] - below)
            result[i, k] = above + down * (below - above)
