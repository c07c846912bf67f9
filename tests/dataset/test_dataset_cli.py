"""The command and its folder: a lost card, a read-only disk, names that are not UTF-8."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from synthforge.cli.generate import generate
from synthforge.dataset import folder
from synthforge.dataset.read import Dataset

ROOT = Path(__file__).parent.parent.parent


def run(root, *arguments, expect=0):
    options = ["--output_dir", root, "--generator", "mannequin", "--num_images", 2, *arguments]
    result = CliRunner().invoke(generate, [str(option) for option in options])
    assert result.exit_code == expect, result.output
    return result.output


def contents(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "set"
    run(root)
    return root


def test_a_damaged_card_is_deleted_and_written_again_by_the_same_command(made):
    before = contents(made)
    card = made / "dataset.json"
    card.write_bytes(card.read_bytes()[:300])
    said = f"{card} cannot be read: it is cut short or was changed; restore it, or delete it"
    assert said in run(made, expect=2)
    card.unlink()
    output = run(made)
    assert "dataset.json is lost: drawing sample 0 again" in output
    assert "0 samples written" in output
    assert contents(made) == before


OTHERS = {
    "--seed": ("7", "another seed;"),
    "--yaw": ("-0.4 0.41", "another yaw_rad;"),
    "--expression": ("-1 1.01", "another face_actions;"),
    "--extras": ("seg_id", "no sample that is complete with these settings"),
}


@pytest.mark.parametrize("option", OTHERS)
def test_a_lost_card_is_not_written_for_other_settings(made, option):
    card = (made / "dataset.json").read_bytes()
    (made / "dataset.json").unlink()
    before = contents(made)
    values, said = OTHERS[option]
    try:
        output = run(made, option, *values.split(), expect=2)
        assert said in output
        assert contents(made) == before
    finally:
        (made / "dataset.json").write_bytes(card)


@pytest.fixture
def read_only(monkeypatch):
    """As on a disk that is mounted so, also for root."""

    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(folder.tempfile, "TemporaryFile", refuse)
    for name in ("mkdir", "replace", "link", "utime"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.R_OK)


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize("sheet", [True, False])
def test_a_complete_dataset_on_a_read_only_disk_is_no_error(made, sheet):
    image = (made / "contact_sheet.png").read_bytes()
    if not sheet:
        (made / "contact_sheet.png").unlink()
    before = contents(made)
    try:
        output = run(made)
        assert "0 samples written" in output
        assert "2 were there" in output
        assert ("Contact sheet" in output) == sheet
        assert contents(made) == before
        assert "Read-only file system" in run(made, "--num_images", 3, expect=2)
    finally:
        (made / "contact_sheet.png").write_bytes(image)


def test_a_folder_whose_name_is_not_utf8_is_written_and_told(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    try:
        (tmp_path / name).mkdir()
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    result = subprocess.run(
        [
            *(sys.executable, str(ROOT / "generate_synthforge_data.py"), "--output_dir", name),
            *("--generator", "mannequin", "--num_images", "1"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True,
    )
    assert result.returncode == 0, result.stderr
    assert b"1 sample written to caf" in result.stdout
    assert Dataset(tmp_path / name).indices == [0]
    assert (tmp_path / name / "contact_sheet.png").stat().st_size > 1000
