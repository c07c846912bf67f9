"""The FLAME layer against a plain per-vertex twin, and its identities."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from support_flame_heads import random_embedding, random_head

from flame_pytorch import FLAME, FlameConfig
from flame_pytorch.flame import contour_row
from flame_pytorch.lbs import rotation_matrix

HEAD = random_head()
EMBEDDING = random_embedding()


def layer(dtype=torch.float64, **settings) -> FLAME:
    return FLAME.from_arrays(HEAD, EMBEDDING, dtype=dtype, **settings)


def parameters(batch: int, seed: int = 0, dtype=torch.float64) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    sizes = {"shape_params": 100, "expression_params": 50, "pose_params": 6}
    sizes |= {"neck_pose": 3, "eye_pose": 6, "transl": 3}
    return {
        name: torch.tensor(rng.normal(0, 0.4, (batch, size)), dtype=dtype)
        for name, size in sizes.items()
    }


def plain_flame(p: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """One sample, vertex by vertex, from the paper's formulas with homogeneous transforms."""
    coefficients = np.zeros(400)
    coefficients[: len(p["shape_params"])] = p["shape_params"]
    coefficients[300 : 300 + len(p["expression_params"])] = p["expression_params"]
    pose = [p["pose_params"][:3], p["neck_pose"], p["pose_params"][3:]]
    pose += [p["eye_pose"][:3], p["eye_pose"][3:]]
    R = [Rotation.from_rotvec(joint).as_matrix() for joint in pose]
    shaped = HEAD.v_template + HEAD.shapedirs @ coefficients
    joints = HEAD.J_regressor @ shaped
    feature = np.concatenate([(r - np.eye(3)).reshape(-1) for r in R[1:]])
    posed = shaped + (HEAD.posedirs.reshape(-1, 36) @ feature).reshape(-1, 3)
    world = []
    for j, parent in enumerate(HEAD.parents):
        local = np.eye(4)
        local[:3, :3] = R[j]
        local[:3, 3] = joints[j] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    vertices = np.zeros_like(posed)
    for v, point in enumerate(posed):
        for j in range(5):
            rest = np.append(point - joints[j], 1)
            vertices[v] += HEAD.weights[v, j] * (world[j] @ rest)[:3]
    vertices += p["transl"]
    head = R[0] @ R[1]
    yaw = round(math.degrees(math.atan2(-head[2, 0], math.hypot(head[0, 0], head[1, 0]))))
    yaw = max(-39, min(39, yaw))
    row = yaw if yaw >= 0 else 39 - yaw
    triangles = np.concatenate([EMBEDDING.contour_faces[row], EMBEDDING.static_faces])
    bary = np.concatenate([EMBEDDING.contour_bary[row], EMBEDDING.static_bary])
    landmarks = [w @ vertices[HEAD.faces[f]] for f, w in zip(triangles, bary, strict=True)]
    return vertices, np.array(landmarks)


def test_matches_the_plain_twin():
    p = parameters(6)
    vertices, landmarks = layer()(**p)
    for i in range(6):
        twin_vertices, twin_landmarks = plain_flame({k: v[i].numpy() for k, v in p.items()})
        np.testing.assert_allclose(vertices[i], twin_vertices, atol=1e-12)
        np.testing.assert_allclose(landmarks[i], twin_landmarks, atol=1e-12)


@pytest.mark.parametrize("angle", [1e-9, 0.5, 3.1, 3.2, 6.2, 6.4, 9.5, 40.0])
def test_a_rotation_of_any_angle_is_scipys(angle):
    axes = np.random.default_rng(0).normal(size=(20, 3))
    axis_angles = angle * axes / np.linalg.norm(axes, axis=1, keepdims=True)
    R = rotation_matrix(torch.tensor(axis_angles))
    np.testing.assert_allclose(R, Rotation.from_rotvec(axis_angles).as_matrix(), atol=1e-11)


def test_posed_joints_are_scipys():
    """Down the tree of root, neck, jaw and eyes, from the joints at rest of the shaped head."""
    p = parameters(4)
    pose = torch.cat(
        [p["pose_params"][:, :3], p["neck_pose"], p["pose_params"][:, 3:], p["eye_pose"]], 1
    )
    R_world, positions = layer().joints(p["shape_params"], p["expression_params"], pose)
    for i in range(4):
        local = Rotation.from_rotvec(pose[i].numpy().reshape(5, 3)).as_matrix()
        used = [*range(100), *range(300, 350)]
        coefficients = np.concatenate([p["shape_params"][i], p["expression_params"][i]])
        rest = HEAD.J_regressor @ (HEAD.v_template + HEAD.shapedirs[..., used] @ coefficients)
        R, at = [local[0]], [rest[0]]
        for j, parent in enumerate(HEAD.parents[1:], 1):
            R.append(R[parent] @ local[j])
            at.append(at[parent] + R[parent] @ (rest[j] - rest[parent]))
        np.testing.assert_allclose(R_world[i], R, atol=1e-12)
        np.testing.assert_allclose(positions[i], at, atol=1e-12)


def test_zero_parameters_give_the_template():
    zero = [torch.zeros(1, n) for n in (100, 50, 6)]
    vertices, landmarks = layer(torch.float32)(*zero)
    np.testing.assert_allclose(vertices[0], HEAD.v_template, atol=1e-7)
    assert landmarks.shape == (1, 68, 3) and landmarks.dtype == torch.float32


def test_a_sample_has_the_same_bits_in_any_batch():
    flame = layer(torch.float32)
    p = parameters(7, dtype=torch.float32)
    p["R_view_flame"] = torch.eye(3).expand(7, 3, 3)
    batch = flame(**p)
    for i in range(7):
        alone = flame(**{name: value[i : i + 1] for name, value in p.items()})
        assert all(torch.equal(a[i], b[0]) for a, b in zip(batch, alone, strict=True))


def test_batch_one_parameters_broadcast():
    flame = layer()
    p = parameters(3)
    p["shape_params"] = p["shape_params"][:1]
    p["transl"] = p["transl"][:1]
    repeated = p | {name: p[name].repeat(3, 1) for name in ("shape_params", "transl")}
    assert torch.equal(flame(**p)[0], flame(**repeated)[0])


def test_translation_moves_vertices_and_landmarks_once():
    flame = layer()
    p = parameters(2)
    moved = flame(**p)
    shift = p.pop("transl")[:, None]
    still = flame(**p)
    for a, b in zip(moved, still, strict=True):
        torch.testing.assert_close(a, b + shift, atol=1e-14, rtol=0)


def test_gradients_also_at_zero_pose():
    flame = FLAME.from_arrays(HEAD, EMBEDDING, n_shape=2, n_expression=2, dtype=torch.float64)
    for scale in (0.0, 1e-3, 0.5):
        values = [
            (torch.randn(1, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n)))
            * scale
            for n in (2, 2, 6, 3, 6, 3)
        ]
        for value in values:
            value.requires_grad_()

        def outputs(*v):
            return torch.cat(flame(*v), 1)[:, ::7]

        assert torch.autograd.gradcheck(outputs, values)


def rotation_y(degrees: float) -> torch.Tensor:
    R = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    return torch.tensor(R)[None]


@pytest.mark.parametrize(
    "yaw, row",
    [(0, 0), (1, 1), (0.4, 0), (38.9, 39), (60, 39), (-1, 40), (-39, 78), (-80, 78), (-0.4, 0)],
)
def test_contour_rows(yaw, row):
    assert contour_row(rotation_y(yaw)).tolist() == [row]


def test_a_moved_camera_picks_the_jaw_line_of_a_moved_head():
    flame = layer()
    shape, expression = torch.zeros(1, 100), torch.zeros(1, 50)
    rest, turned = torch.zeros(1, 6), torch.zeros(1, 6)
    turned[0, 1] = math.radians(20)
    _, by_head = flame(shape, expression, turned)
    _, by_camera = flame(shape, expression, rest, R_view_flame=rotation_y(20))
    R = rotation_y(20)[0]
    root = torch.tensor(HEAD.J_regressor[0] @ HEAD.v_template)
    torch.testing.assert_close((by_camera[0] - root) @ R.T + root, by_head[0], atol=1e-7, rtol=0)


def test_without_contour_the_51_inner_points_remain():
    p = parameters(2)
    config = FlameConfig(use_face_contour=False)
    inner = FLAME(config, HEAD, EMBEDDING, torch.float64)(**p)[1]
    assert torch.equal(inner, layer()(**p)[1][:, 17:])


def test_use_3d_translation_off_ignores_transl():
    p = parameters(2)
    config = FlameConfig(use_3D_translation=False)
    ignored = FLAME(config, HEAD, EMBEDDING, torch.float64)(**p)[0]
    p.pop("transl")
    assert torch.equal(ignored, layer()(**p)[0])


def test_wrong_shapes_are_named():
    p = parameters(3)
    with pytest.raises(ValueError, match=r"shape_params is \[3 or 1, 100\].*\[3, 99\]"):
        layer()(**(p | {"shape_params": p["shape_params"][:, :99]}))
    with pytest.raises(ValueError, match=r"neck_pose is \[3 or 1, 3\].*\[2, 3\]"):
        layer()(**(p | {"neck_pose": p["neck_pose"][:2]}))
    with pytest.raises(ValueError, match="shape_params is 301"):
        layer(n_shape=301)


def test_an_embedding_of_another_head_is_refused():
    with pytest.raises(ValueError, match=r"refers to triangle \d+, but the model has 20"):
        FLAME.from_arrays(random_head(faces=20), EMBEDDING)


def test_only_the_components_in_use_are_kept():
    flame = layer(n_shape=10, n_expression=5)
    np.testing.assert_array_equal(flame.shapedirs[..., :10], HEAD.shapedirs[..., :10])
    np.testing.assert_array_equal(flame.shapedirs[..., 10:], HEAD.shapedirs[..., 300:305])


@pytest.mark.gpu
def test_cuda_agrees_with_cpu():
    p = parameters(3, dtype=torch.float32)
    flame = layer(torch.float32)
    on_cpu = flame(**p)
    on_gpu = flame.cuda()(**{name: value.cuda() for name, value in p.items()})
    for a, b in zip(on_cpu, on_gpu, strict=True):
        torch.testing.assert_close(a, b.cpu(), atol=1e-5, rtol=0)
