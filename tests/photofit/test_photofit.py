"""Heads recovered from points that were projected from known heads."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from synthforge.cli.commands import synthforge
from synthforge.config import EXPRESSION_SIZE, SHAPE_SIZE
from synthforge.detectors.face_mesh import FaceMesh
from synthforge.frames import place_in_generator
from synthforge.generators.mannequin import mannequin_parts
from synthforge.like import read_like, write_like
from synthforge.mannequin.head.baked import ACTIONS, EXPRESSION_ACTIONS, baked_head
from synthforge.mannequin.people import draw_people, face_actions
from synthforge.photofit import built_in, found_points, photographs, run
from synthforge.photofit.built_in import SCHEME, built_in_points, head_arrays
from synthforge.photofit.closed_form import scaled_orthography
from synthforge.photofit.photographs import Photograph
from synthforge.photofit.point_errors import PointErrors, built_in_errors, face_frame
from synthforge.photofit.priors import TURNS, face_actions_prior
from synthforge.photofit.solve import recover
from synthforge.pose import euler_deg, pose_of
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

COUNT = 12
COEFFICIENTS = SHAPE_SIZE + EXPRESSION_SIZE + TURNS
POINTS = 468 + 53
SIDES = ("Left", "Right")


def exact():
    """What is unlikely to move points; the pupils are surer."""
    errors = PointErrors.alike(POINTS, COEFFICIENTS, 0.042)
    errors.sd[-2:] = 0.003
    return errors


@pytest.fixture(scope="module")
def planted():
    """Drawn people, their points in the frame [B, 521, 2] and angles [B, 3], degrees."""
    head, _, _ = mannequin_parts(torch.device("cpu"))
    people = draw_people([SampleId(3, index) for index in range(COUNT)], MANNEQUIN_SAMPLING)
    camera, mesh = people.camera, head.mesh(people, people.camera)
    rows = torch.zeros(COUNT, dtype=torch.int64)
    of_mesh, of_ibug = (
        head.schemes[name].points(mesh.vertices, head.topology.faces, rows)
        for name in (SCHEME, "ibug70")
    )
    points = torch.cat([of_mesh, of_ibug[:, 17:]], 1)
    seen, _ = camera.project(place_in_generator(points), 1)
    pose = pose_of(*head.joints(people), place_in_generator, camera)
    return people, points, seen, euler_deg(pose.R_cam_head).numpy()


@pytest.fixture(scope="module")
def recovered(planted):
    return recover(built_in_points(), face_actions_prior(), planted[2], exact())


def test_the_reduced_head_is_the_head(planted):
    people, points, _, _ = planted
    ours = built_in_points()(
        people.shape.double(), people.expression.double(), people.pose_rad.double()
    )
    assert (ours - points).abs().max() < 1e-6


def test_scaled_orthography():
    rng = np.random.default_rng(1)
    points = torch.from_numpy(rng.normal(size=(30, 3)))
    turn = torch.from_numpy(cv2.Rodrigues(np.array([0.3, -0.5, 0.2]))[0])
    origin = torch.tensor([40.0, 70.0], dtype=torch.float64)
    seen = origin + 7 * (points @ turn.T)[:, :2] * torch.tensor([1.0, -1.0])
    R, scale, middle = scaled_orthography(points, seen[None], torch.ones(30).double())
    torch.testing.assert_close(R[0], turn)
    torch.testing.assert_close(middle[0], origin)
    assert scale[0] == pytest.approx(7)


def test_pose_and_points_come_back(planted, recovered):
    _, _, seen, angles_deg = planted
    found = np.degrees(head_arrays(recovered)["angles_rad"])
    assert (np.median(abs(found - angles_deg), 0) < (2, 2, 0.5)).all()
    eyes = (seen[:, 33] - seen[:, 263]).norm(dim=-1)
    off = (recovered.points - seen).norm(dim=-1).mean(1) / eyes
    assert off.median() < 0.015


def test_gaze_comes_back(planted, recovered):
    people, pose = planted[0], planted[0].pose_rad
    drawn = (pose[:, [10, 9]] + pose[:, [13, 12]]) / 2
    assert (recovered.gaze_rad - drawn).abs().median() < np.radians(1)
    # Past the camera, as its own eyes see it: 0 is eye contact.
    head, _, _ = mannequin_parts(torch.device("cpu"))
    seen = pose_of(*head.joints(people), place_in_generator, people.camera)
    off = torch.nn.functional.cosine_similarity(seen.gaze_cam, -seen.eyes_cam, dim=-1).arccos()
    off_deg = np.degrees(off.numpy())
    past = np.linalg.norm(head_arrays(recovered)["gaze_rad"], axis=1)
    assert abs(past - off.mean(1).numpy()).max() < np.radians(3)
    assert off_deg.min() < 3 and off_deg.max() > 8
    ahead = recovered.looks * torch.tensor([1.0, -1, -1])
    together = torch.nn.functional.cosine_similarity(ahead, seen.gaze_cam.mean(1), dim=-1)
    assert together.arccos().max() < np.radians(4)


def test_the_sheet_s_lines_go_where_eyes_look(planted, recovered, monkeypatch):
    seen = planted[2].numpy() * 128
    monkeypatch.setattr(run, "recover", lambda *inputs: recovered)
    image = np.full((128, 128, 3), 90, np.uint8)
    faces = [Photograph.of("a.png", image, points[:468]) for points in seen.astype(np.float64)]
    begin, end = run.fit_photographs(faces, built_in.built_in_head()).gaze_px.swapaxes(0, 1)
    np.testing.assert_allclose(begin, seen[:, [33, 263]].mean(1), atol=3)
    eyes = np.linalg.norm(seen[:, 33] - seen[:, 263], axis=-1)[:, None]
    ahead = recovered.looks.numpy()[:, :2] * [1, -1]
    np.testing.assert_allclose((end - begin) / eyes, ahead, atol=0.1)


def test_the_gaze_of_a_profile_can_be_read_back(recovered, tmp_path):
    """It looks past the camera by more than a quarter turn."""
    away = torch.tensor([0.0, 1.5, 0.0]).double().expand(COUNT, -1)
    arrays = head_arrays(replace(recovered, neck_rad=away, gaze_rad=recovered.gaze_rad * 0 + 0.3))
    nothing = dict.fromkeys(("residual_px", "residual"), np.zeros(COUNT))
    write_like(tmp_path / "like.npz", arrays | nothing, ["a.png"] * COUNT)
    gaze_rad = read_like(tmp_path / "like.npz").arrays["gaze_rad"]
    assert gaze_rad[:, 0] == pytest.approx(np.pi / 2) and abs(gaze_rad[:, 1]).max() < 0.6


def test_expressions_come_back(planted, recovered):
    people, found = planted[0], head_arrays(recovered)["face_actions"]
    given = people.labels["face_actions"].numpy()
    for name in ("jawOpen", "mouthSmileLeft", "mouthSmileRight"):
        column = ACTIONS.index(name)
        assert np.corrcoef(given[:, column], found[:, column])[0, 1] > 0.8, name
    expression, jaw_rad = recovered.expression, recovered.jaw_rad
    assert expression.min() >= 0 and expression.max() <= 1 and jaw_rad.min() >= 0


def test_what_points_leave_open(recovered):
    """Of brows more than of smiles; of what is not seen all."""
    arrays = head_arrays(recovered)
    left = arrays["left_open"]
    sizes = np.linalg.eigvals(left)
    assert abs(sizes.imag).max() < 1e-6 and sizes.real.min() > -1e-6 and sizes.real.max() < 1 + 1e-6
    smile, brow, frown = (
        left[ACTIONS.index(name), ACTIONS.index(name)]
        for name in ("mouthSmileLeft", "browDownLeft", "mouthFrownLeft")
    )
    assert 0 < smile < brow < 1 and smile < frown < 1
    assert (arrays["usual"] >= 0).all() and arrays["usual"][ACTIONS.index("mouthSmileLeft")] > 0.1


def test_a_jaw_s_turn_is_left_open_in_shares_of_a_full_one(recovered):
    smile, turn = EXPRESSION_ACTIONS.index("mouthSmileLeft"), baked_head().jaw_open_rad
    by_parameter = torch.zeros_like(recovered.left_open)
    by_parameter[:, EXPRESSION_SIZE, smile], by_parameter[:, smile, EXPRESSION_SIZE] = 0.2, 0.3
    left = head_arrays(replace(recovered, left_open=by_parameter))["left_open"]
    jaw, smile = ACTIONS.index("jawOpen"), ACTIONS.index("mouthSmileLeft")
    assert left[jaw, smile] == pytest.approx(0.2 / turn)
    assert left[smile, jaw] == pytest.approx(0.3 * turn)
    assert np.count_nonzero(left) == 2


def test_the_jacobian_of_coefficients_is_that_of_the_points(planted):
    people = planted[0]
    model, pose = built_in_points(), people.pose_rad[:2].double()
    shape, expression = people.shape[:2].double(), people.expression[:2].double()
    moved = model(shape, expression, pose)
    column = torch.cat([shape, expression], 1)[:, None, None]
    none = model(0 * shape, 0 * expression, pose)
    by_coefficient = none + (model.directions(pose) * column).sum(-1)
    torch.testing.assert_close(by_coefficient, moved, rtol=0, atol=1e-9)


def test_what_a_detector_does_wrong_is_undone(planted):
    """Points of heads that are drawn too long, and too little like themselves, come back."""
    people, _, seen, _ = planted
    people_shape, seen = people.shape[:6].double(), seen[:6].double()
    model, zeros, down = built_in_points(), torch.zeros, torch.tensor([10.0, -10]).double()
    none = [zeros(1, n).double() for n in (100, 50, 15)]
    rest = model(*none)[0]
    response = zeros(COEFFICIENTS, POINTS, 2).double()
    by_shape = model.directions(none[2])[0, :, :2, 1:SHAPE_SIZE]
    response[1:SHAPE_SIZE] = -0.4 * (by_shape.movedim(2, 0) * down)
    offset = zeros(3, POINTS, 2).double()
    offset[0, :, 1] = 0.12 * down[1] * (rest[:, 1] - rest[:, 1].mean())
    frame = face_frame(rest, seen)
    wrong = torch.einsum("bf,fni->bni", frame.turn, offset)
    wrong = wrong + torch.einsum("bc,cni->bni", people_shape, response[:SHAPE_SIZE])
    moved = seen + torch.einsum("bij,bnj->bni", torch.linalg.inv(frame.A), wrong)
    errors = replace(exact(), offset=offset, response=response)
    found = recover(model, face_actions_prior(), moved, errors)
    eyes = (seen[:, 33] - seen[:, 263]).norm(dim=-1)
    assert ((moved - seen).norm(dim=-1).mean(1) / eyes).median() > 0.03
    assert ((found.points - seen).norm(dim=-1).mean(1) / eyes).median() < 0.018


def test_the_face_frame_undoes_roll_and_size():
    rest = torch.from_numpy(np.random.default_rng(2).normal(size=(40, 3)))
    turn = torch.from_numpy(cv2.Rodrigues(np.array([0.2, 0.4, 0.0]))[0])
    roll = torch.from_numpy(cv2.Rodrigues(np.array([0.0, 0.0, 0.7]))[0])
    upright, rolled = (
        (rest @ R.T)[None, :, :2] * torch.tensor([3.0, -3]) for R in (turn, roll @ turn)
    )
    at, tilted = face_frame(rest, upright), face_frame(rest, 2 * rolled)
    torch.testing.assert_close(tilted.turn, at.turn)
    there = torch.einsum("bij,bnj->bni", tilted.A, 2 * rolled)
    torch.testing.assert_close(there, torch.einsum("bij,bnj->bni", at.A, upright))


def test_measured_errors_are_those_of_a_face():
    errors = built_in_errors()
    assert errors.offset.shape == (3, POINTS, 2)
    assert errors.response.shape == (COEFFICIENTS, POINTS, 2)
    lengths = torch.linalg.vector_norm(errors.shared, dim=0)
    assert lengths.max() < 1 and lengths.min() >= 0
    # Decimetres: a detector is off by a few millimetres.
    assert errors.sd.min() > 0.003 and errors.sd.max() < 0.1
    assert errors.offset[0].abs().max() < 0.08 and errors.response[:SHAPE_SIZE].abs().max() < 0.04


def test_the_prior_knows_which_actions_go_together():
    prior = face_actions_prior()
    left, right = (EXPRESSION_ACTIONS.index(f"mouthSmile{side}") for side in ("Left", "Right"))
    one, both = torch.zeros(2, EXPRESSION_SIZE + TURNS).double().unbind()
    one[left] = both[left] = both[right] = 0.8

    def cost(a):
        return prior.slope @ a + a @ prior.precision @ a / 2

    assert cost(both) < cost(one)


def test_eyes_turn_as_far_as_the_face_s_actions_do():
    low, high = face_actions_prior().low[-2:], face_actions_prior().high[-2:]
    for (left, down), full in ((low, "eyeLookUp"), (high, "eyeLookDown")):
        pose = np.zeros(15, np.float32)
        pose[9:] = [down, left, 0] * 2
        actions = dict(zip(ACTIONS, face_actions(np.zeros(50, np.float32), pose), strict=True))
        across = [actions[f"eyeLook{way}{side}"] for way in ("In", "Out") for side in SIDES]
        assert actions[f"{full}Left"] == actions[f"{full}Right"] == pytest.approx(1)
        assert max(across) == pytest.approx(1)


def test_the_face_lies_where_it_was_framed(planted, recovered):
    from synthforge.camera import focal_from_fov
    from synthforge.mannequin.framing import face_box

    people = planted[0]
    framing = head_arrays(recovered)["framing"]
    for i in range(COUNT):
        names = ("shape", "pose_rad", "yaw_rad", "pitch_rad", "fov_deg")
        low, high = face_box({name: getattr(people, name)[i].numpy() for name in names})
        focal = float(focal_from_fov(people.fov_deg[i]))
        middle = people.center[i].numpy() + focal * (low + high) / 2 - 0.5
        assert framing[i, 0] == pytest.approx(focal * (high - low).max(), rel=0.05)
        assert framing[i, 1:] == pytest.approx(middle, abs=0.015)


def test_what_points_share_counts_less(planted):
    """A mouth that is seen too low as a whole does not open the jaw, if that is known to happen."""
    seen, model = planted[2][:4].double(), built_in_points()
    rest = model(*(torch.zeros(1, n).double() for n in (100, 50, 15)))[0]
    frame = face_frame(rest, seen)
    low = torch.zeros(POINTS, 2).double()
    low[:, 1] = (rest[:, 1] < rest[4, 1]) * 0.25
    moved = seen + torch.einsum("bij,nj->bni", torch.linalg.inv(frame.A), low)
    errors = exact()
    direction = low.flatten()[:, None] / low.norm()
    knowing = replace(errors, shared=0.95**0.5 * direction)
    off = [
        (recover(model, face_actions_prior(), moved, each).points - seen).norm(dim=-1).mean()
        for each in (errors, knowing)
    ]
    assert off[1] < 0.5 * off[0]


def test_residuals_and_their_jacobian_agree(planted):
    draws = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=draws).double()

    shared, response = normal(2 * POINTS, 2) / 60, normal(COEFFICIENTS, POINTS, 2)
    errors = replace(exact(), shared=shared, response=response)
    frame = face_frame(normal(POINTS, 3), planted[2][:2].double())
    J, step = normal(2, POINTS, 2, 3 + COEFFICIENTS), normal(2, 3 + COEFFICIENTS)
    off = torch.einsum("bnip,bp->bni", J, step)
    moved = errors.residuals(off, step[:, 3:], frame)
    still = errors.residuals(0 * off, 0 * step[:, 3:], frame)
    by_step = errors.jacobian(J, 3, frame) @ step[..., None]
    torch.testing.assert_close(by_step[..., 0], moved - still)


def test_a_frame_is_the_square_of_the_longer_side():
    image = np.zeros((60, 100, 3), np.uint8)
    points = np.array([[50.0, 30.0], [100.0, 60.0], [0.0, 0.0]])
    photograph = Photograph.of("a.png", image, np.resize(points, (468, 2)))
    assert photograph.framed(points).tolist() == [[0.5, 0.5], [1.0, 0.8], [0.0, 0.2]]
    np.testing.assert_allclose(photograph.px(photograph.framed(points)), points)


def test_large_photographs_are_not_kept():
    """Of a photograph of any size the same few arrays stay."""
    mesh = np.random.default_rng(0).uniform(500, 1500, (468, 2))
    large = Photograph.of("a.png", np.zeros((2000, 2000, 3), np.uint8), mesh)
    arrays = [value for value in vars(large).values() if isinstance(value, np.ndarray)]
    assert all(array.base is None or array.base.size == array.size for array in arrays)
    assert sum(array.nbytes for array in arrays) < 2**18


def invoke(*arguments):
    return CliRunner().invoke(synthforge, ["fit", "--generator", "mannequin", *map(str, arguments)])


def test_the_command(planted, tmp_path, monkeypatch):
    first, second, third = (FaceMesh(p, 1.0) for p in planted[2][:3, :468].double().numpy() * 128)
    tiny = FaceMesh(third.points_px * 0.1, 1.0)
    cut = FaceMesh(third.points_px - [third.points_px[:, 0].mean(), 0], 1.0)
    seen = iter([[], [first, second], [third, cut], [tiny]])
    monkeypatch.setattr(photographs, "face_meshes", lambda image: next(seen))
    monkeypatch.setattr(found_points, "net_share", lambda: np.zeros(POINTS))
    for name in "abcd":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((128, 128, 3), 90, np.uint8))
    (tmp_path / "e.jpg").write_bytes(b"no image")
    (tmp_path / "f.heic").write_bytes(b"not looked at")
    result = invoke(tmp_path, "--output", tmp_path / "like.npz")
    assert result.exit_code == 0, result.output
    assert "3 faces in 5 photographs" in result.output
    assert all(f"No face: {name}" in result.output for name in ("a.png", "d.png"))
    assert "Cannot be read: e.jpg" in result.output
    assert "Passed over: 1 file that is no .png" in result.output
    like = read_like(tmp_path / "like.npz")
    assert len(like) == 3 and like.arrays["residual"].max() < 0.04
    assert cv2.imread(str(tmp_path / "like.png")).shape == (240, 1920, 3)
    with np.load(tmp_path / "like.npz") as file:
        assert bytes(file["photographs"]) == b"b.png\nb.png\nc.png\n"
    again = invoke(tmp_path, "--output", tmp_path / "like.npz")
    assert again.exit_code == 2 and "is there already" in again.output


def test_no_face_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "face_meshes", lambda image: [])
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), 90, np.uint8))
    result = invoke(tmp_path, "--output", tmp_path / "like.npz")
    assert result.exit_code == 2 and "no face was found" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    (tmp_path / "empty").mkdir()
    assert "holds no" in invoke(tmp_path / "empty", "--output", tmp_path / "b.npz").output
    assert "is no folder" in invoke(tmp_path / "none", "--output", tmp_path / "b.npz").output
    assert "should end in .npz" in invoke(tmp_path, "--output", tmp_path / "b.pt").output
