"""Next3D as the pipeline's generator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from torch import Tensor

from synthforge import sampling
from synthforge.camera import Camera
from synthforge.fingerprint import fingerprint
from synthforge.generator import GeneratorOutput
from synthforge.mesh import Mesh
from synthforge.next3d.next3d import Next3D
from synthforge.sampling import Parameters, SampleId
from synthforge.sampling_config import SamplingConfig


class Next3DGenerator:
    """Draws a head as a person; see `synthforge.generator.Generator`.

    truncation_psi, truncation_cutoff: as in `Next3D.map_latent`. The mapping network is conditioned
    on the camera that the image is taken with, as in SynthForge's public code.
    """

    name = "next3d"
    is_aligned = False

    def __init__(
        self, network: Next3D, truncation_psi: float = 0.7, truncation_cutoff: int | None = 14
    ):
        self.network = network
        self.latent_size = network.config.z_dim
        self.truncation_psi = truncation_psi
        self.truncation_cutoff = truncation_cutoff

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with the weights, mesh, mask and settings of the network.

        Truncation and precision are not in it: an alignment holds for all of theirs.
        """
        network = self.network
        tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        return fingerprint(tensors, (network.config, network.variant))

    def draw(self, ids: Sequence[SampleId], config: SamplingConfig) -> Parameters:
        """The samples' parameters, on the CPU."""
        return sampling.draw(ids, config, self.latent_size)

    def generate(self, z: Tensor, mesh_flame: Mesh, camera: Camera) -> GeneratorOutput:
        """z: float32 [B, latent_size]. mesh_flame: [B] heads in metres. camera: [B] cameras."""
        ws = self.network.map_latent(z, camera.vector, self.truncation_psi, self.truncation_cutoff)
        return self.network.synthesize(ws, camera.vector, mesh_flame.vertices, mesh_flame.landmarks)
