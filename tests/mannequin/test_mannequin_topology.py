"""The built-in head is a sound mesh: manifold, oriented, mirror-symmetric, unfolded once."""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from synthforge.mannequin.build import build_head
from synthforge.mannequin.parts import Part
from synthforge.rasterizer import rasterize, visible

FLIP_X = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def head():
    return build_head()


def directed_edges(faces):
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def boundary_edges(faces):
    edges = {tuple(edge) for edge in directed_edges(faces).tolist()}
    return np.array([edge for edge in edges if edge[::-1] not in edges])


def test_size(head):
    assert 5000 <= len(head.model.v_template) <= 7200
    assert head.uvs.dtype == np.float32
    for values in (
        head.model.faces,
        head.uv_faces,
        head.face_region,
        head.vertex_part,
        head.mirror,
    ):
        assert values.dtype == np.int64
    assert set(head.vertex_part) == {int(part) for part in Part}


def test_every_vertex_is_used_and_no_face_is_degenerate(head):
    vertices, faces = head.model.v_template, head.model.faces
    assert np.array_equal(np.unique(faces), np.arange(len(vertices)))
    a, b, c = vertices[faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    assert area.min() > 1e-9  # a thousandth of a square millimetre


def test_edges_are_manifold_and_consistently_oriented(head):
    edges = directed_edges(head.model.faces)
    assert len(np.unique(edges, axis=0)) == len(edges)
    _, count = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    assert count.max() == 2


def test_the_only_openings_are_neck_and_eye_sockets(head):
    edges = boundary_edges(head.model.faces)
    size = len(head.model.v_template)
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    loops = [np.unique(edges[label[edges[:, 0]] == k]) for k in np.unique(label[edges[:, 0]])]
    assert len(loops) == 3
    centers = np.array([head.model.v_template[loop].mean(0) for loop in loops])
    centers = centers[np.argsort(centers[:, 1])]
    assert centers[0, 1] < -0.18
    for center in centers[1:]:
        assert np.abs(np.abs(center) - [0.0315, 0.0235, 0.03]).max() < 0.004
    assert len(edges) == sum(len(loop) for loop in loops)  # simple loops


def test_closed_pieces_enclose_positive_volume(head):
    faces = head.model.faces
    size = len(head.model.v_template)
    edges = directed_edges(faces)
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    a, b, c = head.model.v_template[faces].transpose(1, 0, 2)
    volume = (a * np.cross(b, c)).sum(1) / 6
    totals = [volume[label[faces[:, 0]] == piece].sum() for piece in np.unique(label)]
    # Skin with the mouth's cavity, two eyeballs, two rows of teeth, the tongue.
    assert len(totals) == 6
    assert min(totals) > 1e-7
    eyeball = volume[np.isin(head.vertex_part[faces[:, 0]], [Part.LEFT_EYEBALL])].sum()
    assert eyeball == pytest.approx(4 / 3 * np.pi * 0.012**3, rel=0.06)


@pytest.mark.parametrize("yaw", [0.0, 0.8, 1.6, 2.4, 3.1, -1.2])
def test_what_is_seen_faces_the_viewer(head, yaw):
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    turned = head.model.v_template @ turn.T
    ndc = torch.tensor(turned * [-4, 4, -1] + [0, 0, 2], dtype=torch.float32)[None]
    ids = visible(ndc, torch.tensor(head.model.faces), 256, 256, perspective_correct=False)
    seen = ids[ids >= 0].numpy()
    # From behind one looks down the open neck.
    seen = seen[head.model.v_template[head.model.faces[seen], 1].mean(1) > -0.15]
    a, b, c = turned[head.model.faces[seen]].transpose(1, 0, 2)
    assert (np.cross(b - a, c - a)[:, 2] <= 0).mean() < 1e-3


def test_mirror_is_exact(head):
    mirror, vertices = head.mirror, head.model.v_template
    assert np.array_equal(mirror[mirror], np.arange(len(mirror)))
    assert np.array_equal(vertices[mirror], vertices * FLIP_X)
    ours = {tuple(np.roll(face, -face.argmin())) for face in head.model.faces}
    theirs = {tuple(np.roll(face, -face.argmin())) for face in mirror[head.model.faces][:, ::-1]}
    assert ours == theirs


def test_uvs_unfold_without_overlap(head):
    corners = head.uvs[head.uv_faces].astype(float)
    assert corners.min() >= 0 and corners.max() <= 1
    a, b, c = corners.transpose(1, 0, 2)
    area = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert area.min() > 0
    size = 1024
    flat = np.concatenate([1 - 2 * head.uvs[:, :1], 2 * head.uvs[:, 1:] - 1], 1)
    ndc = torch.tensor(np.c_[flat, np.ones(len(flat))], dtype=torch.float32)[None]
    faces = torch.tensor(head.uv_faces)
    covered = rasterize(ndc, faces, size, size, perspective_correct=False).covered.sum().item()
    assert area.sum() * size * size == pytest.approx(covered, rel=2e-3)
    a, b, c = head.model.v_template[head.model.faces].transpose(1, 0, 2)
    surface = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2

    def density(*regions):
        chosen = np.isin(head.face_region, regions)
        return area[chosen].sum() / surface[chosen].sum()

    assert density(0, 1, 2, 4, 5, 8, 9, 10, 13, 14, 16) > 1.5 * density(3, 17, 18)


def test_skin_is_cut_at_the_back_only(head):
    """Neighbours in space are neighbours on the texture, but for the seam and the islands."""
    corners = {}
    for face, uv_face in zip(head.model.faces.tolist(), head.uv_faces.tolist(), strict=True):
        for vertex, place in zip(face, uv_face, strict=True):
            corners.setdefault(vertex, set()).add(tuple(np.round(head.uvs[place], 6)))
    skin = np.flatnonzero(head.vertex_part == Part.SKIN)
    split = [vertex for vertex in skin if len(corners[vertex]) > 1]
    crown = head.model.v_template[:, 1].max()
    x, y, z = head.model.v_template[split].T
    at_seam = (np.abs(x) < 1e-9) & (z < -0.05)
    assert (at_seam | (y == crown)).all()
