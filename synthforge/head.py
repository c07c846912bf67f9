"""A head model with what labels need of it: FLAME's layer, regions, UVs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from flame_pytorch import FLAME
from synthforge.camera import Camera
from synthforge.config import EXPRESSION_SIZE, SHAPE_SIZE
from synthforge.mesh import Mesh, Topology
from synthforge.sampling import Parameters


@dataclass(frozen=True)
class Head:
    """The user's FLAME, or the built-in head in FLAME's shape.

    flame: takes SHAPE_SIZE shape and EXPRESSION_SIZE expression coefficients.
    topology: its triangles and UVs. has_uvs is False where the user's files hold no UV layout.
    face_regions: int64 [F], ids of `synthforge.regions`.
    """

    flame: FLAME
    topology: Topology
    face_regions: Tensor
    has_uvs: bool = True

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
        )

    def mesh(self, parameters: Parameters, camera: Camera) -> Mesh:
        """Posed heads in the FLAME frame, metres; the jaw line is the one that `camera` sees."""
        pose = parameters.pose_rad
        vertices, landmarks = self.flame(
            parameters.shape,
            parameters.expression,
            torch.cat([pose[:, :3], pose[:, 6:9]], 1),
            neck_pose=pose[:, 3:6],
            eye_pose=pose[:, 9:15],
            R_view_flame=camera.R_view_gen,
        )
        return Mesh(vertices, landmarks, self.topology)

    @property
    def fingerprint(self) -> str:
        """Changes when the head's shape, components or triangles do."""
        digest = hashlib.sha256()
        for tensor in (self.flame.v_template, self.flame.shapedirs, self.flame.faces):
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]
