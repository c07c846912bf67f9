"""The built-in head moves as a head does."""

import numpy as np
import pytest

from synthforge.mannequin import eyes
from synthforge.mannequin import baked_head
from synthforge.mannequin.expression import BLINK_LEFT, BLINK_RIGHT
from synthforge.mannequin.identity import TRAITS
from synthforge.mannequin.parts import Part

FLIP_X = np.array([-1.0, 1.0, 1.0])
# Joints 3 and 4 are the left and the right eye.
FLIP_JOINTS = [0, 1, 2, 4, 3]


@pytest.fixture(scope="module")
def head():
    return baked_head()


def rotation(axis, angle):
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def posed(head, coefficients=None, rotations=None):
    """A plain twin of linear blend skinning. rotations: {joint: (3, 3)}."""
    model = head.model
    vertices = model.v_template + (0 if coefficients is None else model.shapedirs @ coefficients)
    joints = model.J_regressor @ vertices
    turns = [(rotations or {}).get(joint, np.eye(3)) for joint in range(5)]
    vertices = vertices + model.posedirs @ np.concatenate(
        [(turn - np.eye(3)).ravel() for turn in turns[1:]]
    )
    result, frames = np.zeros_like(vertices), []
    for joint, parent in enumerate(model.parents):
        frame = np.eye(4)
        frame[:3, :3] = turns[joint]
        frame[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        frames.append(frame if parent < 0 else frames[parent] @ frame)
        rest = vertices - joints[joint]
        moved = rest @ frames[joint][:3, :3].T + frames[joint][:3, 3]
        result += model.weights[:, joint, None] * moved
    return result


def draw(head, seed, identity=1.5, expression=1.0):
    rng = np.random.default_rng(seed)
    coefficients = np.zeros(400)
    names = len(head.shape_names)
    coefficients[:names] = rng.uniform(-identity, identity, names)
    count = len(head.expression_names)
    coefficients[300 : 300 + count] = rng.uniform(-expression, expression, count)
    return coefficients


def blinking(left, right):
    coefficients = np.zeros(400)
    coefficients[[300 + BLINK_LEFT, 300 + BLINK_RIGHT]] = left, right
    return coefficients


def test_components_are_named_and_padded(head):
    assert head.shape_names[:5] == ("masculinity", "age", "weight", "african", "east_asian")
    assert len(head.shape_names) >= 50 and len(head.expression_names) >= 20
    size = np.abs(head.model.shapedirs).max((0, 1))
    used = np.zeros(400, bool)
    used[: len(head.shape_names)] = used[300 : 300 + len(head.expression_names)] = True
    used[[300 + BLINK_LEFT, 300 + BLINK_RIGHT]] = True
    assert (size[used] > 1e-4).all() and (size[~used] == 0).all()


def test_weights_are_convex_and_mirrored(head):
    weights = head.model.weights
    assert weights.min() >= 0
    assert np.abs(weights.sum(1) - 1).max() < 1e-12
    assert np.array_equal(weights[head.mirror], weights[:, FLIP_JOINTS])


def test_symmetric_components_are_exactly_symmetric(head):
    directions = head.model.shapedirs
    for index, trait in enumerate(TRAITS.values()):
        component = directions[:, :, index]
        same = np.array_equal(component[head.mirror], component * FLIP_X)
        assert same == (not trait.left_pushes)
    for index, name in enumerate(head.expression_names):
        component = directions[:, :, 300 + index]
        mirrored = component[head.mirror] * FLIP_X
        if name == "mouth_left":
            continue
        sign = -1 if name.endswith("_skew") else 1
        assert np.array_equal(component, sign * mirrored), name
    left, right = directions[:, :, 300 + BLINK_LEFT], directions[:, :, 300 + BLINK_RIGHT]
    assert np.array_equal(left, right[head.mirror] * FLIP_X)


def test_joints_lie_where_the_head_turns(head):
    root, neck, jaw, left, right = head.model.J_regressor @ head.model.v_template
    assert np.allclose(left, eyes.CENTER, atol=1e-9)
    assert np.allclose(right, eyes.CENTER * FLIP_X, atol=1e-9)
    assert np.abs([root[0], neck[0], jaw[0]]).max() < 1e-9
    assert root[1] < neck[1] < jaw[1] < left[1]
    assert head.model.J_regressor.min() >= 0
    assert np.allclose(head.model.J_regressor.sum(1), 1)


@pytest.mark.parametrize("seed", range(4))
def test_eye_joints_stay_in_the_globes_middle(head, seed):
    coefficients = draw(head, seed, identity=2.0)
    vertices = head.model.v_template + head.model.shapedirs @ coefficients
    joints = head.model.J_regressor @ vertices
    for part, joint in ((Part.LEFT_EYEBALL, 3), (Part.RIGHT_EYEBALL, 4)):
        globe = vertices[head.vertex_part == part]
        rear = globe[globe[:, 2] < joints[joint, 2]]
        radius = np.linalg.norm(rear - joints[joint], axis=1)
        assert np.ptp(radius) < 1e-4


@pytest.mark.parametrize("seed", range(8))
def test_lids_never_enter_the_globe(head, seed):
    vertices = posed(head, draw(head, seed))
    lids = np.flatnonzero(head.vertex_part == Part.SKIN)
    joints = head.model.J_regressor @ vertices
    for part, joint in ((Part.LEFT_EYEBALL, 3), (Part.RIGHT_EYEBALL, 4)):
        globe = vertices[head.vertex_part == part]
        radius = np.median(np.linalg.norm(globe - joints[joint], axis=1))
        distance = np.linalg.norm(vertices[lids] - joints[joint], axis=1)
        assert distance.min() > radius + 0.0005


@pytest.mark.parametrize("amount", [0.25, 0.5, 0.75, 1.0])
def test_blinking_keeps_clear_of_the_globe(head, amount):
    vertices = posed(head, blinking(amount, amount))
    skin = vertices[head.vertex_part == Part.SKIN]
    distance = np.linalg.norm(skin - eyes.CENTER, axis=1)
    assert distance.min() > eyes.RADIUS + 0.0003


def test_blink_closes_the_eye(head):
    vertices = posed(head, blinking(1.0, 0.0))
    margin = head.embedding.static_faces, head.embedding.static_bary
    points = (vertices[head.model.faces[margin[0]]] * margin[1][..., None]).sum(1)
    # iBUG 43, 44 above 47, 46 on the left; 37, 38 above 41, 40 on the right.
    assert np.abs(points[[26, 27]] - points[[30, 29]])[:, 1].max() < 0.0015
    assert (points[[20, 21]] - points[[24, 23]])[:, 1].min() > 0.007


def test_jaw_opens_the_mouth(head):
    opened = posed(head, rotations={2: rotation((1, 0, 0), 0.3)})
    face, bary = head.embedding.static_faces, head.embedding.static_bary
    points = (opened[head.model.faces[face]] * bary[..., None]).sum(1)
    rest = (head.model.v_template[head.model.faces[face]] * bary[..., None]).sum(1)
    upper, lower = 62 - 17, 66 - 17
    assert np.abs(points[upper] - rest[upper]).max() < 0.0015
    assert 0.015 < points[upper, 1] - points[lower, 1] < 0.035
    assert rest[upper, 1] - rest[lower, 1] < 0.0005
    teeth = np.flatnonzero(head.vertex_part == Part.TEETH)
    moved = np.linalg.norm(opened - head.model.v_template, axis=1)[teeth]
    assert ((moved < 1e-9) | (moved > 0.008)).all()
    assert 0.3 < (moved < 1e-9).mean() < 0.7


@pytest.mark.parametrize("seed", range(3))
def test_teeth_follow_identity_and_ignore_expression(head, seed):
    rigid = np.isin(head.vertex_part, [Part.TEETH, Part.GUMS, Part.TONGUE])
    moved = head.model.shapedirs @ draw(head, seed, identity=0.0)
    assert np.abs(moved[rigid]).max() == 0
    changed = head.model.shapedirs[:, :, : len(head.shape_names)]
    assert np.abs(changed[rigid]).max((0, 1))[:5].min() > 1e-4


def test_head_turns_about_the_neck_and_the_base_stays(head):
    turned = posed(head, rotations={1: rotation((0, 1, 0), 0.4)})
    base = head.model.v_template[:, 1] < -0.19
    assert np.abs(turned - head.model.v_template)[base].max() < 1e-3
    eyeball = head.vertex_part == Part.LEFT_EYEBALL
    expected = rotation((0, 1, 0), 0.4)
    relative = turned[eyeball] - turned[eyeball].mean(0)
    rest = head.model.v_template[eyeball] - head.model.v_template[eyeball].mean(0)
    assert np.allclose(relative, rest @ expected.T, atol=1e-9)


def test_upper_lid_follows_the_gaze(head):
    down = {joint: rotation((1, 0, 0), 0.3) for joint in (3, 4)}
    face, bary = head.embedding.static_faces, head.embedding.static_bary
    points = (posed(head, rotations=down)[head.model.faces[face]] * bary[..., None]).sum(1)
    rest = (head.model.v_template[head.model.faces[face]] * bary[..., None]).sum(1)
    drop = (rest - points)[[20, 21, 26, 27], 1]
    assert (drop > 0.0008).all() and (drop < 0.004).all()


@pytest.mark.parametrize("axis", range(5))
def test_axes_change_what_their_names_say(head, axis):
    def measure(amount):
        coefficients = np.zeros(400)
        coefficients[axis] = amount
        vertices = head.model.v_template + head.model.shapedirs @ coefficients
        face, bary = head.embedding.static_faces, head.embedding.static_bary
        p = (vertices[head.model.faces[face]] * bary[..., None]).sum(1)
        at = lambda index: p[index - 17]  # noqa: E731
        jaw = head.embedding.contour_faces[0], head.embedding.contour_bary[0]
        jaw = (vertices[head.model.faces[jaw[0]]] * jaw[1][..., None]).sum(1)
        return {
            "jaw width": jaw[12, 0] - jaw[4, 0],
            "chin height": at(33)[1] - jaw[8, 1],
            "cheek width": jaw[13, 0] - jaw[3, 0],
            "nose width": at(35)[0] - at(31)[0],
            "lip height": at(51)[1] - at(57)[1],
            "bridge": at(28)[2] - at(39)[2],
            "eye opening": at(43)[1] - at(47)[1],
        }

    before, after = measure(-2.0), measure(2.0)
    change = {name: 1000 * (after[name] - before[name]) for name in before}
    if axis == 0:
        assert change["jaw width"] > 3 and change["lip height"] < -1
    elif axis == 1:
        assert change["chin height"] > 3 and change["lip height"] < -1
    elif axis == 2:
        assert change["cheek width"] > 5
    elif axis == 3:
        assert change["nose width"] > 4 and change["lip height"] > 4 and change["bridge"] < -3
    else:
        assert change["bridge"] < -3 and change["eye opening"] < -1
