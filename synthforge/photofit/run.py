"""From photographs to the file that samples are drawn like: see synthforge.like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """arrays: of synthforge.like's file. found_px: [B, N, 2], the points that heads were recovered
    by. recovered_px: [B, N, 2], where they are on these heads. gaze_px: [B, 2, 2], from between the
    eyes to where they look: an outer-eye distance of it."""

    arrays: dict[str, NDArray[np.float32]]
    found_px: NDArray[np.float64]
    recovered_px: NDArray[np.float64]
    gaze_px: NDArray[np.float64]


def pick_head(parts: PartsConfig) -> tuple[FitHead, str]:
    """The head of the generator that `parts` picks, and its name in a sentence.

    Raises ConfigError, AssetError or FileFormatError.
    """
    if pick(parts) is not NEXT3D:
        return built_in_head(), "the built-in head"
    assets = find_assets(parts.assets.model_dir, parts.assets.pretrained_dir)
    require_all(assets)
    return flame_head(read_head(assets)), f"FLAME, {assets.flame_model}"


def fit_photographs(photographs: Sequence[Photograph], head: FitHead) -> Fitted:
    """Recover the heads in some photographs, all at once. Raises DetectorError."""
    found = head.seen(photographs)
    framed = [each.framed(points) for each, points in zip(photographs, found, strict=True)]
    heads = recover(head.model, head.prior, torch.from_numpy(np.stack(framed)), head.errors)
    seen = heads.points.numpy()
    recovered = np.stack([each.px(p) for each, p in zip(photographs, seen, strict=True)])
    off = np.linalg.norm(recovered - found, axis=-1).mean(1)
    right, left = (found[:, corner] for corner in head.eye_corners)
    eyes = np.linalg.norm(right - left, axis=-1)
    arrays = head.arrays(heads) | {"residual_px": off, "residual": off / np.maximum(eyes, 1)}
    values = {name: a.astype(np.float32) for name, a in arrays.items()}
    between = recovered[:, head.eye_corners].mean(1)
    ahead = heads.looks.numpy()[:, :2] * (1, -1) * eyes[:, None]
    return Fitted(values, found, recovered, np.stack([between, between + ahead], 1))
