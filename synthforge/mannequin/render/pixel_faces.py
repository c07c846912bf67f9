"""Multisampling: each face seen in a pixel is shaded once, however many samples of it see it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from synthforge.mannequin.kernels import filled, run
from synthforge.mannequin.kernels.pixels import average, find_pairs, spread


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
    run(find_pairs, ndc.contiguous(), faces, face_ids, face, weights, z, of_sample, count)
    found = int(count)
    return PixelFaces(face[:found], weights[:found].T, z[:found], of_sample.view(-1))


def on_samples(seen: PixelFaces, colors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Colours [3, P], coverage and z of the pairs at the samples: [3, N], [N], [N].

    Where nothing is seen 0, 0 and 99.
    """
    count = len(seen.of_sample)
    image, covered, z = torch.empty(3, count), torch.empty(count), torch.empty(count)
    run(spread, seen.of_sample, colors, seen.z, image, covered, z)
    return image, covered, z


def averaged(image: Tensor, covered: Tensor) -> Tensor:
    """Samples [3, 2S * 2S] and [2S * 2S] averaged over pixels: [4, S, S]."""
    size = math.isqrt(len(covered))
    samples = image.view(3, size, size), covered.view(size, size)
    return filled(average, (4, size // 2, size // 2), *samples)
