"""The net that ships with the package, on pictures of the built-in head."""

import math

import numpy as np
import pytest
import support_mannequin
import torch
from safetensors.torch import load_file, save_file

from synthforge.config import IMAGE_SIZE
from synthforge.detectors import DetectorError
from synthforge.detectors.crops import Square
from synthforge.detectors.face_mesh import POINTS, face_mesh
from synthforge.frames import place_in_generator
from synthforge.mannequin import Mannequin
from synthforge.photofit import point_net as module
from synthforge.photofit.built_in import built_in_points
from synthforge.photofit.found_points import found_points, mesh_points
from synthforge.photofit.photographs import Photograph
from synthforge.photofit.point_net import VIEW, find_points, flip, point_net, read_net, write_net

COUNT = 3


@pytest.fixture(scope="module")
def faces():
    """Photographs of drawn heads, their images uint8 [B, 512, 512, 3] and points [B, 521, 2]."""
    z, mesh, camera = support_mannequin.samples(COUNT)
    images = Mannequin().generate(z, mesh, camera).to_uint8().numpy()
    head, rows = support_mannequin.built_head(), torch.zeros(COUNT, dtype=torch.int64)
    of_mesh, of_ibug = (
        head.schemes[name].points(mesh.vertices, head.topology.faces, rows)
        for name in ("mediapipe468", "ibug70")
    )
    points = torch.cat([of_mesh, of_ibug[:, 17:]], 1)
    labels, _ = camera.project(place_in_generator(points), IMAGE_SIZE)
    photographs = [Photograph.of("a.png", image, face_mesh(image).points_px) for image in images]
    return photographs, images, labels.numpy()


def off(points, labels):
    """Mean distance, in % of the outer-eye distance, of mesh points, of landmarks and of pupils."""
    size = np.linalg.norm(labels[:, 33] - labels[:, 263], axis=-1)
    distance = 100 * np.linalg.norm(points - labels, axis=-1) / size[:, None]
    return [part.mean() for part in np.split(distance, [POINTS, POINTS + 51], 1)]


def test_points_are_nearer_than_the_meshs(faces):
    photographs, _, labels = faces
    mesh = off(np.stack([mesh_points(each.mesh_px) for each in photographs]), labels)
    both = off(found_points(photographs), labels)
    assert all(ours < 0.7 * theirs for ours, theirs in zip(both, mesh, strict=True)), (mesh, both)


def test_mirrored_faces_have_mirrored_points(faces):
    views = [each.view for each in faces[0]]
    points = find_points(point_net(), views)
    mirrored = find_points(point_net(), [np.ascontiguousarray(view[:, ::-1]) for view in views])
    back = mirrored[:, flip()] * [-1, 1] + [VIEW, 0]
    np.testing.assert_allclose(points, back, atol=1e-3)
    assert len(built_in_points()) == POINTS + 53 and points.shape == (COUNT, POINTS + 70, 2)


def test_turned_and_smaller_faces(faces):
    """The view undoes roll and size."""
    photographs, images, labels = faces
    turned = Square(256.0, 256.0, 1000.0, math.radians(-50))
    image = turned.cut_averaged(images[0], 400)
    seen = Photograph.of("b.png", image, face_mesh(image).points_px)
    back = turned.back(found_points([seen])[0], 400)
    upright = off(found_points(photographs[:1]), labels[:1])
    assert max(off(back[None], labels[:1])) < 1.4 * max(upright)


def test_answers_do_not_depend_on_the_batch(faces, monkeypatch):
    views = [each.view for each in faces[0]]
    together = find_points(point_net(), views)
    monkeypatch.setattr(module, "_BATCH", 2)
    np.testing.assert_allclose(find_points(point_net(), views), together, atol=1e-3)


def test_a_net_is_written_and_read(tmp_path):
    path = tmp_path / "net.safetensors"
    write_net(path, point_net(), {"seed": 0})
    view = np.random.default_rng(0).integers(0, 256, (VIEW, VIEW, 3), np.uint8)
    np.testing.assert_array_equal(
        find_points(read_net(path), [view]), find_points(point_net(), [view])
    )
    assert path.stat().st_size < 4e6


@pytest.mark.parametrize("fault", ["missing", "cut", "changed", "of another net"])
def test_a_damaged_file_is_refused(tmp_path, fault):
    path = tmp_path / "net.safetensors"
    if fault != "missing":
        write_net(path, point_net(), {})
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-5000])
    if fault == "changed":
        content = bytearray(path.read_bytes())
        content[-1000] ^= 1
        path.write_bytes(content)
    if fault == "of another net":
        save_file({name: value[:1] for name, value in load_file(path).items()}, path)
    with pytest.raises(DetectorError, match="install SynthForge again"):
        read_net(path)
