"""docs/dataset_format.md: its reader reads a dataset as ours does."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from support_verified import copied, edit

from synthforge.dataset.face_dataset import FaceDataset
from synthforge.dataset.folder import FORMAT_VERSION
from synthforge.dataset.read import Dataset

DOCS = (Path(__file__).parents[3] / "docs/dataset_format.md").read_text()


@pytest.fixture(scope="module")
def read():
    (code,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    definitions, _, use = code.partition("\n\nimage, ids")
    assert use.strip().endswith('read(Path("faces"), 0)')
    names = {}
    exec(definitions, names)
    return names["read"]


def test_the_reader_of_the_docs_agrees_with_ours(whole, read):
    dataset, faces = Dataset(whole), FaceDataset(whole, labels=["depth", "K_px"])
    for index in dataset.indices:
        image, ids, metres, points_px, K_px = read(whole, index)
        np.testing.assert_array_equal(image, dataset.image("images", index))
        np.testing.assert_array_equal(ids, dataset.segmentation_ids(index))
        np.testing.assert_array_equal(points_px, dataset.keypoints(index)[0])
        np.testing.assert_allclose(np.nan_to_num(metres), faces[index]["depth"], atol=1e-6)
        np.testing.assert_allclose(K_px, faces[index]["K_px"], rtol=1e-6)


def test_it_refuses_what_is_newer(whole, read, tmp_path):
    root = copied(whole, tmp_path / "set")
    edit(root / "dataset.json", lambda card: card | {"format_version": 2})
    with pytest.raises(ValueError, match="format version 1"):
        read(root, 0)


def test_the_docs_are_of_this_version(whole):
    assert DOCS.startswith(f"# The dataset format, version {FORMAT_VERSION}\n")
    card = json.loads((whole / "dataset.json").read_text())
    assert card["format_version"] == FORMAT_VERSION
    rows = re.findall(r"^\| (`.*?`) \| ", DOCS, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named - {"samples_per_tar"} <= card.keys()
