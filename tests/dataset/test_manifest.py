"""Lists of SHA-256: of whose samples, when they are read again, and how they meet."""

import hashlib
import json

import pytest
from support_dataset import CARD, make, sample

from synthforge.dataset import manifest
from synthforge.dataset.folder import DatasetError, planned_ranges
from synthforge.dataset.manifest import Manifests
from synthforge.dataset.write import DatasetWriter


def write_lists(root, within, recipe=CARD["recipe"]):
    """As a run of those numbers does at its end."""
    writer = DatasetWriter(root, {"recipe": recipe}, within=within)
    known = writer.there
    writer.write_index()
    return known


def names(root):
    return sorted(path.name for path in (root / "manifests").iterdir())


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_list_is_of_the_complete_samples_of_its_run(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "_BLOCK", 2)
    root = make(tmp_path, 0, 1, 2, 4)
    (root / "seg/000001.png").unlink()
    write_lists(root, range(5))
    assert names(root) == [
        *("000000-000001.sha256", "000002-000003.sha256", "000004-000004.sha256")
    ]
    lines = (root / "manifests/000000-000001.sha256").read_text().splitlines()
    files = ("images/000000.png", "seg/000000.png", "depth/000000.png", "annotations/000000.json")
    assert lines == [f"{digest(root / name)}  {name}" for name in files]
    lists = Manifests(root)
    assert lists.of(4)["seg/000004.png"] == {digest(root / "seg/000004.png")}
    assert not lists.of(1).get("seg/000001.png") and not lists.faults


def test_what_is_listed_is_not_read_again(tmp_path, monkeypatch):
    root = make(tmp_path, 0, 1)
    write_lists(root, range(2))
    before = (root / "manifests/000000-000001.sha256").read_bytes()
    image = root / "images/000000.png"
    image.write_bytes(image.read_bytes()[:-12] + b"\0\0\0\0IEND\xaeB`\x82")
    (root / "images/000001.png").write_bytes(image.read_bytes())

    def refuse(*_):
        raise AssertionError("a file is read")

    monkeypatch.setattr(manifest, "read_file", refuse)
    write_lists(root, range(2))
    assert (root / "manifests/000000-000001.sha256").read_bytes() == before


def test_what_a_run_drew_is_read(tmp_path):
    root = make(tmp_path, 0)
    write_lists(root, range(2))
    stale = f"{'0' * 64}  images/000001.png\n"  # as another CPU drew it
    (root / "manifests/000001-000001.sha256").write_text(stale)
    writer = DatasetWriter(root, CARD, within=range(2))
    assert writer.there.tolist() == [0]
    writer.open()
    writer.sink.write(sample(1))
    writer.close()
    writer.write_index()
    assert names(root) == ["000000-000001.sha256"]
    listed = Manifests(root).of(0)
    assert listed["images/000001.png"] == {digest(root / "images/000001.png")}


def test_a_larger_run_takes_the_place_of_smaller_lists(tmp_path):
    root = make(tmp_path, *range(6))
    write_lists(root, range(3))
    write_lists(root, range(2, 4))
    assert len(names(root)) == 2
    write_lists(root, range(6))
    assert names(root) == ["000000-000005.sha256"]


def test_where_lists_differ_either_digest_counts(tmp_path):
    root = make(tmp_path, 0, 1)
    write_lists(root, range(2))
    line = f"{'0' * 64}  images/000000.png\n"
    (root / "manifests/000000-000000.sha256").write_text(line)
    digests = Manifests(root).of(0)["images/000000.png"]
    assert digests == {"0" * 64, digest(root / "images/000000.png")}
    write_lists(root, range(2))  # in doubt, so that the file is read
    assert Manifests(root).of(0)["images/000000.png"] == {digest(root / "images/000000.png")}


def test_plans_of_several_runs_are_one(tmp_path):
    card = CARD | {"planned": [[0, 2]]}
    for planned in ([[0, 2]], [[2, 4]], [[10, 12]]):
        writer = DatasetWriter(tmp_path, card | {"planned": planned})
        writer.open()
        writer.close()
    found = json.loads((tmp_path / "dataset.json").read_text())
    assert found["planned"] == [[0, 4], [10, 12]]
    assert planned_ranges(found) == [range(4), range(10, 12)]


@pytest.mark.parametrize("planned", [1, [1], [[1, "x"]], [[-1, 2]], [[1, 2, 3]], {"a": 1}])
def test_a_plan_that_is_none_is_told(planned):
    with pytest.raises(DatasetError, match="planned holds no ranges"):
        planned_ranges({"planned": planned})
