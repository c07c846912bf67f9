"""Landmarks as heat maps: what the net answers with, read as points and compared with them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from synthforge.detectors.unet import mean_places
from synthforge.landmarks import OUTER_EYE_CORNERS

CELL = 4  # pixels of the view


def points_of(heatmaps: Tensor) -> Tensor:
    """The mean place of each heat map, pixels of the view: [B, 68, H, W] -> [B, 68, 2]."""
    return mean_places(heatmaps, CELL)


def loss_of(heatmaps: Tensor, points: Tensor) -> Tensor:
    """Distance of the points in outer-eye distances, and a peaked heat map; of points inside."""
    inside = ((points > 0) & (points < heatmaps.shape[-1] * CELL)).all(-1)
    right, left = (points[:, i] for i in OUTER_EYE_CORNERS)
    size = (right - left).norm(dim=-1).clamp_min(8)[:, None, None]
    off = 20 * (points_of(heatmaps) - points) / size
    places = (torch.arange(heatmaps.shape[-1], device=points.device) + 0.5) * CELL
    x, y = (torch.exp(-((places - points[..., i : i + 1]) ** 2) / 72) for i in (0, 1))
    x, y = (F.normalize(weights, p=1.0, dim=-1) for weights in (x, y))
    expected = (heatmaps * x[..., None, :]).sum(-1).mul(y).sum(-1)
    spread = heatmaps.flatten(2).logsumexp(-1) - expected  # cross-entropy with a Gaussian
    each = F.smooth_l1_loss(off, torch.zeros_like(off), reduction="none").sum(-1) + 0.1 * spread
    return (each * inside).sum() / inside.sum().clamp_min(1)
