"""Multisampling: each face seen in a pixel is shaded once, however many samples of it see it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Of the four samples of a pixel, from its middle, in quarters of its side: right and down.
_RIGHT, _DOWN = (-1, 1, -1, 1), (-1, -1, 1, 1)


@dataclass(frozen=True)
class PixelFaces:
    """P pairs of a pixel and a face that one of its 2x2 samples sees.

    face: int64 [P]. weights: float32 [3, P], barycentrics at the middle of those samples. z: [P].
    of_sample: int64 [2S * 2S], row-major, the pair that a sample belongs to; P where it sees none.
    """

    face: Tensor
    weights: Tensor
    z: Tensor
    of_sample: Tensor

    def __len__(self) -> int:
        return len(self.face)


def pixel_faces(ndc: Tensor, faces: Tensor, face_ids: Tensor) -> PixelFaces:
    """ndc: [V, 3]. faces: [F, 3]. face_ids: int64 [2S, 2S], -1 where nothing is seen."""
    size = len(face_ids) // 2
    # Four planes [S * S], sample by sample.
    grid = face_ids.view(size, 2, size, 2).permute(1, 3, 0, 2).reshape(4, -1).int()
    of_sample = torch.empty(size, 2, size, 2, dtype=torch.int64, device=ndc.device)
    owners: list[Tensor] = []
    parts, count = [], 0
    for k, ids in enumerate(grid):
        first = ids >= 0
        for earlier in grid[:k]:
            first = first & (ids != earlier)
        pixel = torch.nonzero(first).squeeze(1)
        owner = torch.cumsum(first, 0) + (count - 1)
        for j in range(k):
            owner = torch.where(ids == grid[j], owners[j], owner)
        owners.append(owner)
        count += len(pixel)
        face = ids.index_select(0, pixel)
        right = torch.full(pixel.shape, float(_RIGHT[k]), device=ndc.device)
        down = torch.full_like(right, float(_DOWN[k]))
        samples = torch.ones_like(right)
        for j in range(k + 1, 4):
            same = (grid[j].index_select(0, pixel) == face).float()
            right += same * _RIGHT[j]
            down += same * _DOWN[j]
            samples += same
        row = torch.div(pixel, size, rounding_mode="floor")
        x = pixel - row * size + (0.5 + 0.25 * right / samples)
        y = row + (0.5 + 0.25 * down / samples)
        parts.append((face.long(), 1 - x * (2 / size), 1 - y * (2 / size)))
    for k, owner in enumerate(owners):
        seen = torch.where(grid[k] >= 0, owner, count)
        of_sample[:, k // 2, :, k % 2] = seen.view(size, size)
    face, x, y = (torch.cat(column) for column in zip(*parts, strict=True))
    weights, z = _interpolated(ndc, faces, face, x, y)
    return PixelFaces(face, weights, z, of_sample.view(-1))


def _interpolated(
    ndc: Tensor, faces: Tensor, face: Tensor, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Perspective-correct barycentrics [3, P] and z [P] of faces [P] at NDC x, y [P]."""
    corner_x, corner_y, corner_z = ndc[faces.T].unbind(-1)
    # Each weight before normalising is a linear function of x and y.
    start_x, start_y = corner_x.roll(-1, 0), corner_y.roll(-1, 0)
    a = (corner_y.roll(-2, 0) - start_y) / corner_z
    b = (start_x - corner_x.roll(-2, 0)) / corner_z
    c = -(a * start_x + b * start_y)
    planes = torch.cat([a, b, c, corner_z]).index_select(1, face).view(4, 3, -1)
    weights = planes[0] * x + planes[1] * y + planes[2]
    weights = weights / (weights[0] + weights[1] + weights[2])
    depth = weights * planes[3]
    return weights, depth[0] + depth[1] + depth[2]
