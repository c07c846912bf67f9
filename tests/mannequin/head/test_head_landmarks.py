"""The baked head's landmarks lie where annotators put them, and its regions cover it."""

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from synthforge.landmarks import (
    FLIP,
    INNER_LIP,
    LEFT_BROW,
    LEFT_EYE,
    NOSE,
    OUTER_LIP,
    RIGHT_BROW,
    RIGHT_EYE,
)
from synthforge.mannequin.head.baked import Piece, baked_head
from synthforge.regions import FLIP_PAIRS, REGION_ID, REGIONS

FLIP_X = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def head():
    return baked_head()


def points_on(head, faces, bary):
    return (head.adult.astype(float)[head.model.faces[faces]] * bary[..., None]).sum(-2)


@pytest.fixture(scope="module")
def landmarks(head):
    """(68, 3) of the average adult, the frontal row for the jaw."""
    embedding = head.embedding
    jaw = points_on(head, embedding.contour_faces[0], embedding.contour_bary[0])
    return np.concatenate([jaw, points_on(head, embedding.static_faces, embedding.static_bary)])


def test_shapes_and_weights(head):
    embedding = head.embedding
    assert embedding.static_faces.shape == (51,) and embedding.contour_faces.shape == (79, 17)
    for bary in (embedding.static_bary, embedding.contour_bary):
        assert bary.min() > -1e-6 and np.allclose(bary.sum(-1), 1, atol=1e-6)


def test_landmarks_are_mirror_symmetric(landmarks):
    flipped = landmarks[list(FLIP)] * FLIP_X
    assert np.abs(flipped - landmarks)[17:].max() < 1e-6
    assert np.abs(flipped - landmarks)[:17].max() < 0.003


def test_proportions_are_those_of_photographs(landmarks):
    """Medians over near-frontal photographs with manual points, in outer-eye distances.

    Seen by the default camera, 1.03 m before the head's origin.
    """
    landmarks = landmarks / (1.03 - landmarks[:, 2:])
    eyes = landmarks[45, 0] - landmarks[36, 0]
    level = landmarks[[36, 39, 42, 45], 1].mean()

    def width(a, b):
        return (landmarks[b, 0] - landmarks[a, 0]) / eyes

    def below_eyes(index):
        return (level - landmarks[index, 1]) / eyes

    assert width(4, 12) == pytest.approx(1.34, abs=0.05)
    assert width(2, 14) == pytest.approx(1.54, abs=0.05)
    assert np.abs(landmarks[[0, 16], 1] - level).max() < 0.05 * eyes
    assert below_eyes(8) == pytest.approx(1.25, abs=0.04)
    assert below_eyes(33) == pytest.approx(0.53, abs=0.03)
    assert below_eyes([62, 66]).mean() == pytest.approx(0.76, abs=0.03)
    assert below_eyes([19, 24]).mean() == pytest.approx(-0.29, abs=0.03)
    assert width(31, 35) == pytest.approx(0.33, abs=0.04)
    assert width(39, 42) == pytest.approx(0.45, abs=0.04)
    assert 0.5 < width(48, 54) < 0.65
    assert width(21, 22) == pytest.approx(0.32, abs=0.04)


def test_points_run_in_order(landmarks):
    x, y = landmarks[:, 0], landmarks[:, 1]
    assert (np.diff(x[:17]) > 0).all()
    assert (np.diff(y[:9]) < 0).all() and (np.diff(y[8:17]) > 0).all()
    assert (np.diff(x[17:27]) > 0).all()
    assert (np.diff(y[27:31]) < 0).all()
    assert (np.diff(x[31:36]) > 0).all()
    assert (np.diff(x[36:40]) > 0).all() and (np.diff(x[42:46]) > 0).all()
    assert (np.diff(x[48:55]) > 0).all() and (np.diff(x[60:65]) > 0).all()
    assert y[50] > y[51] < y[52]  # cupid's bow
    assert (y[[37, 38, 43, 44]] > y[[41, 40, 47, 46]]).all()
    assert np.argmax(landmarks[27:36, 2]) == 3  # the tip is foremost


def test_nostrils_lie_above_the_base_of_the_nose(landmarks):
    """31 and 35 where the wings meet the cheek, not on the upper lip."""
    y = landmarks[:, 1]
    assert (y[[31, 35]] > y[33] + 0.003).all() and (y[[32, 34]] > y[33] + 0.0005).all()


def test_the_jaw_line_runs_along_the_jawbone(landmarks):
    """In even steps, and the chin's points lie on its front, not on the floor of the mouth."""
    steps = np.linalg.norm(np.diff(landmarks[:17, :2], axis=0), axis=1)
    assert steps.max() < 1.25 * steps.min()
    assert (landmarks[[7, 8, 9], 2] > 0.028).all()


def test_contour_rows_of_opposite_turns_are_mirror_images(head):
    embedding = head.embedding
    rows = points_on(head, embedding.contour_faces, embedding.contour_bary)
    for degrees in range(1, 40):
        assert np.allclose(rows[39 + degrees], rows[degrees][::-1] * FLIP_X, atol=1e-6)


@pytest.mark.parametrize("degrees", range(0, 40, 3))
def test_contour_follows_the_outline(head, degrees):
    embedding = head.embedding
    row = points_on(head, embedding.contour_faces[degrees], embedding.contour_bary[degrees])
    yaw = np.radians(degrees)
    across = row[:, 0] * np.cos(yaw) + row[:, 2] * np.sin(yaw)
    assert (np.diff(row[:8, 1]) < 0).all() and (np.diff(row[9:, 1]) > 0).all()
    # The far side lies on the silhouette: no face skin at that height sticks out much.
    face = np.isin(head.face_region, [REGION_ID["face"], REGION_ID["nose"]])
    face &= head.vertex_piece[head.model.faces[:, 0]] == Piece.SKIN
    skin = head.adult[np.unique(head.model.faces[face])].astype(float)
    skin = skin[skin[:, 2] > -0.038]  # before the ear
    skin = skin[skin[:, 1] > -0.071 - 0.39 * skin[:, 2]]  # and above the jawbone's lower edge
    skin_across = skin[:, 0] * np.cos(yaw) + skin[:, 2] * np.sin(yaw)
    for point, out in zip(row[10:], across[10:], strict=True):
        level = np.abs(skin[:, 1] - point[1]) < 0.003
        assert skin_across[level].max() - out < 0.007


def test_all_regions_are_there_and_mirrored(head):
    assert set(head.face_region) == set(range(19))
    swap = np.arange(20)
    for a, b in FLIP_PAIRS:
        swap[a], swap[b] = b, a
    region = {tuple(sorted(f)): r for f, r in zip(head.model.faces, head.face_region, strict=True)}
    off = sum(
        region[tuple(sorted(head.mirror[list(face)]))] != swap[value]
        for face, value in region.items()
    )
    assert off <= 0.001 * len(region)


def test_left_is_positive_x(head):
    center = head.adult[head.model.faces].mean(1)
    for name in ("left_eye_region", "left_eyeball", "left_eyebrow", "left_ear"):
        assert (center[head.face_region == REGION_ID[name], 0] > 0).all()


def test_upper_lip_lies_above_the_lower(head):
    center = head.adult[head.model.faces].mean(1)
    upper, lower = (center[head.face_region == REGION_ID[n], 1] for n in ("upper_lip", "lower_lip"))
    assert upper.max() > lower.max() + 0.005 and upper.min() > lower.min() + 0.007


@pytest.mark.parametrize(
    ("points", "regions"),
    [
        (RIGHT_BROW, {"right_eyebrow", "eye_region+forehead", "eye_region", "forehead"}),
        (LEFT_BROW, {"left_eyebrow", "eye_region+forehead", "eye_region", "forehead"}),
        (NOSE, {"nose", "eye_region", "face"}),
        (RIGHT_EYE, {"right_eye_region", "right_eyeball"}),
        (LEFT_EYE, {"left_eye_region", "left_eyeball"}),
        (OUTER_LIP, {"upper_lip", "lower_lip", "face"}),
        (INNER_LIP, {"upper_lip", "lower_lip", "inner_mouth"}),
    ],
)
def test_landmarks_lie_in_their_regions(head, points, regions):
    # The static points follow the 17 of the jaw.
    faces = np.asarray(head.embedding.static_faces)[points.start - 17 : points.stop - 17]
    assert {REGIONS[region].name for region in head.face_region[faces]} <= regions


@pytest.mark.parametrize("region", ["face", "forehead", "nose", "scalp", "upper_lip", "left_ear"])
def test_a_region_is_one_piece(head, region):
    faces = np.asarray(head.model.faces)[head.face_region == REGION_ID[region]]
    links = coo_array((np.ones(3 * len(faces)), (faces.ravel(), faces[:, [1, 2, 0]].ravel())))
    _, pieces = connected_components(links, directed=False)
    assert len(np.unique(pieces[faces[:, 0]])) == 1
