"""Samples like faces in photographs."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from support_like import FACES, faces, flame_faces, people_like

from synthforge.camera import focal_from_fov
from synthforge.card_settings import settings_of
from synthforge.cli.generate import generate
from synthforge.config import PartsConfig
from synthforge.dataset.card import _sampling
from synthforge.dataset.report.statistics import beside
from synthforge.distributions import Range
from synthforge.errors import ConfigError
from synthforge.frames import place_in_generator
from synthforge.generators.mannequin import MANNEQUIN
from synthforge.generators.next3d import NEXT3D
from synthforge.grid import Grid
from synthforge.like import Like, read_like, write_like
from synthforge.mannequin.framing import face_box
from synthforge.mannequin.head.baked import ACTIONS
from synthforge.mannequin.people import draw_people
from synthforge.pose import euler_deg, pose_of
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

ANGLES = ["yaw", "pitch", "roll"]
GAZE = ["gaze past the camera, left", "gaze past the camera, down"]
FRAMING = ["face size", "offset right", "offset down"]


def test_a_file_comes_back(tmp_path):
    write_like(tmp_path / "like.npz", faces(), ["a.png"] * FACES)
    like = read_like(tmp_path / "like.npz", 0.5)
    assert like == Like(faces(), 0.5) and like != Like(faces(), 0.4)
    for name, values in faces().items():
        assert (like.arrays[name] == values).all()
    other = faces()
    other["framing"][3, 1] += 0.001
    assert Like(other).fingerprint != Like(faces()).fingerprint
    other = faces()
    other["gaze_rad"][3, 1] += 0.001
    assert Like(other).fingerprint != Like(faces()).fingerprint


def test_a_file_of_flame_comes_back(tmp_path):
    write_like(tmp_path / "like.npz", flame_faces(), ["a.png"] * FACES)
    like = read_like(tmp_path / "like.npz")
    assert like.generator == "next3d" and Like(faces()).generator == "mannequin"
    assert like == Like(flame_faces()) and like.arrays.keys() == flame_faces().keys()
    other = flame_faces()
    other["jaw_rad"][3] += 0.001
    assert Like(other) != like
    other = flame_faces()
    other["gaze_rad"][3, 0] += 0.001
    assert Like(other) != like
    np.savez(tmp_path / "bad.npz", format=np.array([4]), **faces(3))
    with pytest.raises(ConfigError, match="has no expression, jaw_rad"):
        read_like(tmp_path / "bad.npz")


def broken(**changes):
    arrays = {"format": np.array([3]), **faces(3)} | changes
    return {name: value for name, value in arrays.items() if value is not None}


def with_entry(name, value):
    arrays = faces(3)
    arrays[name].flat[0] = value
    return broken(**{name: arrays[name]})


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (broken(format=np.array([5])), "is not of format 3 or 4"),
        (broken(format=np.array([1])), "was made by a SynthForge that did not recover gaze. Run"),
        (broken(format=np.array([2])), "was made by a SynthForge that did not recover gaze. Run"),
        (broken(gaze_rad=None), "has no gaze_rad"),
        (with_entry("gaze_rad", 1.6), "has gaze_rad outside"),
        (broken(usual=None), "has no usual"),
        (broken(left_open=np.zeros((52, 50), np.float32)), "has left_open of float32 (52, 50)"),
        (with_entry("left_open", np.nan), "has left_open outside"),
        (broken(angles_rad=np.float32(0)), "has angles_rad of float32 ()"),
        (broken(format=None), "has no format"),
        (broken(shape=None), "has no shape"),
        (broken(shape=np.zeros((3, 99), np.float32)), "has shape of float32 (3, 99)"),
        (broken(framing=np.zeros((2, 3), np.float32)), "has framing of"),
        (broken(face_actions=np.zeros((3, 52), np.int64)), "has face_actions of int64"),
        (with_entry("angles_rad", np.nan), "has angles_rad outside"),
        (with_entry("face_actions", 1.5), "has face_actions outside"),
        (with_entry("shape", np.inf), "has shape outside"),
        ({"format": np.array([3]), **faces(0)}, "holds 0 faces"),
        (broken(angles_rad=np.array([object()] * 3)), ""),
    ],
)
def test_bad_arrays(tmp_path, arrays, said):
    path = tmp_path / "like.npz"
    np.savez(path, **arrays)
    with pytest.raises(ConfigError, match="--like") as error:
        read_like(path)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no zip", b"\x80\x04.", b"\x89PNG\r\n"])
def test_bad_files(tmp_path, content):
    (tmp_path / "like.npz").write_bytes(content)
    result = CliRunner().invoke(
        generate,
        [
            *("--output_dir", str(tmp_path / "out"), "--num_images", "1"),
            *("--like", str(tmp_path / "like.npz")),
        ],
    )
    assert result.exit_code == 2 and "--like" in result.output, result.output
    assert "pickle" not in result.output and "fit" in result.output, result.output
    assert not (tmp_path / "out").exists()


def test_pose_framing_and_expression_are_the_faces():
    like = Like(faces(1), jitter=0.0)
    people = people_like(like)
    from synthforge.generators.mannequin import mannequin_parts

    head, _, _ = mannequin_parts(torch.device("cpu"))
    pose = pose_of(*head.joints(people), place_in_generator, people.camera)
    wanted = np.degrees(like.arrays["angles_rad"][0])
    np.testing.assert_allclose(euler_deg(pose.R_cam_head), np.tile(wanted, (6, 1)), atol=0.05)
    assert len(set(people.yaw_rad.tolist())) == 6  # the camera's share of the turn differs
    names = ("shape", "pose_rad", "yaw_rad", "pitch_rad", "fov_deg")
    for i in range(6):
        low, high = face_box({name: getattr(people, name)[i].numpy() for name in names})
        focal = float(focal_from_fov(people.fov_deg[i]))
        middle = people.center[i].numpy() + focal * (low + high) / 2 - 0.5
        framing = np.array([focal * (high - low).max(), *middle])
        np.testing.assert_allclose(framing, like.arrays["framing"][0], atol=1e-3)
    drawn = people.labels["face_actions"].numpy()
    smile = ACTIONS.index("mouthSmileLeft")
    assert drawn[:, smile] == pytest.approx(like.arrays["face_actions"][0, smile], abs=1e-6)


def test_correlations_and_spread_survive():
    like = Like(faces(), jitter=1.0)
    drawn = [like.draw(SampleId(0, index).stream("like"), np.zeros(52)) for index in range(1500)]
    angles = np.stack([face.angles_rad for face in drawn])
    own = like.arrays["angles_rad"]
    np.testing.assert_allclose(angles.std(0), own.std(0), rtol=0.1)
    gaze, own_gaze = np.stack([face.gaze_rad for face in drawn]), like.arrays["gaze_rad"]
    np.testing.assert_allclose(gaze.std(0), own_gaze.std(0), rtol=0.1)
    np.testing.assert_allclose(gaze.mean(0), own_gaze.mean(0), atol=0.01)
    together = np.corrcoef(own[:, 0], own_gaze[:, 0])[0, 1]
    assert np.corrcoef(angles[:, 0], gaze[:, 0])[0, 1] == pytest.approx(together, abs=0.1)
    smiles = np.stack([face.face_actions for face in drawn])[:, ACTIONS.index("mouthSmileLeft")] > 0
    share = (like.arrays["face_actions"][:, ACTIONS.index("mouthSmileLeft")] > 0).mean()
    assert smiles.mean() == pytest.approx(share, abs=0.05)
    assert angles[smiles, 0].mean() > 0.1 and angles[~smiles, 0].mean() < -0.1
    assert len(np.unique(angles[:, 0])) == 1500


def test_what_points_leave_open_is_that_of_a_usual_face():
    brow, smile = (ACTIONS.index(name) for name in ("browInnerUp", "mouthSmileLeft"))
    arrays = faces()
    arrays["usual"][[brow, smile]] = arrays["face_actions"][:, brow] = 0.1
    arrays["left_open"][brow, [brow, smile]] = 0.75, 0.5
    usual = np.zeros(52)
    usual[[brow, smile]] = 0.5, 0.2
    other = dict(arrays, left_open=np.zeros((52, 52), np.float32))
    drawn, bare = (
        Like(each, jitter=0.0).draw(SampleId(0, 7).stream("like"), usual).face_actions
        for each in (arrays, other)
    )
    assert bare[brow] == pytest.approx(0.1)
    assert drawn[brow] == pytest.approx(0.1 + 0.75 * 0.4 + 0.5 * 0.1)
    assert drawn[smile] == bare[smile] and np.delete(drawn - bare, brow).max() == 0
    fingerprints = {Like(each).fingerprint for each in (arrays, other)}
    assert len(fingerprints) == 2
    # Recovered weakly, an expression of FLAME has the usual spread again.
    weak = flame_faces(400)
    weak["expression"] *= 0.2
    weak["left_open"] = np.float32(0.98 * np.eye(50))
    draws = [Like(weak).draw_flame(SampleId(0, i).stream("like")) for i in range(600)]
    spread = np.stack([face.expression for face in draws]).std(0)
    np.testing.assert_allclose(spread, 1, atol=0.15)


def test_people_do_what_points_leave_open_as_without_photographs():
    brow, smile = (ACTIONS.index(name) for name in ("browDownLeft", "mouthSmileLeft"))
    arrays = faces()
    arrays["left_open"][brow, brow] = 1
    own, usual = (
        draw_people([SampleId(1, i) for i in range(200)], config).labels["face_actions"].numpy()
        for config in (replace(MANNEQUIN_SAMPLING, like=Like(arrays)), MANNEQUIN_SAMPLING)
    )
    for strength in (0.02, 0.1):
        share = (usual[:, brow] > strength).mean()
        assert (own[:, brow] > strength).mean() == pytest.approx(share, abs=0.12) and share > 0.2
    assert (own[:, smile] == 0).mean() > 0.3 > (usual[:, smile] == 0).mean()


def test_faces_of_flame_keep_their_spread():
    like = Like(flame_faces(), jitter=0.5)
    drawn = [like.draw_flame(SampleId(0, index).stream("like")) for index in range(1500)]
    for name in ("angles_rad", "expression", "gaze_rad"):
        values = np.stack([getattr(face, name) for face in drawn])
        np.testing.assert_allclose(values.std(0), like.arrays[name].std(0), rtol=0.12)
        np.testing.assert_allclose(values.mean(0), like.arrays[name].mean(0), atol=0.15)
    closed = np.mean([face.jaw_rad == 0 for face in drawn])
    assert closed == pytest.approx((like.arrays["jaw_rad"] == 0).mean(), abs=0.05)


def test_a_report_shows_what_faces_of_flame_have():
    columns, actions = beside(Like(flame_faces()), ("jawOpen",))
    assert list(columns) == [*ANGLES, *GAZE] and actions == {}


def test_a_report_tells_gaze_apart_from_actions():
    like = Like(faces())
    columns, actions = beside(like, ACTIONS)
    assert list(columns) == [*ANGLES, *GAZE, *FRAMING]
    np.testing.assert_allclose(columns[GAZE[1]], np.degrees(like.arrays["gaze_rad"][:, 1]), 1e-5)
    np.testing.assert_allclose(columns["face size"], 100 * like.arrays["framing"][:, 0], 1e-5)
    assert len(actions) == 44 and not [name for name in actions if name.startswith("eyeLook")]


def test_a_sample_is_its_own_and_nobodys_shape():
    like = Like(faces())
    together, alone = people_like(like), people_like(like, [4])
    assert (together.shape[4] == alone.shape[0]).all()
    assert (together.pose_rad[4] == alone.pose_rad[0]).all()
    plain = draw_people([SampleId(1, 4)], MANNEQUIN_SAMPLING)
    assert (plain.shape == alone.shape).all()  # the prior's, with or without --like
    assert not (plain.pose_rad == alone.pose_rad).all()
    assert (people_like(Like(faces(), identity=True)).shape == 0.5).all()


def test_the_recipe_keeps_its_fingerprint():
    like = Like(faces(), 0.2)
    record = json.loads(json.dumps(_sampling(replace(MANNEQUIN_SAMPLING, like=like))))["like"]
    assert record == {
        "fingerprint": like.fingerprint,
        "faces": FACES,
        "jitter": 0.2,
        "identity": False,
    }
    card = {"recipe": {"generator": "mannequin", "seed": 0, "sampling": {"like": record}}}
    with pytest.raises(ConfigError, match="give the file of photographs' faces by --like FILE"):
        settings_of(card, PartsConfig().assets)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"yaw_rad": Range(0, 0)}, "--like says what --yaw does"),
        ({"face_size": Range(0.4, 0.5)}, "--like says what --face_size does"),
        ({"expression": Range(0, 1)}, "--like says what --expression does"),
        ({"grid": Grid(identities=2, expressions=2)}, "the recipe's grid"),
        ({"grid": Grid(expressions=({"eyeLookUpLeft": 1.0},))}, "the recipe's grid"),
    ],
)
def test_what_says_the_same(overrides, said):
    with pytest.raises(ConfigError, match=said):
        PartsConfig(sampling_overrides={"like": Like(faces()), **overrides})


def test_limits():
    both = {"like": Like(faces(), identity=True), "age_years": Range(20, 30)}
    with pytest.raises(ConfigError, match="--like_identity says what --age does"):
        PartsConfig(sampling_overrides=both)
    PartsConfig(sampling_overrides=both | {"like": Like(faces())})
    with pytest.raises(ConfigError, match="--like_jitter"):
        Like(faces(), jitter=float("nan"))
    with pytest.raises(ConfigError, match="give --generator mannequin, or"):
        NEXT3D.sampling_with({"like": Like(faces())})
    with pytest.raises(ConfigError, match="give --generator next3d, or"):
        MANNEQUIN.sampling_with({"like": Like(flame_faces())})
    sized = {"like": Like(flame_faces()), "fov_deg": Range(20, 20)}
    PartsConfig(sampling_overrides=sized)
    assert NEXT3D.sampling_with(sized).fov_deg == Range(20, 20)
    assert MANNEQUIN.sampling_with({"like": Like(faces())}).like is not None
