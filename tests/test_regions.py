"""The palette, and regions painted from a user's files."""

import cv2
import numpy as np
import pytest

from flame_pytorch.errors import FileFormatError
from synthforge.regions import (
    FLIP_PAIRS,
    PALETTE,
    REGION_ID,
    REGIONS,
    paint_masks,
    paint_texture,
)


def test_ids_count_up_and_colours_differ():
    assert [region.id for region in REGIONS] == list(range(20))
    assert len({region.color for region in REGIONS}) == 20
    assert PALETTE[REGION_ID["background"]].tolist() == [0x45] * 3
    assert PALETTE[REGION_ID["nose"]].tolist() == [0xC6, 0x02, 0xAC]


def test_colours_stay_apart_for_a_cielab_matcher():
    """The published loader matches within delta-E 2.3; half of the nearest pair must exceed it."""
    lab = cv2.cvtColor(PALETTE[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1) + np.eye(20) * 99
    assert distance.min() > 2 * 2.3


def test_flip_pairs_are_left_and_right():
    names = [{REGIONS[a].name.split("_")[0], REGIONS[b].name.split("_")[0]} for a, b in FLIP_PAIRS]
    assert all(pair == {"left", "right"} for pair in names)


def grid_head():
    """A flat grid of triangles spanning a face's extent; x to the subject's left, y up."""
    x, y = np.meshgrid(np.linspace(-0.08, 0.08, 33), np.linspace(-0.15, 0.12, 55))
    vertices = np.stack([x, y, np.full_like(x, 0.05)], -1).reshape(-1, 3)
    index = np.arange(33 * 55).reshape(55, 33)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    landmarks = np.zeros((68, 3))
    landmarks[17:22, 0], landmarks[22:27, 0] = (
        np.linspace(-0.05, -0.01, 5),
        np.linspace(0.01, 0.05, 5),
    )
    landmarks[17:27, 1] = 0.04
    around = np.linspace(np.pi, -np.pi, 9)[:-1]
    landmarks[60:68, 0], landmarks[60:68, 1] = (
        0.02 * np.cos(around),
        -0.053 + 0.002 * np.sin(around),
    )
    landmarks[:, 2] = 0.05
    return vertices, faces, landmarks


def within(vertices, low, high):
    return np.flatnonzero(((vertices[:, :2] >= low) & (vertices[:, :2] <= high)).all(1))


@pytest.fixture(scope="module")
def painted():
    vertices, faces, landmarks = grid_head()
    masks = {
        "face": within(vertices, (-0.08, -0.1), (0.08, 0.1)),
        "neck": within(vertices, (-0.08, -0.15), (0.08, -0.1)),
        "scalp": within(vertices, (-0.08, 0.08), (0.08, 0.12)),
        "forehead": within(vertices, (-0.08, 0.045), (0.08, 0.1)),
        "eye_region": within(vertices, (-0.06, 0.0), (0.06, 0.055)),
        "lips": within(vertices, (-0.025, -0.07), (0.025, -0.04)),
        "left_eyeball": within(vertices, (0.02, 0.01), (0.04, 0.03)),
    }
    regions = paint_masks(masks, vertices, faces, landmarks, neck_joint=np.array([0, -0.1, 0]))

    def at(x, y):
        center = vertices[faces].mean(1)
        return REGIONS[regions[np.hypot(center[:, 0] - x, center[:, 1] - y).argmin()]].name

    return at


@pytest.mark.parametrize(
    ("x", "y", "name"),
    [
        (0.07, -0.02, "face"),
        (0.0, -0.13, "neck"),
        (0.0, 0.09, "forehead"),
        (0.0, 0.115, "scalp"),
        (0.0, 0.05, "eye_region+forehead"),
        (0.03, 0.02, "left_eyeball"),
        (-0.03, 0.02, "eye_region"),
        (0.03, 0.04, "left_eyebrow"),
        (-0.03, 0.04, "right_eyebrow"),
        (0.0, -0.045, "upper_lip"),
        (0.0, -0.065, "lower_lip"),
    ],
)
def test_masks_paint_what_a_person_would(painted, x, y, name):
    assert painted(x, y) == name


@pytest.mark.parametrize(
    ("center", "masks", "name"),
    [
        ((0.0, -0.12, 0.01), ["neck"], "neck"),
        ((0.0, -0.12, -0.01), ["neck"], "neck_back"),  # behind the neck's joint
        ((0.0, -0.12, -0.01), ["boundary"], "neck_back"),
        ((0.07, 0.0, -0.01), ["face"], "face"),
        ((0.0, 0.1, -0.01), ["face", "scalp"], "scalp"),
        ((0.07, -0.09, 0.01), ["face", "scalp", "neck"], "neck"),
        ((0.0, 0.06, 0.05), ["scalp", "forehead"], "forehead"),
        ((0.0, 0.01, 0.06), ["face", "eye_region", "nose"], "nose"),
        ((0.0, 0.04, 0.06), ["eye_region", "forehead", "nose"], "eye_region+forehead"),
        ((0.07, 0.0, 0.01), ["face", "scalp", "left_ear"], "left_ear"),
        ((-0.07, 0.0, 0.01), ["face", "scalp", "right_ear"], "right_ear"),
        ((0.03, 0.02, 0.05), ["eye_region", "left_eye_region"], "left_eye_region"),
        ((-0.03, 0.02, 0.05), ["eye_region", "right_eye_region"], "right_eye_region"),
        ((-0.03, 0.02, 0.05), ["right_eye_region", "right_eyeball"], "right_eyeball"),
        ((0.03, 0.044, 0.05), ["face"], "left_eyebrow"),  # 4 mm above the brow's line
        ((0.03, 0.046, 0.05), ["face"], "face"),
        ((0.03, 0.04, 0.056), ["forehead"], "forehead"),  # 6 mm before it
        ((-0.054, 0.04, 0.05), ["forehead", "eye_region"], "right_eyebrow"),  # beyond its end
        ((-0.056, 0.04, 0.05), ["eye_region"], "eye_region"),
        ((-0.006, 0.04, 0.05), ["eye_region"], "right_eyebrow"),  # and beyond the other
        ((-0.003, 0.04, 0.05), ["eye_region"], "eye_region"),
        ((-0.03, 0.04, 0.05), ["right_eye_region"], "right_eye_region"),
        ((0.01, -0.045, 0.05), ["face", "lips"], "upper_lip"),
        ((0.01, -0.06, 0.05), ["face", "lips"], "lower_lip"),
        ((0.01, -0.045, 0.047), ["lips"], "upper_lip"),  # 3 mm behind the inner lip's points
        ((0.01, -0.045, 0.045), ["lips"], "inner_mouth"),
        ((0.01, -0.045, 0.045), ["face"], "face"),
    ],
)
def test_where_masks_overlap_or_say_nothing(center, masks, name):
    """One small triangle, of which two corners lie in the masks and one elsewhere."""
    _, _, landmarks = grid_head()
    offsets = np.array([[1, 0, 0], [-1, 1, 0], [0, -1, 0]]) * 1e-4
    vertices = np.array(center) + offsets
    painted = paint_masks(
        {mask: np.array([0, 1]) for mask in masks} | {"nose_tip": np.array([2])},
        *(vertices, np.array([[0, 1, 2]]), landmarks),
        neck_joint=np.array([0.0, -0.1, 0.0]),
    )
    assert [REGIONS[i].name for i in painted] == [name]


def test_one_corner_in_a_mask_is_not_enough():
    _, _, landmarks = grid_head()
    vertices = np.array([[0.07, 0.0, 0.0], [0.07, 0.001, 0.0], [0.071, 0.0, 0.0]])
    masks = {"left_ear": np.array([1]), "face": np.array([0, 1, 2])}
    (painted,) = paint_masks(masks, vertices, np.array([[0, 1, 2]]), landmarks, np.zeros(3))
    assert REGIONS[painted].name == "face"


def test_the_lips_part_where_their_inner_points_do():
    """A mouth that is open and oblique, whose points run from the subject's right to the left."""
    _, _, landmarks = grid_head()
    x = np.array([-0.02, -0.01, 0.0, 0.01, 0.02, 0.01, 0.0, -0.01])
    gap = np.array([0, 2, 3, 2, 0, -1, -1, -1]) * 1e-3
    landmarks[60:68, 0], landmarks[60:68, 1] = x, -0.05 + 0.3 * x + gap
    for at, middle in ((-0.01, 0.0005), (0.0, 0.001), (0.01, 0.0005), (-0.02, 0), (0.02, 0)):
        for above, name in ((1e-4, "upper_lip"), (-1e-4, "lower_lip")):
            center = np.array([at, -0.05 + 0.3 * at + middle + above, 0.05])
            vertices = center + np.array([[1, 0, 0], [-1, 1, 0], [0, -1, 0]]) * 1e-6
            lips = {"lips": np.array([0, 1, 2])}
            (painted,) = paint_masks(
                lips, vertices, np.array([[0, 1, 2]]), landmarks, np.full(3, -1.0)
            )
            assert REGIONS[painted].name == name, at


def test_a_painted_texture_is_quantised_to_the_palette():
    texture = np.zeros((4, 4, 3), np.uint8)
    texture[:2] = PALETTE[REGION_ID["nose"]] + 1  # v in the upper half
    texture[2:, :2] = PALETTE[REGION_ID["neck"]] - 1
    texture[2:, 2:] = (0x00, 0xFF, 0xF1)  # the neck's base
    face_uvs = np.array([[(0.5, 0.8)] * 3, [(0.2, 0.2)] * 3, [(0.8, 0.2)] * 3, [(1.0, 1.0)] * 3])
    names = [REGIONS[i].name for i in paint_texture(texture, face_uvs)]
    assert names == ["nose", "neck", "neck", "nose"]


def test_antialiased_edges_go_to_the_nearest_colour_and_other_images_are_refused():
    face_uvs = np.array([[(0.2, 0.8)] * 3, [(0.8, 0.8)] * 3])
    texture = np.broadcast_to(PALETTE[REGION_ID["nose"]], (4, 4, 3)).copy()
    edge = texture.astype(int)
    edge[:, 2:] = 0.7 * edge[:, 2:] + 0.3 * PALETTE[REGION_ID["face"]]
    names = [REGIONS[i].name for i in paint_texture(edge.astype(np.uint8), face_uvs)]
    assert names == ["nose", "nose"]
    skin = np.full((4, 4, 3), (200, 160, 140), np.uint8)
    with pytest.raises(FileFormatError, match=r"no painted segmentation: 100% of the triangles"):
        paint_texture(skin, face_uvs)
