"""The baked head as arrays: what tools/bake_head.py wrote, read once."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flame_pytorch.model import HeadModel, LandmarkEmbedding

IDENTITY_SIZE, EXPRESSION_SIZE = 300, 100
SHAPE_COMPONENTS = 100
PARENTS = (-1, 0, 1, 1, 1)

# Displacements are stored as int16 in hundredths of a millimetre.
_STEP_M = np.float32(1e-5)
# The columns of posedirs, 9 for each joint from the jaw on, in which a turn's sine stands, with its
# sign: of the jaw about x, then of the left eye about x and y, and of the right eye.
_SINES = ((9, 7, 5), (18, 7, 5), (18, 2, 6), (27, 7, 5), (27, 2, 6))
_FORMAT = "synthforge head 1"


class Piece(IntEnum):
    """The separate surfaces of the head. Left and right are the subject's."""

    SKIN = 0
    UPPER_TEETH = 1
    LOWER_TEETH = 2
    TONGUE = 3
    LEFT_EYEBALL = 4
    RIGHT_EYEBALL = 5
    UPPER_GUMS = 6
    LOWER_GUMS = 7


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
    tables: the file's arrays by name, for identity.py. local_names: rows of tables["local"].
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
    arrays, metadata = read_baked("head.npz", _FORMAT, "bake_head.py")
    if tuple(json.loads(metadata["actions"])) != ACTIONS:
        raise ValueError("head.npz lists other face actions than this code: bake it again")
    arrays = {name: _decoded(array) for name, array in arrays.items()}
    shapedirs = np.zeros((*arrays["adult"].shape, IDENTITY_SIZE + EXPRESSION_SIZE), np.float32)
    shapedirs[..., :SHAPE_COMPONENTS] = arrays.pop("identity")
    columns = [ACTIONS.index(name) for name in EXPRESSION_ACTIONS]
    shapedirs[..., IDENTITY_SIZE : IDENTITY_SIZE + len(columns)] = arrays["actions"][..., columns]
    made = {"shapedirs": shapedirs, "posedirs": _posedirs(arrays.pop("correctives"))}

    def named(kind: Any) -> dict[str, NDArray[Any]]:
        return {field.name: arrays[field.name] for field in fields(kind) if field.name in arrays}

    model = HeadModel(
        **named(HeadModel), **made, parents=np.array(PARENTS), n_identity=IDENTITY_SIZE
    )
    return BakedHead(
        model=model,
        embedding=LandmarkEmbedding(**named(LandmarkEmbedding)),
        **named(BakedHead),
        jaw_open_rad=float(metadata["jaw_open_rad"]),
        tables=arrays,
        local_names=tuple(json.loads(metadata["local_names"])),
        provenance=metadata,
    )


@functools.cache
def average_joints() -> NDArray[np.float64]:
    """Joints of the average head, (5, 3): metres, to a tenth of a millimetre on any CPU."""
    model = baked_head().model
    return (model.J_regressor @ model.v_template).astype(np.float64).round(4)


def read_baked(name: str, wanted: str, tool: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays and metadata of a file of this package, of format `wanted`, that tools/`tool` wrote.

    Raises ValueError if it has another format.
    """
    path = resources.files(__package__) / name
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        metadata = json.loads(str(file["metadata"]))
        arrays = {name: file[name] for name in file.files if name != "metadata"}
    if (got := metadata.get("format")) != wanted:
        raise ValueError(f"{path} is {got!r}, wanted {wanted!r}: run python tools/{tool}")
    return arrays, metadata


def _decoded(array: NDArray[Any]) -> NDArray[Any]:
    """Displacements in metres and other numbers as float32, indices as int64."""
    if array.dtype == np.int16:
        return array * _STEP_M
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


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
