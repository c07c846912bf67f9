"""What this machine can do: libraries, devices, files of models, and one sample drawn to see."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import synthforge
from synthforge.assets.locate import Assets, find_assets
from synthforge.config import AssetPaths, PartsConfig
from synthforge.cpus import threads_a_process, usable_cores
from synthforge.dataset.folder import ANNOTATIONS, as_size, existing
from synthforge.errors import UserError
from synthforge.memory import usable_memory

# Distribution -> module that must load.
LIBRARIES = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "opencv-python-headless": "cv2",
    "safetensors": "safetensors",
    "matplotlib": "matplotlib",
    "click": "click",
    "tqdm": "tqdm",
    "numba": "numba",
    "deflate": "deflate",
    "fsspec": "fsspec",
}
# Module -> what it is for.
_OPTIONAL = {
    "face_alignment": "detector of the quality gate: pip install 'synthforge[detector]'",
    "viser": "`synthforge preview`: pip install 'synthforge[preview]'",
    "pyarrow": "export to Parquet: pip install 'synthforge[export]'",
    "ray": "drawing on a cluster: pip install 'synthforge[ray]'",
    "pytorch3d": "another rasterizer, on GPUs: environment.yml",
}
_FLAME = "FLAME's licence: non-commercial research; some of its models are CC BY 4.0"
_NEXT3D = "Next3D's licence: NVIDIA's source code licence, non-commercial"
# Field of Assets -> what the file is, and whose licence governs it.
_FILES = {
    "checkpoint": ("Next3D's weights", _NEXT3D),
    "flame_model": ("FLAME's head", _FLAME),
    "static_embedding": ("68 landmarks", "DECA's or RingNet's licence: non-commercial research"),
    "contour_embedding": ("jaw landmarks", "RingNet's licence: non-commercial research"),
    "masks": ("regions", _FLAME),
    "texture": ("UV layout (optional)", _FLAME),
    "seg_texture": ("painted regions (optional)", "SynthForge's"),
    "alignment": ("published alignment (optional)", "SynthForge's"),
}
# Built-in data -> its licence; NOTICE has more.
_BUILT_IN = {
    "mannequin/head/head.npz": "CC0 1.0 and Apache 2.0, see NOTICE",
    "mannequin/render/panoramas.npz": "CC0 1.0, see NOTICE",
}
_COLUMN = 14
_HASHED_CHARACTERS = 16
# Of a worker that draws the built-in head, and of one with Next3D.
_LEAST_MEMORY = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """A line of the report. problem: what is wrong and the way out, where something is."""

    line: str
    problem: str | None = None


def machine() -> Iterator[Finding]:
    """Python, cores, memory, disk."""
    yield _found("synthforge", f"{synthforge.__version__}, in {Path(synthforge.__file__).parent}")
    version = platform.python_version()
    old = "Python 3.11 or newer is needed" if sys.version_info < (3, 11) else None
    yield _found("python", f"{version}, {sys.executable}", old)
    yield _found("system", f"{platform.system()} {platform.release()}, {platform.machine()}")
    cores, there = usable_cores(), os.cpu_count()
    limited = "" if cores == there else f" of {there}, by affinity or a container's limit"
    threads = threads_a_process()
    each = f" of {threads} threads (OMP_NUM_THREADS)" if threads > 1 else ""
    workers = max(cores // threads, 1)
    many = "s" if workers > 1 else ""
    yield _found("cores", f"{cores}{limited}: {workers} worker{many}{each} for the built-in head")
    total, free = usable_memory()
    if total:
        short = free < _LEAST_MEMORY
        yield _found(
            "memory",
            f"{as_size(free)} free of {as_size(total)}",
            "less than 2 GB of memory are free: close other programs" if short else None,
        )
    disk = shutil.disk_usage(existing(Path()))
    samples = float(f"{disk.free / 450_000:.1e}")  # no more digits than are known
    yield _found("disk", f"{as_size(disk.free)} free here: about {samples:,.0f} samples")


def libraries(explain: Callable[[ImportError], str]) -> Iterator[Finding]:
    """Whether each library that is needed loads; which optional ones are there.

    explain: what a library that does not load means for the user, and the way out.
    """
    for name, module in LIBRARIES.items():
        try:
            importlib.import_module(module)
            yield _found(module, _version(name))
        except ImportError as error:
            yield _found(module, "does not load", explain(error))
    for module, purpose in _OPTIONAL.items():
        there = importlib.util.find_spec(module) is not None
        yield _found(module, "installed" if there else f"not installed (optional: {purpose})")


def devices() -> Iterator[Finding]:
    """CUDA devices that torch sees."""
    try:
        import torch
    except ImportError:  # told among the libraries
        return
    built = torch.version.cuda
    if not torch.cuda.is_available():
        why = f"torch for CUDA {built}, which finds no device" if built else "torch without CUDA"
        yield _found("cuda", f"none: {why}; the CPU draws")
        return
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        yield _found(f"cuda:{number}", f"{name}, {as_size(free)} free of {as_size(total)}")


def built_in_files() -> Iterator[Finding]:
    """Data that comes with the package."""
    for name, licence in _BUILT_IN.items():
        path = Path(synthforge.__file__).parent / name
        if path.is_file():
            yield Finding(f"{path}\n    {_file_facts(path)}; {licence}")
        else:
            yield Finding(f"{path}: missing", f"{path} is missing: install the package again")


def model_files(paths: AssetPaths) -> tuple[Assets, list[Finding]]:
    """The user's files, as found, and what is missing with the place to get it."""
    assets = find_assets(paths.model_dir, paths.pretrained_dir)
    findings = []
    for field, (title, licence) in _FILES.items():
        path = getattr(assets, field)
        if path is not None:
            line = f"{path.absolute()}: {title}\n    {_file_facts(path)}; {licence}"
            findings.append(Finding(line))
    begun = assets.any_required or assets.unfulfilled or assets.astray
    for line in (*assets.unfulfilled, *(f"may be meant: {line}" for line in assets.astray)):
        findings.append(Finding(line))
    for line in assets.missing:
        problem = f"Next3D lacks {line}" if begun else None
        findings.append(Finding(f"not there: {line}", problem))
    return assets, findings


def self_test(paths: AssetPaths, generator: str) -> Iterator[Finding]:
    """Draw one sample, encode it, and check it as `synthforge verify` does."""
    from synthforge.assembly import build_rig
    from synthforge.batches import make_samples
    from synthforge.dataset.sample import encode_sample
    from synthforge.dataset.verify.sample_check import Expected, check_sample
    from synthforge.labels import CORE
    from synthforge.sampling import SampleId

    start = time.monotonic()
    try:
        # Without a detector, so that no draw is rejected.
        parts = PartsConfig(generator=generator, assets=paths, detector="none")
        rig = build_rig(parts, tell=lambda _: None)
        built = time.monotonic()
        samples, rejections = make_samples([SampleId(seed=0, index=0)], rig)
        drawn = time.monotonic()
        make_samples([SampleId(seed=0, index=1)], rig)
        again = time.monotonic()
    except (UserError, ValueError, OSError, RuntimeError, MemoryError) as error:
        yield Finding(f"{generator}: fails", f"{generator} draws nothing: {error}")
        return
    if not samples:
        reason = rejections[0].reject.reason
        yield Finding(f"{generator}: fails", f"{generator} draws what is rejected: {reason}")
        return
    files = encode_sample(samples[0], [*CORE, ANNOTATIONS])
    checked = check_sample(0, files, Expected(CORE, 512, 0))
    problem = None
    if checked.faults:
        folder, what = checked.faults[0]
        problem = f"{generator} draws a sample that is not whole: {folder} {what}"
    yield Finding(
        f"{generator}, seed 0, sample 0, on {rig.device}: {'fails' if problem else 'drawn, whole'}"
        f"\n    ready in {built - start:.1f} s, the first in {drawn - built:.1f} s (once "
        f"after an installation it compiles), the second in {again - drawn:.1f} s",
        problem,
    )


def next_command(assets: Assets, has_problem: bool) -> str:
    """What to run now."""
    if assets.any_required and assets.missing:
        return "synthforge generate --generator mannequin --output_dir faces --num_images 12"
    if has_problem:
        return "synthforge doctor, when the problems are put right"
    return "synthforge generate --output_dir faces --num_images 12"


def _found(name: str, text: str, problem: str | None = None) -> Finding:
    return Finding(f"{name:<{_COLUMN}}  {text}", problem)


def _version(distribution: str) -> str:
    """Of a distribution; OpenCV has several."""
    for name in (distribution, distribution.removesuffix("-headless")):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "of unknown version"


def _file_facts(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{as_size(path.stat().st_size)}, SHA-256 {digest[:_HASHED_CHARACTERS]}..."
