"""Meshes: normals, batches."""

import torch

from synthforge.mesh import Mesh, Topology, cross, unit, vertex_normals

# An octahedron, counter-clockwise from outside: its normals are its vertices' directions.
VERTICES = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
FACES = torch.tensor(
    [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
)

TOPOLOGY = Topology(FACES, torch.zeros(1, 2), torch.zeros_like(FACES))


def test_normals_point_outward_and_have_unit_length():
    assert torch.allclose(vertex_normals(VERTICES, TOPOLOGY), VERTICES, atol=1e-6)


def test_normals_of_a_tiny_head_and_of_a_batch():
    batch = torch.stack([VERTICES * 1e-3, VERTICES * 5])
    normals = vertex_normals(batch, TOPOLOGY)
    assert torch.allclose(normals, VERTICES.expand(2, -1, -1), atol=1e-6)


def test_a_slice_of_a_batch_keeps_the_topology():
    topology = Topology(FACES, torch.rand(6, 2), FACES)
    mesh = Mesh(torch.rand(3, 6, 3), torch.rand(3, 68, 3), topology)
    part = mesh[1:]
    assert len(part) == 2
    assert torch.equal(part.vertices, mesh.vertices[1:])
    assert part.topology is topology
    assert topology.face_uvs.shape == (8, 3, 2)


def test_corners_at_vertices_lists_every_corner_once_in_order():
    faces = torch.tensor([[0, 1, 2], [2, 1, 4], [2, 4, 0]])
    table = Topology(faces, torch.zeros(1, 2), faces).corners_at_vertices
    assert table.tolist() == [[0, 1, 2, 9, 5], [8, 4, 3, 9, 7], [9, 9, 6, 9, 9]]


def test_sums_at_vertices_are_those_of_a_plain_loop():
    draws = torch.Generator().manual_seed(0)
    faces = torch.randint(50, (200, 3), generator=draws)
    faces[0, 0] = 49
    values = torch.randn(2, 600, 4, generator=draws)
    expected = torch.zeros(2, 50, 4)
    for corner, vertex in enumerate(faces.flatten().tolist()):
        expected[:, vertex] += values[:, corner]
    topology = Topology(faces, torch.zeros(1, 2), faces)
    # Corner after corner, as the loop adds: the same bits, where index_add_ gives them no order.
    assert torch.equal(topology.sum_at_vertices(values), expected)
    assert topology.corner_count.sum() == 600


def test_a_vertex_without_faces_has_no_normal():
    vertices = torch.cat([VERTICES, torch.ones(2, 3)])
    normals = vertex_normals(vertices, TOPOLOGY)
    assert torch.equal(normals[:6], vertex_normals(VERTICES, TOPOLOGY))
    assert torch.equal(normals[6:], torch.zeros(2, 3))


def test_cross_and_unit_are_torch_s():
    a, b = torch.randn(2, 100, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(cross(a, b), torch.linalg.cross(a, b), atol=1e-6)
    assert torch.allclose(cross(a.T, b.T, 0), cross(a, b).T)
    assert torch.allclose(unit(a), torch.nn.functional.normalize(a, dim=-1), atol=1e-6)
    assert torch.equal(unit(torch.zeros(1, 3)), torch.zeros(1, 3))
