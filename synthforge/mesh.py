"""A batch of posed triangle meshes and the topology that they share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Topology:
    """Triangles of a head, counter-clockwise seen from outside, and their UV layout.

    faces: int64 [F, 3], vertex indices.
    uvs: float32 [T, 2] in [0, 1], v running up.
    uv_faces: int64 [F, 3], indices into uvs.
    """

    faces: Tensor
    uvs: Tensor
    uv_faces: Tensor

    def to(self, device: torch.device | str) -> Topology:
        return Topology(self.faces.to(device), self.uvs.to(device), self.uv_faces.to(device))

    @property
    def face_uvs(self) -> Tensor:
        """float32 [F, 3, 2], the UV of every corner."""
        return self.uvs[self.uv_faces]


@dataclass(frozen=True)
class Mesh:
    """Posed heads. Frame and unit are the variable's suffix: `mesh_flame` (metres), `mesh_gen`.

    vertices: float [B, V, 3].
    landmarks: float [B, 68, 3], iBUG order.
    topology: shared by the batch.
    """

    vertices: Tensor
    landmarks: Tensor
    topology: Topology

    def __len__(self) -> int:
        return self.vertices.shape[0]

    def __getitem__(self, index: slice | Tensor) -> Mesh:
        return replace(self, vertices=self.vertices[index], landmarks=self.landmarks[index])


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Area-weighted outward unit normals [..., V, 3] of vertices [..., V, 3]; faces: [F, 3]."""
    a, b, c = (vertices[..., faces[:, corner], :] for corner in range(3))
    face_normals = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(vertices)
    for corner in range(3):
        normals.index_add_(-2, faces[:, corner], face_normals)
    # Far smaller than normalize's own: areas of a head in metres are about 1e-6.
    return torch.nn.functional.normalize(normals, dim=-1, eps=1e-20)
