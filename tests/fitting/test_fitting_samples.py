from dataclasses import replace

import pytest
import torch
from support_damaged_files import damaged, forged
from support_fake_generator import FakeGenerator, FakeHead, oracle
from support_planted import planted_affine

from synthforge.alignment_config import NEXT3D_ALIGNMENT_SAMPLING
from synthforge.camera import Camera
from synthforge.detectors import Detector
from synthforge.distributions import Range
from synthforge.fitting import TrainingError
from synthforge.fitting import drawing as drawing_module
from synthforge.fitting import samples as samples_module
from synthforge.fitting.drawing import SampleSource, dense_points, depth_target, draw_batch
from synthforge.fitting.samples import load_samples
from synthforge.frames import place_in_generator
from synthforge.generator import GeneratorOutput
from synthforge.sampling import SampleId, draw


@pytest.fixture(scope="module")
def head():
    return FakeHead(rings=12)


@pytest.fixture
def source(head):
    generator = FakeGenerator(*planted_affine(0), size=32)
    return SampleSource(head, generator, NEXT3D_ALIGNMENT_SAMPLING, 3, torch.device("cpu"))


def test_a_second_run_reads_what_the_first_drew(source, tmp_path):
    first = load_samples(source, range(3), tmp_path, batch_size=2)
    calls = source.generator.calls
    assert calls == 2
    second = load_samples(source, range(3), tmp_path)
    assert source.generator.calls == calls
    for name in ("vertices_gen", "landmarks_gen", "z_depth", "opaque", "points_gen"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert torch.equal(first.camera.vector, second.camera.vector)
    assert torch.equal(first.image(1), second.image(1))
    load_samples(source, range(5), tmp_path)
    assert source.generator.calls == calls + 1


def test_what_a_sample_holds(source, tmp_path):
    samples = load_samples(source, [7], tmp_path)
    parameters = draw([SampleId(3, 7)], NEXT3D_ALIGNMENT_SAMPLING, 4)
    mesh = source.head.mesh(parameters, parameters.camera)
    torch.testing.assert_close(samples.vertices_gen, place_in_generator(mesh.vertices))
    torch.testing.assert_close(samples.camera.vector, parameters.camera.vector)
    assert samples.image(0).shape == (512, 512, 3) and samples.image(0).dtype == torch.uint8
    assert samples.keypoints_px is None
    # Chamfer's points lie on the surface that the depth shows.
    _, z = samples.camera.project(samples.points_gen, 32)
    assert samples.z_depth[samples.opaque].min() - 1e-3 <= z.min()
    assert z.max() <= samples.z_depth[samples.opaque].max() + 1e-3


def test_every_dependency_changes_the_key(source, monkeypatch):
    other = FakeGenerator(*planted_affine(1), size=32)
    wider = replace(source.sampling, fov_deg=Range(14, 23))
    keys = {
        source.key,
        replace(source, generator=other).key,
        replace(source, sampling=wider).key,
        replace(source, seed=4).key,
        replace(source, detector=oracle(source.generator)).key,
    }
    other_head = FakeHead(rings=12)
    other_head.fingerprint = "another"
    keys.add(replace(source, head=other_head).key)
    for name in ("CACHE_FORMAT", "SAMPLE_FORMAT"):
        monkeypatch.setattr(drawing_module, name, getattr(drawing_module, name) + 1)
        keys.add(source.key)
    assert len(keys) == 8
    assert replace(source, max_attempts=9).key == source.key


@pytest.mark.parametrize("mutate", [damaged, forged])
def test_a_bad_file_is_named_and_drawn_again(source, tmp_path, monkeypatch, mutate):
    source = replace(source, detector=oracle(source.generator))
    drawn, asked = draw_batch(source, [SampleId(3, 0)]), []

    def draw_again(source, ids):
        asked.append(ids)
        return drawn

    monkeypatch.setattr(samples_module, "draw_batch", draw_again)
    first = load_samples(source, [0], tmp_path)
    (path,) = first.files
    kept = set()
    for name, content in mutate(path):
        asked.clear()
        path.write_bytes(content)
        said = []
        samples = load_samples(source, [0], tmp_path, say=said.append)
        if not asked:
            kept.add(name)
            continue
        assert len(said) == 1 and str(path) in said[0] and "\n" not in said[0], name
        assert len(said[0]) < 700 and said[0].endswith("Drawing it again."), name
        load_samples(source, [0], tmp_path)
        assert len(asked) == 1, name
        assert torch.equal(samples.z_depth, first.z_depth), name
    # Another attempt is another head, but a sample nevertheless.
    assert kept == ({"attempt: huge"} if mutate is forged else set())


def test_only_what_is_bad_is_drawn_again(source, tmp_path):
    first = load_samples(source, range(3), tmp_path)
    first.files[1].write_bytes(b"cut off")
    first.files[2].unlink()
    calls, said = source.generator.calls, []
    second = load_samples(source, range(3), tmp_path, batch_size=1, say=said.append)
    assert source.generator.calls == calls + 2
    assert len(said) == 1 and str(first.files[1]) in said[0]
    assert torch.equal(first.z_depth, second.z_depth)


def test_files_of_another_depth_size_are_drawn_again(source, tmp_path):
    first = load_samples(source, range(3), tmp_path)
    smaller = replace(source, generator=FakeGenerator(*planted_affine(0), size=16))
    smaller.generator.fingerprint = source.generator.fingerprint
    first.files[1].unlink()
    load_samples(smaller, [1], tmp_path)
    said = []
    second = load_samples(source, range(3), tmp_path, say=said.append)
    assert len(said) == 1 and "differ in the size of their depth" in said[0]
    assert torch.equal(first.z_depth, second.z_depth)


def test_samples_of_a_detector_and_without_one_do_not_mix(source, tmp_path, monkeypatch):
    detector = oracle(source.generator)
    others = (
        None,
        detector,
        replace(detector, name="other"),
        replace(detector, spread=(0.1,) * 68),
    )
    assert len({replace(source, detector=each).key for each in others}) == 4
    monkeypatch.setattr(SampleSource, "key", "fake-0123456789abcdef")
    load_samples(source, [0], tmp_path)
    seeing = replace(source, detector=detector)
    said = []
    assert load_samples(seeing, [0], tmp_path, say=said.append).keypoints_px is not None
    assert "holds 'keypoints_px' as no tensor, expected F32 [68, 2]" in said[0]


def test_cached_files_get_the_mode_of_a_new_file(source, tmp_path):
    new = tmp_path / "new"
    new.touch()
    (path,) = load_samples(source, [0], tmp_path).files
    assert path.stat().st_mode == new.stat().st_mode


def test_a_sample_without_a_face_is_drawn_again(source, tmp_path):
    generator, seen = source.generator, []
    see = oracle(generator, noise_px=0)

    def shy(images):
        seen.append(len(images))
        found = see(images)
        return [None if len(seen) == 1 and i == 1 else points for i, points in enumerate(found)]

    samples = load_samples(replace(source, detector=Detector("shy", shy, 11)), range(2), tmp_path)
    assert seen == [2, 1]
    second = draw([SampleId(3, 1, attempt=1)], source.sampling, 4)
    torch.testing.assert_close(samples.camera.vector[1:], second.camera.vector)
    torch.testing.assert_close(samples.keypoints_px[1:], generator.true_px)


def test_a_detector_that_never_sees_a_face(source, tmp_path):
    blind = Detector("blind", lambda images: [None] * len(images), 11)
    blind = replace(source, detector=blind, max_attempts=3)
    with pytest.raises(TrainingError, match="no face in 3 draws of sample 0"):
        load_samples(blind, range(1), tmp_path)


def camera():
    return Camera.look_at(torch.tensor([0.2]), torch.tensor([0.1]), torch.tensor([20.0]))


def output(ray_distance, opacity, points=None, density=None):
    image = torch.zeros(len(ray_distance), 3, 512, 512)
    return GeneratorOutput(image, ray_distance, opacity, points, density)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_a_plane_seen_along_rays_has_one_z_depth(size):
    plane = torch.full((1, 1, size, size), 2.5)
    ray_distance = camera().ray_distance(plane)
    assert ray_distance.max() - ray_distance.min() > 0.02
    z_depth, opaque = depth_target(output(ray_distance, torch.ones_like(plane)), camera())
    assert z_depth.shape == (1, min(size, 128), min(size, 128))
    torch.testing.assert_close(z_depth, torch.full_like(z_depth, 2.5))
    assert opaque.all()


def test_pixels_that_mix_in_the_background_are_not_compared():
    opacity = torch.ones(1, 1, 256, 256)
    opacity[..., 1::2, 10] = 0
    ray_distance = torch.full_like(opacity, 2.5)
    ray_distance[..., 100, 100] = torch.nan
    z_depth, opaque = depth_target(output(ray_distance, opacity), camera())
    expected = torch.ones(1, 128, 128, dtype=torch.bool)
    expected[:, :, 5] = False
    expected[:, 50, 50] = False
    assert torch.equal(opaque, expected)
    assert torch.equal(z_depth == 0, ~expected)


def test_dense_points_are_dense_and_in_front():
    # Scaled to [0, 1] the densities are 0, 0.3, 0.5, 1, 1; the last lies behind z 0.1.
    density = torch.tensor([[10.0, 13, 15, 20, 20]])
    points = torch.tensor([[[i / 10, 0, 0.2] for i in range(5)]])
    points[0, 4, 2] = 0.05
    parameters = draw([SampleId(0, 0)], NEXT3D_ALIGNMENT_SAMPLING, 4)
    flat = torch.ones(1, 1, 4, 4)
    kept = dense_points(output(flat, flat, points, density), camera(), parameters)
    assert set(kept[0, :, 0].tolist()) == set(points[0, 2:4, 0].tolist())


def test_without_a_volume_the_points_come_from_depth():
    parameters = draw([SampleId(0, 0)], NEXT3D_ALIGNMENT_SAMPLING, 4)
    z_depth = torch.full((1, 1, 16, 16), 2.3)
    opacity = torch.zeros_like(z_depth)
    opacity[..., 4:12, 4:12] = 1
    points = dense_points(output(camera().ray_distance(z_depth), opacity), camera(), parameters)
    points_px, z = camera().project(points, 16)
    torch.testing.assert_close(z, torch.full_like(z, 2.3))
    assert points_px.min() >= 4 and points_px.max() <= 12
    with pytest.raises(TrainingError, match="shows no surface in sample 0"):
        dense_points(output(z_depth, 0 * opacity), camera(), parameters)


def test_the_detector_says_how_far_off_its_landmarks_are(source, tmp_path):
    spread = tuple(0.01 * (1 + i) for i in range(68))
    detector = replace(oracle(source.generator), spread=spread)
    samples = load_samples(replace(source, detector=detector), range(2), tmp_path)
    for kept in (samples, samples.select(torch.arange(1))):
        assert kept.spread.tolist() == pytest.approx(spread)
