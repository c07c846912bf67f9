"""From photographs to the file that samples are drawn like: see synthforge.like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.assets.locate import find_assets, require_all
from synthforge.config import PartsConfig
from synthforge.generators.known import pick
from synthforge.generators.next3d import NEXT3D
from synthforge.head import read_head
from synthforge.photofit.built_in import built_in_head
from synthforge.photofit.fit_head import FitHead
from synthforge.photofit.flame import flame_head
from synthforge.photofit.photographs import Photograph
from synthforge.photofit.solve import recover


@dataclass(frozen=True)
class Fitted:
    """arrays: of synthforge.like's file. photographs: with the points that the head was recovered
    by. points_px: [N, 2] of each photograph, recovered."""

    arrays: dict[str, NDArray[np.float32]]
    photographs: list[Photograph]
    points_px: list[NDArray[np.float64]]


def pick_head(parts: PartsConfig) -> tuple[FitHead, str]:
    """The head of the generator that `parts` picks, and its name in a sentence.

    Raises ConfigError, AssetError or FileFormatError.
    """
    if pick(parts) is not NEXT3D:
        return built_in_head(), "the built-in head"
    assets = find_assets(parts.assets.model_dir, parts.assets.pretrained_dir)
    require_all(assets)
    return flame_head(read_head(assets).flame), f"FLAME, {assets.flame_model}"


def fit_photographs(photographs: Sequence[Photograph], head: FitHead) -> Fitted:
    """Recover the heads in some photographs, all at once. Their points_px: MediaPipe's."""
    photographs = [replace(each, points_px=head.seen(each.points_px)) for each in photographs]
    points = torch.from_numpy(np.stack([each.points for each in photographs]))
    found = recover(head.model, head.prior, points, head.errors)
    recovered = [
        each.px(seen) for each, seen in zip(photographs, found.points.numpy(), strict=True)
    ]
    off = np.array(
        [
            np.linalg.norm(seen - each.points_px, axis=-1).mean()
            for each, seen in zip(photographs, recovered, strict=True)
        ]
    )
    corners = np.stack([each.points_px[list(head.eye_corners)] for each in photographs])
    eyes = np.linalg.norm(corners[:, 0] - corners[:, 1], axis=-1)
    arrays = head.arrays(found) | {"residual_px": off, "residual": off / np.maximum(eyes, 1)}
    values = {name: a.astype(np.float32) for name, a in arrays.items()}
    return Fitted(values, photographs, recovered)
