"""Next3D's networks, and the stages from style vectors to an image, each for one batch."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, get_args

import torch
from torch import Tensor, nn

from synthforge.camera import Camera
from synthforge.config import Precision, Variant
from synthforge.next3d import mouth, texture_raster, volume
from synthforge.next3d.config import Next3DConfig
from synthforge.next3d.inputs import check_shape
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
from synthforge.next3d.weights import select_live

_UV_SIZE = 256


class Stages(nn.Module):
    """The networks, under the released checkpoint's names of weights.

    The stages, `planes` to `upscale`, are float32 and in order. Each computes the batch that it is
    given: see `Next3D`, which is what callers use.
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
        variant: Variant,
        precision: Precision,
    ):
        """Weights are left uninitialised, see `Next3D`; the mesh is as checkpoints hold it:

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
    def uv_layout(self) -> UvLayout:
        """The mesh as the rasterizer takes it."""
        faces, face_uvs = (
            torch.stack([corners[0, :, k] for k in (0, 2, 1)], 1)
            for corners in (self.faces, self.face_uvcoords[..., :2])
        )
        return UvLayout(faces, face_uvs, self.uv_face_mask)

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
