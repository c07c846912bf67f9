"""The whole program on the built-in head, as a user runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from synthforge import assembly, labels
from synthforge.cli.generate import generate
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.read import Dataset
from synthforge.dataset.sink import FolderSink
from synthforge.detectors import Detector
from synthforge.labels import IMAGES, NUMBERS
from synthforge.mannequin.generator import Mannequin
from synthforge.regions import PALETTE
from synthforge.sampling_config import HAIR

ROOT = Path(__file__).parent.parent
EXTRAS = ",".join(labels.EXTRAS)


def run(*arguments, expect=0):
    result = CliRunner().invoke(generate, [str(argument) for argument in arguments])
    assert result.exit_code == expect, result.output
    return result


def contents(root):
    """Every file but the card, the sheet and the lists of SHA-256, which are the run's."""
    folders = (path for path in root.iterdir() if path.is_dir() and path.name != "manifests")
    files = (path for folder in folders for path in folder.iterdir())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "set"
    result = run("--output_dir", root, "--num_images", 3, "--seed", 5, "--extras", EXTRAS)
    return root, result


def test_it_says_what_it_used_and_names_the_contact_sheet(made):
    root, result = made
    assert "built-in head" in result.output
    sheet = root / "contact_sheet.png"
    assert str(sheet) in result.output
    assert cv2.imread(str(sheet)).shape[1] > 1000


def test_every_folder_holds_every_sample(made):
    root, _ = made
    for folder in ("images", "seg", "depth", *EXTRAS.split(",")):
        assert sorted(path.name for path in (root / folder).iterdir()) == [
            f"{i:06d}.png" for i in range(3)
        ]
    assert not (root / ".partial").exists()


def test_files_are_as_the_published_loader_reads_them(made):
    root, _ = made
    dataset = Dataset(root)
    for index in dataset.indices:
        image, seg, depth = (dataset.image(name, index) for name in ("images", "seg", "depth"))
        assert image.shape == seg.shape == (512, 512, 3)
        assert image.dtype == seg.dtype == depth.dtype == np.uint8
        assert depth.shape == (512, 512)
        colors = np.unique(seg.reshape(-1, 3), axis=0)
        assert all((color == PALETTE).all(1).any() for color in colors)
        np.testing.assert_array_equal(PALETTE[dataset.image("seg_id", index)], seg)
        np.testing.assert_array_equal(
            dataset.segmentation_ids(index), dataset.image("seg_id", index)
        )


def test_images_and_numbers_are_those_of_the_table_of_labels(made):
    root, _ = made
    sample = Dataset(root)[0]
    images = {name: sample.pop(name) for name in IMAGES}
    for name, label in IMAGES.items():
        channels = 1 if images[name].ndim == 2 else images[name].shape[2]
        assert (images[name].dtype, channels) == (np.dtype(label.dtype), label.channels), name
    expected = {name: label.shape for name, label in NUMBERS.items()}
    for name in ("fan_kps", "mse", *HAIR):
        del expected[name]
    assert {name: value.shape for name, value in sample.items()} == expected


def test_annotations_load_in_a_default_dataloader(made):
    root, _ = made

    class Annotations(TorchDataset):
        def __init__(self):
            self.dataset = Dataset(root)

        def __len__(self):
            return len(self.dataset)

        def __getitem__(self, i):
            row = self.dataset.annotation(self.dataset.indices[i])
            return {key: torch.tensor(value) for key, value in row.items()}

    (batch,) = DataLoader(Annotations(), batch_size=3)
    assert batch["2d_kps"].shape == (3, 68, 2)
    assert batch["z"].shape == (3, 512)
    assert batch["camera_params"].shape == (3, 25)
    assert batch["flame_shape"].shape == (3, 100)
    assert batch["flame_exp"].shape == (3, 50)
    assert batch["flame_pose"].shape == (3, 6)
    assert batch["index"].tolist() == [0, 1, 2]
    assert batch["seed"].tolist() == [5, 5, 5]


def test_the_two_depths_agree(made):
    root, _ = made
    dataset = Dataset(root)
    for index in dataset.indices:
        near, far = dataset.annotation(index)["depth_range"]
        metric = dataset.image("depth16", index)
        covered = metric > 0
        np.testing.assert_array_equal(np.isfinite(dataset.z_depth(index)), covered)
        difference = dataset.z_depth(index)[covered] * 0.4 - metric[covered] * 1e-4
        assert abs(difference).max() <= (far - near) / 255 / 2 * 0.4 + 0.51e-4


@pytest.mark.parametrize("batch", [1, 2])
def test_samples_are_the_same_bits_in_any_batch(made, tmp_path, batch):
    root, _ = made
    run(
        *("--output-dir", tmp_path / "b", "--num-images", 3, "--seed", 5),
        *("--extras", EXTRAS, "--batch-size", batch),
    )
    assert contents(tmp_path / "b") == contents(root)


@pytest.mark.slow
def test_samples_are_the_same_bits_from_two_workers(made, tmp_path):
    root, _ = made
    result = run(
        *("--output_dir", tmp_path / "b", "--num_images", 3, "--seed", 5),
        *("--extras", EXTRAS, "--workers", 2),
    )
    assert "Workers: 2" in result.output and " 3/3 " in result.output
    assert contents(tmp_path / "b") == contents(root)
    assert (tmp_path / "b" / "contact_sheet.png").read_bytes() == (
        root / "contact_sheet.png"
    ).read_bytes()


def test_two_runs_into_one_folder_at_once_make_one_dataset(made, tmp_path):
    """One draws a shard, the other that too."""
    root, _ = made
    command = [
        *(sys.executable, str(ROOT / "generate_synthforge_data.py"), "--output_dir", "b"),
        *("--seed", "5", "--extras", EXTRAS, "--num_images", "3"),
    ]
    runs = [
        subprocess.Popen([*command, *part], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for part in (("--shard", "1/2"), ())
    ]
    bars = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert " 2/2 " in bars[0] and " 3/3 " in bars[1]
    assert contents(tmp_path / "b") == contents(root)
    assert not (tmp_path / "b" / ".partial").exists()


def test_a_shard_other_than_the_first_draws_no_contact_sheet(made, tmp_path):
    """It has not the samples that the sheet shows."""
    root, _ = made
    result = run(
        *("--output_dir", tmp_path / "b", "--num_images", 2, "--start_index", 1, "--seed", 5),
        *("--extras", EXTRAS, "--shard", "1/2"),
    )
    assert "1 sample written" in result.output and "Contact sheet" not in result.output
    whole = contents(root)
    assert contents(tmp_path / "b") == {k: v for k, v in whole.items() if "000002" in k}


def test_a_killed_run_is_continued_to_the_same_bits(tmp_path):
    command = [
        *(sys.executable, str(ROOT / "generate_synthforge_data.py")),
        *("--output_dir", "a", "--num_images", "4", "--batch_size", "1"),
    ]
    killed = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    annotations = tmp_path / "a" / "annotations"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and killed.poll() is None:
        if annotations.is_dir() and any(annotations.iterdir()):
            break
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert 1 <= len(list(annotations.iterdir())) < 4
    result = run("--output_dir", tmp_path / "a", "--num_images", 4, "--batch_size", 1)
    assert re.search(r", (1 was|[23] were) there\n", result.output)
    run("--output_dir", tmp_path / "b", "--num_images", 4)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_failed_write_stops_the_run_at_the_next_batch(tmp_path, monkeypatch):
    real, drawn = Mannequin.generate, []

    def generate(self, z, mesh_flame, camera):
        drawn.append(len(z))
        return real(self, z, mesh_flame, camera)

    def write(*_):
        raise DatasetError("the disk is full")

    monkeypatch.setattr(Mannequin, "generate", generate)
    monkeypatch.setattr(FolderSink, "write", write)
    result = run(*("--output_dir", tmp_path / "a", "--num_images", 6, "--batch_size", 1), expect=2)
    assert "the disk is full" in result.output
    assert len(drawn) <= 2


def test_more_attempts_continue_a_dataset(made):
    root, _ = made
    result = run(
        *("--output_dir", root, "--num_images", 3, "--seed", 5, "--extras", EXTRAS),
        *("--max_attempts", 50, "--truncation_psi", 0.5, "--precision", "fp16"),
    )
    assert "Without effect on the built-in head: --truncation_psi, --precision\n" in result.output
    assert "0 samples written" in result.output


def test_a_sample_that_lost_an_image_is_drawn_again(made):
    root, _ = made
    before = contents(root)
    (root / "uv" / "000001.png").unlink()
    result = run("--output_dir", root, "--num_images", 3, "--seed", 5, "--extras", EXTRAS)
    assert "1 sample written" in result.output
    assert " 2/3 " in result.output  # where the bar begins
    assert contents(root) == before


def test_a_second_run_of_the_same_command_adds_nothing(made):
    root, _ = made
    before = contents(root)
    result = run("--output_dir", root, "--num_images", 3, "--seed", 5, "--extras", EXTRAS)
    assert "0 samples written" in result.output
    assert contents(root) == before


def test_rejected_draws_are_counted_logged_and_drawn_again(tmp_path, monkeypatch):
    calls = []

    def detector(images):
        """Finds no face in the first draw, and one far off in the second."""
        calls.append(len(images))
        if len(calls) == 1:
            return [None] * len(images)
        return [torch.zeros(68, 2) if len(calls) == 2 else perfect] * len(images)

    perfect = None

    def build(*_, is_aligned):
        assert is_aligned
        return Detector("fake", detector, 11)

    monkeypatch.setattr(assembly, "build_detector", build)
    result = run(
        *("--output_dir", tmp_path / "a", "--num_images", 1, "--max_attempts", 2), expect=2
    )
    assert "rejected 2 times" in result.output
    rows = [
        json.loads(line) for line in (tmp_path / "a" / "rejections.jsonl").read_text().splitlines()
    ]
    assert [row["reason"] for row in rows] == ["no_face", "landmark_distance"]
    assert [row["attempt"] for row in rows] == [0, 1]
    assert rows[1]["value"] > rows[1]["threshold"] == 11
    assert not list((tmp_path / "a" / "annotations").iterdir())

    calls.clear()
    run(*("--output_dir", tmp_path / "a", "--num_images", 1, "--max_attempts", 2), expect=2)
    again = (tmp_path / "a" / "rejections.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in again] == rows


def test_images_with_nan_are_drawn_again(tmp_path, monkeypatch):
    real, calls = Mannequin.generate, []

    def generate(self, z, mesh_flame, camera):
        output = real(self, z, mesh_flame, camera)
        calls.append(len(z))
        if len(calls) == 2:
            output.image[1, 0, 5, 5:7] = torch.nan
        return output

    monkeypatch.setattr(Mannequin, "generate", generate)
    result = run("--output_dir", tmp_path / "a", "--num_images", 3, "--batch_size", 2)
    assert calls == [1, 2, 1]  # the first image alone
    assert "rejected: not_finite 1" in result.output
    (row,) = map(json.loads, (tmp_path / "a" / "rejections.jsonl").read_text().splitlines())
    assert row == {
        **{"seed": row["seed"], "index": 2, "attempt": 0},
        **{"reason": "not_finite", "value": 2, "threshold": 0.0},
    }
    assert Dataset(tmp_path / "a").annotation(2)["attempt"] == 1


def test_accepted_draws_carry_the_detection(tmp_path, monkeypatch):
    monkeypatch.setattr(
        assembly,
        "build_detector",
        lambda name, device, reject_px, is_aligned: Detector(
            "fake", lambda images: [torch.full((68, 2), 256.0)] * len(images), reject_px
        ),
    )
    run("--output_dir", tmp_path / "a", "--num_images", 1, "--reject_px", 500)
    row = Dataset(tmp_path / "a").annotation(0)
    assert row.keys() == NUMBERS.keys() - HAIR
    for name in ("fan_kps", "mse"):
        assert np.shape(row[name]) == NUMBERS[name].shape
    distance = np.linalg.norm(np.array(row["2d_kps"]) - 256, axis=1).mean()
    assert row["mse"] == pytest.approx(distance, rel=1e-4)


def test_a_config_file_sets_options_and_the_command_line_wins(tmp_path):
    config = tmp_path / "run.toml"
    config.write_text('seed = 9\nyaw = [0.1, 0.2]\nextras = ["seg_id", "seg_id"]\nnum-images = 5\n')
    run("--output_dir", tmp_path / "a", "--num_images", 1, "--config", config)
    dataset = Dataset(tmp_path / "a")
    assert dataset.indices == [0]
    row = dataset.annotation(0)
    assert row["seed"] == 9
    assert 0.1 <= row["yaw_rad"] <= 0.2
    assert dataset.image("seg_id", 0).ndim == 2


BAD = {
    "no images": (["--num_images", "0"], "at least 1"),
    "upside down": (["--yaw", "0.5", "-0.5"], "lower number first"),
    "degrees": (["--pitch", "-30", "30"], "degrees"),
    "not a number": (["--shape", "nan", "1"], "finite"),
    "unknown extra": (["--extras", "teeth"], "choose from"),
    "no such device": (["--device", "cuda:99"], "--device auto"),
    "no device": (["--device", "abacus"], "auto, cpu"),
    "psi": (["--truncation_psi", "nan"], "1 is no truncation"),
    "cutoff": (["--truncation_cutoff", "-5"], "0..28"),
    "jaw in degrees": (["--jaw", "0", "30"], "--jaw must lie inside"),
    "no head": (["--shape", "-1e30", "1e30"], "standard deviations"),
    "no gate": (["--reject_px", "inf"], "positive number"),
    "kind of setting": (["--config", "kind.toml"], "kind.toml: seed must be a whole number"),
    "no workers": (["--workers", "0"], "--workers must be at least 1"),
    "kind of workers": (["--config", "workers.toml"], 'workers must be "auto" or a whole number'),
    "no shard": (["--shard", "2/2"], "0/8 to 7/8"),
    "no config": (["--config", "none.toml"], "not found"),
    "unknown key": (["--config", "typo.toml"], "did you mean 'num_images'?"),
    "a recipe": (["--config", "recipe.toml"], "give it as --recipe"),
    "nothing to be like": (["--like_jitter", "0.5"], "--like_jitter needs --like"),
    "no detector": (["--reject_px", "9"], "give --detector mesh"),
    "many workers": (["--workers", "many"], "neither auto nor a whole number"),
    "no alignment": (["--alignment", "none.safetensors"], "train_alignment_mlp.py"),
    "no pytorch3d": (["--rasterizer", "pytorch3d"], "--rasterizer torch"),
    "no next3d": (["--generator", "next3d"], "next3d_ffhq_512"),
    "no room": (["--num_images", "100000000000"], "GB free"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_before_any_work_in_one_line(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "typo.toml").write_text("num_imges = 3")
    (tmp_path / "recipe.toml").write_text("[sample]\nyaw = 0")
    (tmp_path / "kind.toml").write_text("seed = true")
    (tmp_path / "workers.toml").write_text("workers = 1.5")
    arguments, hint = BAD[case]
    result = run("--num_images", 1, *arguments, "--output_dir", "out", expect=2)
    assert hint in result.output
    errors = [line for line in result.output.splitlines() if line.startswith("Error")]
    assert len(errors) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_foreign_output_folder_is_left_alone(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    target = tmp_path if place == "folder" else tmp_path / "file"
    run("--output_dir", target, "--num_images", 1, expect=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_another_seed_does_not_mix_into_a_dataset(made):
    root, _ = made
    before = contents(root)
    result = run("--output_dir", root, "--num_images", 3, "--seed", 6, expect=2)
    assert "another" in result.output
    assert "seed" in result.output
    assert contents(root) == before


def test_some_of_the_official_files_is_an_error_that_names_the_rest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrained_models").mkdir()
    (tmp_path / "pretrained_models" / "next3d_ffhq_512.pkl").write_bytes(b"x")
    result = run("--output_dir", "out", "--num_images", 1, expect=2)
    assert "landmark_embedding.npy" in result.output
    assert "flame.is.tue.mpg.de" in result.output
    assert "--generator mannequin" in result.output
