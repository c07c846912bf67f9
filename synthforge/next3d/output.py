"""What a synthesis gives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from synthforge.camera import Camera


@dataclass(frozen=True)
class SynthesisOutput:
    """Images of B heads. R rays a side; lengths are generator units.

    image: float32 [B, 3, 512, 512], RGB in [-1, 1], not clamped.
    ray_distance: float32 [B, 1, R, R], along each ray; meaningless where weights are nearly 0.
    weights: float32 [B, 1, R, R] in [0, 1], opacity.
    features: float32 [B, 32, R, R]; the first three are a coarse image in [-1, 1].
    coarse_density: float32 [B, R * R * S], at the S coarse samples of every ray, ray by ray, before
        the softplus of the marching.
    coarse_depths: float32 [S], their distance along any ray.
    camera: the rays' cameras.
    """

    image: Tensor
    ray_distance: Tensor
    weights: Tensor
    features: Tensor
    coarse_density: Tensor
    coarse_depths: Tensor
    camera: Camera

    @property
    def coarse_points(self) -> Tensor:
        """float32 [B, R * R * S, 3], the generator's world: where coarse_density was taken."""
        origins, directions = self.camera.rays(self.features.shape[-1])
        along = self.coarse_depths[:, None] * directions[:, :, None]
        return (origins[:, :, None] + along).flatten(1, 2)
