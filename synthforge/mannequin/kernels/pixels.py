"""The loops of render/pixel_faces.py, compiled as those of `raster_kernel` are."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import numpy as np

from synthforge.raster_kernel import compiled, inlined

_F = np.float32
_ZERO, _ONE, _HALF, _QUARTER = _F(0), _F(1), _F(0.5), _F(0.25)
_FAR = _F(99)


@inlined
def _edge(ndc, start, end, x, y):
    """Twice the area of the triangle from an edge to a point."""
    right, up = ndc[end, 0] - ndc[start, 0], ndc[end, 1] - ndc[start, 1]
    return (x - ndc[start, 0]) * up - (y - ndc[start, 1]) * right


@compiled(
    "float32[:,::1]", "int64[:,::1]", "int64[:,::1]", "int64[::1]", "float32[:,::1]",
    "float32[::1]", "int64[:,::1]", "int64[::1]",
)  # fmt: skip
def find_pairs(ndc, faces, face_ids, face, weights, z, of_sample, count):
    """Set face, weights, z of the pairs, of_sample and count: see PixelFaces."""
    size = len(face_ids) // 2
    found = 0
    for row in range(size):
        for column in range(size):
            for k in range(4):
                sample = face_ids[2 * row + k // 2, 2 * column + k % 2]
                if sample < 0:
                    of_sample[2 * row + k // 2, 2 * column + k % 2] = -1
                    continue
                owner = found
                for j in range(k):
                    if face_ids[2 * row + j // 2, 2 * column + j % 2] == sample:
                        owner = of_sample[2 * row + j // 2, 2 * column + j % 2]
                        break
                of_sample[2 * row + k // 2, 2 * column + k % 2] = owner
                if owner < found:
                    continue
                found += 1
                # Of the samples, from the pixel's middle, in quarters of its side.
                right, down, samples = 0, 0, 0
                for j in range(k, 4):
                    if face_ids[2 * row + j // 2, 2 * column + j % 2] == sample:
                        right += 2 * (j % 2) - 1
                        down += 2 * (j // 2) - 1
                        samples += 1
                share = _QUARTER / _F(samples)
                x = _F(column) + (_HALF + _F(right) * share)
                y = _F(row) + (_HALF + _F(down) * share)
                x, y = _ONE - x * (_F(2) / _F(size)), _ONE - y * (_F(2) / _F(size))
                a, b, c = faces[sample, 0], faces[sample, 1], faces[sample, 2]
                wa = _edge(ndc, b, c, x, y) / ndc[a, 2]
                wb = _edge(ndc, c, a, x, y) / ndc[b, 2]
                wc = _edge(ndc, a, b, x, y) / ndc[c, 2]
                scale = _ONE / (wa + wb + wc)
                wa, wb, wc = wa * scale, wb * scale, wc * scale
                face[owner], z[owner] = sample, wa * ndc[a, 2] + wb * ndc[b, 2] + wc * ndc[c, 2]
                weights[owner, 0], weights[owner, 1], weights[owner, 2] = wa, wb, wc
    for row in range(2 * size):
        for column in range(2 * size):
            if of_sample[row, column] < 0:
                of_sample[row, column] = found
    count[0] = found


@compiled(
    "int64[::1]", "float32[:,::1]", "float32[::1]", "float32[:,::1]", "float32[::1]",
    "float32[::1]",
)  # fmt: skip
def spread(of_sample, colors, z, image, covered, z_of_sample):
    """Set image [3, N], covered [N] and z_of_sample [N] from the pairs' colors [3, P] and z [P]."""
    for sample in range(len(of_sample)):
        pair = of_sample[sample]
        seen = pair < len(z)
        covered[sample] = _ONE if seen else _ZERO
        z_of_sample[sample] = z[pair] if seen else _FAR
        for k in range(3):
            image[k, sample] = colors[k, pair] if seen else _ZERO


@compiled("float32[:,:,::1]", "float32[:,::1]", "float32[:,:,::1]")
def average(image, covered, result):
    """Set result [4, S, S] to means of 2 x 2 samples of image [3, 2S, 2S] and covered [2S, 2S]."""
    for plane in range(4):
        samples = image[plane] if plane < 3 else covered
        for row in range(result.shape[1]):
            above, below = samples[2 * row], samples[2 * row + 1]
            for x in range(result.shape[2]):
                total = above[2 * x] + above[2 * x + 1] + below[2 * x] + below[2 * x + 1]
                result[plane, row, x] = total * _QUARTER
