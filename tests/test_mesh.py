"""Meshes: normals, batches."""

import torch

from synthforge.mesh import Mesh, Topology, vertex_normals

# An octahedron, counter-clockwise from outside: its normals are its vertices' directions.
VERTICES = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
FACES = torch.tensor(
    [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
)


def test_normals_point_outward_and_have_unit_length():
    assert torch.allclose(vertex_normals(VERTICES, FACES), VERTICES, atol=1e-6)


def test_normals_of_a_tiny_head_and_of_a_batch():
    batch = torch.stack([VERTICES * 1e-3, VERTICES * 5])
    normals = vertex_normals(batch, FACES)
    assert torch.allclose(normals, VERTICES.expand(2, -1, -1), atol=1e-6)


def test_a_slice_of_a_batch_keeps_the_topology():
    topology = Topology(FACES, torch.rand(6, 2), FACES)
    mesh = Mesh(torch.rand(3, 6, 3), torch.rand(3, 68, 3), topology)
    part = mesh[1:]
    assert len(part) == 2
    assert torch.equal(part.vertices, mesh.vertices[1:])
    assert part.topology is topology
    assert topology.face_uvs.shape == (8, 3, 2)
