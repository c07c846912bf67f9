"""Readers of FLAME's files. Nothing in a file is executed; chumpy and scipy are not needed.

Every reader raises FileNotFoundError, or FileFormatError naming the file, what is wrong with it
and the way out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from flame_pytorch.arrays import ARRAY_NAMES, Array, to_array
from flame_pytorch.errors import FileFormatError, naming
from flame_pytorch.mapped import open_mapped
from flame_pytorch.model import FloatArray, HeadModel, IntArray, LandmarkEmbedding
from flame_pytorch.npy import read_npy
from flame_pytorch.pickles import parse_whole
from flame_pytorch.values import INERT_NAMES, MAPPING_NAMES, to_mapping
from flame_pytorch.zips import read_zip

_FLAME_SITE = "https://flame.is.tue.mpg.de (licence required)"
_MODEL_SOURCE = f"FLAME models (2020, 2023) are at {_FLAME_SITE}"
_EMBEDDING_SOURCE = f"Landmark embeddings are at {_FLAME_SITE}, and come with DECA"
_MASKS_SOURCE = f"FLAME's vertex masks are at {_FLAME_SITE}"
_TEXTURE_SOURCE = f"FLAME's texture space is at {_FLAME_SITE}"

_N_COMPONENTS = 400
_N_POSE_FEATURES = 36
_N_JOINTS = 5
_NO_PARENT = 2**32 - 1
_MAX_MASKS = 256
_MAX_UV_BYTES = 64 * 2**20

FLAME_NAMES = ARRAY_NAMES | MAPPING_NAMES | INERT_NAMES


def _is_flame_name(name: str) -> bool:
    # Of chumpy's classes, only Ch and Select can become arrays. The others stay records.
    return name in FLAME_NAMES or name.startswith("chumpy.")


def read_head_model(path: str | os.PathLike[str]) -> HeadModel:
    """`generic_model.pkl`, `flame2020.pkl`, `flame2023.pkl`: any FLAME pickle, of any age."""
    with naming(path, _MODEL_SOURCE):
        fields = to_mapping(parse_whole(open_mapped(path), _is_flame_name))
        v_template = _floats(fields, "v_template", (None, 3))
        V = len(v_template)
        parents = _array(fields, "kintree_table", (2, _N_JOINTS))[0].astype(np.int64)
        root, *others = parents.tolist()
        if root not in (-1, _NO_PARENT) or not all(0 <= p <= j for j, p in enumerate(others)):
            raise FileFormatError(f"has joints with the parents {parents.tolist()}, not a tree")
        parents[0] = -1
        return HeadModel(
            v_template=v_template,
            faces=_integers(fields, "f", (None, 3), below=V),
            shapedirs=_floats(fields, "shapedirs", (V, 3, _N_COMPONENTS)),
            posedirs=_floats(fields, "posedirs", (V, 3, _N_POSE_FEATURES)),
            J_regressor=_floats(fields, "J_regressor", (_N_JOINTS, V)),
            parents=parents,
            weights=_floats(fields, "weights", (V, _N_JOINTS)),
        )


def read_landmark_embedding(
    path: str | os.PathLike[str], contour_path: str | os.PathLike[str] | None = None
) -> LandmarkEmbedding:
    """`landmark_embedding.npy`, or `flame_static_embedding.pkl` and `flame_dynamic_embedding.npy`.

    contour_path: the second file of the second layout; not opened if the first holds everything.
    """
    with naming(path, _EMBEDDING_SOURCE):
        static = _read_fields(path)
        if "static_lmk_faces_idx" in static:
            return LandmarkEmbedding(
                static_faces=_integers(static, "static_lmk_faces_idx", (51,)),
                static_bary=_floats(static, "static_lmk_bary_coords", (51, 3)),
                contour_faces=_integers(static, "dynamic_lmk_faces_idx", (79, 17)),
                contour_bary=_floats(static, "dynamic_lmk_bary_coords", (79, 17, 3)),
            )
        static_faces = _integers(static, "lmk_face_idx", (51,))
        static_bary = _floats(static, "lmk_b_coords", (51, 3))
        if contour_path is None:
            raise FileFormatError("holds no contour, and flame_dynamic_embedding.npy is not given")
    with naming(contour_path, _EMBEDDING_SOURCE):
        contour = _read_fields(contour_path)
        return LandmarkEmbedding(
            static_faces=static_faces,
            static_bary=static_bary,
            contour_faces=_integers(contour, "lmk_face_idx", (79, 17)),
            contour_bary=_floats(contour, "lmk_b_coords", (79, 17, 3)),
        )


def read_masks(path: str | os.PathLike[str]) -> dict[str, IntArray]:
    """`FLAME_masks.pkl`: name -> vertex indices, int64. Regions overlap."""
    with naming(path, _MASKS_SOURCE):
        fields = to_mapping(parse_whole(open_mapped(path), _is_flame_name))
        if not fields or len(fields) > _MAX_MASKS:
            raise FileFormatError(f"holds {len(fields)} masks")
        return {str(name): _integers(fields, name, (None,)) for name in fields}


def read_uv_layout(path: str | os.PathLike[str]) -> tuple[FloatArray, IntArray]:
    """`FLAME_texture.npz`: uvs float64 (T, 2), v running up, and uv_faces int64 (F, 3)."""
    with naming(path, _TEXTURE_SOURCE):
        open_mapped(path)
        members = read_zip(path, lambda name: name in ("vt.npy", "ft.npy"), _MAX_UV_BYTES)
        arrays: dict[object, object] = {
            name.removesuffix(".npy"): read_npy(data) for name, data in members.items()
        }
        uvs = _floats(arrays, "vt", (None, 2))
        return uvs, _integers(arrays, "ft", (None, 3), below=len(uvs))


def _read_fields(path: str | os.PathLike[str]) -> Mapping[object, object]:
    """The dictionary in a pickle, or in a .npy file that holds a single object."""
    data = open_mapped(path)
    if bytes(data[:1]) != b"\x93":
        return to_mapping(parse_whole(data, _is_flame_name))
    items = read_npy(data, FLAME_NAMES)
    if not isinstance(items, list) or len(items) != 1:
        raise FileFormatError("should hold one dictionary, but holds an array")
    return to_mapping(items[0])


def _array(fields: Mapping[object, object], name: object, shape: tuple[int | None, ...]) -> Array:
    if name not in fields:
        present = ", ".join(str(key) for key in list(fields)[:12])
        raise FileFormatError(f"has no {name!r:.60}; it holds {present:.300}")
    try:
        array = to_array(fields[name])
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


def _floats(
    fields: Mapping[object, object], name: object, shape: tuple[int | None, ...]
) -> FloatArray:
    array = _array(fields, name, shape)
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise FileFormatError(f"has {name!r} with values that are not finite")
    return numbers


def _integers(
    fields: Mapping[object, object],
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
