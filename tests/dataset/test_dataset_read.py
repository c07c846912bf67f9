"""What a reader is told about a sample, and the sheet of all of them."""

import numpy as np
import pytest
from torch import tensor

from synthforge.camera import Camera
from synthforge.dataset.contact_sheet import write_contact_sheet
from synthforge.dataset.read import Dataset
from synthforge.dataset.write import DatasetError, DatasetWriter, Sample
from synthforge.regions import BACKGROUND, PALETTE


@pytest.fixture
def ids():
    return np.arange(64).reshape(8, 8) % len(PALETTE)


@pytest.fixture
def camera():
    return Camera.look_at(tensor([0.3]), tensor([-0.1]), tensor([20.0]))


@pytest.fixture
def root(tmp_path, ids, camera):
    writer = DatasetWriter(tmp_path, {"recipe": {"seed": 1}})
    writer.open()
    files = {
        "images": np.zeros((8, 8, 3), np.uint8),
        "seg": PALETTE[ids],
        "depth": np.arange(64, dtype=np.uint8).reshape(8, 8) * 4,
    }
    annotation = {
        "2d_kps": np.arange(136, dtype=np.float32).reshape(68, 2),
        "kps_visible": np.arange(68) % 2 == 0,
        "depth_range": [2.0, 3.0],
        "camera_params": camera.vector[0].numpy(),
    }
    writer.write(Sample(4, files, annotation))
    writer.close()
    return tmp_path


def test_z_depth_is_a_number_on_the_head_only(root, ids):
    depth = Dataset(root).z_depth(4)
    head = ids != BACKGROUND
    np.testing.assert_array_equal(np.isnan(depth), ~head)
    np.testing.assert_allclose(depth[head], (2 + np.arange(64).reshape(8, 8) * 4 / 255)[head])


def test_region_ids_are_those_of_the_colours(root, ids):
    np.testing.assert_array_equal(Dataset(root).segmentation_ids(4), ids)


def test_a_colour_outside_the_palette_is_told(root, ids):
    writer = DatasetWriter(root, {"recipe": {"seed": 1}})
    writer.open()
    blended = PALETTE[ids].copy()
    blended[3, 3] += 1
    files = {"images": blended, "seg": blended, "depth": np.zeros((8, 8), np.uint8)}
    writer.write(Sample(5, files, {}))
    with pytest.raises(DatasetError, match="outside the palette"):
        Dataset(root).segmentation_ids(5)


def test_keypoints_and_camera_are_what_was_written(root, camera):
    dataset = Dataset(root)
    points, visible = dataset.keypoints(4)
    np.testing.assert_array_equal(points, np.arange(136).reshape(68, 2))
    np.testing.assert_array_equal(visible, np.arange(68) % 2 == 0)
    assert visible.dtype == bool
    read = dataset.camera(4)
    assert (read.T_gen_cam == camera.T_gen_cam).all()
    assert (read.K == camera.K).all()


@pytest.mark.parametrize("name", ["annotations/000004.json", "seg/000004.png"])
def test_a_torn_file_is_named(root, name):
    (root / name).write_bytes(b"{")
    dataset = Dataset(root)
    with pytest.raises(DatasetError, match=f"cannot read .*{name}; delete it"):
        dataset.z_depth(4)


def test_no_dataset_is_told(tmp_path):
    with pytest.raises(DatasetError, match=r"dataset\.json: No such file"):
        Dataset(tmp_path / "none")


def test_the_sheet_is_drawn_and_leaves_nothing_else(root):
    before = set(root.iterdir())
    sheet = write_contact_sheet(root)
    assert set(root.iterdir()) == before | {sheet}


def test_a_folder_in_the_sheets_place_is_told(root):
    (root / "contact_sheet.png").mkdir()
    with pytest.raises(DatasetError, match=r"contact_sheet\.png: Is a directory; .*move it away"):
        write_contact_sheet(root)
