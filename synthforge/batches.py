"""A batch of samples: the main job, readable as an algorithm.

sample -> head mesh -> generator -> align -> quality gate -> rasterize -> annotate
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge import annotate, annotate_visible
from synthforge.assembly import Rig
from synthforge.camera import Camera
from synthforge.config import IMAGE_SIZE
from synthforge.dataset.sample import Sample
from synthforge.generator import GeneratorOutput
from synthforge.keypoints import outline_rows
from synthforge.labels import CORE
from synthforge.mesh import Mesh
from synthforge.parsing import PARSINGS
from synthforge.pose import euler_deg, eye_opening, pose_of
from synthforge.quality import Accept, Reject, judge, judge_finite
from synthforge.rasterizer import Fragments, rasterize
from synthforge.sampling import Parameters, SampleId

# What bounds the rasterizer's work, in turn until it suffices. With a bound it waits for nothing on
# CUDA; heads need 1.2 layers, up to 1.8.
MAX_LAYERS: dict[str, tuple[int | None, ...]] = {"cpu": (None,), "cuda": (3, None)}


@dataclass(frozen=True)
class Batch:
    """Faces as the generator gives them, neither judged nor labelled.

    ready: when they are, where the generator has a CUDA stream of its own.
    """

    parameters: Parameters
    camera: Camera
    mesh_gen: Mesh
    output: GeneratorOutput
    ready: torch.cuda.Event | None = None

    def __getitem__(self, index: Tensor) -> Batch:
        """Those of the faces."""
        return Batch(
            self.parameters[index],
            self.camera[index],
            self.mesh_gen[index],
            self.output[index],
            self.ready,
        )


@dataclass(frozen=True)
class Rejection:
    """A draw that the quality gate rejected."""

    id: SampleId
    reject: Reject

    def as_row(self) -> dict[str, Any]:
        """A line of rejections.jsonl."""
        return asdict(self.id) | asdict(self.reject)

    def is_last(self, max_attempts: int) -> bool:
        """Whether the run gives the index up."""
        return self.id.attempt + 1 >= max_attempts


def make_samples(
    ids: Sequence[SampleId], rig: Rig, extras: Sequence[str] = (), schemes: Sequence[str] = ()
) -> tuple[list[Sample], list[Rejection]]:
    """One batch, from seeds to finished labels. A sample depends on its id alone.

    schemes: further keypoints, of the head's.
    """
    return finish_batch(start_batch(ids, rig), rig, extras, schemes) if ids else ([], [])


@torch.inference_mode()
def start_batch(
    ids: Sequence[SampleId], rig: Rig, stream: torch.cuda.Stream | None = None
) -> Batch:
    """Have a batch generated. On CUDA it is queued, on that stream, and not waited for."""
    parameters = rig.generator.draw(ids, rig.sampling)
    camera = parameters.camera
    if stream is not None:  # weights, and what is kept between batches, come from there
        stream.wait_stream(torch.cuda.current_stream(rig.device))
    with torch.cuda.stream(stream):
        parameters, camera = parameters.to(rig.device), camera.to(rig.device)
        mesh_flame = rig.head.mesh(parameters, camera)
        output = rig.generator.generate(parameters.z, mesh_flame, camera)
        mesh_gen = rig.align(mesh_flame)
        ready = None if stream is None else stream.record_event()
    return Batch(parameters, camera, mesh_gen, output, ready)


@torch.inference_mode()
def finish_batch(
    batch: Batch, rig: Rig, extras: Sequence[str], schemes: Sequence[str]
) -> tuple[list[Sample], list[Rejection]]:
    """A batch's samples with their labels, and what the quality gate rejected.

    All that it queues on CUDA has ended when it returns.
    """
    if batch.ready is not None:
        torch.cuda.current_stream(rig.device).wait_event(batch.ready)
    ids = batch.parameters.ids
    faces = batch.output.to_uint8()
    rejects = judge_finite(batch.output.image)
    detections: dict[str, NDArray[Any]] = {}
    if rig.detector is not None:
        projected_px, _ = batch.camera.project(batch.mesh_gen.landmarks, IMAGE_SIZE)
        detected_px = rig.detector(faces)
        verdicts = judge(detected_px, projected_px, IMAGE_SIZE, rig.detector.reject_px)
        rejects = {i: v for i, v in enumerate(verdicts) if isinstance(v, Reject)} | rejects
        passed = {
            i: v for i, v in enumerate(verdicts) if isinstance(v, Accept) and i not in rejects
        }
        detections = {
            "fan_kps": np.array([np.asarray(detected_px[i]) for i in passed]),
            "mse": np.array([verdict.distance_px for verdict in passed.values()]),
        }
    rejections = [Rejection(ids[i], rejects[i]) for i in sorted(rejects)]
    accepted = [i for i in range(len(ids)) if i not in rejects]
    if not accepted:
        return [], rejections
    if rejects:
        keep = torch.tensor(accepted, device=rig.device)
        batch, faces = batch[keep], faces[keep]
    for max_layers in MAX_LAYERS[rig.device.type]:
        fragments = rasterize(
            batch.camera.to_ndc(batch.mesh_gen.vertices),
            batch.mesh_gen.topology.faces,
            IMAGE_SIZE,
            IMAGE_SIZE,
            perspective_correct=True,
            backend=rig.parts.rasterizer,
            max_layers=max_layers,
        )
        maps, numbers = label(batch, fragments, rig, extras, schemes)
        files = {folder: _stored(images) for folder, images in maps.items()}
        rows = {key: values.cpu().numpy() for key, values in numbers.items()}
        if fragments.complete.all():
            break
    for name in ("seed", "index", "attempt"):
        rows[name] = np.array([getattr(id, name) for id in batch.parameters.ids], np.int64)
    files["images"] = faces.cpu().numpy()
    rows |= detections
    samples = [
        Sample(
            id.index,
            {folder: stack[i] for folder, stack in files.items()},
            {key: values[i] for key, values in rows.items()},
        )
        for i, id in enumerate(batch.parameters.ids)
    ]
    return samples, rejections


def label(
    batch: Batch, fragments: Fragments, rig: Rig, extras: Sequence[str], schemes: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Label images (folder -> [B, ...]) and annotation rows (key -> [B, ...]); docs/formats.md.

    16-bit images come as int32: torch lacks most operations on uint16. Reads nothing back.
    """
    parameters, camera, mesh_gen = batch.parameters, batch.camera, batch.mesh_gen
    region_ids = annotate.region_ids(fragments, rig.head.face_regions)
    depth, depth_range = annotate.depth8(fragments)
    layers = batch.output.layers
    if layers is None:
        layers = annotate_visible.layers_of_volume(batch.output, camera, fragments, region_ids)
    visible_ids = annotate_visible.visible_ids(layers, region_ids)
    drawn: dict[str, Callable[[], Tensor]] = {
        "seg": lambda: annotate.segmentation(region_ids),
        "depth": lambda: depth,
        "seg_id": lambda: region_ids,
        "depth16": lambda: annotate.depth16(fragments.z, fragments.covered),
        "normals": lambda: annotate.normal_map(
            fragments, mesh_gen.vertices, mesh_gen.topology, camera
        ),
        "uv": lambda: annotate.uv_map(fragments, mesh_gen.topology),
        "volume_depth": lambda: annotate.volume_depth16(batch.output, camera),
        "seg_visible": lambda: visible_ids,
        "alpha": lambda: annotate_visible.alpha8(layers),
        "depth16_visible": lambda: annotate_visible.visible_depth16(layers, fragments),
        **{
            name: partial(annotate_visible.parsing, visible_ids, scheme)
            for name, scheme in PARSINGS.items()
        },
    }
    files = {name: drawn[name]() for name in (*CORE, *extras) if name != "images"}

    keypoints = annotate.keypoints(mesh_gen.landmarks, camera, fragments)
    pose = parameters.pose_rad
    R_flame, joints_flame = rig.head.joints(parameters)
    turned = pose_of(R_flame, joints_flame, rig.to_gen, camera)
    rows = {
        "2d_kps": keypoints.px,
        "3d_kps": keypoints.cam,
        "kps_visible": keypoints.visible,
        "kps_occluded": annotate_visible.occluded(keypoints, layers),
        "depth_range": depth_range,
        "head_rotation": turned.R_cam_head,
        "head_euler_deg": euler_deg(turned.R_cam_head),
        "gaze": turned.gaze_cam,
        "eye_centers": turned.eyes_cam,
        "eye_opening": eye_opening(keypoints.cam),
        "z": parameters.z,
        "camera_params": camera.vector,
        "flame_shape": parameters.shape,
        "flame_exp": parameters.expression,
        "flame_pose": torch.cat([pose[:, :3], pose[:, 6:9]], 1),
        "flame_neck_pose": pose[:, 3:6],
        "flame_eye_pose": pose[:, 9:15],
        "fov_deg": parameters.fov_deg,
        "yaw_rad": parameters.yaw_rad,
        "pitch_rad": parameters.pitch_rad,
        **parameters.labels,
    }
    outline = outline_rows(R_flame, camera)
    for name in schemes:
        scheme = rig.head.schemes[name]
        tolerance = torch.where(
            scheme.on_eyeballs(rig.head.face_regions),
            annotate.EYEBALL_TOLERANCE,
            annotate.VISIBILITY_TOLERANCE,
        )
        points = scheme.points(mesh_gen.vertices, mesh_gen.topology.faces, outline)
        further = annotate.keypoints(points, camera, fragments, scheme.outline, tolerance)
        rows |= {
            f"2d_kps_{name}": further.px,
            f"3d_kps_{name}": further.cam,
            f"kps_visible_{name}": further.visible,
        }
    return files, rows


def _stored(images: Tensor) -> NDArray[Any]:
    """On the CPU, as uint8 or uint16."""
    array = images.cpu().numpy()
    return array if array.dtype == np.uint8 else array.astype(np.uint16)
