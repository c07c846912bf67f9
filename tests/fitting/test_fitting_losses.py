from dataclasses import replace

import pytest
import torch
from support_fake_generator import FakeGenerator, FakeHead, oracle
from support_planted import planted_affine

from synthforge.alignment import AlignmentMLP
from synthforge.alignment_config import (
    NEXT3D_ALIGNMENT_SAMPLING,
    AlignmentTrainingConfig,
    LossWeights,
)
from synthforge.fitting.drawing import SampleSource
from synthforge.fitting.losses import (
    FaceSurface,
    alignment_losses,
    geometric_scores,
    nme_percent,
    robust,
    view_face,
)
from synthforge.fitting.samples import load_samples
from synthforge.fitting.train import validate
from synthforge.mesh import Topology
from synthforge.regions import REGION_ID


@pytest.fixture(scope="module")
def head():
    return FakeHead(rings=16)


@pytest.fixture(scope="module")
def surface(head):
    return FaceSurface.of(head.topology, head.face_regions)


@pytest.fixture(scope="module")
def truth():
    return AlignmentMLP.from_affine(*planted_affine(2))


@pytest.fixture(scope="module")
def samples(head, tmp_path_factory):
    generator = FakeGenerator(*planted_affine(2), size=64)
    source = SampleSource(
        head,
        generator,
        NEXT3D_ALIGNMENT_SAMPLING,
        0,
        torch.device("cpu"),
        oracle(generator, noise_px=0),
    )
    return load_samples(source, range(3), tmp_path_factory.mktemp("cache"))


def losses(mlp, surface, samples, weights=None, scale=0.05):
    aligned_gen = mlp(samples.vertices_gen)
    return alignment_losses(
        view_face(aligned_gen, surface, samples),
        aligned_gen,
        mlp(samples.landmarks_gen),
        surface,
        samples,
        weights or LossWeights(),
        scale,
        torch.Generator().manual_seed(0),
    )


def test_the_skin_of_the_face():
    count = len(REGION_ID)
    faces = torch.arange(3 * count).view(count, 3)
    regions = torch.tensor([*REGION_ID.values()])
    surface = FaceSurface.of(Topology(faces, torch.zeros(3 * count, 2), faces), regions)
    others = {
        name
        for name, is_face in zip(REGION_ID, surface.is_face.tolist(), strict=True)
        if not is_face
    }
    assert others == {
        *("scalp", "neck", "neck_back", "left_ear", "right_ear", "background"),
        *("left_eyeball", "right_eyeball", "inner_mouth"),
    }
    assert surface.vertices.tolist() == faces[surface.is_face].flatten().tolist()


def test_the_truth_has_no_loss_but_the_identity_has(surface, samples, truth):
    at_truth, at_identity = (losses(mlp, surface, samples) for mlp in (truth, AlignmentMLP()))
    assert list(at_truth) == ["depth", "chamfer", "keypoints"]
    for name in ("depth", "keypoints"):
        assert at_truth[name] < 1e-6 * at_identity[name], name
    # Vertices lie between the points of 64 squared pixels.
    assert at_truth["chamfer"] < 0.25 * at_identity["chamfer"]


def test_gradients_reach_every_weight_from_depth_alone(surface, samples):
    mlp = AlignmentMLP()
    losses(mlp, surface, samples)["depth"].backward()
    for weight in (mlp.inner.weight, mlp.outer.bias):
        assert torch.isfinite(weight.grad).all() and weight.grad.abs().max() > 0


def test_weights_scale_their_own_term(surface, samples):
    base = losses(AlignmentMLP(), surface, samples)
    for name in base:
        weights = LossWeights(**{name: 2 * getattr(LossWeights(), name)})
        changed = losses(AlignmentMLP(), surface, samples, weights)
        factors = {key: (changed[key] / base[key]).item() for key in base}
        assert factors == pytest.approx({key: 2.0 if key == name else 1.0 for key in base})


@torch.no_grad()
def test_keypoints_are_weighed_by_their_spread(surface, samples, truth):
    eyes_px = torch.linalg.vector_norm(
        samples.keypoints_px[:, 36] - samples.keypoints_px[:, 45], dim=-1
    )
    spread = torch.full((68,), 0.03)
    spread[:17] = 0.12
    moved = samples.keypoints_px.clone()
    moved[:, [*range(36), *range(37, 45), *range(46, 68)], 0] += 0.06 * eyes_px[:, None]
    got = losses(truth, surface, replace(samples, keypoints_px=moved, spread=spread), scale=1)
    # Half a spread off on the jaw, two elsewhere, none at the corners that measure the face.
    assert got["keypoints"].item() == pytest.approx(0.025 * (17 * 0.25 + 49 * 4) / 68, rel=1e-3)
    far = replace(samples, keypoints_px=samples.keypoints_px + 5 * eyes_px[:, None, None])
    # Beyond three spreads a keypoint is an outlier at the end of training, and costs no more.
    assert losses(truth, surface, far, scale=0.005)["keypoints"] == pytest.approx(0.225, rel=1e-2)


def test_without_a_detector_there_are_no_keypoint_terms(surface, samples, truth):
    blind = replace(samples, keypoints_px=None)
    assert list(losses(truth, surface, blind)) == ["depth", "chamfer"]


def test_depth_is_compared_only_on_visible_skin(head, surface, samples, truth):
    view = view_face(truth(samples.vertices_gen), surface, samples)
    assert torch.equal(view.compared, view.face & samples.opaque)
    assert surface.is_face[view.seen_faces[view.compared]].all()
    assert (view.seen_faces[~view.compared] == -1).all()
    hidden = replace(samples, opaque=torch.zeros_like(samples.opaque))
    assert losses(truth, surface, hidden)["depth"] == 0


def test_robust_kernel():
    squared = torch.tensor([0.0, 1e-8, 1.0])
    values = robust(squared, 0.1)
    torch.testing.assert_close(values[:2], squared[:2])
    assert 0.0099 < values[2] < 0.01


def test_points_behind_the_skin_or_in_the_hair_do_not_pull(surface, samples, truth):
    with torch.no_grad():
        hair = samples.points_gen[:, :100] + torch.tensor([0.0, 0.2, 0.3])
        inside = samples.points_gen[:, :100] - torch.tensor([0.0, 0.0, 0.1])
        crowded = torch.cat([samples.points_gen, hair, inside], 1)
        more = losses(truth, surface, replace(samples, points_gen=crowded))["chamfer"]
        assert more <= losses(truth, surface, samples)["chamfer"]


def test_nme_by_hand(samples):
    exact_px, _ = samples.camera.project(samples.landmarks_gen, 512)
    shifted = exact_px + torch.tensor([3.0, 4.0])
    shifted[:, 45] = shifted[:, 36] + torch.tensor([50.0, 0.0])
    distance = torch.linalg.vector_norm(exact_px - shifted, dim=-1).mean(-1)
    nme = nme_percent(samples.landmarks_gen, replace(samples, keypoints_px=shifted))
    torch.testing.assert_close(nme, 100 * distance / 50)


def test_validation_is_a_true_mean_whatever_the_batches(surface, samples):
    whole = validate(AlignmentMLP(), samples, surface, AlignmentTrainingConfig(batch_size=3))
    uneven = validate(AlignmentMLP(), samples, surface, AlignmentTrainingConfig(batch_size=2))
    # The loss means over pixels of a batch, and draws its vertices for the chamfer.
    assert uneven.pop("loss") == pytest.approx(whole.pop("loss"), rel=0.1)
    assert uneven == pytest.approx(whole, rel=1e-5)
    nme = nme_percent(samples.landmarks_gen, samples)
    assert whole["nme_percent"] == pytest.approx(nme.mean().item(), rel=1e-5)


def test_depth_error_is_millimetres(surface, samples, truth):
    with torch.no_grad():
        aligned = truth(samples.vertices_gen)
        nearer = replace(samples, z_depth=samples.z_depth - 0.01)
        error_mm, coverage = geometric_scores(view_face(aligned, surface, nearer))
        torch.testing.assert_close(error_mm, torch.full((3,), 4.0), atol=1e-3, rtol=0)
        assert (coverage == 1).all()
        nothing = replace(samples, opaque=torch.zeros_like(samples.opaque))
        error_mm, coverage = geometric_scores(view_face(aligned, surface, nothing))
        assert torch.isinf(error_mm).all() and (coverage == 0).all()


@torch.no_grad()
def test_a_face_beyond_what_the_generator_shows_is_no_match(surface, samples, truth):
    blind = replace(samples, keypoints_px=None)
    config = AlignmentTrainingConfig()
    beside = AlignmentMLP.from_affine(torch.eye(3), torch.tensor([0.6, 0.0, 0.0]))
    scores = [validate(mlp, blind, surface, config) for mlp in (truth, AlignmentMLP(), beside)]
    assert scores[2]["coverage"] == 0
    assert scores[0]["loss"] < scores[1]["loss"] < scores[2]["loss"]
