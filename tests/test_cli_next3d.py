"""The whole program on official-format files: a tiny Next3D checkpoint and a FLAME-shaped head."""

import dataclasses
import shutil

import numpy as np
import pytest
import support_next3d
import torch
from click.testing import CliRunner
from scipy.spatial import cKDTree
from support_flame_files import write_flame_files
from support_flame_heads import face_landmarks
from support_next3d_files import write_checkpoint

from flame_pytorch import FLAME, HeadModel, LandmarkEmbedding
from flame_pytorch.plausible import MASK_NAMES
from synthforge.alignment import published_alignment
from synthforge.assembly import build_rig
from synthforge.camera import Camera
from synthforge.card_settings import settings_of
from synthforge.cli.generate import generate
from synthforge.config import AssetPaths, PartsConfig
from synthforge.dataset.read import Dataset
from synthforge.frames import place_in_generator
from synthforge.like import read_like, write_like
from synthforge.next3d import Next3D
from synthforge.regions import REGION_ID


def flame_shaped_head():
    """FLAME's 5023 vertices as the goldens' head has them; landmarks on the triangles nearest to a
    face's."""
    vertices = support_next3d.heads()[0][0].double().numpy()
    landmarks = face_landmarks()
    faces = support_next3d.topology().faces.numpy()
    rng = np.random.default_rng(0)
    weights = np.zeros((5023, 5))
    weights[:, 1] = 1
    _, nearest = cKDTree(vertices[faces].mean(1)).query(landmarks)
    model = HeadModel(
        v_template=vertices,
        faces=faces,
        shapedirs=rng.normal(0, 1e-4, (5023, 3, 400)),
        posedirs=np.zeros((5023, 3, 36)),
        J_regressor=np.full((5, 5023), 1 / 5023),
        parents=np.array([-1, 0, 1, 1, 1]),
        weights=weights,
    )
    thirds = np.full((68, 3), 1 / 3)
    embedding = LandmarkEmbedding(
        nearest[17:], thirds[17:], np.tile(nearest[:17], (79, 1)), np.tile(thirds[:17], (79, 1, 1))
    )
    y = vertices[:, 1]
    masks = dict.fromkeys(MASK_NAMES, np.arange(0)) | {
        "face": np.flatnonzero(y > -0.12),
        "neck": np.flatnonzero(y <= -0.12),
        "scalp": np.flatnonzero(y > 0.05),
        "nose": np.flatnonzero((abs(vertices[:, 0]) < 0.02) & (abs(y + 0.01) < 0.02)),
    }
    return model, embedding, masks


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    root = tmp_path_factory.mktemp("official")
    write_flame_files(root / "model", *flame_shaped_head())
    (root / "pretrained_models").mkdir()
    network = support_next3d.generator(support_next3d.TINY)
    write_checkpoint(
        root / "pretrained_models" / "next3d_ffhq_512.pkl",
        network.state_dict() | {"faces": network.faces, "face_uvcoords": network.face_uvcoords},
        support_next3d.uv_face_mask(),
    )
    return root


def run(workplace, output, *arguments, expect=0):
    result = CliRunner().invoke(
        generate,
        [
            *("--output_dir", str(output), "--seed", "3", "--detector", "none"),
            *("--model_dir", str(workplace / "model")),
            *("--pretrained_dir", str(workplace / "pretrained_models")),
            *map(str, arguments),
        ],
    )
    assert result.exit_code == expect, result.output
    return result


@pytest.fixture(scope="module")
def made(workplace, tmp_path_factory):
    output = tmp_path_factory.mktemp("made") / "set"
    run(workplace, output, "--num_images", 2, "--extras", "volume_depth,seg_id,depth16")
    return Dataset(output)


def test_official_files_are_picked_up_by_themselves(made):
    assert made.card["recipe"]["generator"] == "next3d"
    assert "non-commercial" in made.card["licence"]
    assert made.indices == [0, 1]


def parameters(row):
    return (torch.tensor(row[key])[None] for key in ("z", "camera_params"))


def redo(workplace, row):
    """The same sample straight from the public API."""
    network = Next3D.load(workplace / "pretrained_models" / "next3d_ffhq_512.pkl")
    model, embedding, _ = flame_shaped_head()
    z, vector = parameters(row)
    vertices, landmarks = FLAME.from_arrays(model, embedding)(
        torch.tensor(row["flame_shape"])[None],
        torch.tensor(row["flame_exp"])[None],
        torch.tensor(row["flame_pose"])[None],
        R_view_flame=Camera.from_vector(vector).R_view_gen,
    )
    ws = network.map_latent(z, vector, truncation_psi=0.7, truncation_cutoff=14)
    return vertices, landmarks, network.synthesize(ws, vector, vertices, landmarks)


@torch.no_grad()
def test_images_are_the_networks_and_labels_the_aligned_meshs(made, workplace):
    row = made.annotation(1)
    _, landmarks, output = redo(workplace, row)
    wanted = (output.image[0] * 127.5 + 128).clamp(0, 255).permute(1, 2, 0).byte().numpy()
    difference = abs(made.image("images", 1).astype(int) - wanted.astype(int))
    assert difference.max() <= 1
    _, vector = parameters(row)
    camera = Camera.from_vector(vector)
    px, _ = camera.project(published_alignment()(place_in_generator(landmarks)), 512)
    assert np.abs(px[0].numpy() - row["2d_kps"]).max() < 0.05


@torch.no_grad()
def test_the_volumes_own_depth_is_stored_as_z_depth(made, workplace):
    row = made.annotation(0)
    _, _, output = redo(workplace, row)
    _, vector = parameters(row)
    metres = Camera.from_vector(vector).z_depth(output.ray_distance)[0, 0].numpy() * 0.4
    stored = made.image("volume_depth", 0)
    opaque = output.opacity[0, 0].numpy() > 0.501
    assert stored.shape == metres.shape
    assert abs(stored[opaque] * 1e-4 - metres[opaque]).max() < 2e-4
    assert (stored[output.opacity[0, 0].numpy() < 0.499] == 0).all()


def test_regions_come_from_the_users_masks(made):
    seen = set(np.unique(made.image("seg_id", 0)))
    assert {REGION_ID["face"], REGION_ID["nose"], REGION_ID["background"]} <= seen


def test_extras_that_need_a_missing_file_are_refused(workplace, tmp_path):
    result = run(workplace, tmp_path / "out", "--num_images", 1, "--extras", "uv", expect=2)
    assert "FLAME_texture.npz" in result.output


def test_a_precision_that_the_device_lacks_ends_before_any_work(workplace, tmp_path):
    result = run(
        *(workplace, tmp_path / "a", "--num_images", 1),
        *("--device", "cpu", "--precision", "fp16"),
        expect=2,
    )
    assert "--precision fp16" in result.output
    assert not (tmp_path / "a").exists()


def test_a_damaged_checkpoint_ends_in_one_line(workplace, tmp_path):
    damaged = tmp_path / "pretrained_models"
    damaged.mkdir()
    whole = (workplace / "pretrained_models" / "next3d_ffhq_512.pkl").read_bytes()
    (damaged / "next3d_ffhq_512.pkl").write_bytes(whole[: len(whole) // 2])
    result = run(
        *(workplace, tmp_path / "out", "--num_images", 1, "--pretrained_dir", damaged), expect=2
    )
    assert "next3d_ffhq_512.pkl" in result.output
    assert not (tmp_path / "out").exists()


def one_line(result) -> str:
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    return line


@pytest.mark.parametrize("name", ["model", "pretrained"])
def test_a_named_folder_that_is_missing_is_no_mannequin(tmp_path, name):
    option, missing = f"--{name}_dir", tmp_path / "missing"
    result = CliRunner().invoke(
        generate,
        ["--output_dir", str(tmp_path / "out"), "--num_images", "100000", option, str(missing)],
    )
    assert result.exit_code == 2
    assert f"{missing} is not a folder" in one_line(result)
    assert not (tmp_path / "out").exists()


def test_files_one_level_down_are_told(workplace, tmp_path):
    unpacked = tmp_path / "model" / "FLAME2023"
    shutil.copytree(workplace / "model", unpacked)
    result = run(
        *(workplace, tmp_path / "out", "--num_images", 1, "--model_dir", tmp_path / "model"),
        expect=2,
    )
    line = one_line(result)
    assert (
        f"{unpacked / 'FLAME_masks.pkl'}: move it to {tmp_path / 'model/FLAME_masks.pkl'}" in line
    )
    assert not (tmp_path / "out").exists()


def test_a_model_in_millimetres_ends_in_one_line(workplace, tmp_path):
    model, embedding, masks = flame_shaped_head()
    large = dataclasses.replace(model, v_template=model.v_template * 1000)
    write_flame_files(tmp_path / "model", large, embedding, masks)
    result = run(
        *(workplace, tmp_path / "out", "--num_images", 1, "--model_dir", tmp_path / "model"),
        expect=2,
    )
    assert "generic_model.pkl has a head of 300 m" in one_line(result)
    assert not (tmp_path / "out").exists()


def moving_alignment(path):
    """fixMapMLP01.pth, which moves heads by 0.05 to their left."""
    inner, outer = torch.zeros(4, 3), torch.zeros(3, 4)
    inner[:3], outer[:, :3] = torch.eye(3), torch.eye(3)
    state = {
        "a.weight": inner,
        "a.bias": torch.zeros(4),
        "b.weight": outer,
        "b.bias": torch.tensor([0.05, 0, 0]),
    }
    torch.save(state, path)


def test_the_published_alignment_is_used_where_it_lies(workplace, tmp_path):
    shutil.copytree(workplace / "pretrained_models", tmp_path / "pretrained_models")
    assets = AssetPaths(tmp_path / "pretrained_models", workplace / "model")
    parts = PartsConfig(detector="none", device="cpu", assets=assets)
    lines: list[str] = []
    A, b = build_rig(parts, lines.append).alignment.as_affine()
    torch.testing.assert_close((A, b), published_alignment().as_affine())
    assert not any("fixMapMLP01" in line for line in lines)
    moving_alignment(tmp_path / "pretrained_models" / "fixMapMLP01.pth")
    A, b = build_rig(parts, lines.append).alignment.as_affine()
    torch.testing.assert_close((A, b), (torch.eye(3), torch.tensor([0.05, 0, 0])))
    assert f"Alignment: {tmp_path / 'pretrained_models/fixMapMLP01.pth'}, as published" in lines


def test_samples_like_faces_of_flame(workplace, tmp_path):
    rng = np.random.default_rng(0)
    faces = {
        "angles_rad": np.float32([[0.3, -0.1, 0.2]]),
        "expression": rng.normal(size=(1, 50)).astype(np.float32),
        "jaw_rad": np.float32([0.1]),
        "gaze_rad": np.float32([[0.1, 0]]),
        "left_open": np.zeros((50, 50), np.float32),
        "shape": rng.normal(size=(1, 100)).astype(np.float32),
        **dict.fromkeys(("residual_px", "residual"), np.float32([1])),
    }
    write_like(tmp_path / "like.npz", faces, ["a.png"])
    like = ("--like", tmp_path / "like.npz", "--like_jitter", 0, "--like_identity")
    run(workplace, tmp_path / "set", "--num_images", 1, *like)
    made = Dataset(tmp_path / "set")
    row = made.annotation(0)
    np.testing.assert_allclose(row["flame_exp"], faces["expression"][0], atol=1e-6)
    np.testing.assert_allclose(row["flame_shape"], faces["shape"][0], rtol=1e-6)
    turned = row["yaw_rad"], row["pitch_rad"]
    np.testing.assert_allclose(turned, (-0.3, 0.05 * np.pi), atol=1e-5)
    drawn = settings_of(made.card, AssetPaths()).sampling_overrides["like"]
    assert drawn == read_like(tmp_path / "like.npz", 0, True)
    wrong = run(
        workplace, tmp_path / "no", "--num_images", 1, *like, "--generator", "mannequin", expect=2
    )
    assert "give --generator next3d" in wrong.output and not (tmp_path / "no").exists()
