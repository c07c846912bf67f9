"""What training code is given: tensors in stated units, from workers, and mirrored."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from synthforge.camera import Camera
from synthforge.config import RunConfig
from synthforge.dataset.face_dataset import FaceDataset
from synthforge.dataset.folder import DatasetError
from synthforge.dataset.mirror import Mirror
from synthforge.dataset.sample import Sample
from synthforge.dataset.shards.write import ShardWriter
from synthforge.dataset.target import LocalTarget
from synthforge.dataset.write import DatasetWriter
from synthforge.labels import EXTRAS, NUMBERS
from synthforge.landmarks import FLIP
from synthforge.parsing import IGNORE, PARSINGS
from synthforge.pose import euler_deg
from synthforge.regions import BACKGROUND, FLIP_PAIRS, PALETTE, REGION_ID
from synthforge.visible import VISIBLE, VISIBLE_ID

SIZE, SAMPLES = 16, 4
ACTIONS = ["browDownLeft", "browDownRight", "jawLeft", "jawOpen", "jawRight"]
CARD = {
    "recipe": {"seed": 1, "image_size": SIZE, "extras": list(EXTRAS)},
    "face_actions": ACTIONS,
    "expression_actions": ACTIONS,
    "keypoints": {"two": {"points": 2, "flip": [1, 0]}, "all": {"points": 9}},
    "parsing": {name: scheme.as_json() for name, scheme in PARSINGS.items()},
    "planned": [[0, SAMPLES]],
}


# A rotation about no axis of the camera's.
TURNED = torch.linalg.matrix_exp(torch.tensor([[[0, 0.3, 0.5], [-0.3, 0, -0.4], [-0.5, 0.4, 0]]]))


def drawn(index):
    """A sample with a camera that looks at its keypoints, and numbers that tell sides apart."""
    rng = np.random.default_rng(index)
    camera = Camera.look_at(*torch.tensor([[0.3], [-0.2], [20.0 + index]]).unbind())
    camera.K[0, 0, 1:] = torch.tensor([0.05, 0.47])  # skew, and off the centre
    points = torch.from_numpy(rng.uniform(-0.2, 0.2, (1, 68, 3))).float()
    points_px, _ = camera.project(points, SIZE)
    ids = rng.integers(0, 20, (SIZE, SIZE)).astype(np.uint8)
    covered = ids != BACKGROUND
    depth = np.where(covered, rng.integers(0, 256, ids.shape), 255).astype(np.uint8)
    normals = rng.integers(1, 256, (SIZE, SIZE, 3)).astype(np.uint8) * covered[..., None]
    images = {
        "images": rng.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8),
        "seg": PALETTE[ids],
        "seg_id": ids,
        "depth": depth,
        "depth16": (rng.integers(9000, 11000, ids.shape) * covered).astype(np.uint16),
        "normals": normals.astype(np.uint8),
        "uv": rng.integers(0, 65536, (SIZE, SIZE, 3)).astype(np.uint16),
        "volume_depth": rng.integers(0, 65536, (8, 8)).astype(np.uint16),
        "seg_visible": (seen := rng.integers(0, len(VISIBLE), ids.shape).astype(np.uint8)),
        "alpha": rng.integers(0, 256, ids.shape).astype(np.uint8),
        "depth16_visible": (rng.integers(9000, 11000, ids.shape) * covered).astype(np.uint16),
        **{name: scheme.table[seen] for name, scheme in PARSINGS.items()},
    }
    numbers = {
        "2d_kps": points_px[0].numpy(),
        "3d_kps": camera.to_cam(points)[0].numpy(),
        "kps_visible": rng.integers(0, 2, 68),
        "kps_occluded": rng.integers(0, 2, 68),
        "depth_range": np.array([2.5, 3.0], np.float32),
        "camera_params": camera.vector[0].numpy(),
        "yaw_rad": np.float32(0.3),
        "z": rng.normal(size=512).astype(np.float32),
        "flame_exp": rng.uniform(size=50).astype(np.float32),
        "flame_eye_pose": rng.normal(size=6).astype(np.float32),
        "flame_neck_pose": rng.normal(size=3).astype(np.float32),
        "head_rotation": TURNED[0].numpy(),
        "head_euler_deg": euler_deg(TURNED)[0].numpy(),
        "gaze": rng.normal(size=(2, 3)).astype(np.float32),
        "eye_opening": rng.uniform(size=2).astype(np.float32),
        "2d_kps_two": rng.uniform(0, SIZE, (2, 2)).astype(np.float32),
        "kps_visible_two": np.array([0, 1]),
        "index": index,
    }
    return Sample(index, images, numbers)


def make_folder(root):
    writer = DatasetWriter(root, CARD, EXTRAS)
    writer.open()
    for index in range(SAMPLES):
        writer.sink.write(drawn(index))
    writer.close()
    return root


def make_shards(root):
    settings = {"format": "webdataset", "samples_per_tar": 3}
    run = RunConfig(root, SAMPLES, extras=EXTRAS, **settings)
    writer = ShardWriter(LocalTarget(root), CARD | settings, run)
    writer.open()
    for indices in (range(3), range(3, SAMPLES)):
        with writer.sink.open(indices) as add:
            add([drawn(index) for index in indices], [])
    writer.close()
    return root


@pytest.fixture(scope="module", params=[make_folder, make_shards])
def root(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("faces") / "set")


def test_values_are_in_the_stated_shapes_and_units(root):
    faces, stored = FaceDataset(root), drawn(2)
    assert len(faces) == SAMPLES and faces[2]["index"] == 2
    sample, images = faces[2], stored.files
    assert set(sample) == {*images, *stored.annotation, "T_gen_cam", "K_px"}
    for name in ("images", "normals", "uv"):
        assert (sample[name].dtype, sample[name].shape) == (torch.float32, (3, SIZE, SIZE)), name
    for name in ("seg", "seg_id", "seg_visible", *PARSINGS):
        assert sample[name].dtype == torch.int64
        np.testing.assert_array_equal(sample[name], images["seg_id" if name == "seg" else name])
    assert (sample["alpha"].dtype, sample["alpha"].shape) == (torch.float32, (SIZE, SIZE))
    np.testing.assert_allclose(sample["alpha"] * 255, images["alpha"], atol=1e-4)
    np.testing.assert_allclose(
        sample["depth16_visible"], images["depth16_visible"] * 1e-4, atol=1e-6
    )
    np.testing.assert_allclose(sample["images"][0] * 255, images["images"][..., 0], atol=1e-4)
    np.testing.assert_allclose(sample["depth16"], images["depth16"] * 1e-4, atol=1e-6)
    assert sample["volume_depth"].shape == (8, 8)
    covered = images["seg_id"] != BACKGROUND
    metres = (2.5 + images["depth"] / 255 * 0.5) * 0.4
    np.testing.assert_allclose(sample["depth"], metres * covered, atol=1e-6)
    assert sample["depth"].dtype == torch.float32
    expected = images["normals"].transpose(2, 0, 1) / 127.5 - 1
    np.testing.assert_allclose(sample["normals"], expected * covered, atol=1e-6)
    np.testing.assert_allclose(sample["uv"][1], images["uv"][..., 1] / 65535, atol=1e-6)
    np.testing.assert_array_equal(sample["2d_kps"], stored.annotation["2d_kps"])
    assert sample["kps_visible"].dtype == torch.int64


def test_the_camera_projects_the_keypoints(root):
    sample = FaceDataset(root)[0]
    projected = sample["3d_kps"] @ sample["K_px"].T
    torch.testing.assert_close(projected[:, :2] / projected[:, 2:], sample["2d_kps"])
    torch.testing.assert_close(sample["T_gen_cam"].flatten(), sample["camera_params"][:16])


@pytest.mark.parametrize("start", [None, "fork", "spawn"])
def test_default_collate_and_workers(root, start):
    if start == "spawn" and not (root / "shards").exists():
        pytest.skip("takes seconds, and is no different")
    faces = FaceDataset(root, labels=["images", "depth", "2d_kps", "index"], flip=0.5)
    count = 1 if start == "spawn" else 2
    workers = {"num_workers": count, "multiprocessing_context": start} if start else {}
    batches = list(DataLoader(faces, batch_size=2, **workers))
    assert [batch["images"].shape for batch in batches] == [(2, 3, SIZE, SIZE)] * 2
    assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(SAMPLES))


def test_all_samples_in_a_loop_are_those_by_position(root):
    faces = FaceDataset(root)
    for position, sample in enumerate(faces):
        for name, value in faces[position].items():
            torch.testing.assert_close(sample[name], value)


def test_only_what_is_asked_for_is_read(tmp_path):
    root = make_folder(tmp_path)
    for folder in ("images", "uv"):
        with open(root / folder / "000000.png", "rb+") as file:
            file.seek(30)
            file.write(b"damage")
    assert set(FaceDataset(root, labels=["depth", "2d_kps"])[0]) == {"depth", "2d_kps"}
    with pytest.raises(DatasetError, match=r"images/000000\.png"):
        FaceDataset(root, labels=["images"])[0]


def test_unknown_labels_are_told(root):
    with pytest.raises(
        DatasetError, match="has no face_actions; choose from images, seg, depth, seg_id, depth16"
    ):
        FaceDataset(root, labels=["face_actions"])
    with pytest.raises(DatasetError, match=r"labels is a list of names; give \['images'\]"):
        FaceDataset(root, labels="images")
    for flip in (2, -0.1, float("nan"), "0.5"):
        with pytest.raises(DatasetError, match="flip is a share of the samples, 0 to 1"):
            FaceDataset(root, labels=["images"], flip=flip)
    with pytest.raises(DatasetError, match="z, uv cannot be mirrored; leave them out"):
        FaceDataset(root, labels=["images", "z", "uv"], flip=0.5)
    with pytest.raises(IndexError):
        FaceDataset(root)[SAMPLES]


def mirrored(root, index=0):
    labels = [name for name in FaceDataset(root).labels if name not in ("z", "uv")]
    faces = FaceDataset(root, labels=labels)
    return faces[index], FaceDataset(root, labels=labels, flip=1.0)[index], faces


def test_flip_is_the_share_that_is_mirrored(root):
    torch.manual_seed(0)
    faces = FaceDataset(root, labels=["yaw_rad"], flip=0.2)
    mirrored = [bool(faces[i % SAMPLES]["yaw_rad"] < 0) for i in range(200)]
    assert 20 < sum(mirrored) < 60


def test_a_mirrored_sample_is_seen_by_its_camera(root):
    before, after, _ = mirrored(root)
    projected = after["3d_kps"] @ after["K_px"].T
    torch.testing.assert_close(projected[:, :2] / projected[:, 2:], after["2d_kps"])
    vector = Camera.from_vector(after["camera_params"][None])
    torch.testing.assert_close(vector.T_gen_cam[0], after["T_gen_cam"])
    torch.testing.assert_close(
        vector.K[0] * torch.tensor([SIZE, SIZE, 1.0])[:, None], after["K_px"]
    )
    assert float(torch.linalg.det(after["T_gen_cam"])) == pytest.approx(1)
    world = vector.to_gen(after["3d_kps"][None])[0]
    own = Camera.from_vector(before["camera_params"][None]).to_gen(before["3d_kps"][None])[0]
    torch.testing.assert_close(
        world, (own * torch.tensor([-1.0, 1, 1]))[list(FLIP)], atol=1e-5, rtol=1e-5
    )
    yaw = Camera.look_at(after["yaw_rad"][None], torch.tensor([-0.2]), torch.tensor([20.0]))
    torch.testing.assert_close(yaw.T_gen_cam[0], after["T_gen_cam"], atol=1e-5, rtol=1e-5)


def test_sides_trade_places(root):
    before, after, _ = mirrored(root)
    np.testing.assert_allclose(after["2d_kps"][36, 0], SIZE - before["2d_kps"][45, 0], atol=1e-5)
    assert after["kps_visible"].tolist() == before["kps_visible"][list(FLIP)].tolist()
    pairs = dict(FLIP_PAIRS) | {right: left for left, right in FLIP_PAIRS}
    for y, x in np.ndindex(SIZE, SIZE):
        region = int(before["seg"][y, x])
        assert after["seg"][y, SIZE - 1 - x] == pairs.get(region, region)
    torch.testing.assert_close(after["seg"], after["seg_id"])
    assert after["kps_occluded"].tolist() == before["kps_occluded"][list(FLIP)].tolist()
    for name in ("alpha", "depth16_visible"):
        torch.testing.assert_close(after[name], before[name].flip(-1))
    sides = {"left": "right", "right": "left"}
    other = [VISIBLE_ID["_".join(sides.get(w, w) for w in v.name.split("_"))] for v in VISIBLE]
    seen = np.array(other)[before["seg_visible"].flip(-1)]
    np.testing.assert_array_equal(after["seg_visible"], seen)
    for name, scheme in PARSINGS.items():
        np.testing.assert_array_equal(after[name], scheme.table[seen], err_msg=name)
        assert (scheme.table[seen] == IGNORE).any()
    torch.testing.assert_close(after["images"], before["images"].flip(2))
    torch.testing.assert_close(after["normals"][0], -before["normals"][0].flip(1))
    torch.testing.assert_close(after["normals"][1], before["normals"][1].flip(1))
    assert after["flame_exp"][:5].tolist() == before["flame_exp"][[1, 0, 4, 3, 2]].tolist()
    assert after["flame_exp"][5:].tolist() == before["flame_exp"][5:].tolist()
    eyes, turned = before["flame_eye_pose"], after["flame_eye_pose"]
    assert turned[:3].tolist() == [eyes[3], -eyes[4], -eyes[5]]


def test_the_head_s_pose_and_eyes_are_mirrored(root):
    before, after, _ = mirrored(root)
    assert abs(before["head_euler_deg"]).min() > 1
    torch.testing.assert_close(after["head_euler_deg"], euler_deg(after["head_rotation"][None])[0])
    assert float(torch.linalg.det(after["head_rotation"])) == pytest.approx(1)
    torch.testing.assert_close(after["gaze"][0], before["gaze"][1] * torch.tensor([-1.0, 1, 1]))
    assert after["eye_opening"].tolist() == before["eye_opening"].tolist()[::-1]


def test_further_keypoints_trade_places_by_the_card(root):
    before, after, _ = mirrored(root)
    x, y = before["2d_kps_two"][1].tolist()
    assert after["2d_kps_two"][0].tolist() == pytest.approx([SIZE - x, y])
    assert after["kps_visible_two"].tolist() == [1, 0]


def test_mirrored_twice_is_the_same(root):
    before, after, faces = mirrored(root)
    for name, value in faces.mirror(after).items():
        torch.testing.assert_close(value, before[name], atol=1e-5, rtol=1e-5)


def test_flames_coefficients_have_no_mirror_image():
    card = {"recipe": {"image_size": SIZE}}
    with pytest.raises(DatasetError, match="flame_exp, flame_shape cannot be mirrored"):
        Mirror(card).check(["images", "flame_exp", "flame_shape"])


def test_every_other_number_has_a_mirror_image():
    numbers = [name for name in NUMBERS if name not in ("z", "flame_shape")]
    Mirror(CARD).check(numbers)


def test_classes_of_other_sets_trade_sides_by_their_names():
    classes = {"skin": 0, "l_eye": 1, "r_eye": 2, "l_lip": 3, "left eyebrow": 4, "right eyebrow": 5}
    mirror = Mirror({"recipe": {}, "parsing": {"parsing_x": {"classes": classes}}})
    ids = torch.tensor([[0, 1, 2, 3, 4, 5]])
    assert mirror({"parsing_x": ids})["parsing_x"].tolist() == [[4, 5, 3, 1, 2, 0]]


def test_a_shape_that_is_not_the_labels_is_told(tmp_path):
    root = make_folder(tmp_path)
    path = root / "annotations/000001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"2d_kps": [1]}))
    with pytest.raises(DatasetError, match=r"2d_kps is \(1,\), expected \(68, 2\)"):
        FaceDataset(root, labels=["2d_kps"])[1]


def test_regions_have_the_names_of_their_sides():
    for left, right in FLIP_PAIRS:
        names = {name for name, number in REGION_ID.items() if number in (left, right)}
        assert {name.split("_")[0] for name in names} == {"left", "right"}
