import hashlib
import json

import numpy as np
import pytest
from support_export import dataset_of, written

pytest.importorskip("pyarrow")
from synthforge.dataset.export import croissant


def test_checksums_and_shapes(tmp_path):
    folder = written(croissant, dataset_of(tmp_path / "d", 0, 1), tmp_path / "out")
    metadata = json.loads((folder / "croissant.json").read_text())
    assert metadata["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    file, _ = metadata["distribution"]
    content = (folder / file["contentUrl"]).read_bytes()
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    fields = {field["name"]: field for field in metadata["recordSet"][0]["field"]}
    assert fields["2d_kps"]["arrayShape"] == "68,2" and fields["2d_kps"]["dataType"] == "sc:Float"
    assert fields["index"]["dataType"] == "sc:Integer" and "isArray" not in fields["index"]
    assert fields["image"]["dataType"] == "sc:ImageObject"


def test_mlcroissant_validates_and_reads_it(tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = dataset_of(tmp_path / "d", 0, 1)
    folder = written(croissant, dataset, tmp_path / "out")
    read = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert not read.metadata.ctx.issues.errors
    records = list(read.records("samples"))
    assert [record["samples/index"] for record in records] == [0, 1]
    np.testing.assert_array_equal(records[1]["samples/image"], dataset.image("images", 1))
