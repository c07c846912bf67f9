"""What the preview shows is what the command draws from its recipe."""

import json
import shlex
import struct
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from support_mannequin import built_head

from synthforge.assembly import build_rig
from synthforge.cli.generate import generate
from synthforge.config import AssetPaths, PartsConfig
from synthforge.dataset.png import encode_png
from synthforge.errors import ConfigError
from synthforge.generators.mannequin import MANNEQUIN
from synthforge.generators.next3d import NEXT3D
from synthforge.preview.drawing import COARSE_SIZE, Drawing
from synthforge.preview.panels import panels
from synthforge.preview.view import View
from synthforge.recipe_files import recipe_overrides

MOVED = View(
    seed=3,
    light=5,
    age=61,
    sex=1,
    african=0.7,
    asian=0.6,
    worn=("glasses", "earrings"),
    face="smile",
    actions={"jawOpen": 0.4, "mouthPucker": 0.0},
    gaze=(-0.5, 0.25),
    yaw=0.4,
    head_roll=-0.2,
    fov=24,
    hair="crop",
    hair_color="red",
    offset_x=-0.1,
)


@pytest.fixture(scope="module")
def drawing():
    return Drawing(build_rig(PartsConfig(generator="mannequin"), lambda _: None))


@pytest.fixture(scope="module")
def saved(drawing, tmp_path_factory):
    return drawing.save_sample(MOVED, tmp_path_factory.mktemp("saved"))


def test_the_command_draws_the_same_files_from_the_saved_recipe(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = (saved / "recipe.toml").read_text()
    (tmp_path / "preview.toml").write_text(recipe)
    words = shlex.split(recipe.splitlines()[0].removeprefix("# synthforge generate "))
    result = CliRunner().invoke(generate, [*words, "--extras", "seg_id,depth16,seg_visible"])
    assert result.exit_code == 0, result.output
    for path in saved.glob("*.png"):
        assert path.read_bytes() == (tmp_path / f"face/{path.stem}/000005.png").read_bytes()
    annotations = (tmp_path / "face/annotations/000005.json").read_text()
    worn = json.loads(annotations)
    assert worn["glasses"] and worn["earrings"] and not worn["headwear"] and not worn["mask"]
    assert (saved / "annotations.json").read_text() == annotations
    assert (worn["hair"], worn["hair_color"]) == (2, 5)
    x = np.array(worn["2d_kps"])[:, 0]
    assert (x.min() + x.max()) / 2 == pytest.approx((0.5 - 0.1) * 512, abs=12)


def test_the_sample_is_what_the_view_says(saved):
    told = json.loads((saved / "annotations.json").read_text())
    assert (told["seed"], told["light"], told["attempt"]) == (3, 5, 0)
    assert (told["age_years"], told["sex"], told["fov_deg"]) == (61, 1, 24)
    assert told["ancestry"] == pytest.approx([0.7, 0.3, 0], abs=1e-6)
    assert told["yaw_rad"] == pytest.approx(0.4)
    assert told["flame_neck_pose"] == pytest.approx([0, 0, -0.2])
    actions = dict(zip(MANNEQUIN.expression()["face_actions"], told["face_actions"], strict=True))
    assert actions["jawOpen"] == pytest.approx(0.4)
    assert actions["mouthSmileLeft"] == pytest.approx(0.85)
    assert actions["eyeLookInLeft"] == actions["eyeLookOutRight"] == pytest.approx(0.5)
    assert actions["eyeLookUpLeft"] == pytest.approx(0.25)
    assert actions["eyeLookOutLeft"] == pytest.approx(0)


def test_the_coarse_head_lies_where_the_full_one_does(drawing, saved):
    coarse = drawing.coarse(MOVED).sample
    full = cv2.imread(str(saved / "seg_id.png"), cv2.IMREAD_UNCHANGED)
    small = cv2.resize(full, (COARSE_SIZE, COARSE_SIZE), interpolation=cv2.INTER_NEAREST)
    assert (coarse.files["seg_id"] == small).mean() > 0.97
    told = json.loads((saved / "annotations.json").read_text())
    np.testing.assert_allclose(
        coarse.annotation["2d_kps"] * 512 / COARSE_SIZE, told["2d_kps"], atol=0.01
    )
    shown = panels(coarse, "regions")
    assert shown.shape == (512, 1024, 3) and shown.dtype == np.uint8


@pytest.mark.parametrize("over", ["keypoints", "regions", "visible classes", "depth"])
def test_each_overlay_is_another_image(drawing, over):
    sample = drawing.coarse(View()).sample
    plain, laid = panels(sample, "nothing"), panels(sample, over)
    assert encode_png(plain[:, :512]) != encode_png(laid[:, :512])
    np.testing.assert_array_equal(plain[:, 512:], laid[:, 512:])


def test_a_view_that_cannot_be_drawn_is_told(drawing, tmp_path):
    for view in (View(age=200), View(yaw=float("nan")), View(face='a"]\nx'), View(fov=0)):
        with pytest.raises(ConfigError):
            drawing.save_sample(view, tmp_path)
        with pytest.raises(ConfigError):
            drawing.coarse(view)
    assert not list(tmp_path.iterdir())


def test_samples_are_saved_side_by_side(drawing, tmp_path):
    paths = [drawing.save_mesh(View(), tmp_path) for _ in range(2)]
    assert [path.name for path in paths] == ["face_0000.glb", "face_0001.glb"]


def test_the_mesh_is_the_posed_head_in_metres(drawing, tmp_path):
    content = drawing.save_mesh(MOVED, tmp_path).read_bytes()
    magic, version, length, size = struct.unpack_from("<4sIII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    gltf = json.loads(content[20 : 20 + size])
    start = 28 + size
    position, normal, index = gltf["bufferViews"]
    assert start % 4 == 0 and len(content) - start == gltf["buffers"][0]["byteLength"]

    def read(view, dtype):
        return np.frombuffer(content, dtype, view["byteLength"] // 4, start + view["byteOffset"])

    vertices, normals = (read(view, "<f4").reshape(-1, 3) for view in (position, normal))
    coarse = drawing.coarse(MOVED)
    np.testing.assert_array_equal(vertices, coarse.vertices_m)
    np.testing.assert_array_equal(read(index, "<u4").reshape(-1, 3), built_head().topology.faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
    skull = vertices[:, 1] > np.quantile(vertices[:, 1], 0.95)
    assert (normals[skull, 1].mean(), np.ptp(vertices, 0).max() < 1) > (0.3, False)
    assert gltf["accessors"][0]["max"] == vertices.max(0).tolist()


def test_next3d_is_asked_for_what_it_has():
    view = View(seed=2, light=3, age=61, face="smile", jaw=0.2)
    recipe = tomllib.loads(view.recipe(NEXT3D))
    assert recipe == {
        "sample": {
            "yaw": 0, "pitch": 0, "head_yaw": 0, "head_pitch": 0, "head_roll": 0, "fov": 23,
            "jaw": 0.2,
        }
    }  # fmt: skip
    assert NEXT3D.sampling_with(recipe_overrides(recipe)).jaw_rad.at(0.3) == 0.2
    assert view.sample_id(NEXT3D).index == 0
    parts = PartsConfig(assets=AssetPaths(model_dir=Path("my flame")))
    assert view.command(NEXT3D, parts).endswith("--generator next3d --model_dir 'my flame'")
