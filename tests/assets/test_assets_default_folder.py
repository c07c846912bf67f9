"""Where the folders of model files are looked for."""

from pathlib import Path

import pytest

from synthforge.assets import locate
from synthforge.assets.locate import HOME_VARIABLE, MODEL, default_folder, find_assets


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The three folders in the order of the search; none of them is there yet."""
    for name in ("here", "home", "clone"):
        (tmp_path / name).mkdir()
    (tmp_path / "clone" / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setattr(locate, "_PROJECT", tmp_path / "clone")
    return [Path(MODEL), tmp_path / "home" / MODEL, tmp_path / "clone" / MODEL]


def bring(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("name", ["generic_model.pkl", "FLAME2020/male_model.pkl"])
def test_the_first_folder_with_models_is_taken(places, first, name):
    bring(places[0], "model.py")  # of another project
    for place in places[first:]:
        bring(place, name)
    assert default_folder(MODEL) == places[first]


def test_without_models_the_first_folder_that_is_there_is_taken(places):
    bring(places[2], "README.md")
    assert default_folder(MODEL) == places[2]
    bring(places[1], "README.md")
    assert default_folder(MODEL) == places[1]


def test_without_folders_it_is_the_current_directorys(places, monkeypatch):
    assert default_folder(MODEL) == places[0]
    monkeypatch.delenv(HOME_VARIABLE)
    assert default_folder(MODEL) == places[0]


def test_only_a_clone_has_a_folder_beside_it(places, tmp_path):
    bring(places[2], "generic_model.pkl")
    (tmp_path / "clone" / "pyproject.toml").unlink()  # site-packages
    assert default_folder(MODEL) == places[0]


def test_assets_are_found_there_unless_a_folder_is_named(places, tmp_path):
    bring(places[1], "generic_model.pkl")
    assert find_assets().flame_model == places[1] / "generic_model.pkl"
    assert find_assets(model_dir=tmp_path / "named").flame_model is None
