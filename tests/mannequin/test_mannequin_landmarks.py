"""The built-in head's landmarks lie where iBUG puts them, and its regions cover it."""

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from synthforge.landmarks import FLIP
from synthforge.mannequin import baked_head
from synthforge.regions import BACKGROUND, FLIP_PAIRS, REGION_ID, REGIONS

FLIP_X = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def head():
    return baked_head()


def points_on(head, faces, bary):
    return (head.model.v_template[head.model.faces[faces]] * bary[..., None]).sum(-2)


@pytest.fixture(scope="module")
def landmarks(head):
    """(68, 3), the frontal row for the jaw."""
    embedding = head.embedding
    jaw = points_on(head, embedding.contour_faces[0], embedding.contour_bary[0])
    return np.concatenate([jaw, points_on(head, embedding.static_faces, embedding.static_bary)])


def test_shapes_and_weights(head):
    embedding = head.embedding
    assert embedding.static_faces.shape == (51,) and embedding.static_bary.shape == (51, 3)
    assert embedding.contour_faces.shape == (79, 17)
    assert embedding.contour_bary.shape == (79, 17, 3)
    for bary in (embedding.static_bary, embedding.contour_bary):
        assert bary.min() >= 0 and np.allclose(bary.sum(-1), 1)


def test_inner_landmarks_are_mirror_symmetric(landmarks):
    flipped = landmarks[list(FLIP)] * FLIP_X
    assert np.abs(flipped - landmarks)[17:].max() < 1e-9


def test_proportions_are_human(landmarks):
    def distance(a, b):
        return 1000 * np.linalg.norm(landmarks[a] - landmarks[b])

    assert distance(36, 45) == pytest.approx(90, abs=2)
    assert distance(39, 42) == pytest.approx(33, abs=3)
    assert distance(48, 54) == pytest.approx(50, abs=2)
    assert distance(27, 33) == pytest.approx(50, abs=5)
    assert distance(33, 62) == pytest.approx(22, abs=3)
    assert 1000 * (landmarks[62, 1] - landmarks[8, 1]) == pytest.approx(45, abs=3)


def test_points_run_in_order(landmarks):
    x, y = landmarks[:, 0], landmarks[:, 1]
    assert (np.diff(x[17:27]) > 0).all()
    assert (np.diff(y[27:31]) < 0).all()
    assert (np.diff(x[31:36]) > 0).all()
    assert (np.diff(x[36:40]) > 0).all() and (np.diff(x[42:46]) > 0).all()
    assert (np.diff(x[48:55]) > 0).all() and (np.diff(x[60:65]) > 0).all()
    assert y[50] > y[51] < y[52]  # cupid's bow
    assert (y[[37, 38, 43, 44]] > y[[41, 40, 47, 46]]).all()
    assert np.argmax(landmarks[27:36, 2]) == 3  # the tip is foremost


@pytest.mark.parametrize(
    ("points", "regions"),
    [
        (range(17, 22), {"right_eyebrow"}),
        (range(22, 27), {"left_eyebrow"}),
        (range(27, 36), {"nose", "eye_region"}),
        (range(36, 42), {"right_eye_region"}),
        (range(42, 48), {"left_eye_region"}),
        (range(48, 68), {"upper_lip", "lower_lip", "face", "inner_mouth"}),
    ],
)
def test_landmarks_lie_in_their_regions(head, points, regions):
    """Each point's vertices touch a face of its region."""
    allowed = [REGION_ID[name] for name in regions]
    for point in points:
        corners = head.model.faces[head.embedding.static_faces[point - 17]]
        corners = corners[head.embedding.static_bary[point - 17] > 1e-6]
        near = np.isin(head.model.faces, corners).any(1)
        assert np.isin(head.face_region[near], allowed).any(), point


def test_contour_rows_of_opposite_turns_are_mirror_images(head):
    embedding = head.embedding
    rows = points_on(head, embedding.contour_faces, embedding.contour_bary)
    for degrees in range(1, 40):
        assert np.allclose(rows[39 + degrees], rows[degrees][::-1] * FLIP_X, atol=1e-12)
    assert np.allclose(rows[0], rows[0][::-1] * FLIP_X, atol=1e-12)


@pytest.mark.parametrize("degrees", range(0, 40, 3))
def test_contour_follows_the_outline(head, degrees):
    embedding = head.embedding
    row = points_on(head, embedding.contour_faces[degrees], embedding.contour_bary[degrees])
    yaw = np.radians(degrees)
    across = row[:, 0] * np.cos(yaw) + row[:, 2] * np.sin(yaw)
    assert (np.diff(row[:9, 1]) < 0).all() and (np.diff(row[8:, 1]) > 0).all()
    assert (np.diff(across[:13]) > 0).all()
    # The far side lies on the silhouette: no face skin at that height sticks out much.
    vertices = head.model.v_template
    skin = vertices[np.unique(head.model.faces[head.face_region == REGION_ID["face"]])]
    skin = skin[skin[:, 2] > -0.03]
    skin_across = skin[:, 0] * np.cos(yaw) + skin[:, 2] * np.sin(yaw)
    for point, out in zip(row[11:], across[11:], strict=True):
        level = np.abs(skin[:, 1] - point[1]) < 0.004
        assert skin_across[level].max() - out < 0.006
    if degrees:
        still = points_on(head, embedding.contour_faces[0], embedding.contour_bary[0])
        assert (row[11:15, 2] >= still[11:15, 2] - 1e-9).all()


def test_all_regions_are_there_and_mirrored(head):
    assert set(head.face_region) == set(range(19))
    swap = np.arange(20)
    for a, b in FLIP_PAIRS:
        swap[a], swap[b] = b, a
    region = {tuple(sorted(f)): r for f, r in zip(head.model.faces, head.face_region, strict=True)}
    for face, value in region.items():
        assert region[tuple(sorted(head.mirror[list(face)]))] == swap[value]


def test_left_is_positive_x(head):
    center = head.model.v_template[head.model.faces].mean(1)
    for name in ("left_eye_region", "left_eyeball", "left_eyebrow", "left_ear"):
        assert (center[head.face_region == REGION_ID[name], 0] > 0).all()


def _edge_neighbours(faces):
    """Pairs (N, 2) of faces that share an edge, and the edges (N, 2)."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    owner = np.tile(np.arange(len(faces)), 3)
    order = np.lexsort(edges.T)
    edges, owner = edges[order], owner[order]
    shared = np.flatnonzero((edges[1:] == edges[:-1]).all(1))
    return np.stack([owner[shared], owner[shared + 1]], -1), edges[shared]


def test_regions_have_no_islands(head):
    """Each is one piece, but for the eye region, which eyes and nose divide, and the mouth."""
    pairs, _ = _edge_neighbours(head.model.faces)
    pairs = pairs[np.equal(*head.face_region[pairs].T)]
    size = len(head.model.faces)
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(size, size))
    _, piece = connected_components(graph, directed=False)
    pieces = {r.name: len(set(piece[head.face_region == r.id])) for r in REGIONS[:BACKGROUND]}
    several = {name: count for name, count in pieces.items() if count != 1}
    # Above the nose and below each eye; the cavity, two rows of teeth, the tongue.
    assert several == {"eye_region": 3, "inner_mouth": 4}


def test_borders_of_regions_are_not_ragged(head):
    pairs, edges = _edge_neighbours(head.model.faces)
    regions = head.face_region[pairs]
    border = regions[:, 0] != regions[:, 1]
    a, b = head.model.v_template[edges[border]].transpose(1, 0, 2)
    assert np.linalg.norm(a - b, axis=1).sum() < 3.15
    # Faces that stick out into another region: only where a corner of an outline is sharp.
    beyond = np.concatenate([pairs[border, 0] * 20 + regions[border, 1],
                             pairs[border, 1] * 20 + regions[border, 0]])  # fmt: skip
    assert (np.unique(beyond, return_counts=True)[1] > 1).sum() <= 8
