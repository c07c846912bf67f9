"""The losses of the alignment, and the scores it is judged by.

Terms follow the public SynthForge code, with four differences, so that a head can be aligned
without any detector, and with one that errs:

- The front of the mesh is what the camera sees of the face's own regions, not what two fixed
  planes cut off: it follows the head, and leaves out scalp, ears and neck, which hair and clothes
  hide.
- Residuals are robust (Geman and McClure 1987), with a scale that narrows during training, so
  that a fringe of hair does not pull the face forward.
- Keypoints are weighed by how far their detector is known to be off, landmark by landmark, which
  takes the place of a term of its own for the contour. A detector errs in one way for all faces of
  a kind, which more samples don't average out: near the end geometry must weigh more.
- Chamfer runs from the mesh to the generator's points only. Those fill the volume behind the skin
  too, and the hair: the other way round they would pull the mesh inwards and upwards.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from synthforge.alignment_config import LossWeights
from synthforge.config import IMAGE_SIZE
from synthforge.fitting.samples import Samples
from synthforge.frames import UNITS_PER_METRE
from synthforge.landmarks import OUTER_EYE_CORNERS
from synthforge.mesh import Topology
from synthforge.rasterizer import resolve, visible
from synthforge.regions import REGION_ID

# A keypoint that is off by so many spreads counts as an outlier, where a depth residual of one
# generator unit does: 30 spreads at the start of training, 3 at its end.
_SPREADS_PER_UNIT = 600
# Vertices drawn for the chamfer of one step.
_CHAMFER_VERTICES = 800
_FACE_REGIONS = tuple(
    REGION_ID[name]
    for name in (
        "face",
        "forehead",
        "eye_region",
        "right_eye_region",
        "left_eye_region",
        "left_eyebrow",
        "right_eyebrow",
        "eye_region+forehead",
        "lower_lip",
        "upper_lip",
        "nose",
    )
)


@dataclass(frozen=True)
class FaceSurface:
    """Triangles of a head, and which of them are the skin of the face.

    faces: int64 [F, 3]. is_face: bool [F]. vertices: int64, those of the face's triangles.
    """

    faces: Tensor
    is_face: Tensor
    vertices: Tensor

    @classmethod
    def of(cls, topology: Topology, face_regions: Tensor) -> FaceSurface:
        skin = torch.tensor(_FACE_REGIONS, device=face_regions.device)
        is_face = torch.isin(face_regions, skin)
        return cls(topology.faces, is_face, topology.faces[is_face].unique())

    def to(self, device: torch.device | str) -> FaceSurface:
        return FaceSurface(self.faces.to(device), self.is_face.to(device), self.vertices.to(device))


@dataclass(frozen=True)
class View:
    """The aligned face as its camera sees it, beside the generator's depth.

    face: bool [B, h, h], pixels that see the face. compared: those where the generator is opaque.
    residual: [B, h, h], z of the mesh less that of the generator; 0 where not compared.
    seen_faces: int64 [B, h, h], the triangle compared, or -1.
    """

    face: Tensor
    compared: Tensor
    residual: Tensor
    seen_faces: Tensor


def view_face(aligned_gen: Tensor, surface: FaceSurface, samples: Samples) -> View:
    """aligned_gen: [B, V, 3]. The residual is differentiable in it."""
    ndc = samples.camera.to_ndc(aligned_gen)
    size = samples.z_depth.shape[-1]
    face_ids = visible(ndc.detach(), surface.faces, size, size, perspective_correct=True)
    face = (face_ids >= 0) & surface.is_face[face_ids.clamp_min(0)]
    compared = face & samples.opaque
    seen_faces = torch.where(compared, face_ids, -1)
    z = resolve(ndc, surface.faces, seen_faces, perspective_correct=True).z
    residual = torch.where(compared, z - samples.z_depth, 0.0)
    return View(face, compared, residual, seen_faces)


def alignment_losses(
    view: View,
    aligned_gen: Tensor,
    landmarks_gen: Tensor,
    surface: FaceSurface,
    samples: Samples,
    weights: LossWeights,
    robust_scale: float,
    randomness: torch.Generator,
) -> dict[str, Tensor]:
    """Weighted terms, whose sum is the loss.

    aligned_gen, landmarks_gen: [B, V, 3] and [B, 68, 3], after alignment. view: of aligned_gen.
    randomness: a CPU generator, for the choice of chamfer vertices.
    """
    depth = robust(view.residual.square(), robust_scale).sum() / view.compared.sum().clamp_min(1)
    terms = {
        "depth": weights.depth * depth,
        "chamfer": weights.chamfer
        * _chamfer(aligned_gen, surface, view, samples.points_gen, robust_scale, randomness),
    }
    if samples.keypoints_px is not None:
        offset = keypoint_offsets(landmarks_gen, samples) / samples.spread[:, None]
        scale = robust_scale * _SPREADS_PER_UNIT
        terms["keypoints"] = weights.keypoints * robust(offset.square().sum(-1), scale).mean()
    return terms


def term_names(samples: Samples) -> list[str]:
    """Names of the terms that `alignment_losses` gives for these samples."""
    absent = "keypoints" if samples.keypoints_px is None else None
    return [entry.name for entry in fields(LossWeights) if entry.name != absent]


def robust(squared: Tensor, scale: float) -> Tensor:
    """Geman-McClure: the square itself when small, levelling off at scale**2."""
    return squared / (1 + squared / scale**2)


def _chamfer(
    aligned_gen: Tensor,
    surface: FaceSurface,
    view: View,
    points_gen: Tensor,
    robust_scale: float,
    randomness: torch.Generator,
) -> Tensor:
    """Mean robust squared distance of the face's visible vertices to the nearest point."""
    batch, vertex_count = aligned_gen.shape[:2]
    # Entry 0 stands for "no triangle".
    seen_face = torch.zeros(batch, len(surface.faces) + 1, device=aligned_gen.device)
    seen_face.scatter_(1, view.seen_faces.flatten(1) + 1, 1.0)
    seen = torch.zeros(batch, vertex_count, device=aligned_gen.device)
    for corner in surface.faces.T:
        seen.scatter_reduce_(1, corner.expand(batch, -1), seen_face[:, 1:], "amax")
    order = torch.randperm(len(surface.vertices), generator=randomness)[:_CHAMFER_VERTICES]
    chosen = surface.vertices[order.to(surface.vertices.device)]
    vertices, weight = aligned_gen[:, chosen], seen[:, chosen]
    with torch.no_grad():
        nearest = torch.cdist(vertices, points_gen).argmin(-1)
    targets = points_gen.gather(1, nearest[..., None].expand(-1, -1, 3))
    squared = (vertices - targets).square().sum(-1)
    return (weight * robust(squared, robust_scale)).sum() / weight.sum().clamp_min(1)


def keypoint_offsets(landmarks_gen: Tensor, samples: Samples) -> Tensor:
    """[B, 68, 2]: from the detector's keypoints, in its outer-eye distances."""
    assert samples.keypoints_px is not None
    projected_px, _ = samples.camera.project(landmarks_gen, IMAGE_SIZE)
    right, left = (samples.keypoints_px[:, i] for i in OUTER_EYE_CORNERS)
    eyes_px = torch.linalg.vector_norm(right - left, dim=-1).clamp_min(1)
    return (projected_px - samples.keypoints_px) / eyes_px[:, None, None]


def nme_percent(landmarks_gen: Tensor, samples: Samples) -> Tensor:
    """[B]: mean distance to the detector's keypoints, in percent of its outer-eye distance."""
    offsets = keypoint_offsets(landmarks_gen, samples)
    return 100 * torch.linalg.vector_norm(offsets, dim=-1).mean(-1)


def geometric_scores(view: View) -> tuple[Tensor, Tensor]:
    """How well the face sits in the generator's depth, without any keypoints.

    [B] median depth error in mm (infinite where nothing could be compared), and [B] the share of
    the face's pixels where the generator shows a surface.
    """
    error = torch.where(view.compared, view.residual.abs(), torch.nan).flatten(1)
    error_mm = error.nanmedian(1).values * (1000 / UNITS_PER_METRE)
    pixels = view.face.flatten(1).sum(1)
    coverage = view.compared.flatten(1).sum(1) / pixels.clamp_min(1)
    return error_mm.nan_to_num(nan=torch.inf, posinf=torch.inf), coverage
