"""FLAME's files in all their variants come back exactly; bad files are named, nothing runs."""

import os
import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from support_flame_files import (
    assert_same,
    model_fields,
    python2_model,
    read_model_bytes,
    sparse_record,
    write_flame_files,
    write_landmark_embedding,
    write_object_npy,
)
from support_flame_heads import face_head, random_embedding, random_head
from support_pickles import Made, array_record, dump, object_array_record, scalar_record

from flame_pytorch import FLAME, FlameConfig
from flame_pytorch.errors import FileFormatError
from flame_pytorch.files import (
    read_head_model,
    read_landmark_embedding,
    read_masks,
    read_uv_layout,
)
from flame_pytorch.plausible import MASK_NAMES

HEAD = random_head()
EMBEDDING = random_embedding()
FACE, FACE_EMBEDDING = face_head()
MASKS = dict.fromkeys(MASK_NAMES, np.arange(12)) | {"left_ear": np.array([3, 1, 39])}


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_python2_files_with_chumpy(tmp_path, protocol):
    assert_same(read_model_bytes(tmp_path, python2_model(HEAD, protocol)), HEAD)


@pytest.mark.parametrize("protocol", range(6))
def test_files_of_todays_python(tmp_path, protocol):
    fields = dict(model_fields(HEAD))
    fields["J_regressor"] = scipy.sparse.csr_matrix(HEAD.J_regressor)
    fields["shapedirs"] = np.asfortranarray(HEAD.shapedirs)
    assert_same(read_model_bytes(tmp_path, pickle.dumps(fields, protocol)), HEAD)


@pytest.mark.parametrize("numpy_core", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("kind", ["csc", "csr"])
@pytest.mark.parametrize("private_module", [False, True])
def test_module_names_old_and_new(tmp_path, numpy_core, kind, private_module):
    records = {name: array_record(a, numpy_core) for name, a in model_fields(HEAD).items()}
    matrix = scipy.sparse.csc_matrix(HEAD.J_regressor).asformat(kind)
    records["J_regressor"] = sparse_record(matrix, numpy_core, private_module)
    for protocol in (2, 4):
        assert_same(read_model_bytes(tmp_path, dump(records, protocol)), HEAD)


def test_shapedirs_of_another_width(tmp_path):
    used = [*range(100), *range(300, 350)]
    fields = model_fields(HEAD) | {"shapedirs": HEAD.shapedirs[:, :, used]}
    model = read_model_bytes(tmp_path, pickle.dumps(fields))
    assert model.n_identity == 100
    args = [torch.randn(2, n, generator=torch.Generator().manual_seed(n)) for n in (100, 50, 6)]
    short, full = FLAME.from_arrays(model, EMBEDDING), FLAME.from_arrays(HEAD, EMBEDDING)
    assert torch.equal(short(*args)[0], full(*args)[0])
    with pytest.raises(ValueError, match="shape_params is 101; the model has 0 to 100"):
        FLAME.from_arrays(model, EMBEDDING, n_shape=101)
    for width in (10, 300, 401):
        shapedirs = np.resize(HEAD.shapedirs, (40, 3, width))
        with pytest.raises(FileFormatError, match=f"'shapedirs' of {width} components.*known are"):
            read_model_bytes(tmp_path, pickle.dumps(fields | {"shapedirs": shapedirs}))


def test_big_endian_and_scalars(tmp_path):
    fields = model_fields(HEAD)
    fields["v_template"] = HEAD.v_template.astype(">f8")
    assert_same(read_model_bytes(tmp_path, pickle.dumps(fields)), HEAD)
    fields = model_fields(HEAD)
    records = {name: array_record(array) for name, array in fields.items()}
    records["kintree_table"] = [[scalar_record(x) for x in row] for row in fields["kintree_table"]]
    assert_same(read_model_bytes(tmp_path, dump(records)), HEAD)


@pytest.mark.parametrize("with_tensors", [True, False])
def test_embedding_in_one_file(tmp_path, with_tensors):
    path = tmp_path / "landmark_embedding.npy"
    write_landmark_embedding(path, EMBEDDING, with_tensors)
    assert_same(read_landmark_embedding(path), EMBEDDING)


def test_embedding_as_numpy_writes_it(tmp_path):
    fields = {
        "static_lmk_faces_idx": EMBEDDING.static_faces,
        "static_lmk_bary_coords": EMBEDDING.static_bary,
        "dynamic_lmk_faces_idx": torch.tensor(EMBEDDING.contour_faces),
        "dynamic_lmk_bary_coords": torch.tensor(EMBEDDING.contour_bary),
    }
    np.save(tmp_path / "landmark_embedding.npy", fields, allow_pickle=True)
    assert_same(read_landmark_embedding(tmp_path / "landmark_embedding.npy"), EMBEDDING)


@pytest.mark.parametrize("python2", [True, False])
def test_embedding_in_two_files(tmp_path, python2):
    static = tmp_path / "flame_static_embedding.pkl"
    contour = tmp_path / "flame_dynamic_embedding.npy"
    faces, bary = EMBEDDING.static_faces.astype(np.uint32), EMBEDDING.static_bary
    fields = {"lmk_face_idx": array_record(faces), "lmk_b_coords": array_record(bary)}
    static.write_bytes(dump(fields, 2, python2))
    rows = {
        "lmk_face_idx": [array_record(row) for row in EMBEDDING.contour_faces],
        "lmk_b_coords": [array_record(row) for row in EMBEDDING.contour_bary],
    }
    write_object_npy(contour, dump(object_array_record([rows], ()), 2, python2))
    assert_same(read_landmark_embedding(static, contour), EMBEDDING)
    with pytest.raises(FileFormatError, match=r"static_embedding.pkl holds no contour"):
        read_landmark_embedding(static)


def test_masks_and_uv_layout(tmp_path):
    uvs = np.random.default_rng(0).random((30, 2))
    uv_faces = np.random.default_rng(1).integers(0, 30, (60, 3)).astype(np.int32)
    write_flame_files(tmp_path, HEAD, EMBEDDING, MASKS, uvs, uv_faces)
    masks = read_masks(tmp_path / "FLAME_masks.pkl")
    assert masks.keys() == MASKS.keys()
    for name, indices in MASKS.items():
        np.testing.assert_array_equal(masks[name], indices)
    read_uvs, read_uv_faces = read_uv_layout(tmp_path / "FLAME_texture.npz")
    np.testing.assert_array_equal(read_uvs, uvs)
    np.testing.assert_array_equal(read_uv_faces, uv_faces)


def test_python2_masks(tmp_path):
    path = tmp_path / "FLAME_masks.pkl"
    path.write_bytes(dump({k: array_record(v) for k, v in MASKS.items()}, 2, python2=True))
    np.testing.assert_array_equal(read_masks(path)["left_ear"], MASKS["left_ear"])


def test_the_layer_reads_files(tmp_path):
    write_flame_files(tmp_path, FACE, FACE_EMBEDDING)
    config = FlameConfig(
        flame_model_path=str(tmp_path / "generic_model.pkl"),
        static_landmark_embedding_path=str(tmp_path / "landmark_embedding.npy"),
    )
    args = [torch.randn(2, n, generator=torch.Generator().manual_seed(n)) for n in (100, 50, 6)]
    from_files, from_arrays = FLAME(config)(*args), FLAME.from_arrays(FACE, FACE_EMBEDDING)(*args)
    assert all(map(torch.equal, from_files, from_arrays))


class Ran:
    """What a hostile file would run: it leaves a trace."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_in_a_hostile_file_runs(tmp_path, protocol):
    ran = Ran(tmp_path / "trace")
    assert_same(
        read_model_bytes(tmp_path, pickle.dumps(model_fields(HEAD) | {"J": ran}, protocol)), HEAD
    )
    fields = model_fields(HEAD) | {"weights": ran}
    with pytest.raises(
        FileFormatError, match=r"generic_model.pkl .*'weights': it .*holds (posix|nt)\.mkdir"
    ):
        read_model_bytes(tmp_path, pickle.dumps(fields, protocol))
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "name",
    [
        "posix.system",
        "builtins.eval",
        "__builtin__.eval",
        "subprocess.Popen",
        "numpy.load",
        "numpy.testing._private.utils.runstring",
        "torch.load",
        "copyreg.add_extension",
    ],
)
def test_unknown_names_are_refused_where_they_are_needed(tmp_path, name):
    records = {k: array_record(v) for k, v in model_fields(HEAD).items()}
    made = Made(name, ("x",))
    assert_same(read_model_bytes(tmp_path, dump(records | {"J": made})), HEAD)
    with pytest.raises(FileFormatError, match=f"'f': it should hold an array, but holds {name}"):
        read_model_bytes(tmp_path, dump(records | {"f": made}))


def test_an_unknown_chumpy_class_is_named_only_if_needed(tmp_path):
    unknown = Made("chumpy.ch_ops.add", (), {"a": 1}, by_class=True)
    records = {k: array_record(v) for k, v in model_fields(HEAD).items()}
    assert_same(read_model_bytes(tmp_path, dump(records | {"J": unknown})), HEAD)
    with pytest.raises(FileFormatError, match=r"'weights': it should.*holds chumpy.ch_ops.add"):
        read_model_bytes(tmp_path, dump(records | {"weights": unknown}))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"v_template": np.zeros((40, 2))}, r"'v_template' of shape \[40, 2\], expected \[n, 3\]"),
        ({"weights": np.zeros((39, 5))}, r"'weights' of shape \[39, 5\], expected \[40, 5\]"),
        ({"f": np.full((9, 3), 40)}, "'f' with indices outside 0 to 39"),
        ({"f": np.zeros((9, 3))}, "'f' of type float64, expected integers"),
        ({"posedirs": np.full((40, 3, 36), np.nan)}, "'posedirs' with values that are NaN"),
        ({"kintree_table": np.array([[-1, 0, 3, 1, 1], range(5)])}, r"parents \[-1, 0, 3, 1, 1\]"),
        ({"J_regressor": np.array(["a"])}, "type '<U1', not of numbers"),
        ({"J_regressor": 10**30}, "integer of more than 64 bits"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, change, message):
    with pytest.raises(FileFormatError, match=message) as error:
        read_model_bytes(tmp_path, pickle.dumps(model_fields(HEAD) | change))
    assert "generic_model.pkl" in str(error.value) and "flame.is.tue.mpg.de" in str(error.value)


def test_a_missing_key_is_named(tmp_path):
    fields = model_fields(HEAD)
    del fields["weights"]
    with pytest.raises(FileFormatError, match="has no 'weights'; it holds v_template, f"):
        read_model_bytes(tmp_path, pickle.dumps(fields))


def test_other_files_in_its_place(tmp_path):
    path = tmp_path / "generic_model.pkl"
    with pytest.raises(
        FileNotFoundError, match=r"generic_model.pkl does not exist.*https://flame.is"
    ):
        read_head_model(path)
    for content, message in [(b"", "is empty"), (b"<html>", "web page"), (b"N.x", "1 byte")]:
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=f"generic_model.pkl .*{message}"):
            read_head_model(path)
    with pytest.raises(FileFormatError, match="is not a file"):
        read_head_model(tmp_path)


READERS = {
    "model2.pkl": read_head_model,
    "model4.pkl": read_head_model,
    "landmark_embedding.npy": read_landmark_embedding,
    "FLAME_masks.pkl": read_masks,
    "FLAME_texture.npz": read_uv_layout,
}


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_give_a_clear_error_or_a_sound_result(tmp_path, name):
    uvs, uv_faces = np.zeros((9, 2)), np.zeros((60, 3), np.int32)
    write_flame_files(tmp_path, HEAD, EMBEDDING, MASKS, uvs, uv_faces)
    (tmp_path / "model2.pkl").write_bytes(python2_model(HEAD))
    (tmp_path / "generic_model.pkl").rename(tmp_path / "model4.pkl")
    whole = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(0)
    read = READERS[name]
    path = tmp_path / f"damaged_{name}"
    for trial in range(80):
        data = bytearray(whole)
        if trial % 4 == 0:
            data = data[: rng.integers(len(data))]
        elif trial % 4 == 1:
            start = int(rng.integers(len(data)))
            data[start : start + 8] = rng.bytes(8)
        elif trial % 4 == 2:
            # Near the beginning, where the structure is.
            data[int(rng.integers(min(400, len(data))))] ^= 1 << int(rng.integers(8))
        else:
            cut = int(rng.integers(len(data)))
            data = data[cut:] + data[:cut]
        path.write_bytes(data)
        try:
            read(path)
        except FileFormatError as error:
            assert str(path) in str(error)
