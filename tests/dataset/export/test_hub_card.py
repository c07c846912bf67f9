import pytest
import yaml
from support_export import dataset_of

from synthforge.dataset.export.hub_card import hub_card


def header(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_header_and_columns(tmp_path):
    text = hub_card(dataset_of(tmp_path / "d", 0, 1))
    read = header(text)
    assert read["license"] == "mit" and read["size_categories"] == ["n<1K"]
    assert read["configs"][0]["data_files"][0]["path"] == "data/*.parquet"
    for name in ("image", "seg", "depth", "2d_kps", "kps_visible"):
        assert f"| `{name}` |" in text
    for question in ("Motivation", "Composition", "Collection", "Uses", "Distribution"):
        assert f"## {question}" in text


@pytest.mark.parametrize("count, size", [(999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M")])
def test_size(tmp_path, monkeypatch, count, size):
    dataset = dataset_of(tmp_path / "d", 0)
    monkeypatch.setattr(type(dataset), "__len__", lambda _: count)
    assert header(hub_card(dataset))["size_categories"] == [size]


def test_a_licence_of_its_own_is_named(tmp_path):
    dataset = dataset_of(tmp_path / "d", 0)
    dataset.card["licence_spdx"] = "LicenseRef-FLAME-Next3D"
    read = header(hub_card(dataset))
    assert (read["license"], read["license_name"]) == ("other", "flame-next3d")
