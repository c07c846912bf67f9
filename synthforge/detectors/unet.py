"""A small U-net, and its heat maps read as points."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UNet(nn.Module):
    """[B, 3, S, S] in 0..1 -> [B, outputs, S / stride, S / stride].

    Each of `widths` halves the resolution; the way up again ends at `stride`, a power of two.
    """

    def __init__(self, outputs: int, widths: tuple[int, ...], stride: int) -> None:
        super().__init__()
        pairs = zip((3, *widths), widths, strict=False)
        self.down = nn.ModuleList(nn.Sequential(conv(a, b, 2), conv(b, b)) for a, b in pairs)
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(widths[-1], widths[-1], 1))
        back = widths[stride.bit_length() - 2 :][::-1]
        self.up = nn.ModuleList(conv(a + b, b) for a, b in pairwise(back))
        self.out = nn.Sequential(conv(back[-1], back[-1]), nn.Conv2d(back[-1], outputs, 1))

    def forward(self, views: Tensor) -> Tensor:
        x, passed = (views - 0.45) / 0.25, []
        for step in self.down:
            x = step(x)
            passed.append(x)
        x = x + self.whole(x)
        for step, finer in zip(self.up, passed[-2::-1], strict=False):
            x = step(torch.cat([F.interpolate(x, scale_factor=2.0), finer], 1))
        return self.out(x).float()


def mean_places(heatmaps: Tensor, cell: int) -> Tensor:
    """Logits [B, N, H, H] -> the mean place of each, [B, N, 2], x and y in pixels of the view, of
    which a cell has `cell` a side."""
    weights = heatmaps.flatten(2).softmax(-1).view_as(heatmaps)
    places = (torch.arange(heatmaps.shape[-1], device=heatmaps.device) + 0.5) * cell
    return torch.stack([weights.sum(2) @ places, weights.sum(3) @ places], -1)


def conv(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    layers = nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside)
    return nn.Sequential(*layers, nn.ReLU())
