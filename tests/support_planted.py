"""Alignments to hide in a generator, and how far a recovered one is off."""

import torch

from synthforge.alignment import published_alignment
from synthforge.config import IMAGE_SIZE
from synthforge.frames import apply_affine

# 0 is the published map for Next3D; the others are drawn.
PLANTED = range(5)


def planted_affine(number):
    if number == 0:
        return tuple(part.detach() for part in published_alignment().as_affine())
    draws = torch.Generator().manual_seed(number)
    A = torch.eye(3) + 0.08 * (2 * torch.rand(3, 3, generator=draws) - 1)
    return A, 0.05 * (2 * torch.rand(3, generator=draws) - 1)


@torch.no_grad()
def keypoint_error_px(mlp, A, b, samples):
    """Mean distance at 512 of the landmarks from where the planted map puts them."""
    got_px, _ = samples.camera.project(mlp(samples.landmarks_gen), IMAGE_SIZE)
    true_px, _ = samples.camera.project(apply_affine(A, b, samples.landmarks_gen), IMAGE_SIZE)
    return torch.linalg.vector_norm(got_px - true_px, dim=-1).mean().item()
