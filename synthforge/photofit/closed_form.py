"""The camera in closed form: scaled orthography, fitted by least squares."""

from __future__ import annotations

import torch
from torch import Tensor


def scaled_orthography(
    points_head: Tensor, points_px: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The rotation and scale that best take a head's points to image points.

    points_head: [N, 3], x to the subject's left, y up, z out of the face. points_px: [B, N, 2],
    y down. weights: [N].
    Returns R_view_head [B, 3, 3] (viewer: x right, y up, z towards it), pixels per unit of
    points_head [B], and the pixel of the head's origin [B, 2].
    """
    flip = points_px.new_tensor([1.0, -1.0])
    w = weights / weights.sum()
    middle_head = (w[:, None] * points_head).sum(0)
    middle_px = (w[:, None] * points_px).sum(1)
    X = points_head - middle_head
    x = (points_px - middle_px[:, None]) * flip
    # A [B, 2, 3] with x = A X, in the sense of weighted least squares.
    gram = (X * w[:, None]).T @ X
    A = torch.linalg.solve(gram, torch.einsum("bni,nj,n->bji", x, X, w)).transpose(1, 2)
    U, sizes, Vt = torch.linalg.svd(A, full_matrices=False)
    rows = U @ Vt
    third = torch.linalg.cross(rows[:, 0], rows[:, 1])
    R = torch.cat([rows, third[:, None]], 1)
    scale = sizes.mean(1)
    origin = middle_px - scale[:, None] * flip * (R[:, :2] @ middle_head)
    return R, scale, origin
