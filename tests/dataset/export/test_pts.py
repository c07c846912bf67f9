import numpy as np
from support_export import dataset_of, written

from synthforge.dataset.export import pts


def read_pts(path):
    """As menpo reads it: pixels from 0, centres at whole numbers."""
    lines = path.read_text().splitlines()
    assert lines[0] == "version: 1" and lines[2] == "{" and lines[-1] == "}"
    points = np.array([line.split() for line in lines[3:-1]], float)
    assert lines[1] == f"n_points: {len(points)}"
    return points - 1


def test_points_count_pixels_from_one(tmp_path):
    dataset = dataset_of(tmp_path / "d", 0, 3)
    folder = written(pts, dataset, tmp_path / "pts")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("000000.png", "000000.pts", "000003.png", "000003.pts")
    ]
    expected, _ = dataset.keypoints(3)
    np.testing.assert_allclose(read_pts(folder / "000003.pts"), expected - 0.5, atol=6e-4)
