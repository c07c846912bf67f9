"""Files whose arrays have the right shapes and the wrong meaning are refused by name."""

import dataclasses
import pickle

import numpy as np
import pytest
from support_flame_files import model_fields, write_landmark_embedding
from support_flame_heads import face_head

from flame_pytorch.errors import FileFormatError
from flame_pytorch.files import (
    read_head_model,
    read_landmark_embedding,
    read_masks,
    read_uv_layout,
)
from flame_pytorch.plausible import MASK_NAMES

HEAD, EMBEDDING = face_head()
UP = np.array([0, 1.6, 0])
LEFT = np.flatnonzero(HEAD.v_template[:, 0] > 0.01)
RIGHT = np.flatnonzero(HEAD.v_template[:, 0] < -0.01)
MASKS = {name: LEFT if "left" in name else RIGHT for name in MASK_NAMES}


def read_model(tmp_path, **changes):
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(pickle.dumps(model_fields(dataclasses.replace(HEAD, **changes))))
    return read_head_model(path)


def scaled_row(array, factor):
    array = array.copy()
    array[2] *= factor
    return array


def with_value(array, value):
    array = array.copy()
    array.flat[7] = value
    return array


def negative_weights():
    weights = np.zeros_like(HEAD.weights)
    weights[:, :2] = -0.2, 1.2
    return weights


def joint_outside():
    regressor = HEAD.J_regressor.copy()
    top, bottom = HEAD.v_template[:, 1].argmax(), HEAD.v_template[:, 1].argmin()
    regressor[1] = 0
    regressor[1, [top, bottom]] = 3, -2
    return regressor


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"v_template": HEAD.v_template * 1000}, r"a head of 1\d\d m, .*another unit than metres"),
        ({"v_template": HEAD.v_template * 100}, r"a head of 1\d.* m, .*another unit than metres"),
        ({"v_template": HEAD.v_template * 0.001}, r"a head of 0.0001.* m, .*another unit"),
        ({"v_template": HEAD.v_template + UP}, r"a head around \[0.0, 1.58, .*origin"),
        ({"shapedirs": HEAD.shapedirs * 1000}, r"'shapedirs' that move a vertex by .* in metres\?"),
        ({"posedirs": HEAD.posedirs * 1000}, r"'posedirs' that move a vertex by .* in metres\?"),
        ({"J_regressor": scaled_row(HEAD.J_regressor, 1.5)}, "'J_regressor' with a row .* 1.5"),
        ({"J_regressor": HEAD.J_regressor * 0}, "'J_regressor' with a row .* 0, expected 1"),
        ({"J_regressor": joint_outside()}, "'J_regressor' that puts joints outside the head"),
        ({"weights": scaled_row(HEAD.weights, 0.9)}, "'weights' with a row that sums to 0.9"),
        ({"weights": negative_weights()}, "'weights' down to -0.2, expected 0 to 1"),
        ({"weights": np.tile([1e308, 1e308, -1e308, -1e308, 1], (204, 1))}, "'weights' with a row"),
        ({"faces": HEAD.faces[:0]}, "no vertices or triangles"),
        ({"parents": np.array([-1, 0, 1, 2, 3])}, r"\[-1, 0, 1, 2, 3\], expected \[-1, 0, 1, 1, 1"),
        ({"parents": np.array([1, 0, 1, 1, 1])}, r"the parents \[1, 0, 1, 1, 1\]"),
        ({"parents": np.array([-1, 2, 1, 1, 1])}, r"the parents \[-1, 2, 1, 1, 1\]"),
    ],
)
def test_models_that_are_no_head(tmp_path, changes, message):
    with pytest.raises(FileFormatError, match=rf"generic_model.pkl has .*{message}"):
        read_model(tmp_path, **changes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["v_template", "shapedirs", "posedirs", "J_regressor", "weights"])
def test_values_that_are_not_finite(tmp_path, name, value):
    with pytest.raises(FileFormatError, match=f"'{name}' with values that are NaN or infinite"):
        read_model(tmp_path, **{name: with_value(getattr(HEAD, name), value)})


def test_rounding_is_no_mistake(tmp_path):
    read_model(tmp_path, weights=HEAD.weights.astype(np.float16).astype(np.float64))
    read_model(tmp_path, J_regressor=HEAD.J_regressor.astype(np.float16).astype(np.float64))


def read_embedding(tmp_path, model=HEAD, **changes):
    path = tmp_path / "landmark_embedding.npy"
    write_landmark_embedding(path, dataclasses.replace(EMBEDDING, **changes))
    return read_landmark_embedding(path, model=model)


def at(points, faces):
    """Inner landmarks moved to the triangles of others, all in iBUG's numbers."""
    moved = EMBEDDING.static_faces.copy()
    moved[np.asarray(points) - 17] = faces
    return {"static_faces": moved}


def contour_at(row, points, face):
    contour_faces = EMBEDDING.contour_faces.copy()
    contour_faces[row, points] = face
    return {"contour_faces": contour_faces}


BROWS, RIGHT_EYE, LEFT_EYE = range(17, 27), range(36, 42), range(42, 48)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"static_faces": EMBEDDING.static_faces + 1},
            "is for another head: it refers to triangle 68",
        ),
        ({"static_bary": EMBEDDING.static_bary * 0.9}, "'static_bary' with a row that sums to 0.9"),
        ({"contour_bary": EMBEDDING.contour_bary * 2}, "'contour_bary' with a row that sums to 2"),
        ({"static_bary": np.tile([1.5, -0.5, 0], (51, 1))}, "'static_bary' down to -0.5"),
        (at([*RIGHT_EYE, *LEFT_EYE], [*LEFT_EYE, *RIGHT_EYE]), "the left eye is not left"),
        ({"contour_faces": EMBEDDING.contour_faces[:, ::-1].copy()}, "the jaw line does not run"),
        (contour_at(slice(None), slice(8), 16), "the jaw line does not run"),
        (contour_at(40, 8, 30), "the chin is not below the mouth"),
        (at(BROWS, 60), "the brows are not above the eyes"),
        (at(range(48, 68), range(17, 37)), "the nose is not above the mouth"),
        (at(range(31, 36), 22), "the eyes are not above the nose"),
        ({"contour_faces": EMBEDDING.contour_faces + 20}, "the jaw line|the chin"),
        (at([30], 0), "the nose is not in front"),
        (at([36, 45], [39, 42]), r"the eye corners are 0.034 m apart"),
    ],
)
def test_embeddings_of_another_head(tmp_path, changes, message):
    with pytest.raises(FileFormatError, match=rf"landmark_embedding.npy .*{message}"):
        read_embedding(tmp_path, **changes)


def test_an_embedding_of_a_head_with_other_triangle_numbers(tmp_path):
    """As many triangles, in another order."""
    order = np.random.default_rng(0).permutation(len(HEAD.faces))
    model = dataclasses.replace(HEAD, faces=HEAD.faces[order])
    with pytest.raises(FileFormatError, match="is for another head: on this one"):
        read_embedding(tmp_path, model)


def test_a_mirrored_head(tmp_path):
    model = dataclasses.replace(HEAD, v_template=HEAD.v_template * [-1, 1, 1])
    with pytest.raises(FileFormatError, match="the left eye is not left of the right one"):
        read_embedding(tmp_path, model)


def test_a_crooked_head(tmp_path):
    crooked = HEAD.v_template.copy()
    crooked[:, 0] += 0.6 * (crooked[:, 1] + 0.03)
    with pytest.raises(FileFormatError, match="do not mirror each other"):
        read_embedding(tmp_path, dataclasses.replace(HEAD, v_template=crooked))


def test_a_head_that_lies_or_looks_back(tmp_path):
    for axes in ([0, 2, 1], [2, 1, 0]):
        model = dataclasses.replace(HEAD, v_template=HEAD.v_template[:, axes])
        with pytest.raises(FileFormatError, match="is for another head"):
            read_embedding(tmp_path, model)
    back = dataclasses.replace(HEAD, v_template=HEAD.v_template * [1, 1, -1])
    with pytest.raises(FileFormatError, match="the nose is not in front"):
        read_embedding(tmp_path, back)


def test_the_right_embedding_is_taken(tmp_path):
    np.testing.assert_array_equal(read_embedding(tmp_path).static_faces, EMBEDDING.static_faces)


def read_changed_masks(tmp_path, model=HEAD, **changes):
    path = tmp_path / "FLAME_masks.pkl"
    masks = MASKS | changes
    path.write_bytes(pickle.dumps({name: mask for name, mask in masks.items() if mask is not None}))
    return read_masks(path, model)


def test_masks(tmp_path):
    masks = read_changed_masks(tmp_path, lips=np.zeros(0), further="anything")
    assert masks.keys() == set(MASK_NAMES) and len(masks["lips"]) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nose": None, "lips": None}, "lacks the masks nose, lips; it holds face, scalp"),
        ({"nose": np.array([204])}, "'nose' with indices outside 0 to 203"),
        ({"nose": np.array([-1])}, "'nose' with indices outside 0 to 203"),
        ({"left_ear": RIGHT, "right_ear": LEFT}, "a mask 'left_ear' that is not to the subject's"),
        ({"nose": np.array([0.5])}, "'nose' of type float64, expected integers"),
    ],
)
def test_masks_of_another_head(tmp_path, changes, message):
    with pytest.raises(FileFormatError, match=rf"FLAME_masks.pkl .*{message}"):
        read_changed_masks(tmp_path, **changes)


def test_no_mask_has_a_known_name(tmp_path):
    path = tmp_path / "FLAME_masks.pkl"
    path.write_bytes(pickle.dumps({"Gesicht": np.arange(3)}))
    with pytest.raises(FileFormatError, match=r"lacks the masks face, .*; it holds Gesicht"):
        read_masks(path)


@pytest.mark.parametrize(
    ("vt", "ft", "message"),
    [
        (np.full((204, 2), 1.5), HEAD.faces, "'vt' outside 0 to 1"),
        (np.full((204, 2), np.nan), HEAD.faces, "'vt' with values that are NaN"),
        (np.zeros((0, 2)), HEAD.faces[:0], "'vt' outside"),
        (np.zeros((204, 2)), HEAD.faces + 1, "'ft' with indices outside 0 to 203"),
        (np.zeros((204, 2)), HEAD.faces[:60], "60 triangles and the head 68"),
        (np.zeros((3, 2)), np.tile([0, 1, 2], (68, 1)), "triangles in another order"),
    ],
)
def test_a_uv_layout_of_another_head(tmp_path, vt, ft, message):
    np.savez(tmp_path / "FLAME_texture.npz", vt=vt, ft=ft)
    with pytest.raises(FileFormatError, match=rf"FLAME_texture.npz .*{message}"):
        read_uv_layout(tmp_path / "FLAME_texture.npz", HEAD)


def test_a_uv_layout_with_seams_is_taken(tmp_path):
    """Corners of a vertex may have UVs of their own."""
    uv_faces = np.arange(204).reshape(68, 3)
    faces = HEAD.faces.copy()
    faces[1:, 0] = faces[:-1, 2]
    np.savez(tmp_path / "FLAME_texture.npz", vt=np.zeros((204, 2)), ft=uv_faces)
    model = dataclasses.replace(HEAD, faces=faces)
    np.testing.assert_array_equal(
        read_uv_layout(tmp_path / "FLAME_texture.npz", model)[1], uv_faces
    )
