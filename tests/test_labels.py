"""The table of labels agrees with docs/formats.md, and with the numbers that draw them."""

from pathlib import Path

import pytest

from synthforge.annotate import DEPTH16_STEP_M, EYEBALL_TOLERANCE, OUTLINE_SHARE
from synthforge.config import IMAGE_SIZE
from synthforge.frames import UNITS_PER_METRE
from synthforge.labels import (
    CORE,
    EXTRAS,
    IMAGE_LABELS,
    IMAGES,
    NUMBER_LABELS,
    NUMBERS,
    SCHEME_LABELS,
)
from synthforge.regions import BACKGROUND

DOCS = (Path(__file__).parent.parent / "docs/formats.md").read_text().splitlines()


def table(first_column):
    """Cells of the rows below the header that begins so."""
    (start,) = (i for i, line in enumerate(DOCS) if line.startswith(f"| {first_column} | "))
    rows = []
    for line in DOCS[start + 2 :]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])


def test_the_docs_list_every_folder_so():
    assert table("folder") == [
        [f"`{label.name}`", label.png, label.source, label.unit, label.description]
        for label in IMAGE_LABELS
    ]


def test_the_docs_list_every_key_so():
    assert table("key") == [
        [f"`{label.name}`", " x ".join(map(str, label.shape)), label.unit, label.description]
        for label in NUMBER_LABELS
    ]


def test_the_docs_list_every_further_key_so():
    assert table("further key") == [[f"`{name}`", *cells] for name, *cells in SCHEME_LABELS]


def test_names_are_unique_and_those_of_the_published_loader_come_first():
    assert len(IMAGES) == len(IMAGE_LABELS) and len(NUMBERS) == len(NUMBER_LABELS)
    assert not IMAGES.keys() & NUMBERS.keys()  # a reader gives both in one dict
    assert CORE == ("images", "seg", "depth")
    assert (*CORE, *EXTRAS) == tuple(IMAGES)


@pytest.mark.parametrize("name", ["depth16", "volume_depth"])
def test_steps_of_metric_depth(name):
    assert IMAGES[name].unit == f"{DEPTH16_STEP_M} m"


def test_numbers_in_descriptions_are_the_codes():
    assert f"value * {DEPTH16_STEP_M};" in IMAGES["depth16"].description
    assert f"{BACKGROUND} is background" in IMAGES["seg_id"].description
    assert f"within {IMAGE_SIZE // OUTLINE_SHARE} px of" in NUMBERS["kps_visible"].description
    under_a_lid = EYEBALL_TOLERANCE / UNITS_PER_METRE * 1000
    assert f"a lid {under_a_lid:g} mm before it" in SCHEME_LABELS[2][3]
