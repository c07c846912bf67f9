"""What dataset.json says, by value, and which settings must agree to continue a dataset."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support_mannequin import built_head

from synthforge.alignment import published_alignment
from synthforge.config import PartsConfig, RunConfig
from synthforge.dataset.card import dataset_card
from synthforge.detectors import Detector
from synthforge.generators.known import GENERATORS

RUN = RunConfig(output_dir=Path(), num_images=1)
PARTS = PartsConfig()


def card(run=RUN, parts=PARTS, generator="next3d", detector=None, schemes=None):
    part = SimpleNamespace(name=generator, fingerprint="f")
    rig = SimpleNamespace(
        generator=part,
        head=SimpleNamespace(**vars(part), schemes=schemes or {}),
        alignment=published_alignment(),
        sampling=GENERATORS[generator].sampling,
        detector=detector,
        parts=parts,
    )
    return json.loads(json.dumps(dataset_card(run, rig)))


def recipe(*args, **kwargs):
    return card(*args, **kwargs)["recipe"]


def test_what_changes_no_sample_may_differ():
    other = replace(RUN, max_attempts=3, batch_size=1, num_images=9, start_index=2)
    assert recipe(other) == recipe()


@pytest.mark.parametrize(
    "setting", [{"precision": "bf16"}, {"variant": "original"}, {"truncation_psi": 0.5}]
)
def test_settings_of_next3d_count_for_next3d_only(setting):
    other = PartsConfig(**setting)
    assert recipe(parts=other, generator="mannequin") == recipe(generator="mannequin")
    assert recipe(parts=other).items() >= setting.items()


def test_the_gates_threshold_counts_with_a_detector_only():
    assert recipe(parts=PartsConfig(reject_px=3.0)) == recipe()
    said = recipe(detector=Detector("mesh", print, 3.0))
    assert (said["detector"], said["reject_px"]) == ("mesh", 3.0)


def test_units_and_conventions_are_these():
    said = card()
    assert said["camera"]["metres_per_unit"] == 0.4
    assert said["camera"]["radius"] == 2.7
    assert said["camera"]["pivot"] == [0, 0, 0.2]
    assert "metres = value * 0.0001;" in said["depth"]["depth16"]
    assert said["palette"]["left_ear"] == {"id": 11, "rgb": "00ff3c"}
    assert [region["id"] for region in said["palette"].values()] == list(range(20))


def test_a_mirrored_image_has_these_labels():
    said = card()
    assert said["flip_pairs"] == [[4, 5], [6, 7], [8, 9], [11, 12]]
    assert "512 - x" in said["mirror"]
    flip = np.array(said["landmark_flip"])
    # iBUG 68: jaw, brows, bridge, nostrils, eyes, outer lip, inner lip.
    pairs = [
        *[(i, 16 - i) for i in range(8)],
        *[(17 + i, 26 - i) for i in range(5)],
        *[(31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)],
        *[(48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)],
    ]
    expected = np.arange(68)
    for a, b in pairs:
        expected[[a, b]] = b, a
    np.testing.assert_array_equal(flip, expected)


def test_further_keypoints_are_part_of_the_recipe_and_say_how_they_mirror():
    asked = replace(RUN, keypoints=("wflw98", "ibug70"))
    said = card(asked, schemes=built_head().schemes)
    assert said["recipe"]["keypoints"] == ["ibug70", "wflw98"]
    assert said["keypoints"]["ibug70"]["flip"][-2:] == [69, 68]
    assert said["keypoints"]["wflw98"]["points"] == 98
    assert "keypoints" not in recipe() and card()["keypoints"] == {}


@pytest.mark.parametrize(
    ("generator", "spdx", "said"),
    [
        ("mannequin", "MIT", "free to use"),
        ("next3d", "LicenseRef-FLAME-Next3D", "non-commercial"),
    ],
)
def test_the_licence_is_an_spdx_id_and_a_sentence(generator, spdx, said):
    made = card(generator=generator)
    assert made["licence_spdx"] == spdx
    assert said in made["licence"]


def test_the_card_says_what_expression_coefficients_are():
    assert "standard deviations" in card()["flame_exp"] and "face_actions" not in card()
    said = card(generator="mannequin")
    assert "activation" in said["flame_exp"]
    assert said["ancestry"] == ["african", "asian", "caucasian"]
    actions = said["face_actions"]
    assert len(actions) == 52 and actions[24] == "jawOpen"
    eyes = [name for name in actions if name.startswith("eyeLook")]
    assert said["expression_actions"] == [name for name in actions if name not in eyes]


def test_classes_of_what_the_image_shows_are_named():
    said = card(replace(RUN, extras=("seg_visible", "parsing_celebamask")))
    assert said["visible_palette"]["hair"] == {"id": 20, "rgb": "ff8000"}
    assert not said["visible_palette"].keys() & said["palette"].keys()
    assert list(said["parsing"]) == ["parsing_celebamask"]
    parsing = said["parsing"]["parsing_celebamask"]
    assert parsing["classes"]["cloth"] == 18 and len(parsing["classes"]) == 19
    assert parsing["ignore"] == 255 and "image" in parsing["left_and_right"]
    assert "neck_l" in parsing["not_drawn"]
    assert card()["parsing"] == {}
