"""Seconds of one CPU core that an image of the mannequin takes, by stage.

PYTHONPATH=. python benchmarks/bench_mannequin.py [--count 12]
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch

from synthforge.generators.mannequin import mannequin_parts
from synthforge.mannequin import generator
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING

STAGES = (
    "skin_texture",
    "clothed",
    "grow_hair",
    "facial_hair",
    "key_shadow",
    "irradiance",
    "surface_of",
    "visible",
    "pixel_faces",
    "shade",
    "splat",
    "shade_strands",
    "background",
    "tone_map",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12)
    count = parser.parse_args().count
    torch.set_num_threads(1)

    start = time.process_time()
    head, mannequin, _ = mannequin_parts(torch.device("cpu"))
    print(f"{'build the head':16s}{time.process_time() - start:8.3f} s")
    ids = [SampleId(0, i) for i in range(count + 1)]
    parameters = mannequin.draw(ids, MANNEQUIN_SAMPLING)
    camera = parameters.camera
    mesh = head.mesh(parameters, camera)

    spent: defaultdict[str, float] = defaultdict(float)

    def timed(name: str, stage: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            start = time.process_time()
            result = stage(*arguments, **options)
            spent[name] += time.process_time() - start
            return result

        return run

    for name in STAGES:
        setattr(generator, name, timed(name, getattr(generator, name)))

    def draw(i: int) -> float:
        start = time.process_time()
        mannequin.generate(parameters.z[i : i + 1], mesh[i : i + 1], camera[i : i + 1])
        return time.process_time() - start

    print(f"{'first image':16s}{draw(0):8.3f} s")
    # What the first of a hair style builds once is no image's cost.
    for i in range(1, count + 1):
        draw(i)
    spent.clear()
    total = sorted(draw(i) for i in range(1, count + 1))
    for name in STAGES:
        print(f"{name:16s}{spent[name] / count:8.3f} s")
    print(f"{'others':16s}{(sum(total) - sum(spent.values())) / count:8.3f} s")
    print(f"{'an image':16s}{sum(total) / count:8.3f} s ({total[0]:.3f} to {total[-1]:.3f})")


if __name__ == "__main__":
    main()
