import json
import re

import numpy as np
import pytest
import support_like
from click.testing import CliRunner
from support_chromium import needs_chromium, value_on
from support_export import dataset_of

from synthforge.cli.commands import synthforge
from synthforge.dataset.export import tars
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.report.report import write_report
from synthforge.like import write_like

NUMBERS = {
    "depth_range": [2.0, 3.0],
    "camera_params": [0.0] * 16 + [3.0, 0, 0.5, 0, 3.0, 0.5, 0, 0, 1],
    "yaw_rad": 0.25,
}


def page_of(tmp_path, *indices, **settings):
    dataset = dataset_of(tmp_path / "d", *indices, numbers=NUMBERS, **settings)
    write_report(dataset.root, tmp_path / "r" / "report.html")
    return tmp_path / "r" / "report.html"


def test_it_needs_no_network_and_says_what_it_is(tmp_path):
    text = page_of(tmp_path, 0, 5).read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "http" not in text.split("<h2>Settings")[0]
    assert "<dt>samples</dt><dd>2</dd>" in text
    assert "<dt>licence</dt><dd>MIT: free</dd>" in text
    assert text.count("<figcaption>5</figcaption>") == 1


def test_rejected_draws_have_their_reasons(tmp_path):
    dataset = dataset_of(tmp_path / "d", 0, numbers=NUMBERS)
    row = {"seed": 1, "index": 3, "attempt": 0, "reason": "no_face", "value": 0, "threshold": 1}
    (tmp_path / "d/rejections.jsonl").write_text(json.dumps(row) + "\n")
    write_report(dataset.root, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<dd>50.0% of 2 draws</dd>" in text and "<dd>no_face 1</dd>" in text


def test_shards_have_a_report(tmp_path):
    dataset = dataset_of(tmp_path / "d", 0, 1, numbers=NUMBERS)
    (tmp_path / "tars").mkdir()
    tars.write(dataset, dataset.samples(), tmp_path / "tars")
    write_report(tmp_path / "tars", tmp_path / "report.html")
    assert "<dt>samples</dt><dd>2</dd>" in (tmp_path / "report.html").read_text()


def test_photographs_stand_beside_the_dataset(tmp_path):
    dataset = dataset_of(tmp_path / "d", 0, numbers=NUMBERS | {"face_actions": np.eye(52)[4]})
    dataset.card["face_actions"] = [f"action{k}" for k in range(52)]
    (tmp_path / "d/dataset.json").write_text(json.dumps(dataset.card))
    photographed = support_like.faces(2) | {
        "angles_rad": np.float32([[0.5, 0, 0], [0.1, 0, 0]]),
        "framing": np.float32([[0.5, 0, 0]] * 2),
        "gaze_rad": np.float32([[0.1, 0]] * 2),
        "face_actions": np.float32([np.eye(52)[4], np.zeros(52)]),
    }
    write_like(tmp_path / "like.npz", photographed, ["a.png", "b.png"])
    result = CliRunner().invoke(
        synthforge,
        [
            *("report", str(tmp_path / "d"), "--like", str(tmp_path / "like.npz")),
            *("--output", str(tmp_path / "report.html")),
        ],
    )
    assert result.exit_code == 0, result.output
    text = (tmp_path / "report.html").read_text()
    assert "Outlined: the 2 faces of the photographs." in text
    (yaw,) = re.findall(r"<figcaption>yaw \(deg\).*?</figure>", text)
    # 28.6 degrees at the right end, 5.7 at the left, the dataset's 14.3 between them.
    assert ">5.7<" in yaw and ">28.6<" in yaw and ">median 14.3<" in yaw and 'class="beside"' in yaw
    assert text.count('<rect class="beside"') == 16


@pytest.mark.parametrize("key", ["2d_kps", "depth_range", "yaw_rad"])
def test_a_damaged_annotation_is_one_line(tmp_path, key):
    page_of(tmp_path, 0)
    path = tmp_path / "d/annotations/000000.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: "far"}))
    with pytest.raises(DatasetError, match=rf"000000\.json: {key} holds something else"):
        write_report(tmp_path / "d", tmp_path / "report.html")


def test_an_empty_dataset_is_one_line(tmp_path):
    dataset_of(tmp_path / "d")
    with pytest.raises(DatasetError, match="no complete sample"):
        write_report(tmp_path / "d", tmp_path / "report.html")
    result = CliRunner().invoke(synthforge, ["report", str(tmp_path / "d")])
    assert result.exit_code == 2 and result.output.count("\n") == 1


@needs_chromium
def test_toggles_change_what_is_seen(tmp_path):
    page = page_of(tmp_path, 0, 1)
    (tmp_path / "chromium").mkdir()
    shown = value_on(
        page,
        """
        const seen = () => [...document.querySelectorAll(".sheet figure:first-child > *")]
          .filter(e => e.getClientRects().length && e.tagName !== "FIGCAPTION")
          .map(e => e.getAttribute("class"));
        const all = [seen()];
        for (const layer of ["seg", "depth"]) {
          document.querySelector(`input[value=${layer}]`).click();
          all.push(seen());
        }
        document.querySelector("input[name=points]").click();
        all.push(seen());
        return all;
        """,
        tmp_path / "chromium",
    )
    assert shown == [["image"], ["seg"], ["depth"], ["depth", "keypoints"]]


@needs_chromium
def test_the_head_turns(tmp_path):
    page = page_of(tmp_path, 0)
    (tmp_path / "chromium").mkdir()
    before, after = value_on(
        page,
        """
        const canvas = document.getElementById("relief");
        const drawn = () => [...canvas.getContext("2d").getImageData(0, 0, 384, 384).data]
          .reduce((sum, value, k) => (sum + value * (k % 997)) % 1000003, 0);
        while (!drawn()) await new Promise(done => setTimeout(done, 50));
        const first = drawn();
        for (const clientX of [10, 70]) canvas.dispatchEvent(new PointerEvent("pointermove",
          {buttons: 1, clientX, clientY: clientX / 3}));
        return [first, drawn()];
        """,
        tmp_path / "chromium",
    )
    assert before and after and before != after
