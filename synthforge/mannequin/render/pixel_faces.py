"""Multisampling: each face seen in a pixel is shaded once, however many samples of it see it."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthforge.raster_kernel import compiled, inlined

_F = np.float32
_ONE, _HALF, _QUARTER = _F(1), _F(0.5), _F(0.25)


@dataclass(frozen=True)
class PixelFaces:
    """P pairs of a pixel and a face that one of its 2x2 samples sees, pixels row-major.

    face: int64 [P]. weights: float32 [3, P], barycentrics at the middle of those samples. z: [P].
    of_sample: int32 [2S * 2S], row-major, the pair that a sample belongs to; P where it sees none.
    """

    face: Tensor
    weights: Tensor
    z: Tensor
    of_sample: Tensor

    def __len__(self) -> int:
        return len(self.face)


def pixel_faces(ndc: Tensor, faces: Tensor, face_ids: Tensor) -> PixelFaces:
    """ndc: [V, 3]. faces: [F, 3]. face_ids: int64 [2S, 2S], -1 where nothing is seen."""
    most = face_ids.numel()
    face, weights, z = torch.empty(most, dtype=torch.int64), torch.empty(most, 3), torch.empty(most)
    of_sample = torch.empty(face_ids.shape, dtype=torch.int32)
    count = torch.zeros(1, dtype=torch.int64)
    arrays = (ndc.contiguous(), faces, face_ids, face, weights, z, of_sample, count)
    _find_pairs(*(array.numpy() for array in arrays))
    found = int(count)
    of_sample.masked_fill_(of_sample < 0, found)
    return PixelFaces(face[:found], weights[:found].T, z[:found], of_sample.view(-1))


@inlined
def _edge(ndc, start, end, x, y):
    """Twice the area of the triangle from an edge to a point."""
    right, up = ndc[end, 0] - ndc[start, 0], ndc[end, 1] - ndc[start, 1]
    return (x - ndc[start, 0]) * up - (y - ndc[start, 1]) * right


@compiled(
    "float32[:,::1]", "int64[:,::1]", "int64[:,::1]", "int64[::1]", "float32[:,::1]",
    "float32[::1]", "int32[:,::1]", "int64[::1]",
)  # fmt: skip
def _find_pairs(ndc, faces, face_ids, face, weights, z, of_sample, count):
    """Set face, weights, z of the pairs and of_sample, -1 where nothing is seen."""
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
    count[0] = found
