"""The people of a dataset of the built-in head: who they are, their faces, and where they look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from synthforge.config import CAMERA_RADIUS
from synthforge.frames import UNITS_PER_METRE
from synthforge.likeness import camera_angles
from synthforge.mannequin.framing import frame, hold_pose
from synthforge.mannequin.hair.chosen import choose_hair
from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS, average_joints, baked_head
from synthforge.mannequin.head.faces import draw_face, listed_face
from synthforge.mannequin.head.identity import (
    Seen,
    draw_attributes,
    draw_coefficients,
    estimate_attributes,
)
from synthforge.mannequin.likeness import like_config
from synthforge.mannequin.wear.outfit import WORN_LATENTS, draw_outfit, numbers_of
from synthforge.sampling import (
    Parameters,
    Row,
    SampleId,
    draw_row,
    factors_of,
    number_labels,
    place,
    stacked,
)
from synthforge.sampling_config import WEAR, SamplingConfig

LATENT_SIZE = 512
# z[:256] is the person, the rest the scene.
PERSON_LATENTS = 256
# The leading entries of z: age in years, sex, weight, ancestry. They tell the renderer.
ATTRIBUTE_LATENTS = 6

_COLUMNS = [ACTIONS.index(name) for name in EXPRESSION_ACTIONS]
_JAW_OPEN, _MOUTH_CLOSE = (EXPRESSION_ACTIONS.index(name) for name in ("jawOpen", "mouthClose"))
_BLINKS = [EXPRESSION_ACTIONS.index(f"eyeBlink{side}") for side in ("Left", "Right")]

# Shares of those who look at the camera and near it, if their eyes reach it; others look anywhere.
_AT_CAMERA, _NEAR_CAMERA = 0.65, 0.2
# Radians: how far from it, across and up or down; and round straight ahead.
_OFF_CAMERA, _NEAR, _ANYWHERE = (0.02, 0.015), (0.10, 0.06), (0.12, 0.07)
_EYES_REACH_RAD = 0.3


def draw_people(ids: Sequence[SampleId], config: SamplingConfig) -> Parameters:
    """Draw samples of the built-in head, on the CPU.

    What `config` leaves None: identity by drawn attributes, faces that people make. With a range
    for `shape`, the attributes are estimated from the coefficients; one for `expression` is drawn
    uniformly and held in 0..1; one for `jaw_rad` replaces the face's jaw.

    labels: age_years [B], sex [B] 0 female to 1 male, weight [B], ancestry [B, 3] in the order of
    config.ANCESTRIES, face_actions [B, 52] in the order of ACTIONS; and the numbers of the grid's
    factors. The leading entries of z are the first six numbers of these.
    """
    drawn = [_draw_person(sample, config) for sample in ids]
    rows, labels = zip(*drawn, strict=True)
    return stacked(ids, rows, labels)


def _draw_person(sample: SampleId, config: SamplingConfig) -> tuple[Row, Row]:
    factors = factors_of(sample, config.grid)
    identity, expression_id = factors.identity, factors.expression
    config, like = like_config(config, factors.view)
    row = draw_row(factors, config, LATENT_SIZE)
    scene = factors.light.stream("z").standard_normal(LATENT_SIZE)[PERSON_LATENTS:]
    row["z"][PERSON_LATENTS:] = scene
    hold_pose(row, config)
    if like is not None and config.like is not None and config.like.identity:
        row["shape"] = like.shape.astype(np.float32)
    if config.shape is None and (config.like is None or not config.like.identity):
        drawn = draw_attributes(identity.stream("attributes"), 1, config)
        row["shape"] = draw_coefficients(identity.stream("shape"), drawn)[0].astype(np.float32)
        people: Seen = drawn
    else:
        people = estimate_attributes(row["shape"][None].astype(np.float64))
    frame(row, factors.view, config)
    # Listed views are cameras round one moment: the eyes look at the camera that was drawn.
    watching = [row[name] for name in ("yaw_rad", "pitch_rad", "fov_deg")]
    place(row, factors.placing)
    labels: Row = {
        "age_years": people.age[0].astype(np.float32),
        "sex": people.sex[0].astype(np.float32),
        "weight": people.weight[0].astype(np.float32),
        "ancestry": people.ancestry[0].astype(np.float32),
    }
    row["z"][:ATTRIBUTE_LATENTS] = np.hstack(list(labels.values()))
    outfit = draw_outfit(
        identity.stream("wear"), factors.light.stream("wear"), config, float(people.sex[0])
    )
    worn = numbers_of(outfit)
    row["z"][WORN_LATENTS] = worn
    labels |= choose_hair(row["z"], identity.stream("hair"), config)
    labels |= {name: np.asarray(number, np.int64) for name, number in zip(WEAR, worn, strict=True)}

    head, pose, expression = baked_head(), row["pose_rad"], row["expression"]
    if factors.face is not None or config.expression is None:
        if factors.face is not None:
            face = listed_face(factors.face)
        elif like is not None:
            face = like.face_actions
        else:
            face = draw_face(expression_id.stream("expression"))
        expression[: len(_COLUMNS)] = face[_COLUMNS]
        if config.jaw_rad is None:
            pose[6] = expression[_JAW_OPEN] * head.jaw_open_rad
        expression[_JAW_OPEN] = 0
    expression.clip(0, 1, out=expression)
    expression[len(_COLUMNS) :] = 0
    jaw_open = face_actions(expression, pose)[ACTIONS.index("jawOpen")]
    expression[_MOUTH_CLOSE] = min(expression[_MOUTH_CLOSE], max(jaw_open, 0))
    if isinstance(factors.face, Mapping) and any(n.startswith("eyeLook") for n in factors.face):
        pose[9:] = _listed_gaze(face)
    else:
        _, neck, _, left_eye, right_eye = average_joints()
        looked = camera_angles(pose[3:6], watching, neck, (left_eye + right_eye) / 2)
        if like is not None:
            looked = (looked + like.gaze_rad).round(6)
        else:
            looked = _drawn_look(expression_id.stream("gaze"), looked)
        pose[9:] = _gaze(looked, expression)
    labels["face_actions"] = face_actions(expression, pose)
    return row, labels | number_labels(factors)


def face_actions(
    expression: NDArray[np.float32], pose_rad: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Activations of ACTIONS, float32 (52,), of expression coefficients (50,) and a pose (15,).

    The eyes' joints are eyeLook*, and the jaw's adds to jawOpen.
    """
    head = baked_head()
    activation = dict(zip(EXPRESSION_ACTIONS, expression.tolist(), strict=False))
    activation["jawOpen"] += float(pose_rad[6]) / head.jaw_open_rad
    full_down, full_in, full_out, full_up = head.gaze_rad.tolist()
    for side, first, outwards in (("Left", 9, 1), ("Right", 12, -1)):
        down, out = float(pose_rad[first]), outwards * float(pose_rad[first + 1])
        activation[f"eyeLookDown{side}"] = max(down, 0) / full_down
        activation[f"eyeLookUp{side}"] = max(-down, 0) / full_up
        activation[f"eyeLookOut{side}"] = max(out, 0) / full_out
        activation[f"eyeLookIn{side}"] = max(-out, 0) / full_in
    return np.array([activation[name] for name in ACTIONS], np.float32)


def _listed_gaze(actions: NDArray[np.float64]) -> NDArray[np.float32]:
    """Axis-angles of the left and the right eye, (6,), of activations of ACTIONS."""
    full_down, full_in, full_out, full_up = baked_head().gaze_rad.tolist()
    activation = dict(zip(ACTIONS, actions.tolist(), strict=True))
    turns = []
    for side, outwards in (("Left", 1), ("Right", -1)):
        down = activation[f"eyeLookDown{side}"] * full_down
        down -= activation[f"eyeLookUp{side}"] * full_up
        out = activation[f"eyeLookOut{side}"] * full_out
        out -= activation[f"eyeLookIn{side}"] * full_in
        turns += [down, outwards * out, 0]
    return np.array(turns, np.float32)


def _drawn_look(rng: np.random.Generator, to_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where people look, radians to their left and down, (2,). to_camera: such angles of it."""
    where, aside = rng.random(), rng.standard_normal(2).clip(-2, 2)
    kinds = ((_AT_CAMERA, _OFF_CAMERA), (_AT_CAMERA + _NEAR_CAMERA, _NEAR))
    spread = next((spread for share, spread in kinds if where < share), _ANYWHERE)
    if spread is _ANYWHERE or abs(to_camera).max() > _EYES_REACH_RAD:
        to_camera, spread = np.zeros(2), _ANYWHERE
    return to_camera + spread * aside


def _gaze(looked_rad: NDArray[np.float64], expression: NDArray[np.float32]) -> NDArray[np.float32]:
    """Axis-angles of the left and the right eye, (6,), within what eyeLook* can do, of a look
    (2,) to the left and down."""
    across, down = looked_rad
    _, _, _, left_eye, right_eye = average_joints()
    # Each eye's own line to a point as far away as the camera.
    inwards = float(left_eye[0] - right_eye[0]) / 2 * UNITS_PER_METRE / CAMERA_RADIUS
    full_down, full_in, full_out, full_up = baked_head().gaze_rad.tolist()
    down = min(max(down, -full_up), full_down)
    left = min(max(across - inwards, -full_in), full_out)
    right = min(max(across + inwards, -full_out), full_in)
    # A closed lid would follow the eye too far.
    open_left, open_right = 1 - expression[_BLINKS]
    return np.array([down * open_left, left, 0, down * open_right, right, 0], np.float32)
