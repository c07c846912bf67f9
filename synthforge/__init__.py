"""SynthForge: labelled synthetic face datasets from a controllable 3D face generator.

docs/api.md lists the public names.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthforge.assembly import Rig, build_rig
    from synthforge.batches import make_samples
    from synthforge.camera import Camera
    from synthforge.config import PartsConfig, RunConfig
    from synthforge.dataset.face_dataset import FaceDataset
    from synthforge.dataset.mirror import Mirror
    from synthforge.dataset.read import Dataset
    from synthforge.dataset.sample import Sample
    from synthforge.dataset.stored import StoredSample
    from synthforge.dataset.verify.verify import verify
    from synthforge.distributions import Range
    from synthforge.errors import UserError
    from synthforge.sampling import SampleId
    from synthforge.sampling_config import SamplingConfig

__version__ = "0.1.0"

# Public name -> its module.
_HOMES = {
    "Camera": "camera",
    "Dataset": "dataset.read",
    "FaceDataset": "dataset.face_dataset",
    "Mirror": "dataset.mirror",
    "PartsConfig": "config",
    "Range": "distributions",
    "Rig": "assembly",
    "RunConfig": "config",
    "Sample": "dataset.sample",
    "SampleId": "sampling",
    "SamplingConfig": "sampling_config",
    "StoredSample": "dataset.stored",
    "UserError": "errors",
    "build_rig": "assembly",
    "make_samples": "batches",
    "verify": "dataset.verify.verify",
}

__all__ = [
    "Camera",
    "Dataset",
    "FaceDataset",
    "Mirror",
    "PartsConfig",
    "Range",
    "Rig",
    "RunConfig",
    "Sample",
    "SampleId",
    "SamplingConfig",
    "StoredSample",
    "UserError",
    "build_rig",
    "make_samples",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch takes seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
