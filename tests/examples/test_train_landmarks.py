import json

import cv2
import numpy as np
import pytest
import torch
import train_landmarks as example
from click import UsageError
from click.testing import CliRunner
from heatmaps import CELL, loss_of, points_of
from label_adaptation import adapted, cross_adapted
from points import nme
from support_fake_generator import LANDMARKS_XY

from synthforge.detectors.unet import UNet
from synthforge.landmarks import FLIP

# A face of 68 points in metres, y up -> pixels.
FACE = LANDMARKS_XY * [900, -900] + 128


def faces(count, seed=0):
    """Points of that face turned, scaled and shifted, and images whose colours say where it is."""
    draws = np.random.default_rng(seed)
    for _ in range(count):
        angle, size = draws.normal(0, 0.2), draws.uniform(0.7, 1.2)
        turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (FACE - 128) @ turn.T + draws.uniform(120, 140, 2)
        image = np.full((256, 256, 3), draws.integers(40, 200, 3), np.uint8)
        for part in (range(17), range(17, 22), range(22, 27), range(27, 36), range(48, 60)):
            cv2.polylines(image, [points[part].astype(np.int32)], False, (250, 240, 30), 3)
        yield image, points


@pytest.fixture
def dataset(tmp_path):
    for name in ("images", "annotations"):
        (tmp_path / "faces" / name).mkdir(parents=True)
    for i, (image, points) in enumerate(faces(12)):
        cv2.imwrite(str(tmp_path / f"faces/images/{i:06d}.png"), image[..., ::-1])
        text = json.dumps({"2d_kps": points.tolist()})
        (tmp_path / f"faces/annotations/{i:06d}.json").write_text(text)
    return tmp_path / "faces"


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for i, (image, points) in enumerate(faces(5, seed=1)):
        cv2.imwrite(str(tmp_path / f"photos/{i}.png"), image[..., ::-1])
        lines = "\n".join(f"{x:.4f} {y:.4f}" for x, y in points + 0.5)
        (tmp_path / f"photos/{i}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n")
    return tmp_path / "photos"


def spot(points, size, k):
    """An image that is white at point k."""
    y, x = np.mgrid[:size, :size] + 0.5
    near = np.exp(-((x - points[k, 0]) ** 2 + (y - points[k, 1]) ** 2) / 18)
    return np.repeat((255 * near)[..., None], 3, -1).astype(np.uint8)


def brightest(image):
    gray = image.mean(-1).astype(float)
    y, x = np.mgrid[: gray.shape[0], : gray.shape[1]] + 0.5
    weights = np.where(gray > gray.max() / 3, gray, 0)
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


@pytest.mark.parametrize("k", [8, 17, 45, 54])
def test_points_follow_the_image(k, monkeypatch):
    cut, points = example.crop(spot(FACE, 256, k), FACE)
    np.testing.assert_allclose(brightest(cut), points[k], atol=0.5)
    monkeypatch.setattr("augmentation.as_photographed", lambda view, *_: view)
    draws = np.random.default_rng(0)
    mirrored = 0
    for _ in range(8):
        view, turned = example.random_sample(cut[None], points[None], draws)
        is_mirrored = turned[36, 0] > turned[45, 0]
        assert not is_mirrored  # the subject's right eye stays on the left
        where = np.linalg.norm(turned - brightest(view), axis=-1)
        assert where.argmin() in (k, FLIP[k]) and where.min() < 1
        mirrored += where.argmin() != k
    assert k == 8 or 0 < mirrored < 8


def test_errors_are_in_percent_of_the_outer_eye_distance():
    found = FACE[None].copy()
    found[0, 30] += [3, 4]
    error = nme(found, FACE[None])
    size = np.linalg.norm(FACE[36] - FACE[45])
    assert error[0, 30] == pytest.approx(500 / size) and error.sum() == error[0, 30]


def test_points_of_a_heatmap():
    heatmaps = torch.full((1, 68, 24, 24), -50.0)
    heatmaps[0, :, 3, 10] = 50
    assert points_of(heatmaps)[0, 0].tolist() == pytest.approx([42, 14])


def test_the_loss_wants_near_points_and_peaked_heatmaps():
    torch.manual_seed(0)
    heatmaps, points = torch.randn(2, 68, 24, 24), torch.rand(2, 68, 2) * 96
    points[0, 5] = torch.tensor([100.0, 50.0])  # outside: nothing is learnt from it
    y, x = (torch.stack(torch.meshgrid(*[torch.arange(24) + 0.5] * 2, indexing="ij"))) * 4
    squares = (x - points[..., 0, None, None]) ** 2 + (y - points[..., 1, None, None]) ** 2
    target = torch.exp(-squares / 72).flatten(2)
    spread = -(target / target.sum(-1, keepdim=True) * heatmaps.flatten(2).log_softmax(-1)).sum(-1)
    size = (points[:, 36] - points[:, 45]).norm(dim=-1).clamp_min(8)
    off = 20 * (points_of(heatmaps) - points) / size[:, None, None]
    each = torch.where(off.abs() < 1, off**2 / 2, off.abs() - 0.5).sum(-1) + 0.1 * spread
    inside = torch.ones(2, 68, dtype=torch.bool)
    inside[0, 5] = False
    torch.testing.assert_close(loss_of(heatmaps, points), each[inside].mean())


def test_label_adaptation_learns_another_convention():
    """Brows drawn higher and an outline drawn wider, which one half of the faces tells."""
    draws = np.random.default_rng(0)
    _, points = zip(*(example.crop(*face) for face in faces(60)), strict=True)
    true = np.stack(points)
    found = true + draws.normal(0, 0.5, true.shape)
    found[:, 17:27, 1] += 4
    found[:, :17] = 80 + 0.9 * (found[:, :17] - 80)
    before = nme(found[30:], true[30:]).mean()
    after = nme(adapted(found[:30], true[:30], found[30:], 160), true[30:]).mean()
    assert after < 0.6 * before
    # And leaves alone what needs nothing.
    same = adapted(true[:30], true[:30], true[30:], 160)
    assert nme(same, true[30:]).mean() < 0.25 * before


def test_no_face_is_adapted_by_itself():
    draws = np.random.default_rng(0)
    true = np.stack([example.crop(*face)[1] for face in faces(6)])
    found = true + draws.normal(0, 0.5, true.shape)
    moved = cross_adapted(found, true, 160)
    true[::2] += 3  # the even faces' labels move only what the odd ones' points become
    again = cross_adapted(found, true, 160)
    np.testing.assert_array_equal(again[::2], moved[::2])
    assert abs(again[1::2] - moved[1::2]).max() > 0.1


def run(*arguments):
    result = CliRunner().invoke(example.main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_what_it_trains_reads_photographs(dataset, photos, tmp_path):
    out = tmp_path / "out"
    said = run("train", dataset, "--out", out, "--steps", 3, "--batch_size", 4)
    assert "11 samples; validation error" in said
    said = run("evaluate", out, photos)
    assert "5 faces" in said
    table = said[said.index("> 8 %") :].splitlines()[1:4]
    rows = {line[:24].strip(): line[24:].split() for line in table}
    assert list(rows) == ["mean shape", "the net", "with label adaptation"]
    assert all(0 < float(row[0]) < 500 for row in rows.values())
    assert {path.name for path in out.iterdir()} == {
        *("net.safetensors", "curves.png", "validation.png", "photos.png")
    }


def test_photographs_are_read_as_300w_writes_them(photos):
    crops, points = example.read_photos(photos)
    expected = [example.crop(*face) for face in faces(5, seed=1)]
    np.testing.assert_allclose(points, [where for _, where in expected], atol=1e-3)
    # A shift of half a pixel would show at the edges.
    differences = crops.astype(float) - np.stack([cut for cut, _ in expected])
    assert abs(differences).mean() < 0.1
    (photos / "3.pts").write_text("version: 1\n{\n1 2\n}\n")
    with pytest.raises(UsageError, match=r"3\.pts: expected 68 points"):
        example.read_photos(photos)


def test_more_steps_learn_more(dataset):
    """On one batch the loss falls."""
    crops, points = example.read_dataset(dataset, None)
    views = torch.from_numpy(crops[:8, 32:128, 32:128].astype(np.float32) / 255)
    views, target = views.permute(0, 3, 1, 2), torch.from_numpy(points[:8] - 32).float()
    torch.manual_seed(0)
    net = UNet(68, example.WIDTHS, CELL)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = loss_of(net(views), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
