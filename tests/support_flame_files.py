"""Writes FLAME's files in every variant that is in use."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import scipy.sparse
import torch
from support_pickles import Made, array_record, dump, object_array_record, tensor_record

from flame_pytorch import HeadModel, LandmarkEmbedding
from flame_pytorch.files import read_head_model

_NO_PARENT = 4294967295


def model_fields(model: HeadModel) -> dict[str, np.ndarray]:
    """The arrays of a FLAME pickle under their names there, J_regressor dense."""
    parents = np.where(model.parents < 0, _NO_PARENT, model.parents)
    return {
        "v_template": model.v_template,
        "f": model.faces.astype(np.uint32),
        "shapedirs": model.shapedirs,
        "posedirs": model.posedirs,
        "J_regressor": model.J_regressor,
        "kintree_table": np.stack([parents, np.arange(5)]).astype(np.int64),
        "weights": model.weights,
    }


def sparse_record(matrix, numpy_core: str = "numpy.core", private_module: bool = False) -> Made:
    """What a scipy csc or csr matrix pickles to."""
    kind = matrix.format
    module = f"_{kind}" if private_module else kind
    state = {
        "_shape": matrix.shape,
        "maxprint": 50,
        "indices": array_record(matrix.indices, numpy_core),
        "indptr": array_record(matrix.indptr, numpy_core),
        "data": array_record(matrix.data, numpy_core),
    }
    return Made(f"scipy.sparse.{module}.{kind}_matrix", (), state, by_class=True)


def chumpy_record(array: np.ndarray) -> Made:
    """What a chumpy array pickles to."""
    state = {"_dirty_vars": set(), "_itr": None, "x": array_record(array)}
    return Made("chumpy.ch.Ch", (), state, by_class=True)


def chumpy_selection(array: np.ndarray, hidden: int = 3) -> Made:
    """A chumpy selection that comes to `array`, out of a larger chumpy array."""
    source = np.concatenate([np.full(hidden, 99.0), array.ravel()])
    state = {
        "a": chumpy_record(source),
        "idxs": array_record(np.arange(hidden, source.size)),
        "preferred_shape": array.shape,
    }
    return Made("chumpy.reordering.Select", (), state, by_class=True)


def python2_model(model: HeadModel, protocol: int = 2) -> bytes:
    """FLAME 2017's file: a Python 2 pickle with chumpy arrays and an old scipy matrix."""
    fields = model_fields(model)
    records: dict[str, object] = {name: array_record(array) for name, array in fields.items()}
    records["v_template"] = chumpy_record(fields["v_template"])
    records["posedirs"] = chumpy_record(np.asfortranarray(fields["posedirs"]))
    records["shapedirs"] = chumpy_selection(fields["shapedirs"])
    records["J_regressor"] = sparse_record(scipy.sparse.csc_matrix(fields["J_regressor"]))
    records["bs_style"] = "lbs"
    records["J"] = chumpy_record(np.zeros((5, 3)))
    return dump(records, protocol, python2=True)


def write_landmark_embedding(
    path: Path, embedding: LandmarkEmbedding, with_tensors: bool = True
) -> None:
    """`landmark_embedding.npy`: an array of one dictionary, as numpy.save writes it."""
    fields: dict[str, object] = {
        "static_lmk_faces_idx": array_record(embedding.static_faces),
        "static_lmk_bary_coords": array_record(embedding.static_bary),
        "dynamic_lmk_faces_idx": array_record(embedding.contour_faces),
        "dynamic_lmk_bary_coords": array_record(embedding.contour_bary),
        "full_lmk_faces_idx": array_record(np.zeros((1, 68), np.int64)),
        "full_lmk_bary_coords": array_record(np.zeros((1, 68, 3))),
    }
    if with_tensors:
        fields["dynamic_lmk_faces_idx"] = tensor_record(torch.tensor(embedding.contour_faces))
        fields["dynamic_lmk_bary_coords"] = tensor_record(torch.tensor(embedding.contour_bary))
    write_object_npy(path, dump(object_array_record([fields], ()), 3))


def write_object_npy(path: Path, pickled: bytes) -> None:
    """A .npy file of a 0-d array of objects."""
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + "\n"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    path.write_bytes(start + header.encode() + pickled)


def write_flame_files(
    directory: Path,
    model: HeadModel,
    embedding: LandmarkEmbedding,
    masks: dict[str, np.ndarray] | None = None,
    uvs: np.ndarray | None = None,
    uv_faces: np.ndarray | None = None,
) -> None:
    """A user's `model/` folder, as downloads from today's FLAME site fill it."""
    directory.mkdir(parents=True, exist_ok=True)
    fields: dict[str, object] = dict(model_fields(model))
    fields["J_regressor"] = scipy.sparse.csc_matrix(model.J_regressor)
    (directory / "generic_model.pkl").write_bytes(pickle.dumps(fields, protocol=2))
    write_landmark_embedding(directory / "landmark_embedding.npy", embedding)
    if masks is not None:
        (directory / "FLAME_masks.pkl").write_bytes(pickle.dumps(masks, protocol=2))
    if uvs is not None and uv_faces is not None:
        mean = np.zeros((4, 4, 3), np.float32)
        np.savez(directory / "FLAME_texture.npz", vt=uvs, ft=uv_faces, mean=mean)


def assert_same(a: object, b: object) -> None:
    """All arrays are the same."""
    for field in dataclasses.fields(a):  # type: ignore[arg-type]
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), field.name)


def read_model_bytes(folder: Path, data: bytes) -> HeadModel:
    """What the reader makes of a `generic_model.pkl` of these bytes."""
    path = folder / "generic_model.pkl"
    path.write_bytes(data)
    return read_head_model(path)
