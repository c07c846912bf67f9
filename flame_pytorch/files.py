"""Readers of FLAME's files. Nothing in a file is executed; chumpy and scipy are not needed.

A file may come from Python 2 or 3 and hold arrays of numpy, scipy, chumpy or torch, as a pickle,
.npy, .npz or as torch.save writes them. Entries that are not needed may hold anything. What is
needed is checked, its meaning too (`flame_pytorch.plausible`).

Every reader raises FileNotFoundError, or FileFormatError naming the file, what is wrong with it
and the way out.
"""

from __future__ import annotations

import os

import numpy as np

from flame_pytorch.errors import FileFormatError, naming
from flame_pytorch.model import FloatArray, HeadModel, IntArray, LandmarkEmbedding
from flame_pytorch.plausible import (
    MASK_NAMES,
    check_embedding,
    check_head,
    check_landmarks,
    check_masks,
    check_uv_faces,
    check_uvs,
)
from flame_pytorch.reading.arrays import Array, to_array
from flame_pytorch.reading.contents import Fields, read_fields
from flame_pytorch.reading.values import listed

_FLAME_SITE = "https://flame.is.tue.mpg.de (licence required)"
_MODEL_SOURCE = f"FLAME models (2020, 2023) are at {_FLAME_SITE}"
_EMBEDDING_SOURCE = "FLAME's landmark embedding comes with DECA and RingNet, not with FLAME"
_MASKS_SOURCE = f"FLAME's vertex masks are at {_FLAME_SITE}"
_TEXTURE_SOURCE = f"FLAME's texture space is at {_FLAME_SITE}"

# Components in all -> those of identity, which come first. 400 are FLAME's own; 150 are the first
# of each kind, as many as FLAME_PyTorch uses.
_IDENTITY_OF = {400: 300, 150: 100}
_N_POSE_FEATURES = 36
_N_JOINTS = 5
_NO_PARENT = 2**32 - 1


def read_head_model(path: str | os.PathLike[str]) -> HeadModel:
    """`generic_model.pkl`, `flame2020.pkl`, `flame2023.pkl`: any FLAME model, of any age."""
    with naming(path, _MODEL_SOURCE):
        fields = read_fields(path)
        v_template = _floats(fields, "v_template", (None, 3))
        V = len(v_template)
        shapedirs = _floats(fields, "shapedirs", (V, 3, None))
        components = shapedirs.shape[2]
        if components not in _IDENTITY_OF:
            raise FileFormatError(
                f"has 'shapedirs' of {components} components, which does not tell identity from "
                "expression; known are 400 (300 of identity, then 100) and 150 (100, then 50)"
            )
        parents = _array(fields, "kintree_table", (2, _N_JOINTS))[0].astype(np.int64)
        parents[parents == _NO_PARENT] = -1
        model = HeadModel(
            v_template=v_template,
            faces=_integers(fields, "f", (None, 3), below=V),
            shapedirs=shapedirs,
            posedirs=_floats(fields, "posedirs", (V, 3, _N_POSE_FEATURES)),
            J_regressor=_floats(fields, "J_regressor", (_N_JOINTS, V)),
            parents=parents,
            weights=_floats(fields, "weights", (V, _N_JOINTS)),
            n_identity=_IDENTITY_OF[components],
        )
        check_head(model)
        return model


def read_landmark_embedding(
    path: str | os.PathLike[str],
    contour_path: str | os.PathLike[str] | None = None,
    model: HeadModel | None = None,
) -> LandmarkEmbedding:
    """`landmark_embedding.npy`, or `flame_static_embedding.pkl` and `flame_dynamic_embedding.npy`.

    contour_path: the second file of the second layout; not opened if the first holds everything.
    model: the head that it is for; if given, the landmarks must lie on it as they do on a face.
    """
    with naming(path, _EMBEDDING_SOURCE):
        static = read_fields(path)
        in_one_file = "static_lmk_faces_idx" in static.values
        if in_one_file:
            static_names = "static_lmk_faces_idx", "static_lmk_bary_coords"
            contour_names = "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords"
        else:
            static_names = contour_names = "lmk_face_idx", "lmk_b_coords"
        static_faces = _integers(static, static_names[0], (51,))
        static_bary = _floats(static, static_names[1], (51, 3))
        if not in_one_file and contour_path is None:
            raise FileFormatError("holds no contour, and flame_dynamic_embedding.npy is not given")
    both = path if in_one_file or contour_path is None else contour_path
    with naming(both, _EMBEDDING_SOURCE):
        contour = static if in_one_file else read_fields(both)
        embedding = LandmarkEmbedding(
            static_faces=static_faces,
            static_bary=static_bary,
            contour_faces=_integers(contour, contour_names[0], (79, 17)),
            contour_bary=_floats(contour, contour_names[1], (79, 17, 3)),
        )
    with naming(path, _EMBEDDING_SOURCE):
        check_embedding(embedding)
        if model is not None:
            check_landmarks(model, embedding)
    return embedding


def read_masks(path: str | os.PathLike[str], model: HeadModel | None = None) -> dict[str, IntArray]:
    """`FLAME_masks.pkl`: name -> vertex indices, int64. Regions overlap.

    model: the head that they are for, if they are to be checked against it.
    """
    with naming(path, _MASKS_SOURCE):
        fields = read_fields(path)
        absent = [name for name in MASK_NAMES if name not in fields.values]
        if absent:
            raise FileFormatError(
                f"lacks the masks {', '.join(absent)}; it holds {listed(fields.values)}. An empty "
                "array will do for what a head does not have"
            )
        below = 2**63 if model is None else len(model.v_template)
        masks = {name: _integers(fields, name, (None,), below) for name in MASK_NAMES}
        if model is not None:
            check_masks(model, masks)
        return masks


def read_uv_layout(
    path: str | os.PathLike[str], model: HeadModel | None = None
) -> tuple[FloatArray, IntArray]:
    """`FLAME_texture.npz`: uvs float64 (T, 2), v running up, and uv_faces int64 (F, 3).

    model: the head that it is for, if it is to be checked against it.
    """
    with naming(path, _TEXTURE_SOURCE):
        fields = read_fields(path)
        uvs = _floats(fields, "vt", (None, 2))
        check_uvs(uvs)
        uv_faces = _integers(fields, "ft", (None, 3), below=len(uvs))
        if model is not None:
            check_uv_faces(model.faces, uv_faces)
        return uvs, uv_faces


def _array(fields: Fields, name: object, shape: tuple[int | None, ...]) -> Array:
    if name not in fields.values:
        raise FileFormatError(f"has no {name!r:.60}; it holds {listed(fields.values)}")
    try:
        array = to_array(fields.values[name], fields.find_storage)
    except FileFormatError as error:
        raise FileFormatError(f"is damaged at {name!r:.60}: it {error}") from None
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted_text = ", ".join("n" if size is None else str(size) for size in shape)
        raise FileFormatError(
            f"has {name!r:.60} of shape {list(array.shape)}, expected [{wanted_text}]"
        )
    return array


def _floats(fields: Fields, name: object, shape: tuple[int | None, ...]) -> FloatArray:
    array = _array(fields, name, shape)
    if array.dtype.kind not in "iuf":
        raise FileFormatError(f"has {name!r:.60} of type {array.dtype}, expected numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise FileFormatError(f"has {name!r} with values that are NaN or infinite")
    return numbers


def _integers(
    fields: Fields,
    name: object,
    shape: tuple[int | None, ...],
    below: int = 2**63,
) -> IntArray:
    array = _array(fields, name, shape)
    if array.size and array.dtype.kind not in "iu":
        raise FileFormatError(f"has {name!r:.60} of type {array.dtype}, expected integers")
    if array.size and not 0 <= array.min() <= array.max() < below:
        raise FileFormatError(f"has {name!r:.60} with indices outside 0 to {below - 1}")
    return array.astype(np.int64)
