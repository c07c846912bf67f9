import cv2
import numpy as np
import pytest
from support_export import dataset_of, written
from support_verified import run

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


def test_classes_and_points_of_a_drawn_face_meet(tmp_path):
    """Classes as github.com/microsoft/FaceSynthetics numbers them; left and right the subject's."""
    bare = ("glasses", "headwear", "mask", "earrings", "occluders")
    still = ("head_yaw", "head_pitch", "head_roll", "yaw", "pitch", "expression")
    run(
        "generate",
        *("--output_dir", tmp_path / "d", "--num_images", 1, "--hair", "crop", "--age", 30, 30),
        *("--extras", PARSING[0], "--keypoints", "ibug70"),
        *(word for name in bare for word in (f"--{name}", 0)),
        *(word for name in still for word in (f"--{name}", 0, 0)),
    )
    run("export", tmp_path / "d", "--to", "facesynthetics", "--output", tmp_path / "out")
    seg = cv2.imread(str(tmp_path / "out/000000_seg.png"), cv2.IMREAD_UNCHANGED)
    points = np.loadtxt(tmp_path / "out/000000_ldmks.txt")
    assert seg.shape == (512, 512) and seg.dtype == np.uint8 and points.shape == (70, 2)
    assert set(np.unique(seg)) <= {*range(19), 255} and {0, 1, 12, 13, 15} <= set(np.unique(seg))
    # Tip of the nose, and both pupils.
    for point, wanted in ((30, 2), (68, 3), (69, 4)):
        x, y = points[point].astype(int)
        assert seg[y, x] == wanted, point
    for wanted, brow in ((5, points[17:22]), (6, points[22:27])):
        middle = np.argwhere(seg == wanted).mean(0)[::-1]
        assert np.linalg.norm(middle - brow.mean(0)) < 15, wanted
    assert points[68, 0] < points[69, 0]
    assert (seg == 10).any(1).argmax() < (seg == 11).any(1).argmax()
