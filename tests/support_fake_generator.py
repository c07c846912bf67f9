"""A small head and a generator that draws it displaced by an affine map the fitting cannot see."""

import math

import numpy as np
import torch

from synthforge import sampling
from synthforge.alignment import AlignmentMLP
from synthforge.assembly import Rig
from synthforge.detectors import Detector
from synthforge.frames import apply_affine, place_in_generator
from synthforge.generator import GeneratorOutput
from synthforge.mesh import Mesh, Topology
from synthforge.rasterizer import rasterize
from synthforge.regions import REGION_ID
from synthforge.sampling_config import NEXT3D_SAMPLING

# 68 landmark positions on the front of the head, metres (x to the subject's left, y up).
_ARC = np.linspace(-1, 1, 17)
LANDMARKS_XY = np.concatenate(
    [
        np.stack([0.062 * np.sin(_ARC * 1.5), -0.02 - 0.06 * np.cos(_ARC * 1.5)], 1),
        np.stack([np.linspace(-0.05, -0.015, 5), np.full(5, 0.045)], 1),
        np.stack([np.linspace(0.015, 0.05, 5), np.full(5, 0.045)], 1),
        np.stack([np.zeros(4), np.linspace(0.03, 0.0, 4)], 1),
        np.stack([np.linspace(-0.014, 0.014, 5), np.full(5, -0.012)], 1),
        *[
            np.stack([x + 0.014 * np.cos(angles), 0.028 + 0.005 * np.sin(angles)], 1)
            for x, angles in (
                (-0.032, np.pi - np.arange(6) * np.pi / 3),
                (0.032, np.pi - np.arange(6) * np.pi / 3),
            )
        ],
        *[
            np.stack([a * np.cos(angles), -0.045 + b * np.sin(angles)], 1)
            for a, b, angles in (
                (0.025, 0.012, np.pi - np.arange(12) * np.pi / 6),
                (0.017, 0.005, np.pi - np.arange(8) * np.pi / 4),
            )
        ],
    ]
)
# Bumps of the face: centre x, y; radius; height, metres. Nose, brows, eye sockets, lips, chin.
_BUMPS = np.array(
    [
        (0.0, -0.005, 0.012, 0.022),
        (0.0, 0.015, 0.012, 0.012),
        (0.032, 0.045, 0.014, 0.004),
        (-0.032, 0.045, 0.014, 0.004),
        (0.032, 0.028, 0.013, -0.008),
        (-0.032, 0.028, 0.013, -0.008),
        (0.0, -0.045, 0.014, 0.006),
        (0.0, -0.075, 0.015, 0.007),
    ]
)


class FakeHead:
    """A closed ellipsoid with a face on it; shape moves the bumps and the radii a little."""

    fingerprint = "fake-head"

    def __init__(self, rings: int = 48) -> None:
        polar = np.pi * (np.arange(rings) + 0.5) / rings
        around = 2 * np.pi * np.arange(2 * rings) / (2 * rings)
        grid = np.stack(np.meshgrid(polar, around, indexing="ij"), -1).reshape(-1, 2)
        # The poles are front and back, so that vertices are densest on the face.
        x = np.sin(grid[:, 0]) * np.cos(grid[:, 1])
        y = np.sin(grid[:, 0]) * np.sin(grid[:, 1])
        unit = np.stack([x, y, np.cos(grid[:, 0])], 1)
        unit = np.concatenate([unit, [[0, 0, 1], [0, 0, -1]]])
        row, column = np.divmod(np.arange((rings - 1) * 2 * rings), 2 * rings)
        a, d = row * 2 * rings + column, (row + 1) * 2 * rings + column
        b = row * 2 * rings + (column + 1) % (2 * rings)
        c = (row + 1) * 2 * rings + (column + 1) % (2 * rings)
        last = (rings - 1) * 2 * rings
        ring = np.arange(2 * rings)
        after = (ring + 1) % (2 * rings)
        faces = np.concatenate(
            [
                np.stack([a, d, c], 1),
                np.stack([a, c, b], 1),
                np.stack([np.full(2 * rings, len(unit) - 2), ring, after], 1),
                np.stack([np.full(2 * rings, len(unit) - 1), last + after, last + ring], 1),
            ]
        )
        self._unit = unit
        self.topology = Topology(
            torch.from_numpy(faces),
            torch.from_numpy(unit[:, :2] / 2 + 0.5).float(),
            torch.from_numpy(faces),
        )
        front = unit[faces].mean(1)[:, 2] > 0.35
        self.face_regions = torch.where(
            torch.from_numpy(front), REGION_ID["face"], REGION_ID["scalp"]
        )

    def mesh(self, parameters, camera) -> Mesh:
        heads = [self._one(shape.double().numpy()) for shape in parameters.shape.cpu()]
        vertices, landmarks = (
            torch.from_numpy(np.stack(part)).float() for part in zip(*heads, strict=True)
        )
        return Mesh(vertices, landmarks, self.topology)

    def joints(self, parameters):
        """A head at rest, its eyes behind the landmarks'."""
        R = torch.eye(3).expand(len(parameters), 5, 3, 3)
        rest = torch.tensor(
            [0.0, 0, 0, 0, -0.05, 0, 0, -0.02, 0, 0.03, 0.03, 0.07, -0.03, 0.03, 0.07]
        )
        return R, rest.view(5, 3).expand(len(parameters), 5, 3)

    def _one(self, shape):
        radii = np.array([0.075, 0.11, 0.095]) * (1 + 0.03 * shape[:3])
        bumps = _BUMPS * (1 + 0.05 * shape[3:35].reshape(8, 4))

        def relief(xy):
            offset = ((xy[:, None] - bumps[:, :2]) / bumps[:, 2:3]) ** 2
            return (np.exp(-0.5 * offset.sum(-1)) * bumps[:, 3]).sum(-1)

        vertices = self._unit * radii
        vertices[:, 2] += np.where(self._unit[:, 2] > 0, relief(vertices[:, :2]), 0)
        height = np.sqrt(1 - ((LANDMARKS_XY / radii[:2]) ** 2).sum(1)) * radii[2]
        landmarks = np.column_stack([LANDMARKS_XY, height + relief(LANDMARKS_XY)])
        return vertices, landmarks


class FakeGenerator:
    """Draws the mesh where A @ x + b puts it: a shaded image, depth and surface points.

    fringe: hair hangs 12 to 20 mm before the upper forehead, which the mesh knows nothing of.
    """

    name = "fake"
    latent_size = 4
    is_aligned = False

    def __init__(self, A, b, size: int = 128, fringe: bool = False) -> None:
        self.A, self.b, self.size, self.fringe = A, b, size, fringe
        self.fingerprint = f"fake-{size}-{fringe}-{A.flatten().tolist()}-{b.tolist()}"
        self.calls = 0

    def draw(self, ids, config):
        return sampling.draw(ids, config, self.latent_size)

    def true_landmarks(self, mesh_flame):
        return apply_affine(self.A, self.b, place_in_generator(mesh_flame.landmarks))

    def generate(self, z, mesh_flame, camera) -> GeneratorOutput:
        self.calls += 1
        vertices = apply_affine(self.A, self.b, place_in_generator(mesh_flame.vertices))
        self.true_px, _ = camera.project(self.true_landmarks(mesh_flame), 512)
        faces = mesh_flame.topology.faces
        seen = rasterize(
            camera.to_ndc(vertices), faces, self.size, self.size, perspective_correct=True
        )
        corners = vertices[:, faces]
        normals = torch.linalg.cross(
            corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]
        )
        light = torch.nn.functional.normalize(normals, dim=-1)[..., 2].clamp_min(0)
        shade = seen.interpolate(light[:, :, None, None].expand(-1, -1, 3, 3)) * 1.6 - 0.8
        opacity = seen.covered.float()[:, None]
        z_depth = seen.z[:, None].where(seen.covered[:, None], 3.0)
        if self.fringe:
            y_gen = seen.interpolate(vertices[:, faces])[..., 1]
            strands = 0.04 + 0.01 * torch.sin(40 * y_gen)
            z_depth = z_depth - (strands * (seen.covered & (y_gen > 0.17)))[:, None]
        centers = (torch.arange(self.size) + 0.5).expand(self.size, self.size)
        points_px = torch.stack([centers, centers.T], -1).reshape(1, -1, 2)
        points = camera.unproject(
            points_px.expand(len(camera), -1, -1), z_depth.flatten(1), self.size
        )
        return GeneratorOutput(
            torch.nn.functional.interpolate(shade.permute(0, 3, 1, 2), 512, mode="bilinear"),
            camera.ray_distance(z_depth),
            opacity,
            points,
            opacity.flatten(1) * 50,
        )


A = torch.tensor([[1.02, 0.01, -0.02], [-0.02, 0.97, -0.01], [0.01, 0.08, 0.99]])
B = torch.tensor([0.01, 0.03, -0.02])
# A gate that lets every detection through.
OPEN = math.nextafter(math.inf, 0)


def fake_rig(detector=None, generator=None):
    return Rig(
        torch.device("cpu"),
        FakeHead(16),
        generator or FakeGenerator(A, B, 32),
        AlignmentMLP.from_affine(A, B),
        detector and Detector("fake", detector, OPEN),
        NEXT3D_SAMPLING,
    )


def picky(images):
    """A detector that turns draws down by what it sees."""
    return [torch.zeros(68, 2) if image.sum() % 2 else None for image in images]


def oracle(generator, noise_px=2.0, seed=0):
    """Sees the landmarks of the generator's last faces, with noise."""
    noise = torch.Generator().manual_seed(seed)

    def detect(images):
        true_px = generator.true_px
        return list(true_px + noise_px * torch.randn(true_px.shape, generator=noise))

    return Detector("oracle", detect, OPEN)
