"""A head model with what labels need of it: FLAME's layer, regions, UVs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flame_pytorch import FLAME
from flame_pytorch.errors import FileFormatError, naming
from flame_pytorch.files import (
    read_head_model,
    read_landmark_embedding,
    read_masks,
    read_uv_layout,
)
from flame_pytorch.model import FloatArray, IntArray
from synthforge.assets.locate import AssetError, Assets
from synthforge.camera import Camera
from synthforge.config import EXPRESSION_SIZE, SHAPE_SIZE
from synthforge.fingerprint import fingerprint
from synthforge.keypoints import Scheme, free_schemes
from synthforge.mesh import Mesh, Topology
from synthforge.regions import paint_masks, paint_texture
from synthforge.sampling import Parameters

_NECK = 1
_PNG = b"\x89PNG\r\n\x1a\n"
# SynthForge's painted segmentation is 4096 a side.
_MAX_TEXTURE_SIZE = 8192
_SEG_TEXTURE_WAY_OUT = "Leave it out to label regions by FLAME_masks.pkl"


def pose_flame(flame: FLAME, parameters: Parameters, camera: Camera) -> tuple[Tensor, Tensor]:
    """Vertices [B, V, 3] and landmarks [B, 68, 3] of posed heads, float32, metres, FLAME frame; the
    jaw line is what `camera` sees."""
    pose = parameters.pose_rad
    vertices, landmarks = flame(
        parameters.shape,
        parameters.expression,
        torch.cat([pose[:, :3], pose[:, 6:9]], 1),
        neck_pose=pose[:, 3:6],
        eye_pose=pose[:, 9:15],
        R_view_flame=camera.R_view_gen,
    )
    return vertices, landmarks


@dataclass(frozen=True)
class Head:
    """The user's FLAME, or the built-in head as a FLAME.

    flame: takes SHAPE_SIZE shape and EXPRESSION_SIZE expression coefficients.
    topology: its triangles and UVs. has_uvs is False where the user's files hold no UV layout.
    face_regions: int64 [F], ids of `synthforge.regions`.
    schemes: further keypoints by name, of synthforge.labels.SCHEMES; not all heads have all.
    """

    flame: FLAME
    topology: Topology
    face_regions: Tensor
    has_uvs: bool = True
    schemes: Mapping[str, Scheme] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.flame.n_shape, self.flame.n_expression) != (SHAPE_SIZE, EXPRESSION_SIZE):
            raise ValueError(
                f"a head takes {SHAPE_SIZE} shape and {EXPRESSION_SIZE} expression coefficients, "
                f"got {self.flame.n_shape} and {self.flame.n_expression}"
            )
        if len(self.face_regions) != len(self.topology.faces):
            raise ValueError(
                f"{len(self.face_regions)} face regions for {len(self.topology.faces)} faces"
            )

    def to(self, device: torch.device | str) -> Head:
        return Head(
            self.flame.to(device),
            self.topology.to(device),
            self.face_regions.to(device),
            self.has_uvs,
            {name: scheme.to(device) for name, scheme in self.schemes.items()},
        )

    def mesh(self, parameters: Parameters, camera: Camera) -> Mesh:
        """Posed heads in the FLAME frame, metres, with the jaw line that `camera` sees."""
        return Mesh(*pose_flame(self.flame, parameters, camera), self.topology)

    def joints(self, parameters: Parameters) -> tuple[Tensor, Tensor]:
        """Root, neck, jaw, left and right eye: rotations from rest [B, 5, 3, 3] and positions
        [B, 5, 3], metres, FLAME frame."""
        return self.flame.joints(parameters.shape, parameters.expression, parameters.pose_rad)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when anything does that a label comes from."""
        tensors = {
            **self.flame.state_dict(),
            "topology.faces": self.topology.faces,
            "topology.uvs": self.topology.uvs,
            "topology.uv_faces": self.topology.uv_faces,
            "face_regions": self.face_regions,
        }
        return fingerprint(tensors, (self.flame.parents, self.flame.use_face_contour, self.has_uvs))


def read_head(assets: Assets) -> Head:
    """The user's FLAME, on the CPU.

    Raises AssetError if a needed file is not there, and FileFormatError if one cannot be read or
    does not fit the others.
    """
    if assets.flame_model is None or assets.static_embedding is None:
        raise AssetError("; ".join(assets.missing))
    model = read_head_model(assets.flame_model)
    embedding = read_landmark_embedding(assets.static_embedding, assets.contour_embedding, model)
    flame = FLAME.from_arrays(model, embedding, SHAPE_SIZE, EXPRESSION_SIZE)
    uvs: FloatArray = np.zeros((1, 2))
    uv_faces: IntArray = np.zeros_like(model.faces)
    if assets.texture is not None:
        uvs, uv_faces = read_uv_layout(assets.texture, model)
    if assets.seg_texture is not None and assets.texture is not None:
        with naming(assets.seg_texture, _SEG_TEXTURE_WAY_OUT):
            regions = paint_texture(_read_rgb(assets.seg_texture), uvs[uv_faces])
    elif assets.masks is not None:
        _, landmarks = flame(
            torch.zeros(1, SHAPE_SIZE), torch.zeros(1, EXPRESSION_SIZE), torch.zeros(1, 6)
        )
        regions = paint_masks(
            read_masks(assets.masks, model),
            model.v_template,
            model.faces,
            landmarks[0].numpy().astype(np.float64),
            neck_joint=(model.J_regressor @ model.v_template)[_NECK],
        )
    else:
        raise AssetError("; ".join(assets.missing))
    topology = Topology(
        torch.from_numpy(model.faces),
        torch.from_numpy(uvs).float(),
        torch.from_numpy(uv_faces),
    )
    schemes = free_schemes(model, embedding, regions, flame.joint_template.double().numpy())
    has_uvs = assets.texture is not None
    return Head(flame, topology, torch.from_numpy(regions), has_uvs, schemes)


def _read_rgb(path: Path) -> NDArray[np.uint8]:
    data = path.read_bytes()
    # The header's size is checked first: an image of one colour is small, however large it is.
    size = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if not data.startswith(_PNG) or not 0 < min(size) <= max(size) <= _MAX_TEXTURE_SIZE:
        raise FileFormatError(f"is not a PNG of at most {_MAX_TEXTURE_SIZE} pixels a side")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise FileFormatError("is a damaged PNG")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
