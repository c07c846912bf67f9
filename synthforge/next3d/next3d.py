"""Next3D: a head mesh, a latent and a camera to a face and the volume behind it.

Sun et al., "Next3D: Generative Neural Texture Rasterization for 3D-Aware Head Avatars" (CVPR
2023), rebuilt from its published mathematics; it loads the released weights by name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from synthforge.config import Precision, Variant
from synthforge.generator import GeneratorOutput
from synthforge.mesh import Topology
from synthforge.next3d import volume
from synthforge.next3d.checkpoint import load_checkpoint
from synthforge.next3d.config import Next3DConfig
from synthforge.next3d.inputs import check_batch
from synthforge.next3d.networks import NUM_WS, MappingNetwork
from synthforge.next3d.precision import DTYPES
from synthforge.next3d.stages import Stages
from synthforge.next3d.weights import checkpoint_mesh, describe_mismatch, initialise

_LANDMARKS = 68
# Samples computed at once, by device; in half precision they take half the memory.
BATCH, HALF_BATCH = {"cpu": 1, "cuda": 4}, {"cpu": 1, "cuda": 16}


class Next3D(Stages):
    """The generator. Its parameters carry the released checkpoint's names.

    Build one with `load` or `from_config`. For inference only: gradients are not kept. Change
    weights by `load_state_dict` or in place, not through `.data`: what is cached of them between
    calls would not see it.

    `map_latent`, `synthesize` and `density` take any number of samples and compute them in batches
    of one fixed size, `batch_size`, filled up where samples are few. So the number of samples in a
    call and what the others are never change a sample. On CPU nor does its place among them; on a
    GPU that is up to the kernels.
    """

    @classmethod
    def from_config(
        cls,
        config: Next3DConfig,
        topology: Topology,
        uv_face_mask: Tensor,
        variant: Variant = "front",
        precision: Precision = "fp32",
        seed: int = 0,
    ) -> Next3D:
        """A generator with fresh weights, StyleGAN2's initialisation drawn from `seed`.

        topology: the template head's triangles and UV layout (v up).
        uv_face_mask: float32 [1, 1, 256, 256] in [0, 1], texels of the face, v down.
        variant: "front" draws the neural texture on the frontal plane alone, as SynthForge does;
            "original" on all three, as the released Next3D does.
        precision: of the convolutions; "fp16" and "tf32" need CUDA.
        seed: of the weights.

        Raises ValueError for an unknown variant or precision and for a mis-shaped mask.
        """
        faces, face_uvcoords = checkpoint_mesh(topology)
        generator = cls(config, faces, face_uvcoords, uv_face_mask, variant, precision)
        initialise(generator, seed)
        return generator

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: torch.device | str = "cpu",
        variant: Variant = "front",
        precision: Precision = "fp32",
    ) -> Next3D:
        """From the released `.pkl`, read without running its code, or a `.safetensors` copy.

        Raises what `checkpoint.load_checkpoint` raises for bad files, and ValueError naming
        missing or mis-shaped weights.
        """
        checkpoint = load_checkpoint(path)
        tensors = checkpoint.tensors
        absent = [name for name in ("faces", "face_uvcoords") if name not in tensors]
        if absent:
            raise ValueError(describe_mismatch(absent, []))
        mesh = tensors["faces"], tensors["face_uvcoords"]
        generator = cls(checkpoint.config, *mesh, checkpoint.uv_face_mask, variant, precision)
        generator.load_state_dict(tensors, assign=True)
        return generator.to(device)

    @property
    def batch_size(self) -> int:
        """Samples computed at once."""
        sizes = HALF_BATCH if DTYPES[self.precision].itemsize == 2 else BATCH
        return sizes.get(self.device.type, sizes["cuda"])

    @torch.no_grad()
    def map_latent(
        self,
        z: Tensor,
        camera25: Tensor,
        truncation_psi: float = 0.7,
        truncation_cutoff: int | None = 14,
    ) -> Tensor:
        """Latents to style vectors ws, float32 [B, 28, w_dim].

        z: float32 [B, z_dim]. camera25: float32 [B, 25], the conditioning camera's vector.
        truncation_psi: pulls ws towards their average (1: not at all), those below
            truncation_cutoff only (None: all 28). ws[:, :14] style the planes, the mouth, the
            blending and the super-resolution, ws[:, 14:] the neural texture.
        """
        z = check_batch("z", z, (None, self.config.z_dim), self.device)
        camera25 = check_batch("camera25", camera25, (len(z), self.config.c_dim), self.device)
        scale = 0.0 if self.config.c_gen_conditioning_zero else self.config.c_scale
        mapping = cast(MappingNetwork, self.backbone["mapping"])
        w = self._in_batches(lambda z, c: mapping(z, c * scale), z, camera25)
        ws = w[:, None].repeat(1, 2 * NUM_WS, 1)
        if truncation_psi != 1:
            ws[:, :truncation_cutoff] = mapping.w_avg.lerp(
                ws[:, :truncation_cutoff], truncation_psi
            )
        return ws

    @torch.no_grad()
    def synthesize(
        self,
        ws: Tensor,
        camera25: Tensor,
        vertices: Tensor,
        landmarks: Tensor,
        neural_rendering_resolution: int | None = None,
    ) -> GeneratorOutput:
        """Style vectors, cameras and posed heads to images, in one volume rendering.

        ws: float32 [B, 28, w_dim]. camera25: float32 [B, 25].
        vertices [B, V, 3] and landmarks [B, 68, 3]: float32, metres, FLAME frame.
        neural_rendering_resolution: rays a side; the checkpoint's by default.

        The output's points are the coarse samples of every ray, ray by ray; density is before the
        softplus of the marching. A GPU image whose mesh the rasterizer could not hold is NaN.

        Raises ValueError for inputs of another shape or type, for a precision that the device
        lacks, and on CPU, where the check needs no host sync, for values that are not finite.
        """
        rays = neural_rendering_resolution
        if rays is None:
            rays = self.config.neural_rendering_resolution
        if not (isinstance(rays, int) and rays >= 1):
            raise ValueError(
                f"neural_rendering_resolution is {rays!r}, expected a whole number from 1 on"
            )
        ws, vertices, landmarks = self._check_heads(ws, vertices, landmarks)
        camera25 = check_batch("camera25", camera25, (len(ws), self.config.c_dim), self.device)
        if self.device.type == "cpu" and not camera25[:, [16, 20]].all():
            raise ValueError("camera25 has a focal length of 0")

        def synthesize(
            ws: Tensor, camera25: Tensor, vertices: Tensor, landmarks: Tensor
        ) -> tuple[Tensor, ...]:
            planes = self.planes(ws, vertices, landmarks)
            rendered = self.render(planes, camera25, rays)
            del planes
            features = rendered.features.transpose(1, 2).unflatten(2, (rays, rays))
            return (
                self.upscale(features, ws),
                rendered.distance.view(-1, 1, rays, rays),
                rendered.weights.view(-1, 1, rays, rays),
                rendered.coarse_points.flatten(1, 2),
                rendered.coarse_density.flatten(1),
            )

        return GeneratorOutput(*self._in_batches(synthesize, ws, camera25, vertices, landmarks))

    @torch.no_grad()
    def density(
        self, points_gen: Tensor, ws: Tensor, vertices: Tensor, landmarks: Tensor
    ) -> Tensor:
        """The volume's density before the marching's softplus, at any points.

        points_gen: float32 [B, M, 3], the generator's world; others as in `synthesize`.
        Returns float32 [B, M].
        """
        ws, vertices, landmarks = self._check_heads(ws, vertices, landmarks)
        points_gen = check_batch("points_gen", points_gen, (len(ws), None, 3), self.device)

        def density(points: Tensor, ws: Tensor, vertices: Tensor, landmarks: Tensor) -> Tensor:
            planes = self.planes(ws, vertices, landmarks)
            return volume.density_at(planes, self.decoder, points, self.config.box_warp)

        return self._in_batches(density, points_gen, ws, vertices, landmarks)

    def _in_batches(self, stage: Callable[..., Any], *inputs: Tensor) -> Any:
        """A stage's results for any number of samples, computed in full batches.

        Kernels, and with them the last bits, differ with the size of a batch. A short one is
        filled up with its last sample, and the surplus results are dropped.
        """
        size = self.batch_size
        count = len(inputs[0])
        filled = -(-count // size) * size
        index = torch.arange(filled, device=self.device).clamp_(max=count - 1)
        parts = [stage(*(x[batch] for x in inputs)) for batch in index.split(size)]
        if isinstance(parts[0], Tensor):
            return torch.cat(parts)[:count]
        return tuple(torch.cat(part)[:count] for part in zip(*parts, strict=True))

    def _check_heads(
        self, ws: Tensor, vertices: Tensor, landmarks: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        ws = check_batch("ws", ws, (None, 2 * NUM_WS, self.config.w_dim), self.device)
        vertices = check_batch("vertices", vertices, (len(ws), None, 3), self.device)
        landmarks = check_batch("landmarks", landmarks, (len(ws), _LANDMARKS, 3), self.device)
        if vertices.shape[1] < self._vertex_count:
            raise ValueError(
                f"vertices has {vertices.shape[1]} a head, but the generator's mesh uses "
                f"{self._vertex_count}: pass the head model that the generator was trained with"
            )
        return ws, vertices, landmarks
