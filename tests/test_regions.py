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
