"""dataset.json: everything about a dataset that is not a number of one sample."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import synthforge
from synthforge.alignment import AlignmentMLP
from synthforge.assembly import Rig
from synthforge.config import CAMERA_PIVOT, CAMERA_RADIUS, IMAGE_SIZE, RunConfig
from synthforge.dataset.continuing import differences
from synthforge.dataset.folder import FORMAT_VERSION
from synthforge.frames import UNITS_PER_METRE
from synthforge.generators.known import GENERATORS
from synthforge.keypoints import Scheme
from synthforge.labels import IMAGES
from synthforge.landmarks import FLIP
from synthforge.parsing import PARSINGS
from synthforge.regions import FLIP_PAIRS, REGIONS
from synthforge.sampling import SAMPLE_FORMAT
from synthforge.sampling_config import SamplingConfig
from synthforge.visible import OVER


def dataset_card(
    run: RunConfig, rig: Rig, files: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """The card of a run. Its "recipe" is what fixes the samples: a run continues only its own.

    files: of synthforge.given_files.
    """
    known = GENERATORS[rig.generator.name]
    return {
        "synthforge_version": synthforge.__version__,
        "format_version": FORMAT_VERSION,
        "format": run.format,
        **({"samples_per_tar": run.samples_per_tar} if run.format == "webdataset" else {}),
        "planned": [[run.start_index, run.start_index + run.num_images]],
        "recipe": {
            "sample_format": SAMPLE_FORMAT,
            "seed": run.seed,
            "generator": rig.generator.name,
            "generator_fingerprint": rig.generator.fingerprint,
            "head_fingerprint": rig.head.fingerprint,
            "alignment": _weights(rig.alignment),
            "sampling": _sampling(rig.sampling),
            **{name: getattr(rig.parts, name) for name in known.options},
            **_gate_settings(rig),
            "extras": sorted(run.extras),
            **({"keypoints": sorted(run.keypoints)} if run.keypoints else {}),
            "image_size": IMAGE_SIZE,
        },
        **({"files": files} if files else {}),
        "licence": known.licence,
        "licence_spdx": known.licence_spdx,
        "citation": "SynthForge, arXiv:2406.07840",
        "camera": {
            "camera_params": "T_gen_cam (16, row-major, camera to generator world), then K (9), "
            "in image widths",
            "axes": "OpenCV: x right, y down, z forward; generator world: y up",
            "pixels": "centres at +0.5",
            "radius": CAMERA_RADIUS,
            "pivot": CAMERA_PIVOT,
            "metres_per_unit": 1 / UNITS_PER_METRE,
        },
        "depth": {name: IMAGES[name].description for name in ("depth", "depth16")},
        "palette": {region.name: {"id": region.id, "rgb": region.color} for region in REGIONS},
        "visible_palette": {over.name: {"id": over.id, "rgb": over.color} for over in OVER},
        "parsing": {name: PARSINGS[name].as_json() for name in run.extras if name in PARSINGS},
        "mirror": f"mirrored, x in pixels becomes W - x = {IMAGE_SIZE} - x; the regions of each of "
        "flip_pairs trade ids; keypoint i becomes keypoint landmark_flip[i]",
        "flip_pairs": FLIP_PAIRS,
        "landmark_flip": FLIP,
        "keypoints": {name: _scheme(rig.head.schemes[name]) for name in sorted(run.keypoints)},
        **known.expression(),
        "landmarks": "iBUG 68; points 0-16 are a projected 3D contour of the jaw, not the "
        "visible outline",
    }


def other_settings(recipe: Mapping[str, Any], run: RunConfig, rig: Rig) -> str:
    """Settings that the rig would draw the run with other than a dataset's recipe; "" if none."""
    own = json.loads(json.dumps(dataset_card(run, rig)["recipe"]))
    return ", ".join(differences(recipe, own))


def _sampling(sampling: SamplingConfig) -> dict[str, Any]:
    like = None if sampling.like is None else sampling.like.record
    return asdict(replace(sampling, like=None)) | {"like": like}


def _gate_settings(rig: Rig) -> dict[str, Any]:
    if rig.detector is None:
        return {"detector": "none"}
    return {"detector": rig.detector.name, "reject_px": rig.detector.reject_px}


def _scheme(scheme: Scheme) -> dict[str, Any]:
    flip = {"flip": scheme.flip.tolist()} if len(scheme.flip) else {}
    return {"points": len(scheme), **flip}


def _weights(alignment: AlignmentMLP) -> dict[str, Any]:
    """What maps the placed mesh to the generated face: A x + b, or a network's own weights."""
    if alignment.activation == "none":
        # In float64 on the CPU, so that every machine writes the same numbers.
        A, b = copy.deepcopy(alignment).cpu().double().as_affine()
        return {"A": A.float().tolist(), "b": b.float().tolist()}
    weights = {name: value.tolist() for name, value in alignment.state_dict().items()}
    return {"activation": alignment.activation} | weights
