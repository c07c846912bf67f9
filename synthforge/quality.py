"""The quality gate: does a detector see the face where the labels say it is?

Runs before rasterizing, so that a reject costs little. How far detected and projected landmarks may
lie apart depends on the detector: synthforge.detectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from synthforge.config import IMAGE_SIZE

Reason = Literal["no_face", "landmark_distance", "not_finite"]


@dataclass(frozen=True)
class Accept:
    """distance_px: mean landmark distance, pixels at 512."""

    distance_px: float


@dataclass(frozen=True)
class Reject:
    """value against threshold: pixels at 512 for `landmark_distance`, faces for `no_face`, infinite
    or NaN values of the image for `not_finite`."""

    reason: Reason
    value: float
    threshold: float


Verdict = Accept | Reject


def judge_finite(images: Tensor) -> dict[int, Reject]:
    """Rejects by position for images float32 [B, 3, H, W] with infinite or NaN values, which half
    precision may make."""
    flat = images.flatten(1)
    # A NaN is the least and the greatest of its image. Sooner told than of each value.
    finite = flat.amin(1).isfinite() & flat.amax(1).isfinite()
    broken = [i for i, whole in enumerate(finite.tolist()) if not whole]
    return {i: Reject("not_finite", int((~flat[i].isfinite()).sum()), 0.0) for i in broken}


def landmark_distance_px(detected_px: Tensor, projected_px: Tensor) -> Tensor:
    """Mean distance over the landmarks: [..., N, 2] twice -> [...]."""
    return torch.linalg.vector_norm(detected_px - projected_px, dim=-1).mean(-1)


def judge(
    detected_px: Sequence[Tensor | None],
    projected_px: Tensor,
    image_size: int,
    reject_px: float,
) -> list[Verdict]:
    """One verdict a sample.

    detected_px: [68, 2] each, or None where no face was found. projected_px: [B, 68, 2]. Both in
    pixels of an image of `image_size` squared; reject_px is in pixels at 512.
    """
    if len(detected_px) != len(projected_px):
        raise ValueError(f"{len(detected_px)} detections for {len(projected_px)} samples")
    verdicts: list[Verdict] = []
    for detected, projected in zip(detected_px, projected_px.cpu(), strict=True):
        if detected is None:
            verdicts.append(Reject("no_face", 0.0, 1.0))
            continue
        distance = landmark_distance_px(detected.cpu(), projected).item()
        distance *= IMAGE_SIZE / image_size
        # Written so that a NaN is a reject.
        if distance <= reject_px:
            verdicts.append(Accept(distance))
        else:
            verdicts.append(Reject("landmark_distance", distance, reject_px))
    return verdicts
