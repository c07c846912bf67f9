"""The baked head as arrays: what tools/bake_head.py wrote, read once."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from flame_pytorch.model import HeadModel, LandmarkEmbedding

IDENTITY_SIZE, EXPRESSION_SIZE = 300, 100
SHAPE_COMPONENTS = 100
PARENTS = (-1, 0, 1, 1, 1)

_FILE = "head.npz"
# Displacements are stored as int16 in hundredths of a millimetre.
_STEP_M = np.float32(1e-5)
# The columns of posedirs, 9 for each joint from the jaw on, in which a turn's sine stands, with its
# sign: of the jaw about x, then of the left eye about x and y, and of the right eye.
_SINES = ((9, 7, 5), (18, 7, 5), (18, 2, 6), (27, 7, 5), (27, 2, 6))
_FORMAT = "synthforge head 1"


@dataclass(frozen=True)
class BakedHead:
    """The built-in head. Metres, FLAME frame; V vertices, F triangles.

    model: in FLAME's shape. Identity 0-99 are principal components per standard deviation, the
        rest zero. Expression k is the displacement of EXPRESSION_ACTIONS[k] in full; the rest zero.
    embedding: the 68 landmarks.
    uvs: float32 (T, 2) in [0, 1], v up. uv_faces: int64 (F, 3).
    face_region: int64 (F,), ids of synthforge.regions, all of 0-18.
    vertex_piece: int64 (V,), values of Piece. mirror: int64 (V,), each vertex's mirror image.
    adult: float32 (V, 3), the average young adult, symmetric: what regions, UVs and landmarks
        were chosen on. model.v_template is the mean of all ages.
    actions: float32 (V, 3, 52), displacement of ARKit's face actions, in the order of ACTIONS.
    gaze_rad: float32 (4,), turns of an eye that are eyeLookDown, In, Out and Up in full.
    jaw_open_rad: turn of the jaw joint that is jawOpen in full.
    tables: other arrays, read by identity.py. local_names: rows of tables["local"].
    provenance: what the file says of its source and licence.
    """

    model: HeadModel
    embedding: LandmarkEmbedding
    uvs: NDArray[np.float32]
    uv_faces: NDArray[np.int64]
    face_region: NDArray[np.int64]
    vertex_piece: NDArray[np.int64]
    mirror: NDArray[np.int64]
    adult: NDArray[np.float32]
    actions: NDArray[np.float32]
    gaze_rad: NDArray[np.float32]
    jaw_open_rad: float
    tables: Mapping[str, NDArray[np.float32]]
    local_names: tuple[str, ...]
    provenance: Mapping[str, str]


@functools.cache
def baked_head() -> BakedHead:
    """Read the package's head, once."""
    path = resources.files(__package__) / _FILE
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        metadata = json.loads(str(file["metadata"]))
        arrays = {name: file[name] for name in file.files if name != "metadata"}
    if metadata.get("format") != _FORMAT:
        raise ValueError(f"{path} is {metadata.get('format')!r}, wanted {_FORMAT!r}: bake it again")
    names = tuple(json.loads(metadata["actions"]))
    if names != ACTIONS:
        raise ValueError(f"{path} lists other face actions than this code: bake it again")
    actions = arrays["actions"] * _STEP_M
    v_template = arrays["v_template"]
    shapedirs = np.zeros((*v_template.shape, IDENTITY_SIZE + EXPRESSION_SIZE), np.float32)
    shapedirs[..., :SHAPE_COMPONENTS] = arrays["identity"] * _STEP_M
    columns = [ACTIONS.index(name) for name in EXPRESSION_ACTIONS]
    shapedirs[..., IDENTITY_SIZE : IDENTITY_SIZE + len(columns)] = actions[..., columns]
    model = HeadModel(
        v_template=v_template,
        faces=arrays["faces"].astype(np.int64),
        shapedirs=shapedirs,
        posedirs=_posedirs(arrays["correctives"] * _STEP_M),
        J_regressor=arrays["J_regressor"],
        parents=np.array(PARENTS),
        weights=arrays["weights"],
    )
    embedding = LandmarkEmbedding(
        static_faces=arrays["static_faces"].astype(np.int64),
        static_bary=arrays["static_bary"],
        contour_faces=arrays["contour_faces"].astype(np.int64),
        contour_bary=arrays["contour_bary"],
    )
    tables = {
        name: value.astype(np.float32)
        for name, value in arrays.items()
        if name.startswith(("cells_", "age_", "beta", "estimate_", "local"))
    }
    return BakedHead(
        model=model,
        embedding=embedding,
        uvs=arrays["uvs"],
        uv_faces=arrays["uv_faces"].astype(np.int64),
        face_region=arrays["face_region"].astype(np.int64),
        vertex_piece=arrays["vertex_piece"].astype(np.int64),
        mirror=arrays["mirror"].astype(np.int64),
        adult=arrays["adult"],
        actions=actions,
        gaze_rad=arrays["gaze_rad"],
        jaw_open_rad=float(metadata["jaw_open_rad"]),
        tables=tables,
        local_names=tuple(json.loads(metadata["local_names"])),
        provenance=metadata,
    )


def _posedirs(correctives: NDArray[np.float32]) -> NDArray[np.float32]:
    """(V, 3, 5) per sine of a turn -> (V, 3, 36) per entry of the flattened R - I."""
    posedirs = np.zeros((len(correctives), 3, 36), np.float32)
    for k, (first, plus, minus) in enumerate(_SINES):
        # Half each of the sine's two entries: a turn about another axis then counts for less.
        posedirs[..., first + plus] += correctives[..., k] / 2
        posedirs[..., first + minus] -= correctives[..., k] / 2
    return posedirs


# Apple's ARKit names, in Anny's order.
ACTIONS = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight",
    "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft",
    "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
)  # fmt: skip
# Expression coefficient k is the activation of action k of these, 0 to 1. The eyes' joints do the
# other eight, eyeLook*, lids and all.
EXPRESSION_ACTIONS = tuple(name for name in ACTIONS if not name.startswith("eyeLook"))
