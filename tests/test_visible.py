"""The classes of what an image shows, and those of the sets that people train for."""

import cv2
import numpy as np
import pytest
from PIL import Image
from test_labels import table

from synthforge.dataset.png import encode_png
from synthforge.labels import EXTRAS
from synthforge.parsing import IGNORE, PARSINGS
from synthforge.regions import PALETTE, REGIONS
from synthforge.visible import OVER, VISIBLE, VISIBLE_ID, VISIBLE_PALETTE

# As their authors publish them; see synthforge/parsing.py.
LAPA = (
    "background,skin,left eyebrow,right eyebrow,left eye,right eye,nose,upper lip,inner mouth,"
    "lower lip,hair"
)
CELEBAMASK = (
    "background,skin,nose,eye_g,l_eye,r_eye,l_brow,r_brow,l_ear,r_ear,mouth,u_lip,l_lip,hair,hat,"
    "ear_r,neck_l,neck,cloth"
)
FACE_SYNTHETICS = (
    "BACKGROUND,SKIN,NOSE,RIGHT_EYE,LEFT_EYE,RIGHT_BROW,LEFT_BROW,RIGHT_EAR,LEFT_EAR,"
    "MOUTH_INTERIOR,TOP_LIP,BOTTOM_LIP,NECK,HAIR,BEARD,CLOTHING,GLASSES,HEADWEAR,FACEWEAR"
)
ORDERS = {
    "parsing_lapa": LAPA,
    "parsing_celebamask": CELEBAMASK,
    "parsing_facesynthetics": FACE_SYNTHETICS,
}


def test_a_class_keeps_its_number():
    assert VISIBLE[: len(REGIONS)] == REGIONS
    assert [visible.id for visible in VISIBLE] == list(range(len(VISIBLE)))
    assert ",".join(visible.name for visible in VISIBLE[20:32]) == (
        "hair,facial_hair,clothes,glasses,lens,headwear,mask,hand,object,other_person,earring,"
        "unknown"
    )


def test_colours_are_distinct_and_those_of_the_regions_stay():
    np.testing.assert_array_equal(VISIBLE_PALETTE[: len(PALETTE)], PALETTE)
    assert len(np.unique(VISIBLE_PALETTE, axis=0)) == len(VISIBLE)
    distance = np.abs(VISIBLE_PALETTE[:, None].astype(int) - VISIBLE_PALETTE).sum(-1)
    assert (distance + 999 * np.eye(len(VISIBLE)))[20:].min() >= 48


def test_the_docs_list_every_class_so():
    rows = [cells for row in table("id | class") for cells in (row[:3], row[3:])]
    assert sorted(rows, key=lambda cells: int(cells[0])) == [
        [str(over.id), over.name, over.color] for over in OVER
    ]


@pytest.mark.parametrize("name", PARSINGS)
def test_order_of_the_sets_classes(name):
    assert ",".join(PARSINGS[name].classes) == ORDERS[name]
    assert name in EXTRAS


@pytest.mark.parametrize("name", PARSINGS)
def test_each_class_is_at_most_one_of_a_sets(name):
    scheme = PARSINGS[name]
    ours = [visible for names in scheme.classes.values() for visible in names]
    ours += scheme.ignored
    assert len(set(ours)) == len(ours) and set(ours) <= VISIBLE_ID.keys()
    # All of the head is some class of theirs; what is not said to be one is their background.
    left_out = {region.name for region in VISIBLE} - set(ours)
    others = {"hand", "object", "other_person", "headwear", "mask"}
    neck = {"neck", "neck_back", "clothes"} if name == "parsing_lapa" else set()
    assert left_out <= others | neck
    assert (scheme.table[[VISIBLE_ID[n] for n in left_out]] == 0).all()


def theirs(name, ours):
    scheme = PARSINGS[name]
    value = scheme.table[VISIBLE_ID[ours]]
    return IGNORE if value == IGNORE else list(scheme.classes)[value]


BARE = "face forehead eye_region eye_region+forehead right_eye_region left_eye_region scalp"


@pytest.mark.parametrize(
    ("ours", "lapa", "celebamask", "facesynthetics"),
    [
        *[(name, "skin", "skin", "SKIN") for name in BARE.split()],
        ("background", "background", "background", "BACKGROUND"),
        ("nose", "nose", "nose", "NOSE"),
        ("right_eyebrow", "left eyebrow", "l_brow", "RIGHT_BROW"),
        ("left_eyebrow", "right eyebrow", "r_brow", "LEFT_BROW"),
        ("right_eyeball", "left eye", "l_eye", "RIGHT_EYE"),
        ("left_eyeball", "right eye", "r_eye", "LEFT_EYE"),
        ("right_ear", "skin", "l_ear", "RIGHT_EAR"),
        ("left_ear", "skin", "r_ear", "LEFT_EAR"),
        ("upper_lip", "upper lip", "u_lip", "TOP_LIP"),
        ("lower_lip", "lower lip", "l_lip", "BOTTOM_LIP"),
        ("inner_mouth", "inner mouth", "mouth", "MOUTH_INTERIOR"),
        ("neck", "background", "neck", "NECK"),
        ("neck_back", "background", "neck", "NECK"),
        ("clothes", "background", "cloth", "CLOTHING"),
        ("glasses", "skin", "eye_g", "GLASSES"),
        ("lens", "skin", "eye_g", "GLASSES"),
        ("headwear", "background", "hat", "HEADWEAR"),
        ("mask", "background", "background", "FACEWEAR"),
        ("earring", "skin", "ear_r", IGNORE),
        ("hand", "background", "background", IGNORE),
        ("object", "background", "background", IGNORE),
        ("other_person", "background", "background", "BACKGROUND"),
    ],
)
def test_what_each_of_our_classes_is_in_the_sets(ours, lapa, celebamask, facesynthetics):
    assert [theirs(name, ours) for name in PARSINGS] == [lapa, celebamask, facesynthetics]


def test_left_is_the_images_in_two_sets_and_the_persons_in_the_third():
    """The subject's right is on the image's left."""
    assert theirs("parsing_lapa", "right_eyebrow") == "left eyebrow"
    assert theirs("parsing_lapa", "left_eyeball") == "right eye"
    assert theirs("parsing_celebamask", "right_eyeball") == "l_eye"
    assert theirs("parsing_celebamask", "left_ear") == "r_ear"
    assert theirs("parsing_facesynthetics", "right_eyeball") == "RIGHT_EYE"
    assert theirs("parsing_facesynthetics", "left_ear") == "LEFT_EAR"


def test_hair_beards_and_what_nobody_can_name():
    assert [theirs(name, "facial_hair") for name in PARSINGS] == ["skin", "skin", "BEARD"]
    assert [theirs(name, "hair") for name in PARSINGS] == ["hair", "hair", "HAIR"]
    assert [theirs(name, "unknown") for name in PARSINGS] == [IGNORE] * 3
    assert [theirs(name, "left_eye_region") for name in PARSINGS] == ["skin", "skin", "SKIN"]


def test_what_a_set_asks_for_and_no_image_has_is_said():
    said = {name: set(scheme.as_json()["not_drawn"]) for name, scheme in PARSINGS.items()}
    assert "neck_l" in said["parsing_celebamask"] and not said["parsing_lapa"]
    assert not {"hair", "cloth", "skin", "hat"} & said["parsing_celebamask"]


@pytest.mark.parametrize("name", PARSINGS)
def test_files_load_in_the_form_that_the_sets_have(name, tmp_path):
    """One channel of 8 bits without a palette: the value is the class."""
    path = tmp_path / "0.png"
    image = PARSINGS[name].table[np.arange(32).reshape(4, 8)]
    path.write_bytes(encode_png(image))
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), image)
    with Image.open(path) as opened:
        assert opened.mode == "L"
        np.testing.assert_array_equal(np.array(opened), image)
