"""The main job, readable as an algorithm.

plan -> draw -> sink, where draw is
sample -> head mesh -> generator -> align -> quality gate -> rasterize -> annotate

`draw_into` is the unit of work: it needs a Rig, which each process builds from its PartsConfig, a
RunConfig, a range and a sink. An engine has the ranges drawn, in this process (`InProcess`), in
others (synthforge.workers) or on a cluster (synthforge.ray_tasks). The plan, the card, the log and
the bar are the run's.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from synthforge import annotate, annotate_visible
from synthforge.assembly import Rig
from synthforge.camera import Camera
from synthforge.config import IMAGE_SIZE, RunConfig
from synthforge.dataset.sample import Sample
from synthforge.dataset.sink import Sink, Writer
from synthforge.generator import GeneratorOutput
from synthforge.keypoints import outline_rows
from synthforge.labels import CORE
from synthforge.mesh import Mesh
from synthforge.parsing import PARSINGS
from synthforge.plan import inside, plan
from synthforge.pose import euler_deg, eye_opening, pose_of
from synthforge.quality import Accept, Reject, judge, judge_finite
from synthforge.rasterizer import Fragments, rasterize
from synthforge.sampling import Parameters, SampleId

# Several workers get that many ranges each, so that all end at about the same time; longer ranges
# gain nothing from so many batches on.
_RANGES_A_WORKER = 16
_MOST_BATCHES_A_RANGE = 16
# Batches that are queued on the device before the results of one are read back, by device.
AHEAD = {"cpu": 0, "cuda": 1}
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

    def count(self, written: int, rejections: Sequence[Rejection], max_attempts: int) -> None:
        self.written += written
        self.rejected.update(rejection.reject.reason for rejection in rejections)
        self.given_up += [row.id.index for row in rejections if row.is_last(max_attempts)]


# Called with the number of a batch's samples, and its rejections.
Report = Callable[[int, Sequence[Rejection]], None]


class Engine(Protocol):
    """Has ranges drawn into the run's sink."""

    @property
    def workers(self) -> int:
        """How many ranges are drawn at the same time."""
        ...

    def draw(self, ranges: Iterator[range], report: Report) -> None:
        """Draw every index of the ranges, in any order; report each batch, in this thread.

        All samples are stored when this returns. Raises what `draw_into` raises.
        """
        ...


@dataclass(frozen=True)
class InProcess:
    """The engine that draws in this process."""

    rig: Rig
    run: RunConfig
    sink: Sink
    workers: int = 1

    def draw(self, ranges: Iterator[range], report: Report) -> None:
        """See `Engine`."""
        first: int | None = 1  # alone, so that the bar soon moves
        for indices in ranges:
            drawn = draw_into(self.sink, indices, self.rig, self.run, first)
            with contextlib.closing(drawn) as reports:
                for written, rejections in reports:
                    report(written, rejections)
            first = None


def range_size(batch_size: int, missing: int, workers: int) -> int:
    """Indices a range: whole batches, and ranges enough that several workers end together."""
    batches = missing // (batch_size * workers * _RANGES_A_WORKER) if workers > 1 else missing
    return batch_size * min(max(batches, 1), _MOST_BATCHES_A_RANGE)


def generate_dataset(run: RunConfig, writer: Writer, engine: Engine) -> Summary:
    """Have every sample of the run that the dataset lacks drawn, with a bar and a log."""
    summary = Summary(already_there=len(inside(run.indices, writer.there)))
    missing = len(run.indices) - summary.already_there
    size = range_size(run.batch_size, missing, engine.workers)
    if run.format == "webdataset":
        size = run.samples_per_tar
    with tqdm(
        total=len(run.indices),
        initial=summary.already_there,
        unit="img",
        desc="SynthForge",
        smoothing=0.1,
    ) as bar:

        def report(written: int, rejections: Sequence[Rejection]) -> None:
            writer.log_rejections([rejection.as_row() for rejection in rejections])
            summary.count(written, rejections, run.max_attempts)
            bar.set_postfix(accepted=f"{summary.acceptance:.0%}", refresh=False)
            bar.update(written)

        engine.draw(plan(run.indices, writer.there, size), report)
    return summary


def draw_into(
    sink: Sink, indices: range, rig: Rig, run: RunConfig, first: int | None = None
) -> Generator[tuple[int, list[Rejection]]]:
    """Draw a range of samples into a sink: the unit of work.

    Yields the number of each batch's samples, and its rejections. All samples are stored when it
    has ended; close it if you stop before. first: as in `draw`.
    """
    with sink.open(indices) as add:
        for samples, rejections in draw(indices, rig, run, first):
            add(samples, [rejection.as_row() for rejection in rejections])
            yield len(samples), rejections


def draw(
    indices: range, rig: Rig, run: RunConfig, first: int | None = None
) -> Iterator[tuple[list[Sample], list[Rejection]]]:
    """The samples of a range in batches, with the draws that the quality gate rejected.

    A rejected draw is drawn again with the next attempt number, up to run.max_attempts.
    first: size of the first batch, where it is another than run.batch_size.

    On CUDA a batch is queued, on a stream of the generator's own, before the one before it is read
    back: the device generates while the host judges, labels and encodes. That holds two batches.
    """
    fresh = (SampleId(run.seed, index) for index in indices)
    retries: list[SampleId] = []
    size = first or run.batch_size
    stream = _generator_stream(rig.device) if rig.device.type == "cuda" else None
    # One at a time, what is drawn is what is reported next: see `synthforge.ledger`.
    ahead = AHEAD[rig.device.type] if run.batch_size > 1 else 0
    started: deque[Batch] = deque()
    while (ids := [*retries, *islice(fresh, size - len(retries))]) or started:
        retries = []
        size = run.batch_size
        if ids:
            started.append(start_batch(ids, rig, stream))
            if len(started) <= ahead:
                continue
        samples, rejections = finish_batch(started.popleft(), rig, run.extras, run.keypoints)
        yield samples, rejections
        retries = [
            rejection.id.next_attempt()
            for rejection in rejections
            if not rejection.is_last(run.max_attempts)
        ]


def make_samples(
    ids: Sequence[SampleId], rig: Rig, extras: Sequence[str] = (), schemes: Sequence[str] = ()
) -> tuple[list[Sample], list[Rejection]]:
    """One batch, from seeds to finished labels. A sample depends on its id alone.

    schemes: further keypoints, of the head's.
    """
    return finish_batch(start_batch(ids, rig), rig, extras, schemes)


@cache
def _generator_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all ranges: torch keeps freed memory for the stream that it was allocated on."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return stream


@torch.inference_mode()
def start_batch(
    ids: Sequence[SampleId], rig: Rig, stream: torch.cuda.Stream | None = None
) -> Batch:
    """Have a batch generated. On CUDA it is queued, on that stream, and not waited for."""
    parameters = rig.generator.draw(ids, rig.sampling)
    camera = parameters.camera
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
    parameters, camera, mesh_gen, output = (
        batch.parameters,
        batch.camera,
        batch.mesh_gen,
        batch.output,
    )
    ids = parameters.ids
    faces = output.to_uint8()
    rejects = judge_finite(output.image)
    detections: dict[str, NDArray[Any]] = {}
    if rig.detector is not None:
        projected_px, _ = camera.project(mesh_gen.landmarks, IMAGE_SIZE)
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
    keep = torch.tensor(accepted, device=rig.device)
    parameters, camera, mesh_gen, output = (
        parameters[keep],
        camera[keep],
        mesh_gen[keep],
        output[keep],
    )
    for max_layers in MAX_LAYERS[rig.device.type]:
        fragments = rasterize(
            camera.to_ndc(mesh_gen.vertices),
            mesh_gen.topology.faces,
            IMAGE_SIZE,
            IMAGE_SIZE,
            perspective_correct=True,
            backend=rig.parts.rasterizer,
            max_layers=max_layers,
        )
        maps, numbers = label(extras, rig, parameters, camera, mesh_gen, output, fragments, schemes)
        files = {folder: _stored(images) for folder, images in maps.items()}
        rows = {key: values.cpu().numpy() for key, values in numbers.items()}
        if fragments.complete.all():
            break
    for name in ("seed", "index", "attempt"):
        rows[name] = np.array([getattr(id, name) for id in parameters.ids], np.int64)
    files["images"] = faces[keep].cpu().numpy()
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
    extras: Sequence[str],
    rig: Rig,
    parameters: Parameters,
    camera: Camera,
    mesh_gen: Mesh,
    output: GeneratorOutput,
    fragments: Fragments,
    schemes: Sequence[str] = (),
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Label images (folder -> [B, ...]) and annotation rows (key -> [B, ...]); docs/formats.md.

    16-bit images come as int32: torch lacks most operations on uint16. Reads nothing back.
    """
    region_ids = annotate.region_ids(fragments, rig.head.face_regions)
    depth, depth_range = annotate.depth8(fragments)
    layers = output.layers
    if layers is None:
        layers = annotate_visible.layers_of_volume(output, camera, fragments, region_ids)
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
        "volume_depth": lambda: annotate.volume_depth16(output, camera),
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
