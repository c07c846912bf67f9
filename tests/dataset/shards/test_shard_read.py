"""Shards read back as folders do, and as the webdataset library reads them."""

import pickle

import cv2
import numpy as np
import pytest
from support_dataset import make, sample
from support_shards import empty_memory, fill, make_shards, shard_writer
from torch.utils.data import DataLoader

from synthforge.dataset.contact_sheet import contact_sheet, write_contact_sheet
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.read import Dataset
from synthforge.dataset.sample import decode_png
from synthforge.dataset.target import LocalTarget, RemoteTarget

EXTRAS = ("uv", "depth16")


@pytest.fixture
def where(tmp_path):
    return make_shards(tmp_path / "shards", extras=EXTRAS)


@pytest.fixture
def folder(tmp_path):
    recipe = {"seed": 1, "range": (0, 1), "extras": sorted(EXTRAS)}
    return Dataset(make(tmp_path / "folder", *range(7), extras=EXTRAS, recipe=recipe))


def assert_same(read, expected):
    assert read.keys() == expected.keys()
    for name, array in expected.items():
        assert read[name].dtype == array.dtype, name
        np.testing.assert_array_equal(read[name], array, err_msg=name)


def test_shards_and_folders_read_the_same(where, folder):
    shards = Dataset(where)
    assert shards.indices == folder.indices == [*range(7)]
    for position in (5, 0, 6, -2):
        assert_same(shards[position], folder[position])
    for read, expected in zip(shards, folder, strict=True):
        assert_same(read, expected)
    assert shards.annotation(4) == folder.annotation(4)
    assert_same({"": shards.image("uv", 4)}, {"": folder.image("uv", 4)})
    assert shards.holds(6) and not shards.holds(7)


def test_a_remote_dataset_reads_the_same(where):
    empty_memory()
    remote = Dataset(make_shards("memory://a", extras=EXTRAS))
    for read, expected in zip(remote, Dataset(where), strict=True):
        assert_same(read, expected)
    assert_same(pickle.loads(pickle.dumps(remote))[3], Dataset(where)[3])


def test_torchs_loader_takes_shards(where):
    batches = [*DataLoader(Dataset(where), batch_size=3, num_workers=2)]
    assert [batch["index"].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert batches[0]["images"].shape == (3, 8, 8, 3)


@pytest.mark.parametrize("where", ["disk", "memory://a"])
def test_a_sample_is_one_request(tmp_path, monkeypatch, where):
    empty_memory()
    dataset = Dataset(make_shards(tmp_path if where == "disk" else where))
    assert len(dataset) == 7
    kind, requests = LocalTarget if where == "disk" else RemoteTarget, []
    real = kind.read

    def read(self, name, start=0, stop=None):
        requests.append((name, stop - start))
        return real(self, name, start, stop)

    monkeypatch.setattr(kind, "read", read)
    dataset[4]
    assert len(requests) == 1
    assert requests[0][0] == "shards/000001.tar"
    assert requests[0][1] < len(real(dataset._files.target, "shards/000001.tar")) / 3


def test_samples_that_were_given_up_are_passed_over(tmp_path):
    writer = shard_writer(tmp_path)
    writer.open()
    fill(writer, range(3), lacking=[1])
    fill(writer, range(3, 6), lacking=[3, 4, 5])
    fill(writer, range(6, 7))
    writer.close()
    dataset = Dataset(tmp_path)
    assert dataset.indices == [0, 2, 6]
    assert [item["index"] for item in dataset] == [0, 2, 6]
    assert_same({"": dataset.image("seg", 2)}, {"": sample(2).files["seg"]})
    for index in (1, 4, 99):
        assert not dataset.holds(index)
        with pytest.raises(DatasetError, match=f"has no whole sample {index}"):
            dataset.image("images", index)


def test_a_changed_shard_is_told(tmp_path):
    dataset = Dataset(make_shards(tmp_path))
    assert len(dataset) == 7
    path = tmp_path / "shards" / "000001.tar"
    content = path.read_bytes()
    path.write_bytes(bytes(600) + content[600:])
    said = r"cannot read \S+000001\.tar \(000003\.json\): it is cut short or was changed; delete it"
    for reads in (lambda: dataset[3], lambda: [*dataset]):
        with pytest.raises(DatasetError, match=said):
            reads()
    path.unlink()
    with pytest.raises(DatasetError, match=r"000001\.tar \(000004\.seg\.png\): No such file"):
        Dataset(tmp_path) and dataset.image("seg", 4)


def test_a_shard_of_another_recipe_is_told(tmp_path):
    make_shards(tmp_path)
    card = tmp_path / "dataset.json"
    card.write_text(card.read_text().replace('"seed": 1', '"seed": 2'))
    with pytest.raises(DatasetError, match=r"000000\.tar was made with other settings"):
        len(Dataset(tmp_path))


@pytest.mark.parametrize("size", ["0", '"3"', "null", "1.5"])
def test_a_card_with_another_size_is_told(tmp_path, size):
    make_shards(tmp_path)
    card = tmp_path / "dataset.json"
    card.write_text(card.read_text().replace('"samples_per_tar": 3', f'"samples_per_tar": {size}'))
    with pytest.raises(DatasetError, match=r"dataset\.json cannot be read: samples_per_tar is no"):
        Dataset(tmp_path)


def test_no_dataset_is_told():
    with pytest.raises(DatasetError, match="memory://none is empty or not there"):
        Dataset("memory://none")


@pytest.mark.parametrize("where", ["disk", "memory://a"])
def test_the_sheet_is_drawn_of_shards(tmp_path, where):
    empty_memory()
    where = make_shards(tmp_path if where == "disk" else where)
    sheet = Dataset(where)._files.target
    assert str(write_contact_sheet(where, range(99))).endswith("contact_sheet.png")
    drawn = decode_png(sheet.read("contact_sheet.png"))
    np.testing.assert_array_equal(drawn, contact_sheet(Dataset(where), range(7)))


# --- The webdataset library -----------------------------------------------------------------------


def test_the_webdataset_library_reads_every_sample_as_the_folder_holds_it(where, folder):
    import webdataset

    urls = f"{where}/shards/{{000000..000002}}.tar"
    decoded = webdataset.WebDataset(urls, shardshuffle=False).decode(
        webdataset.handle_extension("png", decode_png)
    )
    names = {"images": "png"} | {name: f"{name}.png" for name in ("seg", "depth", *EXTRAS)}
    count = 0
    for read, index in zip(decoded, folder.indices, strict=True):
        assert read.keys() == {"__key__", "__url__", "__local_path__", "json", *names.values()}
        assert read["__key__"] == f"{index:06d}"
        assert read["json"] == folder.annotation(index)
        images = {name: read[ending] for name, ending in names.items()}
        assert_same(images, {name: folder.image(name, index) for name in names})
        count += 1
    assert count == 7


def test_the_webdataset_library_decodes_images_by_default(where, folder):
    import webdataset

    pytest.importorskip("PIL")
    urls = str(where / "shards" / "000000.tar")
    read = [*webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8").to_tuple("png", "json")]
    for index, (image, numbers) in enumerate(read):
        np.testing.assert_array_equal(image, folder.image("images", index))
        assert numbers["index"] == index
    assert len(read) == 3


def test_a_tar_program_gets_the_folders_files(where, folder, tmp_path):
    import tarfile

    with tarfile.open(where / "shards" / "000002.tar") as tar:
        tar.extractall(tmp_path / "x", filter="data")
    stored = cv2.imread(str(tmp_path / "x" / "000006.depth16.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, folder.image("depth16", 6))
    whole = folder.root / "images" / "000006.png"
    assert (tmp_path / "x" / "000006.png").read_bytes() == whole.read_bytes()
