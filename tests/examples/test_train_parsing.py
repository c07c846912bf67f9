import json

import cv2
import numpy as np
import pytest
import torch
import train_parsing as example
from class_ids import f1_scores, mirrored_ids
from click.testing import CliRunner

LAPA = ("background", "skin", "left eyebrow", "right eyebrow", "left eye", "right eye", "nose")


def faces(count, seed=0):
    """Images whose red says the label: a head with two eyes of different classes."""
    draws = np.random.default_rng(seed)
    for _ in range(count):
        labels = np.zeros((200, 240), np.uint8)
        x, y = (int(v) for v in draws.integers(90, 110, 2))
        cv2.ellipse(labels, (x, y), (60, 75), 0, 0, 360, 1, -1)
        cv2.circle(labels, (x - 25, y - 20), 12, 4, -1)
        cv2.circle(labels, (x + 25, y - 20), 12, 5, -1)
        image = np.repeat(labels[..., None] * 40, 3, -1)
        yield image.astype(np.uint8), labels


def write(root, folder, count):
    for name in ("images", folder):
        (root / name).mkdir(parents=True)
    for i, (image, labels) in enumerate(faces(count)):
        cv2.imwrite(str(root / f"images/{i}.png"), image)
        cv2.imwrite(str(root / f"{folder}/{i}.png"), labels)
    return root


@pytest.fixture
def dataset(tmp_path):
    root = write(tmp_path / "faces", "parsing_lapa", 4)
    classes = {name: i for i, name in enumerate(LAPA)}
    card = {"palette": {}, "parsing": {"parsing_lapa": {"classes": classes}}}
    (root / "dataset.json").write_text(json.dumps(card))
    return root


def run(*arguments, expect=0):
    result = CliRunner().invoke(example.main, [str(argument) for argument in arguments])
    assert result.exit_code == expect, result.output
    return result.output


def test_left_and_right_trade_places():
    table = mirrored_ids([*LAPA, "l_lip", "u_lip", "l_ear", "r_ear", "LEFT_EYE"])
    assert table[:12].tolist() == [0, 1, 3, 2, 5, 4, 6, 7, 8, 10, 9, 11]
    assert table[255] == 255


def test_labels_follow_the_image(monkeypatch):
    monkeypatch.setattr("augmentation.as_photographed", lambda view, *_: view)
    draws, mirror = np.random.default_rng(0), mirrored_ids(list(LAPA))
    ((image, labels),) = faces(1)
    crop, ids = example.crop(image, labels)
    assert crop.shape == (208, 208, 3) and set(np.unique(ids)) == {0, 1, 4, 5, 255}
    mirrored = 0
    for _ in range(8):
        view, turned = example.random_sample(crop[None], ids[None], mirror, draws)
        columns = [np.nonzero(turned == i)[1].mean() for i in (4, 5)]
        assert columns[0] < columns[1]  # the left eye of the image is on its left
        seen = cv2.resize(view, turned.shape, interpolation=cv2.INTER_AREA)[..., 0] / 40
        inside = cv2.erode((turned == 1).astype(np.uint8), np.ones((5, 5))) > 0
        assert (abs(seen[inside] - 1) < 0.2).mean() > 0.98
        eyes = [np.median(seen[turned == i]) for i in (4, 5)]
        assert sorted(np.round(eyes)) == [4, 5]
        mirrored += round(eyes[0]) == 5
    assert 0 < mirrored < 8


def test_nothing_hides_what_labels_show(monkeypatch):
    def hide(*_):
        raise AssertionError("hidden, though labelled")

    monkeypatch.setattr("augmentation.hide_a_part", hide)
    crop, ids = example.crop(*next(faces(1)))
    draws, mirror = np.random.default_rng(0), mirrored_ids(list(LAPA))
    for _ in range(12):
        example.random_sample(crop[None], ids[None], mirror, draws)


def test_scores_by_class():
    true = np.full((1, 128, 128), 255, np.uint8)
    true[:, :64], true[:, 64:96] = 0, 1
    found = np.zeros((1, 128, 128), np.uint8)
    found[:, 48:] = 1
    scores = f1_scores(found, true, 3)
    assert scores[0] == pytest.approx(100 * 2 * 48 / (48 + 64))
    assert scores[1] == pytest.approx(100 * 2 * 32 / (48 + 32))
    assert np.isnan(scores[2])


def test_the_loss_is_cross_entropy_and_a_mean_of_dice_losses():
    torch.manual_seed(0)
    logits, ids = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    ids[:, 5:] = 255
    found, true = logits.permute(0, 2, 3, 1)[:, :5].reshape(-1, 3), ids[:, :5].flatten()
    found = found.softmax(-1)
    f1 = [2 * found[true == i, i].sum() / (found[:, i].sum() + (true == i).sum()) for i in range(3)]
    expected = 1 - sum(f1) / 3 - found[range(80), true].log().mean()
    torch.testing.assert_close(example.loss_of(logits, ids), expected)


def test_what_it_trains_reads_photographs(dataset, tmp_path):
    out = tmp_path / "out"
    said = run("train", dataset, "--out", out, "--steps", 2, "--batch_size", 2)
    assert "F1 in % of 1 held-out samples" in said
    said = run("evaluate", out, write(tmp_path / "photos", "labels", 2))
    for name in (*LAPA, "mean, no background"):
        assert f"{name:24}" in said
    assert {path.name for path in out.iterdir()} == {
        *("net.safetensors", "curves.png", "validation.png", "photos.png")
    }


def test_a_folder_that_is_not_there_is_named(dataset, tmp_path):
    said = run("train", dataset, "--out", tmp_path, "--labels", "parsing_celebamask", expect=2)
    assert "generate it with --extras parsing_celebamask" in said
