"""Next3D: a head mesh, a latent and a camera to a face and the volume behind it.

Sun et al., "Next3D: Generative Neural Texture Rasterization for 3D-Aware Head Avatars" (CVPR
2023), rebuilt from its published mathematics; it loads the released weights by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import Tensor, nn

from synthforge.camera import Camera
from synthforge.config import Precision, Variant
from synthforge.generator import GeneratorOutput
from synthforge.mesh import Topology
from synthforge.next3d import mouth, texture_raster, volume
from synthforge.next3d.checkpoint import load_checkpoint
from synthforge.next3d.config import Next3DConfig
from synthforge.next3d.inputs import check_batch, check_shape
from synthforge.next3d.networks import (
    FEATURES,
    NUM_WS,
    MappingNetwork,
    StyleUNet,
    SuperResolution,
    SynthesisNetwork,
)
from synthforge.next3d.precision import DTYPES, arithmetic
from synthforge.next3d.texture_raster import Rendering, UvLayout
from synthforge.next3d.weights import (
    checkpoint_mesh,
    describe_mismatch,
    initialise,
    select_live,
)

_UV_SIZE = 256
_LANDMARKS = 68
# Samples computed at once, by device; in half precision they take half the memory.
BATCH, HALF_BATCH = {"cpu": 1, "cuda": 4}, {"cpu": 1, "cuda": 16}


class Next3D(nn.Module):
    """The generator. Its parameters carry the released checkpoint's names.

    Build one with `load` or `from_config`. For inference only: gradients are not kept. Change
    weights by `load_state_dict` or in place, not through `.data`: what is cached of them between
    calls would not see it.

    `map_latent`, `synthesize` and `density` take any number of samples and compute them in batches
    of one fixed size, `batch_size`, filled up where samples are few. So the number of samples in a
    call and what the others are never change a sample. On CPU nor does its place among them; on a
    GPU that is up to the kernels.
    """

    faces: Tensor
    face_uvcoords: Tensor
    uv_face_mask: Tensor

    def __init__(
        self,
        config: Next3DConfig,
        faces: Tensor,
        face_uvcoords: Tensor,
        uv_face_mask: Tensor,
        variant: Variant = "front",
        precision: Precision = "fp32",
    ):
        """Weights are left uninitialised. See `from_config`; the mesh is as checkpoints hold it:

        faces: int64 [1, F, 3], counter-clockwise seen from outside.
        face_uvcoords: float32 [1, F, 3, 3], (2u - 1, 1 - 2v, 1) of every corner, v running up.
        """
        super().__init__()
        if variant not in get_args(Variant):
            raise ValueError(f"variant is {variant!r}, expected 'front' or 'original'")
        if precision not in DTYPES:
            raise ValueError(f"precision is {precision!r}, expected one of {', '.join(DTYPES)}")
        check_shape("uv_face_mask", uv_face_mask, (1, 1, _UV_SIZE, _UV_SIZE))
        if not ((uv_face_mask >= 0) & (uv_face_mask <= 1)).all():
            raise ValueError("uv_face_mask holds values outside [0, 1]")
        self.config = config
        self.variant = variant
        self.precision = precision
        self.register_buffer("faces", torch.empty(0, dtype=torch.int64), persistent=False)
        self.register_buffer("face_uvcoords", torch.empty(0), persistent=False)
        self.register_buffer("uv_face_mask", uv_face_mask.float(), persistent=False)
        self._set_mesh(faces, face_uvcoords)

        self.texture_backbone = nn.ModuleDict({"synthesis": SynthesisNetwork(config, FEATURES)})
        self.mouth_backbone = nn.ModuleDict(
            {"synthesis": StyleUNet(config, in_size=mouth.CROP_SIZE, bottleneck=4)}
        )
        self.neural_blending = nn.ModuleDict(
            {"synthesis": StyleUNet(config, in_size=texture_raster.SIZE, bottleneck=32)}
        )
        self.backbone = nn.ModuleDict(
            {
                "mapping": MappingNetwork(config),
                "synthesis": SynthesisNetwork(config, 3 * FEATURES),
            }
        )
        self.superresolution = SuperResolution(config)
        self.decoder = volume.Decoder(config)

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

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> None:
        """Take the released checkpoint's tensors by name; the mesh buffers too if present.

        Names that are not used here are ignored: mapping networks and blocks that never run,
        constant filters, training statistics. `strict=False` also lets used ones be missing.

        Raises ValueError naming weights that are missing or have another shape.
        """
        live = select_live(self.state_dict(), state_dict, strict=strict)
        super().load_state_dict(live, strict=False, assign=assign)
        if "faces" in state_dict and "face_uvcoords" in state_dict:
            self._set_mesh(state_dict["faces"], state_dict["face_uvcoords"])

    def compile_networks(self, backend: str = "inductor") -> None:
        """Compile the five convolutional networks in place.

        The first synthesis then takes a minute or more. Names of weights stay as they are.
        backend: one of torch.compile's.
        """
        for network in (
            self.texture_backbone["synthesis"],
            self.mouth_backbone["synthesis"],
            self.neural_blending["synthesis"],
            self.backbone["synthesis"],
            self.superresolution,
        ):
            network.compile(backend=backend, dynamic=False)

    def _set_mesh(self, faces: Tensor, face_uvcoords: Tensor) -> None:
        count = faces.shape[1] if faces.ndim == 3 else 0
        if (
            not count
            or tuple(faces.shape) != (1, count, 3)
            or tuple(face_uvcoords.shape) != (1, count, 3, 3)
        ):
            raise ValueError(
                f"faces {tuple(faces.shape)} and face_uvcoords {tuple(face_uvcoords.shape)}, "
                "expected (1, F, 3) and (1, F, 3, 3)"
            )
        self.faces = faces.to(self.device, torch.int64)
        self.face_uvcoords = face_uvcoords.to(self.device, torch.float32)
        if int(self.faces.min()) < 0:
            raise ValueError("faces hold negative vertex indices")
        self._vertex_count = int(self.faces.max()) + 1

    @property
    def device(self) -> torch.device:
        return self.uv_face_mask.device

    @property
    def batch_size(self) -> int:
        """Samples computed at once."""
        sizes = HALF_BATCH if DTYPES[self.precision].itemsize == 2 else BATCH
        return sizes.get(self.device.type, sizes["cuda"])

    @property
    def uv_layout(self) -> UvLayout:
        """The mesh as the rasterizer takes it."""
        faces, face_uvs = (
            torch.stack([corners[0, :, k] for k in (0, 2, 1)], 1)
            for corners in (self.faces, self.face_uvcoords[..., :2])
        )
        return UvLayout(faces, face_uvs, self.uv_face_mask)

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

    # The stages of `synthesize`, in order, float32. Each computes the batch that it is given.

    def planes(self, ws: Tensor, vertices: Tensor, landmarks: Tensor) -> Tensor:
        """The tri-plane [B, 3, 32, 256, 256]: static planes with the head drawn over them."""
        texture = self.neural_texture(ws)
        front = self.render_texture(texture, vertices, "front")
        dynamic = [Rendering(self.blend_mouth(front.features, ws, landmarks), front.alpha)]
        if self.variant == "original":
            left, right, top = (
                self.render_texture(texture, vertices, view) for view in ("left", "right", "top")
            )
            dynamic += [texture_raster.combine_sides(left, right), top]
        del texture, front
        planes = self.static_planes(ws)
        for plane, drawn in enumerate(dynamic):
            planes[:, plane].lerp_(drawn.features, drawn.alpha)
        return planes

    def neural_texture(self, ws: Tensor) -> Tensor:
        """[B, 32, 256, 256]"""
        with self._arithmetic() as dtype:
            return self.texture_backbone["synthesis"](ws[:, NUM_WS:], dtype)

    def render_texture(self, texture: Tensor, vertices: Tensor, view: str) -> Rendering:
        """One view ("front", "left", "right" or "top") of the textured head."""
        return texture_raster.render_view(texture, vertices, self.uv_layout, view, self.config)

    def blend_mouth(self, front: Tensor, ws: Tensor, landmarks: Tensor) -> Tensor:
        """The front view [B, 32, 256, 256] with a synthesized mouth, harmonised."""
        boxes = mouth.mouth_boxes(landmarks, self.config)
        inside = self.mouth_plane(mouth.crop(front, boxes), ws)
        stitched = mouth.paste(front, inside, boxes)
        with self._arithmetic() as dtype:
            return self.neural_blending["synthesis"](stitched, ws[:, :NUM_WS], dtype)

    def mouth_plane(self, crop: Tensor, ws: Tensor) -> Tensor:
        """The mouth [B, 32, 64, 64] -> with teeth and tongue [B, 32, 256, 256]."""
        with self._arithmetic() as dtype:
            return self.mouth_backbone["synthesis"](crop, ws[:, :NUM_WS], dtype)

    def static_planes(self, ws: Tensor) -> Tensor:
        """[B, 3, 32, 256, 256]"""
        with self._arithmetic() as dtype:
            planes = self.backbone["synthesis"](ws[:, :NUM_WS], dtype)
        return planes.unflatten(1, (3, FEATURES))

    def render(self, planes: Tensor, camera25: Tensor, rays: int) -> volume.VolumeRender:
        """Planes [B, 3, 32, 256, 256] seen along rays x rays pixel centres."""
        origins, directions = Camera.from_vector(camera25).rays(rays)
        return volume.render(planes, self.decoder, origins, directions, self.config)

    def upscale(self, features: Tensor, ws: Tensor) -> Tensor:
        """Features [B, 32, R, R] -> image [B, 3, 512, 512]."""
        with self._arithmetic() as dtype:
            return self.superresolution(features, ws[:, NUM_WS - 1], dtype)

    def _arithmetic(self) -> AbstractContextManager[torch.dtype]:
        return arithmetic(self.precision, self.device)

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
