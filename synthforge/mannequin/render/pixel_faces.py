"""Multisampling: each face seen in a pixel is shaded once, however many samples of it see it."""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthforge.mannequin.kernels import run
from synthforge.raster_kernel import compiled, inlined

_F = np.float32
_ZERO, _ONE, _HALF, _QUARTER = _F(0), _F(1), _F(0.5), _F(0.25)
_FAR = _F(99)


@dataclass(frozen=True)
class PixelFaces:
    """P pairs of a pixel and a face that one of its 2x2 samples sees, pixels row-major.

    face: int64 [P]. weights: float32 [3, P], barycentrics at the middle of those samples. z: [P].
    of_sample: int64 [2S * 2S], row-major, the pair that a sample belongs to; P where it sees none.
    """

    face: Tensor
    weights: Tensor
    z: Tensor
    of_sample: Tensor

    def __len__(self) -> int:
        return len(self.face)

    def at(self, pairs: Tensor, values: Tensor, faces: Tensor) -> Tensor:
        """Values [V, C] at the corners of `faces` [F, 3], at some of the pairs: [N, C].

        What sees a face beyond these gets values of the last.
        """
        face = self.face.index_select(0, pairs).clamp_(max=len(faces) - 1)
        a, b, c = (values.index_select(0, k) for k in faces.index_select(0, face).unbind(1))
        wa, wb, wc = self.weights.T.index_select(0, pairs).T[..., None]
        return a * wa + b * wb + c * wc


def pixel_faces(ndc: Tensor, faces: Tensor, face_ids: Tensor) -> PixelFaces:
    """ndc: [V, 3]. faces: [F, 3]. face_ids: int64 [2S, 2S], -1 where nothing is seen."""
    most = face_ids.numel()
    face, weights, z = torch.empty(most, dtype=torch.int64), torch.empty(most, 3), torch.empty(most)
    of_sample = torch.empty_like(face_ids)
    count = torch.zeros(1, dtype=torch.int64)
    run(_find_pairs, ndc.contiguous(), faces, face_ids, face, weights, z, of_sample, count)
    found = int(count)
    of_sample = torch.where(of_sample < 0, found, of_sample).view(-1)
    return PixelFaces(face[:found], weights[:found].T, z[:found], of_sample)


def on_samples(seen: PixelFaces, colors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Colours [3, P], coverage and z of the pairs at the samples: [3, N], [N], [N].

    Where nothing is seen 0, 0 and 99.
    """
    count = len(seen.of_sample)
    image, covered, z = torch.empty(3, count), torch.empty(count), torch.empty(count)
    run(_spread, seen.of_sample, colors, seen.z, image, covered, z)
    return image, covered, z


def averaged(image: Tensor, covered: Tensor) -> Tensor:
    """Samples [3, 2S * 2S] and [2S * 2S] averaged over pixels: [4, S, S]."""
    size = math.isqrt(len(covered))
    result = torch.empty(4, size // 2, size // 2)
    run(_average, image.view(3, size, size), covered.view(size, size), result)
    return result


@inlined
def _edge(ndc, start, end, x, y):
    """Twice the area of the triangle from an edge to a point."""
    right, up = ndc[end, 0] - ndc[start, 0], ndc[end, 1] - ndc[start, 1]
    return (x - ndc[start, 0]) * up - (y - ndc[start, 1]) * right


@compiled(
    "float32[:,::1]", "int64[:,::1]", "int64[:,::1]", "int64[::1]", "float32[:,::1]",
    "float32[::1]", "int64[:,::1]", "int64[::1]",
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


@compiled(
    "int64[::1]", "float32[:,::1]", "float32[::1]", "float32[:,::1]", "float32[::1]",
    "float32[::1]",
)  # fmt: skip
def _spread(of_sample, colors, z, image, covered, z_of_sample):
    for sample in range(len(of_sample)):
        pair = of_sample[sample]
        seen = pair < len(z)
        covered[sample] = _ONE if seen else _ZERO
        z_of_sample[sample] = z[pair] if seen else _FAR
        for k in range(3):
            image[k, sample] = colors[k, pair] if seen else _ZERO


@compiled("float32[:,:,::1]", "float32[:,::1]", "float32[:,:,::1]")
def _average(image, covered, result):
    for plane in range(4):
        samples = image[plane] if plane < 3 else covered
        for row in range(result.shape[1]):
            above, below = samples[2 * row], samples[2 * row + 1]
            for x in range(result.shape[2]):
                total = above[2 * x] + above[2 * x + 1] + below[2 * x] + below[2 * x + 1]
                result[plane, row, x] = total * _QUARTER
