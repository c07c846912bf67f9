"""Somebody else in the background: seen in the image, and in no label of the subject."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from synthforge.annotate import DEPTH16_STEP_M
from synthforge.assembly import Rig
from synthforge.batches import make_samples
from synthforge.dataset.png import encode_png
from synthforge.frames import UNITS_PER_METRE
from synthforge.generators.mannequin import mannequin_parts
from synthforge.mannequin.bystander import BYSTANDER_SIZE, bystander_of
from synthforge.mannequin.people import PERSON_LATENTS
from synthforge.mannequin.render.scene import scene_from
from synthforge.parsing import IGNORE, PARSINGS
from synthforge.regions import BACKGROUND
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING
from synthforge.visible import FIRST_OVER, OTHER_PERSON

LABELS = ("seg_visible", "alpha", "depth16_visible", "depth16", *PARSINGS)
SIZE = 512


@pytest.fixture(scope="module")
def pairs():
    """Samples alone, and with somebody behind."""
    parts = mannequin_parts(torch.device("cpu"))

    def drawn(share):
        rig = Rig(torch.device("cpu"), *parts, None, replace(MANNEQUIN_SAMPLING, bystanders=share))
        return make_samples([SampleId(4, i) for i in (3, 9)], rig, LABELS)[0]

    return list(zip(drawn(0.0), drawn(1.0), strict=True))


def test_labels_of_the_subject_know_nothing_of_them(pairs):
    shows_them = {"images", "seg_visible", "depth16_visible", *PARSINGS}
    for alone, both in pairs:
        for name, image in alone.files.items():
            if name not in shows_them:
                np.testing.assert_array_equal(image, both.files[name], err_msg=name)
        for name, number in alone.annotation.items():
            if name == "bystanders":
                assert (number, both.annotation[name]) == (0, 1)
            elif name != "z":
                np.testing.assert_array_equal(number, both.annotation[name], err_msg=name)


def test_they_are_seen_where_the_backdrop_was(pairs):
    for alone, both in pairs:
        before, after = alone.files["seg_visible"], both.files["seg_visible"]
        theirs = after == OTHER_PERSON
        assert 0.02 < theirs.mean() < 0.4
        assert (before[theirs] == BACKGROUND).mean() > 0.999
        # In pixels at the subject's edge something else than the backdrop may now fill most.
        for name in ("seg_visible", "depth16_visible", *PARSINGS):
            same = alone.files[name] == both.files[name]
            assert same[~theirs].mean() > 0.9995, name
        assert (both.files["depth16_visible"][theirs] == 0).all()
        assert all((both.files[name][theirs] == 0).all() for name in PARSINGS)
        change = abs(alone.files["images"].astype(int) - both.files["images"].astype(int)).max(2)
        assert np.median(change[theirs]) > 10
        subject = both.files["alpha"] == 255
        assert np.median(change[subject]) == 0


def test_occluded_points_are_those_where_something_else_is_seen_nearer(pairs):
    """In the files as they are stored; never the other person, whose depth is 0."""
    found = 0
    for _, both in pairs:
        points, z = both.annotation["2d_kps"], both.annotation["3d_kps"][:, 2]
        column, row = np.floor(points).astype(int).T
        inside = ((points >= 0) & (points < SIZE)).all(1)
        occluded = both.annotation["kps_occluded"].astype(bool)
        assert not occluded[~inside].any()
        seen = both.files["seg_visible"][row[occluded], column[occluded]]
        depth = both.files["depth16_visible"][row[occluded], column[occluded]]
        assert (seen >= FIRST_OVER).all() and (seen != OTHER_PERSON).all()
        units = depth * DEPTH16_STEP_M * UNITS_PER_METRE
        assert (depth > 0).all() and (units < z[occluded] + 1e-3).all()
        found += occluded.sum()
        # And where no pixel near a point shows anything else, nothing hides it.
        over = binary_dilation(both.files["seg_visible"] >= FIRST_OVER)
        clear = inside.copy()
        clear[inside] = ~over[row[inside], column[inside]]
        assert clear.any() and not occluded[clear].any()
    assert found


def test_sides_of_parsing_are_those_that_the_sets_are_read_with(pairs):
    """Of the sets' own classes of eyes and brows, in files as their readers take them."""
    sides = {
        "parsing_lapa": [("left eye", "right eye"), ("left eyebrow", "right eyebrow")],
        "parsing_celebamask": [("l_eye", "r_eye"), ("l_brow", "r_brow")],
        "parsing_facesynthetics": [("RIGHT_EYE", "LEFT_EYE"), ("RIGHT_BROW", "LEFT_BROW")],
    }
    for _, both in pairs:
        for name, ordered in sides.items():
            classes = list(PARSINGS[name].classes)
            image = cv2.imdecode(
                np.frombuffer(encode_png(both.files[name]), np.uint8), cv2.IMREAD_GRAYSCALE
            )
            assert image.max() < len(classes) or image.max() == IGNORE
            for on_the_images_left, on_its_right in ordered:
                columns = [
                    np.nonzero(image == classes.index(part))[1]
                    for part in (on_the_images_left, on_its_right)
                ]
                assert len(columns[0]) > 20 and len(columns[1]) > 20
                assert columns[0].mean() < columns[1].mean(), (name, on_its_right)


def other(z, left=0.3):
    marks = torch.tensor([[left, 0.4], [left + 0.3, 0.7]])
    return bystander_of(z, marks)


def test_who_stands_behind_is_the_scenes():
    z = torch.randn(3, 512, generator=torch.Generator().manual_seed(2))
    z[1, PERSON_LATENTS:] = z[0, PERSON_LATENTS:]
    one, same_scene, elsewhere = (other(row) for row in z)
    assert torch.equal(one.z, same_scene.z) and torch.equal(one.vertices, same_scene.vertices)
    assert not torch.equal(one.z, elsewhere.z)
    assert not torch.equal(one.z, z[0])


def test_they_stand_beside_the_subject_where_there_is_room():
    z = torch.randn(12, 512, generator=torch.Generator().manual_seed(5))
    beside = []
    for left, side in ((0.02, 1), (0.68, -1)):
        for row in z:
            there = other(row, left)
            px, _ = there.camera.project(there.landmarks[None], 1)
            low, high = px[0].amin(0), px[0].amax(0)
            nose = px[0, 30, 0]
            assert 0 < nose < 1
            beside.append(float(nose - left - 0.15) * side > 0.1)
            size = float((high - low).max()) / 0.3
            assert abs(size / there.nearness - 1) < 0.35 and 0.3 < there.nearness < 0.7
    assert sum(beside) >= 22


def test_the_bust_continues_to_the_border_and_stays_within_its_columns():
    z = torch.randn(512, generator=torch.Generator().manual_seed(3))
    there, scene = other(z), scene_from(z[PERSON_LATENTS:])
    scene = replace(scene, surroundings=replace(scene.surroundings, defocus=0.0))
    shares = torch.zeros(4, BYSTANDER_SIZE, BYSTANDER_SIZE)
    shares[:, 100:150, 60:90] = torch.tensor([0.2, 0.3, 0.4, 1.0])[:, None, None]
    image = there.out_of_focus(shares, scene, 2 * BYSTANDER_SIZE)
    assert torch.allclose(image[:, 210:, 130:170].amin((1, 2)), torch.tensor([0.2, 0.3, 0.4, 1.0]))
    assert image[3, :190].max() == 0 and image[3, :, :110].max() == image[3, :, 190:].max() == 0


def test_a_lamp_near_the_subject_is_dimmer_where_they_stand():
    z = torch.randn(512, generator=torch.Generator().manual_seed(3))
    there, scene = other(z), scene_from(z[PERSON_LATENTS:])
    assert there.lit_by(replace(scene, fills=())).key == scene.key
    lamp = replace(scene, fills=(scene.key,))
    dimmed = there.lit_by(lamp)
    assert dimmed.fills == lamp.fills and dimmed.key.direction == scene.key.direction
    assert dimmed.key.color[1] == pytest.approx(there.nearness**2 * scene.key.color[1])
