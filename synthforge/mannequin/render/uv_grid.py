"""The head's surface at the texels of its texture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy import ndimage
from torch import Tensor

from synthforge.mannequin.render.template import Template
from synthforge.rasterizer import rasterize


@dataclass(frozen=True)
class UvGrid:
    """The surface of the neutral head at the N texels that some chart covers.

    positions, normals: float32 [N, 3]; face: int64 [N].
    source: int64 [S * S], which of the N each texel of the texture shows: outside the charts the
        nearest one, so that filtering never bleeds.
    """

    positions: Tensor
    normals: Tensor
    face: Tensor
    source: Tensor


def uv_grid(head: Template, size: int) -> UvGrid:
    """Rasterize the UV layout. Row 0 of a texture is v = 1."""
    ndc = torch.cat([1 - 2 * head.uvs[:, :1], 2 * head.uvs[:, 1:] - 1], 1)
    ndc = torch.cat([ndc, torch.ones(len(ndc), 1)], 1)[None]
    fragments = rasterize(ndc, head.uv_faces, size, size, perspective_correct=False)
    corners = torch.cat([head.vertices, head.normals], 1)[head.faces]
    values = fragments.interpolate(corners).view(-1, 6)
    covered = fragments.covered[0]
    texel = covered.flatten().nonzero().squeeze(1)
    rows, columns = ndimage.distance_transform_edt(
        ~covered.numpy(), return_distances=False, return_indices=True
    )
    nearest = torch.from_numpy(rows.astype("int64") * size + columns).flatten()
    order = torch.cumsum(covered.flatten(), 0) - 1
    return UvGrid(
        positions=values[texel, :3],
        normals=values[texel, 3:],
        face=fragments.face_ids.flatten()[texel],
        source=order[nearest],
    )
