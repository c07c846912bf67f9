"""Which files are found, and what is said of those that are not."""

from dataclasses import replace
from pathlib import Path

import pytest

from synthforge.assets.locate import (
    MODEL,
    PRETRAINED,
    AssetError,
    all_there,
    find_assets,
    require_all,
)

REQUIRED = {
    "pretrained_models": ["next3d_ffhq_512.pkl"],
    "model": ["generic_model.pkl", "landmark_embedding.npy", "FLAME_masks.pkl"],
}


def find(tmp_path):
    """As where the user named neither folder, but for where they are."""
    return replace(find_assets(tmp_path / "model", tmp_path / "pretrained_models"), unfulfilled=())


def bring(tmp_path, *names):
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


ALL = [f"{folder}/{name}" for folder, names in REQUIRED.items() for name in names]
ALL_NAMES = [name for names in REQUIRED.values() for name in names]


def test_nothing_there_means_the_built_in_head(tmp_path):
    assets = find(tmp_path)
    assert not all_there(assets)
    assert len(assets.missing) == len(ALL)


def test_optional_files_alone_do_not_count(tmp_path):
    bring(tmp_path, "model/FLAME_texture.npz", "pretrained_models/fixMapMLP01.pth")
    assets = find(tmp_path)
    assert not all_there(assets)
    assert assets.texture is not None and assets.alignment is not None


def test_everything_there_means_next3d(tmp_path):
    bring(tmp_path, *ALL)
    assets = find(tmp_path)
    assert all_there(assets)
    assert assets.missing == () and assets.contour_embedding is None
    assert assets.flame_model == tmp_path / "model/generic_model.pkl"


@pytest.mark.parametrize("absent", ALL)
def test_a_missing_file_is_named_with_its_source(tmp_path, absent):
    bring(tmp_path, *(name for name in ALL if name != absent))
    with pytest.raises(AssetError, match=absent) as error:
        all_there(find(tmp_path))
    assert "https://" in str(error.value) and "--generator mannequin" in str(error.value)
    assert not any(name in str(error.value) for name in ALL if name != absent)


def test_every_missing_file_is_named(tmp_path):
    with pytest.raises(AssetError) as error:
        require_all(find(tmp_path))
    assert all(name in str(error.value) for name in ALL)


@pytest.mark.parametrize("name", ["flame2020.pkl", "flame2023.pkl", "flame2023_Open.pkl"])
def test_other_flame_models(tmp_path, name):
    bring(tmp_path, *(other for other in ALL if "generic" not in other), f"model/{name}")
    assert find(tmp_path).flame_model == tmp_path / "model" / name


def test_the_converted_checkpoint_is_preferred(tmp_path):
    bring(tmp_path, *ALL, "pretrained_models/next3d_ffhq_512.safetensors")
    assert find(tmp_path).checkpoint.suffix == ".safetensors"


def test_the_embedding_in_two_files(tmp_path):
    others = [name for name in ALL if "embedding" not in name]
    bring(tmp_path, *others, "model/flame_static_embedding.pkl")
    assert [line.split(":")[0] for line in find(tmp_path).missing] == [
        str(tmp_path / "model/flame_dynamic_embedding.npy")
    ]
    bring(tmp_path, "model/flame_dynamic_embedding.npy")
    assert find(tmp_path).missing == ()


def test_a_painted_segmentation_stands_for_masks_if_it_has_uvs(tmp_path):
    bring(tmp_path, *(name for name in ALL if "masks" not in name), "model/flame_seg_tex.png")
    (line,) = find(tmp_path).missing
    assert "FLAME_texture.npz" in line
    bring(tmp_path, "model/FLAME_texture.npz")
    assert find(tmp_path).missing == ()


def test_no_name_of_the_users_counts_as_the_default(tmp_path, monkeypatch):
    """Folders that the user did not name may be empty or missing."""
    monkeypatch.chdir(tmp_path)
    assert not all_there(find_assets())
    bring(tmp_path, *ALL)
    assert all_there(find_assets())


@pytest.mark.parametrize("folder", ["model", "pretrained_models"])
@pytest.mark.parametrize("there", [True, False])
def test_folders_that_the_user_named_for_nothing(tmp_path, monkeypatch, folder, there):
    monkeypatch.chdir(tmp_path)
    named = tmp_path / "named"
    if there:
        bring(tmp_path, "named/README.md")
    argument = {"model": "model_dir", "pretrained_models": "pretrained_dir"}[folder]
    with pytest.raises(AssetError) as error:
        all_there(find_assets(**{argument: named}))
    message = str(error.value)
    assert f"{named} {'holds none of' if there else 'is not a folder'}" in message
    assert "--generator mannequin" in message and len(message.splitlines()) == 1
    assert not there or REQUIRED[folder][0] in message


def test_both_folders_named_and_one_filled(tmp_path):
    bring(tmp_path, "model/generic_model.pkl")
    with pytest.raises(AssetError, match=r"next3d_ffhq_512.pkl: from the Next3D project page"):
        all_there(find(tmp_path))


def test_a_folder_with_the_mannequins_alignment_is_named_for_something(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bring(tmp_path, "weights/alignment_mannequin.safetensors")
    assert not all_there(find_assets(pretrained_dir=tmp_path / "weights"))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["model/flame.pkl"], "model/flame.pkl: not a name that is known"),
        (["model/FLAME_Masks.PKL"], "model/FLAME_Masks.PKL: rename it to model/FLAME_masks.pkl"),
        (
            ["model/FLAME2020/generic_model.pkl"],
            "model/FLAME2020/generic_model.pkl: move it to model/generic_model.pkl",
        ),
        (
            ["model/next3d_ffhq_512.pkl"],
            "model/next3d_ffhq_512.pkl: move it to pretrained_models/next3d_ffhq_512.pkl",
        ),
        (["pretrained_models/FLAME2020.zip"], "pretrained_models/FLAME2020.zip: not a name"),
        (["pretrained_models/G_ema.pth"], "pretrained_models/G_ema.pth: not a name"),
        (["model/lmk.npy", "model/texture.npz"], "model/lmk.npy: not a name .*; model/texture.npz"),
        ([f"model/{i}.pkl" for i in range(9)], "model/5.pkl: not a name that is known; and 3 more"),
    ],
)
def test_files_that_may_be_meant_are_named(tmp_path, monkeypatch, names, told):
    monkeypatch.chdir(tmp_path)
    for folder in (MODEL, PRETRAINED):
        (tmp_path / folder).mkdir(exist_ok=True)
    bring(tmp_path, *names)
    with pytest.raises(AssetError, match=told) as error:
        all_there(find_assets())
    message = str(error.value)
    assert "Rename or move what is meant, or use --generator mannequin" in message
    assert all(name in message for name in ALL_NAMES)
    # So too where some files are there, and where the folder was named.
    bring(tmp_path, *(name for name in ALL if "masks" not in name))
    with pytest.raises(AssetError, match=f"FLAME_masks.pkl: .*These may be meant: .*{told}"):
        all_there(find_assets())
    bring(tmp_path, *ALL)
    assert all_there(find_assets())


def test_optional_files_do_not_make_a_named_folder(tmp_path):
    bring(tmp_path, "model/FLAME_texture.npz", "pretrained_models/fixMapMLP01.pth")
    with pytest.raises(AssetError, match=r"model holds none of .*; .*pretrained_models holds none"):
        all_there(find_assets(tmp_path / "model", tmp_path / "pretrained_models"))


def test_an_unreadable_folder_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bring(tmp_path, "model/private/a.pkl")
    listed = Path.iterdir

    def iterdir(path):
        if path.name == "private":
            raise PermissionError
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert not all_there(find_assets())


def test_one_folder_for_all(tmp_path):
    bring(tmp_path, *(f"all/{name}" for name in ALL_NAMES))
    assert all_there(find_assets(tmp_path / "all", tmp_path / "all"))
    (tmp_path / "all/FLAME_masks.pkl").rename(tmp_path / "all/masks.pkl")
    with pytest.raises(
        AssetError, match=r"These may be meant: .*all/masks.pkl: not a name that is known\. Bring"
    ):
        all_there(find_assets(tmp_path / "all", tmp_path / "all"))


def test_files_that_are_no_models_do_not_matter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bring(tmp_path, "model/README.md", "model/notes.txt", "pretrained_models/README.md")
    bring(tmp_path, "pretrained_models/alignment_mannequin.safetensors")
    bring(
        tmp_path, "pretrained_models/alignment_cache/0000001.safetensors", "model/FLAME_texture.npz"
    )
    assert not all_there(find_assets())


def test_where_the_embedding_comes_from(tmp_path):
    (line,) = [line for line in find(tmp_path).missing if line.count("landmark_embedding")]
    assert "DECA" in line and "RingNet" in line and "FLAME's page does not have it" in line
