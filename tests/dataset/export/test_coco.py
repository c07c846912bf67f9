import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support_export import SIZE, dataset_of, written

from synthforge.dataset.export import coco
from synthforge.landmarks import FLIP
from synthforge.regions import BACKGROUND


def load(folder):
    return json.loads((folder / "annotations" / "keypoints.json").read_text())


def test_an_annotation_holds_the_labels_of_its_image(tmp_path):
    dataset = dataset_of(tmp_path / "d", 0, 7)
    read = load(written(coco, dataset, tmp_path / "coco"))
    assert [image["file_name"] for image in read["images"]] == ["000000.png", "000007.png"]
    assert [a["id"] for a in read["annotations"]] == [1, 2]
    assert [a["image_id"] for a in read["annotations"]] == [i["id"] for i in read["images"]]
    second = read["annotations"][1]
    assert second["bbox"] == [2, 1, 4, 4] and second["area"] == 16
    keypoints = np.reshape(second["keypoints"], (68, 3))
    np.testing.assert_array_equal(keypoints[0], [0, 0, 0])  # outside
    np.testing.assert_array_equal(keypoints[5], [2.0, 3.0, 2])  # pixel centres lose their half
    assert keypoints[7, 2] == 1  # hidden
    assert second["num_keypoints"] == 67
    inside = np.delete(dataset.keypoints(7)[0], 0, 0)
    corner, size = np.reshape(second["face_box"], (2, 2))
    np.testing.assert_allclose(corner, inside.min(0), atol=0.01)
    np.testing.assert_allclose(corner + size, inside.max(0), atol=0.02)
    assert second["face_kpts"] == second["keypoints"] and second["face_valid"]
    stored = dataset.image("images", 7)
    assert (tmp_path / "coco/images/000007.png").read_bytes() == next(dataset.samples([7])).files[
        "images"
    ]
    assert stored.shape == (read["images"][1]["height"], read["images"][1]["width"], 3)


def test_what_is_worn_hides_a_point(tmp_path):
    occluded = np.zeros(68, int)
    occluded[5] = 1
    dataset = dataset_of(tmp_path / "d", 0, numbers={"kps_occluded": occluded})
    read = load(written(coco, dataset, tmp_path / "coco"))
    assert np.reshape(read["annotations"][0]["keypoints"], (68, 3))[5, 2] == 1


def test_a_face_beside_the_image_has_no_points_and_no_box(tmp_path):
    beside = {"2d_kps": np.full((68, 2), SIZE + 1.0)}
    dataset = dataset_of(tmp_path / "d", 0, numbers=beside)
    (sample,) = dataset.samples()
    nothing = np.full((SIZE, SIZE), BACKGROUND, np.uint8)
    found = coco.annotation(1, sample, nothing)
    assert not found["face_valid"] and found["num_keypoints"] == found["area"] == 0
    assert found["bbox"] == found["face_box"] == [0.0] * 4
    assert set(found["keypoints"]) == {0.0}


def test_names_and_skeleton(tmp_path):
    read = load(written(coco, dataset_of(tmp_path / "d", 0), tmp_path / "coco"))
    (category,) = read["categories"]
    names = category["keypoints"]
    assert len(set(names)) == 68 and names[36] == "right_eye_0" and names[48] == "outer_lip_0"
    assert np.min(category["skeleton"]) == 1 and np.max(category["skeleton"]) == 68
    # Mirrored, each line of the skeleton is one again.
    lines = {frozenset(np.array(line) - 1) for line in category["skeleton"]}
    assert {frozenset(FLIP[k] for k in line) for line in lines} == lines
    # Lines join a contour's points from one to the next; those of eyes and lips are closed.
    of = [name.rsplit("_", 1)[0] for name in names]
    assert all(of[a] == of[b] for a, b in map(tuple, lines))
    ends = Counter(of[k] for line in lines for k in line)
    closed = {"right_eye", "left_eye", "outer_lip", "inner_lip"}
    assert ends == {n: 2 * of.count(n) - 2 * (n not in closed) for n in set(of)}
    sides = {"left": "right", "right": "left"}
    for k, name in enumerate(of):
        assert of[FLIP[k]] == "_".join(sides.get(word, word) for word in name.split("_"))


@given(arrays.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_run_lengths_draw_the_mask(mask):
    runs = coco.run_lengths(mask)
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    np.testing.assert_array_equal(values.reshape(mask.shape, order="F"), mask)
    assert all(runs[1:])


def test_pycocotools_loads_it(tmp_path, capsys):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    folder = written(coco, dataset_of(tmp_path / "d", 0, 1, 2), tmp_path / "coco")
    truth = COCO(str(folder / "annotations" / "keypoints.json"))
    annotations = truth.loadAnns(truth.getAnnIds())
    assert truth.annToMask(annotations[0]).sum() == annotations[0]["area"] == 16
    found = truth.loadRes([a | {"score": 1.0} for a in annotations])
    evaluation = COCOeval(truth, found, "keypoints")
    evaluation.params.kpt_oks_sigmas = np.full(68, 0.05)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)
