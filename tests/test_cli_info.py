"""What is told of a dataset."""

import errno
import json

from click.testing import CliRunner
from support_dataset import CARD, make
from support_shards import make_shards

from synthforge.cli.commands import synthforge

SAMPLING = {
    "yaw_rad": {"low": -0.5, "high": 0.5},
    "age_years": {"mean": 36, "sd": 20, "low": 3, "high": 85},
    "sex": None,
    "grid": {"identities": 2, "expressions": ["smile", "anger"], "views": None, "order": "grid"},
}


def run(root, expect=0):
    result = CliRunner().invoke(synthforge, ["info", str(root)])
    assert result.exit_code == expect, result.output
    return result.output


def detail(root, *indices):
    """Give a small dataset what a run would have told of it."""
    card = json.loads((root / "dataset.json").read_text())
    card["recipe"] |= {"generator": "mannequin", "sampling": SAMPLING, "detector": "none"}
    card |= {"licence_spdx": "MIT", "licence": "Free.", "planned": [[0, 4]]}
    (root / "dataset.json").write_text(json.dumps(card))
    for index in indices:
        path = root / f"annotations/{index:06d}.json"
        numbers = {"yaw_rad": 0.1 * index, "age_years": 30 + index, "sex": 1}
        path.write_text(json.dumps(json.loads(path.read_text()) | numbers))
    return root


def test_a_folder(tmp_path):
    root = detail(make(tmp_path / "set", 0, 1, 2), 0, 1, 2)
    rows = [{"index": 1, "reason": "no_face"}, {"index": 1, "reason": "no_face"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (root / "rejections.jsonl").write_text(lines + '{"index"')
    output = run(root)
    said = [
        "3 of 4 planned samples, folder, ",
        "mannequin, seed 1",
        "60.0% of 5 draws; rejected: no_face 2",
        "MIT: Free.",
        "2 identities, 2 expressions; order grid",
        "camera yaw          0.0      5.7     11.5   -28.65 to 28.65 deg",
        "age                30.0     31.0     32.0   normal(36, 20) in 3 to 85",
        "male                1.0      1.0      1.0   as people vary",
        "depth           8-bit, the image's own",
        "2d_kps 68x2",
        f"Is it whole? synthforge verify {root}",
    ]
    assert not [line for line in said if line not in output], output


def test_like_photographs(tmp_path):
    root = detail(make(tmp_path / "set", 0, 1), 0, 1)
    card = json.loads((root / "dataset.json").read_text())
    card["recipe"]["sampling"]["like"] = {"faces": 43, "jitter": 0.3, "identity": True}
    (root / "dataset.json").write_text(json.dumps(card))
    output = run(root)
    assert "43 faces in photographs, jitter 0.3, shapes too" in output
    assert "as in the photographs" in output and "-28.65 to 28.65 deg" not in output


def test_shards(tmp_path):
    root = make_shards(tmp_path / "set", 7)
    (root / "rejections").mkdir(exist_ok=True)
    (root / "rejections/000000.jsonl").write_text('{"index": 1, "reason": "not_finite"}\n')
    output = run(root)
    assert "7 samples, shards, " in output
    assert "87.5% of 8 draws; rejected: not_finite 1" in output


def test_an_empty_dataset_and_none(tmp_path):
    make(tmp_path / "empty")
    assert "nothing is drawn yet" in run(tmp_path / "empty")
    output = run(tmp_path / "none", expect=2)
    assert output.startswith("Error: ") and "empty or not there" in output


def test_a_card_of_another_hand(tmp_path):
    root = make(tmp_path / "set", 0, recipe=CARD["recipe"] | {"sampling": {"yaw_rad": [1, 2]}})
    assert "None, seed 1" in run(root)


def test_a_reader_that_has_enough_is_no_error(tmp_path, monkeypatch):
    def closed(text):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("click.echo", closed)
    result = CliRunner().invoke(synthforge, ["info", str(make(tmp_path / "set", 0))])
    assert result.exit_code == 1 and result.output == ""
