"""A batch of posed triangle meshes and the topology that they share."""

from __future__ import annotations

import functools
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

    @functools.cached_property
    def corners_at_vertices(self) -> Tensor:
        """int64 [D, V]: the corners (3 * face + k) at each vertex, ascending; 3 * F where a vertex
        has fewer than D. V is one more than the highest index in `faces`."""
        owner, corner = self.faces.flatten().sort(stable=True)
        count = torch.bincount(owner)
        place = torch.arange(len(owner), device=owner.device) - (count.cumsum(0) - count)[owner]
        table = torch.full((int(count.max()), len(count)), len(owner), device=owner.device)
        table[place, owner] = corner
        return table

    @functools.cached_property
    def corner_count(self) -> Tensor:
        """int64 [V], corners at each vertex."""
        return (self.corners_at_vertices < self.faces.numel()).sum(0)

    def sum_at_vertices(self, corner_values: Tensor) -> Tensor:
        """Sums over the corners at each vertex, in a fixed order on any device.

        [..., 3 * F, C], the corners of face 0, then of face 1 and so on -> [..., V, C].
        """
        padded = torch.nn.functional.pad(corner_values, (0, 0, 0, 1))
        first, *others = self.corners_at_vertices
        total = padded.index_select(-2, first)
        for corner in others:
            total = total + padded.index_select(-2, corner)
        return total


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


def unit(x: Tensor, dim: int = -1) -> Tensor:
    """Vectors, three numbers along `dim`, scaled to length 1; zero stays zero."""
    a, b, c = x.unbind(dim)
    # Squared lengths are as small as 1e-14 for normals of a head in metres.
    return x / torch.sqrt(a * a + b * b + c * c + 1e-30).unsqueeze(dim)


def cross(a: Tensor, b: Tensor, dim: int = -1) -> Tensor:
    """a x b of vectors along `dim`; unlike torch.linalg.cross rounded alike on every CPU."""
    (ax, ay, az), (bx, by, bz) = a.unbind(dim), b.unbind(dim)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim)


def vertex_normals(vertices: Tensor, topology: Topology) -> Tensor:
    """Area-weighted outward unit normals [..., V, 3] of vertices [..., V, 3]."""
    a, b, c = (vertices.index_select(-2, corner) for corner in topology.faces.unbind(1))
    face_normals = cross(b - a, c - a)
    normals = topology.sum_at_vertices(face_normals.repeat_interleave(3, -2))
    unused = vertices.shape[-2] - normals.shape[-2]
    return torch.nn.functional.pad(unit(normals), (0, 0, 0, unused))
