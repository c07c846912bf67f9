import json

import numpy as np
import pytest
from click.testing import CliRunner
from support_export import dataset_of

from synthforge.cli import export as command
from synthforge.cli.commands import synthforge
from synthforge.dataset.export import formats
from synthforge.dataset.export.formats import FORMATS, export
from synthforge.dataset.folder import DatasetError


def plain(samples, count):
    assert count == 2
    return samples


def run(*arguments):
    return CliRunner().invoke(synthforge, ["export", *map(str, arguments)])


def test_the_command_knows_the_formats():
    (choice,) = (option.type for option in command.export.params if option.name == "name")
    assert tuple(choice.choices) == tuple(FORMATS)
    listed = run("--help").output
    for name, known in FORMATS.items():
        assert f"{name:16}{known.description}" in listed


def test_a_folder_appears_whole(tmp_path):
    dataset_of(tmp_path / "d", 0, 1)
    result = run(tmp_path / "d", "--to", "300w", "--output", tmp_path / "a" / "out")
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "a/out").iterdir())) == 4


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_exported_is_told_by_its_form(tmp_path, name):
    known = FORMATS[name]
    for package in known.packages:
        pytest.importorskip(package)
    extras = ("parsing_facesynthetics",)
    numbers = {"2d_kps_ibug70": np.zeros((70, 2), np.float32)}
    dataset = dataset_of(tmp_path / "d", 0, 1, extras=extras, numbers=numbers)
    export(dataset, name, tmp_path / "out", plain)
    result = CliRunner().invoke(synthforge, ["info", str(tmp_path / "out")])
    if name == "webdataset":  # is itself a dataset
        assert result.exit_code == 0 and "2 samples, shards" in result.output
        return
    assert result.exit_code == 2
    assert f"in the form of `synthforge export --to {name}`: {known.opened_by};" in result.output


def test_what_fails_leaves_nothing(tmp_path):
    dataset = dataset_of(tmp_path / "d", 0, 1)
    (tmp_path / "d/images/000001.png").write_bytes(b"")
    (tmp_path / "d/seg/000001.png").write_bytes((tmp_path / "d/images/000000.png").read_bytes())
    dataset.indices = [0, 1]

    def breaks(samples, count):
        yield next(samples)
        raise OSError(28, "No space left on device")

    with pytest.raises(DatasetError, match="No space left on device"):
        export(dataset, "coco", tmp_path / "out", breaks)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_colours_outside_the_palette_are_one_line(tmp_path):
    dataset_of(tmp_path / "d", 0)
    image = (tmp_path / "d/images/000000.png").read_bytes()
    (tmp_path / "d/seg/000000.png").write_bytes(image)
    result = run(tmp_path / "d", "--to", "coco", "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert "seg/000000.png has colours outside the palette" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["coco", "300w"])
@pytest.mark.parametrize("points", [None, [[1, 2], [3]], [[1.0, 2.0]], "many"])
def test_an_annotation_without_its_points_is_one_line(tmp_path, name, points):
    dataset_of(tmp_path / "d", 0)
    path = tmp_path / "d/annotations/000000.json"
    annotation = json.loads(path.read_text()) | {"2d_kps": points}
    path.write_text(json.dumps(annotation))
    result = run(tmp_path / "d", "--to", name, "--output", tmp_path / "out")
    assert result.exit_code == 2 and "annotations/000000.json: 2d_kps " in result.output
    assert not (tmp_path / "out").exists()


def test_what_is_there_stays(tmp_path):
    dataset_of(tmp_path / "d", 0)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    result = run(tmp_path / "d", "--to", "300w", "--output", tmp_path / "out")
    assert result.exit_code == 2 and "is there already" in result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    dataset = dataset_of(tmp_path / "d", 0)
    wanting = formats.Format("pts", "", ("no_such_package",))
    monkeypatch.setitem(FORMATS, "300w", wanting)
    with pytest.raises(DatasetError, match="pip install no_such_package"):
        export(dataset, "300w", tmp_path / "out", plain)


def test_an_empty_dataset(tmp_path):
    dataset = dataset_of(tmp_path / "d")
    with pytest.raises(DatasetError, match="no complete sample"):
        export(dataset, "300w", tmp_path / "out", plain)
