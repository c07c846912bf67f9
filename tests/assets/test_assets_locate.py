"""Which files are found, and what is said of those that are not."""

import pytest

from synthforge.assets.locate import AssetError, choose_generator, find_assets, require_all

REQUIRED = {
    "pretrained_models": ["next3d_ffhq_512.pkl"],
    "model": ["generic_model.pkl", "landmark_embedding.npy", "FLAME_masks.pkl"],
}


def find(tmp_path, **given):
    return find_assets(tmp_path / "model", tmp_path / "pretrained_models", **given)


def bring(tmp_path, *names):
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()


ALL = [f"{folder}/{name}" for folder, names in REQUIRED.items() for name in names]


def test_nothing_there_means_the_built_in_head(tmp_path):
    assets = find(tmp_path)
    assert choose_generator(assets) == "mannequin"
    assert len(assets.missing) == len(ALL)


def test_optional_files_alone_do_not_count(tmp_path):
    bring(tmp_path, "model/FLAME_texture.npz", "pretrained_models/fixMapMLP01.pth")
    assets = find(tmp_path)
    assert choose_generator(assets) == "mannequin"
    assert assets.texture is not None and assets.alignment is not None


def test_everything_there_means_next3d(tmp_path):
    bring(tmp_path, *ALL)
    assets = find(tmp_path)
    assert choose_generator(assets) == "next3d"
    assert assets.missing == () and assets.contour_embedding is None
    assert assets.flame_model == tmp_path / "model/generic_model.pkl"


@pytest.mark.parametrize("absent", ALL)
def test_a_missing_file_is_named_with_its_source(tmp_path, absent):
    bring(tmp_path, *(name for name in ALL if name != absent))
    with pytest.raises(AssetError, match=absent) as error:
        choose_generator(find(tmp_path))
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


def test_given_paths_are_taken(tmp_path):
    bring(tmp_path, *ALL, "elsewhere/a.pkl")
    given = tmp_path / "elsewhere/a.pkl"
    assert find(tmp_path, checkpoint=given).checkpoint == given
    with pytest.raises(AssetError, match=r"--flame_model .*b.pkl does not exist"):
        find(tmp_path, flame_model=tmp_path / "b.pkl")
