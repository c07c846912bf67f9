"""What a reader is told about a sample, and the sheet of all of them."""

import json
import os

import cv2
import numpy as np
import pytest
import torch
from support_dataset import make, sample
from support_shards import make_shards
from torch import tensor
from torch.utils.data import DataLoader

from synthforge.camera import Camera
from synthforge.dataset.contact_sheet import contact_sheet, write_contact_sheet
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.png import encode_png
from synthforge.dataset.read import Dataset
from synthforge.dataset.sample import Sample, encode_sample
from synthforge.dataset.write import DatasetWriter
from synthforge.regions import BACKGROUND, PALETTE
from synthforge.visible import HAIR, UNKNOWN, VISIBLE_PALETTE


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
    writer.sink.write(Sample(4, files, annotation))
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
    writer.sink.write(Sample(5, files, {}))
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


DAMAGE = {
    "annotations/000004.json": {
        "empty": (b"", "it is cut short or was changed"),
        "cut": (b"{", "it is cut short or was changed"),
        "a list": (b"[]", "it is cut short or was changed"),
        "brackets": (b"[" * 200_000 + b"}", "it is cut short or was changed"),
        "without keys": (b"{}", "it has no depth_range"),
        "text": (b'{"depth_range": "far"}', "depth_range holds something else than finite"),
        "ragged": (b'{"depth_range": [1, [2]]}', "depth_range is ragged"),
        "NaN": (
            b'{"depth_range": [1, NaN]}',
            "depth_range holds something else than finite numbers",
        ),
        "too many": (b'{"depth_range": [1, 2, 3]}', r"depth_range is \(3,\), expected \(2,\)"),
    },
    "seg/000004.png": {
        "empty": (b"", "it is no whole PNG"),
        "cut": (b"\x89PNG", "it is no whole PNG"),
        "grey": (
            encode_png(np.zeros((8, 8), np.uint8)),
            r"it is uint8 \(8, 8\), expected uint8 \[H, W, 3\]",
        ),
        "of 16 bits": (
            encode_png(np.zeros((8, 8, 3), np.uint16)),
            r"it is uint16 \(8, 8, 3\), expected uint8 \[H, W, 3\]",
        ),
        "with alpha": (
            cv2.imencode(".png", np.zeros((8, 8, 4), np.uint8))[1].tobytes(),
            r"it is uint8 \(8, 8, 4\), expected uint8 \[H, W, 3\]",
        ),
        "larger": (encode_png(np.zeros((9, 8, 3), np.uint8)), "not of the size of seg"),
    },
}


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in DAMAGE.items() for case in cases]
)
def test_a_damaged_file_is_told_in_one_line_to_reader_and_sheet(root, name, case):
    content, why = DAMAGE[name][case]
    dataset = Dataset(root)
    (root / name).write_bytes(content)
    for reads in (lambda: dataset.z_depth(4), lambda: contact_sheet(dataset, [4])):
        with pytest.raises(DatasetError, match=rf"cannot read \S+: .*{why}.*; delete it") as error:
            reads()
        assert "\n" not in str(error.value)


def test_what_is_not_there_is_told(root):
    with pytest.raises(DatasetError, match=r"^there is no \S+images/000099\.png$"):
        Dataset(root).image("images", 99)
    with pytest.raises(DatasetError, match=r"has no 'image'; choose from images, seg, depth"):
        Dataset(root).image("image", 4)


def test_a_grey_image_is_told_where_the_sheet_reads_it(root):
    (root / "images" / "000004.png").write_bytes(encode_png(np.zeros((8, 8), np.uint8)))
    with pytest.raises(DatasetError, match=r"images/000004\.png: it is uint8 \(8, 8\), expected"):
        write_contact_sheet(root, range(9))


def test_items_are_found_by_position_and_end(tmp_path):
    dataset = Dataset(make(tmp_path, 3, 8, 11))
    assert len(dataset) == 3
    assert [item["index"] for item in dataset] == [3, 8, 11]
    assert dataset[1]["index"] == dataset[-2]["index"] == dataset[np.int64(1)]["index"] == 8
    for position in (3, -4):
        with pytest.raises(IndexError):
            dataset[position]
    with pytest.raises(TypeError):
        dataset[0:2]


def test_an_item_holds_images_and_numbers_by_name(tmp_path):
    dataset = Dataset(make(tmp_path, 3, extras=["depth16"], recipe={"extras": ["depth16"]}))
    item = dataset[0]
    images = {"images", "seg", "depth", "depth16"}
    assert item.keys() == images | dataset.annotation(3).keys()
    for folder in images:
        np.testing.assert_array_equal(item[folder], dataset.image(folder, 3))
    assert item["depth16"].dtype == np.uint16
    assert item["2d_kps"].dtype == item["depth_range"].dtype == np.float32
    assert item["index"].dtype == np.int64
    np.testing.assert_array_equal(item["2d_kps"], sample(3, ["depth16"]).annotation["2d_kps"])


def test_torchs_loader_takes_a_dataset_as_it_is(tmp_path):
    dataset = Dataset(make(tmp_path, *range(5)))
    first, second = DataLoader(dataset, batch_size=3)
    assert first["images"].shape == (3, 8, 8, 3)
    assert first["images"].dtype == torch.uint8
    assert first["2d_kps"].shape == (3, 68, 2)
    assert second["index"].tolist() == [3, 4]


def test_a_path_of_other_bytes_than_utf8_is_read(tmp_path):
    root = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        make(root, 0)
    except DatasetError:
        pytest.skip("the file system takes UTF-8 names only")
    assert Dataset(root).image("images", 0).shape == (8, 8, 3)


def test_16_bit_images_are_read_as_docs_formats_says(tmp_path):
    values = np.array([[0, 1, 256, 65535]], np.uint16)
    (tmp_path / "depth16.png").write_bytes(encode_png(values))
    (tmp_path / "uv.png").write_bytes(encode_png(np.stack([values, values // 2, values // 4], 2)))
    read = cv2.imread(str(tmp_path / "depth16.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, values)
    read = cv2.imread(str(tmp_path / "uv.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_array_equal(read, np.stack([values, values // 2, values // 4], 2))
    for name in ("depth16.png", "uv.png"):
        assert cv2.imread(str(tmp_path / name)).dtype == np.uint8  # what breaks without the flag
    image = pytest.importorskip("PIL.Image")
    np.testing.assert_array_equal(np.array(image.open(tmp_path / "depth16.png")), values)
    assert np.array(image.open(tmp_path / "uv.png")).dtype == np.uint8


def test_no_dataset_is_told(tmp_path):
    with pytest.raises(DatasetError, match="none is empty or not there; give a folder that holds"):
        Dataset(tmp_path / "none")
    (tmp_path / "foreign.txt").write_text("x")
    with pytest.raises(DatasetError, match=r"no dataset\.json, so it is no dataset of SynthForge"):
        Dataset(tmp_path)


def test_a_lost_card_is_told(tmp_path):
    (make(tmp_path, 0) / "dataset.json").unlink()
    with pytest.raises(DatasetError, match=r"lost its dataset\.json; the command that made"):
        Dataset(tmp_path)


def test_a_newer_format_is_told(tmp_path):
    make(tmp_path, 0)
    card = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(card | {"format_version": 1}))
    assert Dataset(tmp_path).indices == [0]
    (tmp_path / "dataset.json").write_text(json.dumps(card | {"format_version": 2}))
    with pytest.raises(DatasetError, match=r"format version 2 and this .* up to 1; install"):
        Dataset(tmp_path)


@pytest.mark.parametrize("made", [make, lambda root, *_: make_shards(root, 5)])
def test_samples_are_the_files_as_stored(tmp_path, made):
    made(tmp_path / "set", 0, 1, 2, 3, 4)
    dataset = Dataset(tmp_path / "set")
    found = list(dataset.samples())
    assert [stored.index for stored in found] == [0, 1, 2, 3, 4]
    for stored in found:
        drawn = sample(stored.index)
        assert stored.files == encode_sample(drawn, [*dataset.folders, "annotations"])
        assert stored.annotation == dataset.annotation(stored.index)
        np.testing.assert_array_equal(stored.image("seg"), drawn.files["seg"])
    assert [stored.index for stored in dataset.samples([3, 0])] == [3, 0]


def test_the_sheet_is_drawn_and_leaves_nothing_else(root):
    before = set(root.iterdir())
    assert write_contact_sheet(root, range(90, 99)) is None
    assert not (root / "contact_sheet.png").exists()
    sheet = write_contact_sheet(root, range(9))
    assert set(root.iterdir()) == before | {sheet}


def test_the_sheet_has_a_column_of_visible_classes_where_there_are_any(tmp_path):
    """Half the class's colour over half the image; a number of no class is unknown."""
    files = {
        "images": np.full((8, 8, 3), 100, np.uint8),
        "seg": np.tile(PALETTE[BACKGROUND], (8, 8, 1)),
        "depth": np.zeros((8, 8), np.uint8),
        "seg_visible": np.array([[HAIR] * 8] * 4 + [[200] * 8] * 4, np.uint8),
    }
    writer = DatasetWriter(tmp_path, {"recipe": {"extras": ["seg_visible"]}}, ["seg_visible"])
    writer.open()
    points = {"2d_kps": np.zeros((68, 2)), "kps_visible": np.ones(68), "depth_range": [1.0, 2.0]}
    writer.sink.write(Sample(0, files, points))
    writer.close()
    dataset = Dataset(tmp_path)
    assert dataset[0]["seg_visible"][0, 0] == dataset.image("seg_visible", 0)[0, 0] == HAIR
    sheet = contact_sheet(dataset, [0])
    last = sheet[6:246, 6 + 4 * 240 : 6 + 5 * 240]
    assert sheet.shape[1] == 2 * 6 + 5 * 240
    assert abs(last[60, 120].astype(int) - (VISIBLE_PALETTE[HAIR] // 2 + 50)).max() <= 1
    assert abs(last[200, 120].astype(int) - (VISIBLE_PALETTE[UNKNOWN] // 2 + 50)).max() <= 1


def test_a_folder_in_the_sheets_place_is_told(root):
    (root / "contact_sheet.png").mkdir()
    with pytest.raises(DatasetError, match=r"contact_sheet\.png: Is a directory; .*move it away"):
        write_contact_sheet(root, range(9))
