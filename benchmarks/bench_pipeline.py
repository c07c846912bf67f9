"""Images a second of a run of the built-in head, and the milliseconds of one by stage.

PYTHONPATH=. python benchmarks/bench_pipeline.py [--count 12] [--repeats 3] [--extras uv,normals]
    [--workers 1,2]

The stages are CPU time; idle is the rest of the wall time. Of several repeats the least counts.
The first image, which also builds the head, stands apart. Of several workers only images a second
are known, each drawing --count images: those after the first third of the run, when all have begun.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from synthforge import batches, pipeline
from synthforge.assembly import Rig, build_rig
from synthforge.config import PartsConfig, RunConfig
from synthforge.dataset import sink
from synthforge.dataset.card import dataset_card
from synthforge.dataset.write import DatasetWriter
from synthforge.workers import Workers

# Functions by the name that their callers look up: every one but the last runs inside a run.
STAGES = {
    "draw": [(pipeline, "start_batch"), (pipeline, "finish_batch")],
    "labels": [(batches, "rasterize"), (batches, "label")],
    "encode": [(sink, "encode_sample")],
    "write": [(sink, "write_together")],
}


class Stopwatch:
    """CPU seconds by stage, each function's own: without what the stages below it take."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stages = threading.local()

    def time(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            outer, self._stages.inner = getattr(self._stages, "inner", 0.0), 0.0
            start = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                taken = time.thread_time() - start
                with self._lock:
                    self.seconds[stage] += taken - self._stages.inner
                self._stages.inner = outer + taken

        return timed


def measure(indices: range, rig: Rig, extras: Sequence[str], watch: Stopwatch) -> Counter[str]:
    """Seconds an image of a run over these indices: by stage, "others", "idle" and "wall"."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunConfig(
            output_dir=Path(folder) / "run",
            num_images=len(indices),
            start_index=indices.start,
            extras=tuple(extras),
        )
        writer = DatasetWriter(run.output_dir, dataset_card(run, rig), run.extras)
        writer.open()
        watch.seconds.clear()
        wall, cpu = time.perf_counter(), time.process_time()
        pipeline.generate_dataset(run, writer, pipeline.InProcess(rig, run, writer.sink))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        writer.close()
    seconds = Counter(watch.seconds)
    seconds["others"] = cpu - watch.seconds.total()
    seconds["idle"], seconds["wall"] = max(0.0, wall - cpu), wall
    return Counter({name: value / len(indices) for name, value in seconds.items()})


@dataclass
class Timed:
    """An engine that notes when each batch came: seconds, images."""

    engine: Workers
    batches: list[tuple[float, int]] = field(default_factory=list)

    @property
    def workers(self) -> int:
        return self.engine.workers

    def draw(self, ranges: Iterator[range], report: pipeline.Report) -> None:
        def timed(written: int, rejections: Sequence[pipeline.Rejection]) -> None:
            self.batches.append((time.perf_counter(), written))
            report(written, rejections)

        self.engine.draw(ranges, timed)


def rate(workers: int, count: int, rig: Rig, extras: Sequence[str]) -> float:
    """Images a second of so many processes, each drawing `count`, when all have begun."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunConfig(Path(folder) / "run", workers * count, extras=tuple(extras))
        writer = DatasetWriter(run.output_dir, dataset_card(run, rig), run.extras)
        writer.open()
        build = partial(build_rig, rig.parts, tell=_silent)
        engine = Timed(Workers([build] * workers, run, writer.sink))
        pipeline.generate_dataset(run, writer, engine)
        writer.close()
    begun = len(engine.batches) // 3
    drawn = sum(images for _, images in engine.batches[begun + 1 :])
    return drawn / (engine.batches[-1][0] - engine.batches[begun][0])


def _silent(line: str) -> None:
    pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--extras", type=lambda text: text.split(","), default=[])
    parser.add_argument("--workers", type=lambda text: map(int, text.split(",")), default=[1])
    options = parser.parse_args()
    torch.set_num_threads(1)

    watch = Stopwatch()
    for stage, functions in STAGES.items():
        for module, name in functions:
            setattr(module, name, watch.time(stage, getattr(module, name)))
    rig = build_rig(PartsConfig(generator="mannequin"))
    first = measure(range(1), rig, options.extras, watch)
    print(f"the first image {first['wall'] - first['idle']:.1f} CPU s")
    columns = [*STAGES, "others", "idle"]
    print(f"{'workers':8s}{'images/s':>9s}" + "".join(f"{name:>10s}" for name in columns))
    indices = range(1, 1 + options.count)
    for workers in options.workers:
        if workers > 1:
            rates = (
                rate(workers, options.count, rig, options.extras) for _ in range(options.repeats)
            )
            print(f"{workers:<8d}{max(rates):9.2f}")
            continue
        runs = [measure(indices, rig, options.extras, watch) for _ in range(options.repeats)]
        least = {name: min(run[name] for run in runs) for name in runs[0]}
        times = "".join(f"{1000 * least[name]:7.1f} ms" for name in columns)
        print(f"{1:<8d}{1 / least['wall']:9.2f}{times}")


if __name__ == "__main__":
    main()
