"""The main job, readable as an algorithm.

sample -> head mesh -> generator -> align -> quality gate -> rasterize -> annotate -> write
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from synthforge import annotate
from synthforge.assembly import Rig
from synthforge.camera import Camera
from synthforge.config import IMAGE_SIZE, ExtraName, RunConfig
from synthforge.dataset.write import DatasetWriter, Sample
from synthforge.generator import GeneratorOutput
from synthforge.mesh import Mesh
from synthforge.quality import Accept, Reject, judge, judge_finite
from synthforge.rasterizer import Fragments, rasterize
from synthforge.sampling import Parameters, SampleId

_WRITER_THREADS = 2
# Finished batches that may wait for the disk before the generator waits for them.
_WAITING_BATCHES = 4


@dataclass(frozen=True)
class Rejection:
    """A draw that the quality gate rejected."""

    id: SampleId
    reject: Reject

    def as_row(self) -> dict[str, Any]:
        """A line of rejections.jsonl."""
        return asdict(self.id) | asdict(self.reject)


@dataclass
class Summary:
    """What a run did. given_up: indices without a sample after max_attempts draws."""

    written: int = 0
    already_there: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    given_up: list[int] = field(default_factory=list)

    @property
    def acceptance(self) -> float:
        drawn = self.written + self.rejected.total()
        return self.written / drawn if drawn else 1.0


def generate_dataset(run: RunConfig, rig: Rig, writer: DatasetWriter) -> Summary:
    """Write every sample of the run that the dataset lacks.

    A rejected draw is drawn again with the next attempt number, up to run.max_attempts.
    """
    there = writer.indices()
    pending = deque(SampleId(run.seed, index) for index in run.indices if index not in there)
    summary = Summary(already_there=run.num_images - len(pending))
    writing: set[Future[None]] = set()
    size = 1  # the first image alone, so that the bar soon moves
    with (
        tqdm(
            total=run.num_images,
            initial=summary.already_there,
            unit="img",
            desc="SynthForge",
            smoothing=0.1,
        ) as bar,
        ThreadPoolExecutor(_WRITER_THREADS) as writers,
    ):
        while pending:
            ids = [pending.popleft() for _ in range(min(size, len(pending)))]
            size = run.batch_size
            samples, rejections = make_samples(ids, rig, run.extras)
            for sample in samples:
                write = writers.submit(writer.write, sample)
                write.add_done_callback(lambda _: _advance(bar))
                writing.add(write)
            writing = _finish(writing, _WAITING_BATCHES * run.batch_size)
            writer.log_rejections([rejection.as_row() for rejection in rejections])
            summary.rejected.update(rejection.reject.reason for rejection in rejections)
            last = run.max_attempts - 1
            rejected = [rejection.id for rejection in rejections]
            summary.given_up += [id.index for id in rejected if id.attempt == last]
            retries = [id.next_attempt() for id in rejected if id.attempt < last]
            pending.extendleft(reversed(retries))
            summary.written += len(samples)
            bar.set_postfix(accepted=f"{summary.acceptance:.0%}", refresh=False)
        _finish(writing, 0)
    return summary


def _advance(bar: tqdm) -> None:
    with bar.get_lock():  # several threads write
        bar.update()


def _finish(writing: set[Future[None]], most: int) -> set[Future[None]]:
    """Wait until at most `most` writes are under way; returns those. A failed one raises here."""
    done, left = wait(writing, timeout=0)
    while len(left) > most:
        more, left = wait(left, return_when=FIRST_COMPLETED)
        done |= more
    for write in done:
        write.result()
    return left


@torch.inference_mode()
def make_samples(
    ids: Sequence[SampleId], rig: Rig, extras: Sequence[ExtraName] = ()
) -> tuple[list[Sample], list[Rejection]]:
    """One batch, from seeds to finished labels. A sample depends on its id alone."""
    parameters = rig.generator.draw(ids, rig.sampling).to(rig.device)
    camera = parameters.camera
    mesh_flame = rig.head.mesh(parameters, camera)
    output = rig.generator.generate(parameters.z, mesh_flame, camera)
    mesh_gen = rig.align(mesh_flame)

    images = output.to_uint8()
    rejects = judge_finite(output.image)
    detections: dict[str, NDArray[Any]] = {}
    if rig.detector is not None:
        projected_px, _ = camera.project(mesh_gen.landmarks, IMAGE_SIZE)
        detected_px = rig.detector(images)
        verdicts = judge(detected_px, projected_px, IMAGE_SIZE, rig.parts.reject_px)
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
    keep = torch.tensor(accepted, device=rig.device)
    parameters, camera, mesh_gen, output = (
        parameters[keep],
        camera[keep],
        mesh_gen[keep],
        output[keep],
    )
    fragments = rasterize(
        camera.to_ndc(mesh_gen.vertices),
        mesh_gen.topology.faces,
        IMAGE_SIZE,
        IMAGE_SIZE,
        perspective_correct=True,
        backend=rig.parts.rasterizer,
    )
    files, rows = label(extras, rig, parameters, camera, mesh_gen, output, fragments)
    files["images"] = images[keep].cpu().numpy()
    rows |= detections
    samples = [
        Sample(
            id.index,
            {folder: stack[i] for folder, stack in files.items()},
            {key: values[i] for key, values in rows.items()},
        )
        for i, id in enumerate(parameters.ids)
    ]
    return samples, rejections


def label(
    extras: Sequence[ExtraName],
    rig: Rig,
    parameters: Parameters,
    camera: Camera,
    mesh_gen: Mesh,
    output: GeneratorOutput,
    fragments: Fragments,
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Label images (folder -> [B, ...]) and annotation rows (key -> [B, ...]); docs/formats.md."""
    region_ids = annotate.region_ids(fragments, rig.head.face_regions)
    depth, depth_range = annotate.depth8(fragments)
    drawn: dict[str, Callable[[], Tensor]] = {
        "seg_id": lambda: region_ids,
        "depth16": lambda: annotate.depth16(fragments.z, fragments.covered),
        "normals": lambda: annotate.normal_map(
            fragments, mesh_gen.vertices, mesh_gen.topology, camera
        ),
        "uv": lambda: annotate.uv_map(fragments, mesh_gen.topology),
        "volume_depth": lambda: annotate.volume_depth16(output, camera),
    }
    files = {"seg": annotate.segmentation(region_ids), "depth": depth}
    files |= {extra: drawn[extra]() for extra in extras}

    keypoints = annotate.keypoints(mesh_gen.landmarks, camera, fragments)
    pose = parameters.pose_rad
    rows = {
        "2d_kps": keypoints.px,
        "3d_kps": keypoints.cam,
        "kps_visible": keypoints.visible,
        "depth_range": depth_range,
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
    arrays = {key: values.cpu().numpy() for key, values in rows.items()}
    for name in ("seed", "index", "attempt"):
        arrays[name] = np.array([getattr(id, name) for id in parameters.ids], np.int64)
    return {folder: _stored(images) for folder, images in files.items()}, arrays


def _stored(images: Tensor) -> NDArray[Any]:
    """As uint8 or uint16. torch lacks most operations on uint16, so 16-bit images come as int32."""
    array = images.cpu().numpy()
    return array if array.dtype == np.uint8 else array.astype(np.uint16)
