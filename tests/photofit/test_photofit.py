"""Heads recovered from points that were projected from known heads."""

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from synthforge.cli.commands import synthforge
from synthforge.detectors.face_mesh import FaceMesh
from synthforge.frames import place_in_generator
from synthforge.generators.mannequin import mannequin_parts
from synthforge.like import read_like
from synthforge.mannequin.head.baked import ACTIONS
from synthforge.mannequin.people import draw_people
from synthforge.photofit import photographs
from synthforge.photofit.closed_form import scaled_orthography
from synthforge.photofit.photographs import Photograph
from synthforge.photofit.priors import face_actions_prior
from synthforge.photofit.run import SCHEME, built_in_points, head_arrays
from synthforge.photofit.solve import recover
from synthforge.pose import euler_deg, pose_of
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

COUNT = 12


@pytest.fixture(scope="module")
def planted():
    """Drawn people, their points in the frame [B, 468, 2] and angles [B, 3], degrees."""
    head, _, _ = mannequin_parts(torch.device("cpu"))
    people = draw_people([SampleId(3, index) for index in range(COUNT)], MANNEQUIN_SAMPLING)
    camera, scheme = people.camera, head.schemes[SCHEME]
    vertices = head.mesh(people, camera).vertices
    rows = torch.zeros(COUNT, dtype=torch.int64)
    points = scheme.points(vertices, head.topology.faces, rows)
    seen, _ = camera.project(place_in_generator(points), 1)
    pose = pose_of(*head.joints(people), place_in_generator, camera)
    return people, points, seen, euler_deg(pose.R_cam_head).numpy()


@pytest.fixture(scope="module")
def recovered(planted):
    seen = planted[2]
    return recover(built_in_points(), face_actions_prior(), seen, torch.ones(seen.shape[1]))


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


def test_expressions_come_back(planted, recovered):
    people, found = planted[0], head_arrays(recovered)["face_actions"]
    given = people.labels["face_actions"].numpy()
    for name in ("jawOpen", "mouthSmileLeft", "mouthSmileRight"):
        column = ACTIONS.index(name)
        assert np.corrcoef(given[:, column], found[:, column])[0, 1] > 0.8, name
    expression, jaw_rad = recovered.expression, recovered.jaw_rad
    assert expression.min() >= 0 and expression.max() <= 1 and jaw_rad.min() >= 0


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


def test_a_frame_is_the_square_of_the_longer_side():
    image = np.zeros((60, 100, 3), np.uint8)
    points = np.array([[50.0, 30.0], [100.0, 60.0], [0.0, 0.0]])
    photograph = Photograph("a.png", image, points)
    assert photograph.points.tolist() == [[0.5, 0.5], [1.0, 0.8], [0.0, 0.2]]
    np.testing.assert_allclose(photograph.px(photograph.points), points)


def invoke(*arguments):
    return CliRunner().invoke(synthforge, ["fit", *map(str, arguments)])


def test_the_command(planted, tmp_path, monkeypatch):
    seen = iter([None, *(planted[2][:3].double().numpy() * 128)])

    def mesh(image):
        points = next(seen)
        return None if points is None else FaceMesh(points, 1.0)

    monkeypatch.setattr(photographs, "face_mesh", mesh)
    for name in "abcd":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((128, 128, 3), 90, np.uint8))
    (tmp_path / "e.jpg").write_bytes(b"no image")
    result = invoke(tmp_path, "--output", tmp_path / "like.npz")
    assert result.exit_code == 0, result.output
    assert "3 faces in 5 photographs" in result.output
    assert "No face: a.png" in result.output and "No face: e.jpg" in result.output
    like = read_like(tmp_path / "like.npz")
    assert len(like) == 3 and like.arrays["residual"].max() < 0.03
    assert cv2.imread(str(tmp_path / "like.png")).shape == (240, 1920, 3)
    with np.load(tmp_path / "like.npz") as file:
        assert bytes(file["photographs"]) == b"b.png\nc.png\nd.png\n"
    again = invoke(tmp_path, "--output", tmp_path / "like.npz")
    assert again.exit_code == 2 and "is there already" in again.output


def test_no_face_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "face_mesh", lambda image: None)
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), 90, np.uint8))
    result = invoke(tmp_path, "--output", tmp_path / "like.npz")
    assert result.exit_code == 2 and "no face was found" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    (tmp_path / "empty").mkdir()
    assert "holds no" in invoke(tmp_path / "empty", "--output", tmp_path / "b.npz").output
    assert "is no folder" in invoke(tmp_path / "none", "--output", tmp_path / "b.npz").output
    assert "should end in .npz" in invoke(tmp_path, "--output", tmp_path / "b.pt").output
