"""Label adaptation: predicted landmarks moved to the convention of a set's annotators.

Wood et al. 2021 (arXiv:2109.15102), section 4.2: each set's annotators have habits, such as where
the jaw begins, that no synthetic label shares. A small net learns them from pairs of predicted and
annotated points; of the image it sees nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from crops import Array
from torch import nn
from torch.nn import functional as F

from synthforge.landmarks import FLIP


def adapted(found: Array, true: Array, test: Array, size: int) -> Array:
    """Test points [M, 68, 2] as the annotators of `true` would place them.

    found, true: [N, 68, 2], predicted and annotated points of other faces, in crops of `size`
    pixels. A net of one hidden layer says how far each point is moved, from where all of them are.
    """
    torch.manual_seed(0)
    pairs = [torch.from_numpy(points / size - 0.5).float() for points in (found, true)]
    mirror = [points[:, list(FLIP)] * torch.tensor([-1.0, 1.0]) for points in pairs]
    x, y = (torch.cat(both).flatten(1) for both in zip(pairs, mirror, strict=True))
    net = nn.Sequential(nn.Linear(136, 32), nn.Tanh(), nn.Linear(32, 136))
    nn.init.zeros_(net[2].weight)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1.0)
    for _ in range(300):
        noisy = x + 0.01 * torch.randn_like(x)
        optimizer.zero_grad()
        F.smooth_l1_loss(noisy + net(noisy), y, beta=0.02).backward()
        optimizer.step()
    with torch.no_grad():
        points = torch.from_numpy(test / size - 0.5).float().flatten(1)
        return ((points + net(points)).view(-1, 68, 2).numpy() + 0.5) * size


def cross_adapted(found: Array, true: Array, size: int) -> Array:
    """Points [N, 68, 2] adapted by halves: each by what was learnt from the other."""
    even, moved = np.arange(len(true)) % 2 == 0, np.empty_like(found)
    for half in (even, ~even):
        moved[half] = adapted(found[~half], true[~half], found[half], size)
    return moved
