"""FLAME recovered from landmarks of known heads. Its files are the built-in head's."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from support_flame_files import write_flame_files

from flame_pytorch.plausible import MASK_NAMES
from synthforge import sampling
from synthforge.assets.locate import find_assets
from synthforge.cli.commands import synthforge
from synthforge.config import AssetPaths, PartsConfig
from synthforge.detectors.face_mesh import FaceMesh
from synthforge.detectors.landmarks68 import MESH_POINTS, WEIGHTS, landmarks_of
from synthforge.frames import place_in_generator
from synthforge.generators.next3d import NEXT3D
from synthforge.head import read_head
from synthforge.like import Like, read_like
from synthforge.mannequin.head.baked import EXPRESSION_ACTIONS, baked_head
from synthforge.photofit import found_points, photographs
from synthforge.photofit.flame import LANDMARKS, flame_arrays, flame_head
from synthforge.photofit.point_errors import built_in_errors
from synthforge.photofit.run import pick_head
from synthforge.photofit.solve import recover
from synthforge.pose import euler_deg, pose_of
from synthforge.regions import REGION_ID
from synthforge.sampling import SampleId

COUNT = 16
EYEBALLS = ("left_eyeball", "right_eyeball")
SMILES = [EXPRESSION_ACTIONS.index(f"mouthSmile{side}") for side in ("Left", "Right")]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root, built = tmp_path_factory.mktemp("files"), baked_head()
    masks = dict.fromkeys(MASK_NAMES, np.arange(0))
    masks["face"] = np.arange(len(built.model.v_template))
    for name in EYEBALLS:
        masks[name] = np.unique(built.model.faces[built.face_region == REGION_ID[name]])
    # The jaw's joint opens the mouth: the displacement of that name is not drawn.
    shapedirs = built.model.shapedirs.copy()
    shapedirs[..., built.model.n_identity + EXPRESSION_ACTIONS.index("jawOpen")] = 0
    model = dataclasses.replace(built.model, shapedirs=shapedirs)
    write_flame_files(root / "model", model, built.embedding, masks)
    (root / "pretrained_models").mkdir()
    (root / "pretrained_models" / "next3d_ffhq_512.pkl").touch()
    return AssetPaths(pretrained_dir=root / "pretrained_models", model_dir=root / "model")


@pytest.fixture(scope="module")
def planted(files):
    """Faces, samples like them, their 68 landmarks and pupils in the frame, and their angles,
    radians."""
    rng = np.random.default_rng(4)
    expression = np.zeros((COUNT, 50))
    expression[:, SMILES] = rng.uniform(0, 1, (COUNT, 1))
    faces = {
        "angles_rad": rng.normal(0, (0.3, 0.12, 0.15), (COUNT, 3)),
        "expression": expression,
        "gaze_rad": rng.normal(0, 0.15, (COUNT, 2)),
        "jaw_rad": rng.uniform(0, 0.3, COUNT),
        "left_open": np.zeros((50, 50)),
        "shape": rng.normal(0, 0.7, (COUNT, 100)) * (np.arange(100) < 40),
    }
    like = Like({name: value.astype(np.float32) for name, value in faces.items()}, 0.0, True)
    ids = [SampleId(2, index) for index in range(COUNT)]
    people = sampling.draw(ids, NEXT3D.sampling_with({"like": like}), 8)
    head = read_head(find_assets(files.model_dir, files.pretrained_dir))
    mesh = head.mesh(people, people.camera)
    scheme, rows = head.schemes["ibug70"], torch.zeros(COUNT, dtype=torch.int64)
    pupils = scheme.points(mesh.vertices, mesh.topology.faces, rows)[:, -2:]
    points = torch.cat([mesh.landmarks, pupils], 1)
    seen, _ = people.camera.project(place_in_generator(points), 1)
    pose = pose_of(*head.joints(people), place_in_generator, people.camera)
    return like, people, seen.double(), np.radians(euler_deg(pose.R_cam_head).numpy())


@pytest.fixture(scope="module")
def recovered(files, planted):
    head, title = pick_head(PartsConfig(assets=files))
    assert "generic_model.pkl" in title
    return recover(head.model, head.prior, planted[2][:, LANDMARKS], head.errors)


def test_samples_are_the_faces(planted):
    like, people, _, angles_rad = planted
    rows = [
        np.flatnonzero((like.arrays["shape"] == shape).all(1)).item()
        for shape in people.shape.numpy()
    ]
    np.testing.assert_allclose(angles_rad, like.arrays["angles_rad"][rows], atol=1e-3)
    np.testing.assert_allclose(people.expression, like.arrays["expression"][rows], atol=1e-6)
    np.testing.assert_array_equal(people.pose_rad[:, 6], like.arrays["jaw_rad"][rows])
    assert people.fov_deg.min() >= 18 and people.fov_deg.max() <= 24
    alone = sampling.draw(people.ids[3:4], NEXT3D.sampling_with({"like": like}), 8)
    assert (alone.pose_rad[0] == people.pose_rad[3]).all()


def test_nobody_has_a_photographed_shape(planted):
    like, people, _, _ = planted
    ids = people.ids[:2]
    drawn = sampling.draw(ids, NEXT3D.sampling_with({"like": Like(like.arrays)}), 8)
    assert (drawn.shape == sampling.draw(ids, NEXT3D.sampling, 8).shape).all()


def test_heads_come_back(planted, recovered):
    _, people, seen, angles_rad = planted
    found = flame_arrays(recovered)
    off = np.degrees(abs(found["angles_rad"] - angles_rad))
    assert (np.median(off, 0) < (2, 2, 0.5)).all(), np.median(off, 0)
    eyes = (seen[:, 36] - seen[:, 45]).norm(dim=-1)
    inner = (recovered.points - seen[:, LANDMARKS]).norm(dim=-1)[:, 5:]
    assert (inner.mean(1) / eyes).median() < 0.015
    given = [(people.pose_rad[:, 6], found["jaw_rad"])]
    given += [(people.pose_rad[:, k], recovered.gaze_rad[:, 10 - k]) for k in (9, 10)]
    given += [(people.expression[:, k], found["expression"][:, k]) for k in SMILES]
    for ours, theirs in given:
        assert np.corrcoef(ours.numpy(), theirs)[0, 1] > 0.8
    assert found["jaw_rad"].min() >= 0


def test_landmarks_are_weighted_by_their_spread(files):
    whole = read_head(find_assets(files.model_dir, files.pretrained_dir))
    head = flame_head(whole)
    # Decimetres: the chin is known to half a centimetre at best.
    assert len(head.model) == len(LANDMARKS) == 58
    assert head.errors.sd[:5].min() > head.errors.sd[5:].max()
    assert 0.005 < head.errors.sd.min() < head.errors.sd.max() < 0.1
    # Down and left, at the pupils: as they are drawn to the average on the built-in head.
    drawn = built_in_errors().response[-2:, -2:]
    assert torch.equal(head.errors.response[-2:, -2:], drawn) and drawn.abs().max() > 1e-3
    assert (head.errors.response[:-3] == 0).all()
    blind = flame_head(dataclasses.replace(whole, schemes={}))
    assert len(blind.model) == len(blind.errors.sd) == 56


def mesh_of(landmarks_px):
    """Mesh points whose landmarks these are."""
    by_mesh = np.zeros((68, 468))
    np.put_along_axis(by_mesh, MESH_POINTS, WEIGHTS, 1)
    points = np.linalg.lstsq(by_mesh, landmarks_px, rcond=None)[0]
    np.testing.assert_allclose(landmarks_of(points), landmarks_px, atol=1e-6)
    return FaceMesh(points, 1.0)


def fit(folder, *arguments):
    result = CliRunner().invoke(synthforge, ["fit", str(folder), *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command(files, planted, tmp_path, monkeypatch):
    seen = planted[2][:, :68].numpy() * 128
    monkeypatch.setattr(found_points, "net_share", lambda: np.zeros(468 + 53))
    monkeypatch.setattr(photographs, "face_meshes", lambda image: [mesh_of(seen[0])])
    cv2.imwrite(str(tmp_path / "a.png"), np.full((128, 128, 3), 90, np.uint8))
    code, output = fit(
        *(tmp_path, "--output", tmp_path / "like.npz", "--generator", "auto"),
        *("--model_dir", files.model_dir, "--pretrained_dir", files.pretrained_dir),
    )
    assert code == 0 and "Head: FLAME" in output, output
    like = read_like(tmp_path / "like.npz")
    assert like.generator == "next3d" and len(like) == 1
    assert like.arrays["residual"].max() < 0.03
    assert np.degrees(abs(like.arrays["angles_rad"][0] - planted[3][0])).max() < 5


def test_without_files(tmp_path):
    (tmp_path / "none").mkdir()
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), 90, np.uint8))
    code, output = fit(
        *(tmp_path, "--output", tmp_path / "like.npz", "--generator", "next3d"),
        *("--model_dir", tmp_path / "none", "--pretrained_dir", tmp_path / "none"),
    )
    assert code == 2 and "--generator next3d needs files that are not there" in output
    assert len(output.splitlines()) == 1 and not (tmp_path / "like.npz").exists()
