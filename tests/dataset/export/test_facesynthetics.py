import numpy as np
import pytest
from support_export import dataset_of, written

from synthforge.dataset.export import facesynthetics
from synthforge.dataset.folder import DatasetError

POINTS = {"2d_kps_ibug70": np.arange(140, dtype=np.float32).reshape(70, 2)}
PARSING = ("parsing_facesynthetics",)


def test_three_files_a_sample(tmp_path):
    dataset = dataset_of(tmp_path / "d", 4, extras=PARSING, numbers=POINTS)
    facesynthetics.check(dataset)
    folder = written(facesynthetics, dataset, tmp_path / "out")
    files = next(dataset.samples()).files
    assert (folder / "000004.png").read_bytes() == files["images"]
    assert (folder / "000004_seg.png").read_bytes() == files[PARSING[0]]
    np.testing.assert_array_equal(np.loadtxt(folder / "000004_ldmks.txt"), POINTS["2d_kps_ibug70"])


def test_what_lacks_is_named(tmp_path):
    with pytest.raises(DatasetError, match="--extras parsing_facesynthetics --keypoints ibug70"):
        facesynthetics.check(dataset_of(tmp_path / "a", 0))
    with pytest.raises(DatasetError, match="with --keypoints ibug70"):
        facesynthetics.check(dataset_of(tmp_path / "b", 0, extras=PARSING))
