import cv2
import numpy as np
import pytest
from support_export import dataset_of, written

pytest.importorskip("pyarrow")
import pyarrow.parquet as pq

from synthforge.dataset.export import parquet


def test_rows_hold_files_and_numbers(tmp_path):
    dataset = dataset_of(tmp_path / "d", 0, 2, 5, extras=("uv",))
    folder = written(parquet, dataset, tmp_path / "hf")
    rows = pq.read_table(folder / "data" / "train-00000-of-00001.parquet").to_pylist()
    assert [row["index"] for row in rows] == [0, 2, 5]
    for row, sample in zip(rows, dataset.samples(), strict=True):
        assert row["image"]["bytes"] == sample.files["images"]
        assert row["uv"]["bytes"] == sample.files["uv"]
        np.testing.assert_array_equal(row["2d_kps"], np.float32(sample.annotation["2d_kps"]))


def test_a_file_holds_so_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_ROWS", 3)
    monkeypatch.setattr(parquet, "_GROUP", 2)
    dataset = dataset_of(tmp_path / "d", *range(7))
    folder = written(parquet, dataset, tmp_path / "hf")
    files = sorted((folder / "data").iterdir())
    assert [f.name for f in files] == [f"train-0000{i}-of-00003.parquet" for i in range(3)]
    assert [pq.read_table(f)["index"].to_pylist() for f in files] == [[0, 1, 2], [3, 4, 5], [6]]


def test_the_hub_s_library_loads_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    dataset = dataset_of(tmp_path / "d", 0, 1, extras=("depth16",))
    folder = written(parquet, dataset, tmp_path / "hf")
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(loaded.features["image"], datasets.Image)
    assert loaded.features["2d_kps"].feature.feature.dtype == "float32"
    row = loaded[1]
    np.testing.assert_array_equal(np.array(row["image"]), dataset.image("images", 1))
    np.testing.assert_array_equal(np.array(row["depth16"]), dataset.image("depth16", 1))
    decoded = cv2.imdecode(np.frombuffer(next(dataset.samples([1])).files["seg"], np.uint8), 1)
    np.testing.assert_array_equal(np.array(row["seg"]), decoded[..., ::-1])
