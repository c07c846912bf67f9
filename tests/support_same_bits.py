"""Samples of the built-in head from a child process, whose CPU threads and kernels one may choose.

python -m support_same_bits BATCH OUT.npz: SAMPLES samples, BATCH at a time, all labels.
"""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np

SAMPLES = 3


def in_child(path, batch=SAMPLES, threads=1, capability=None):
    """Arrays "images/0", "2d_kps/0" and so on of a child; capability: ATEN_CPU_CAPABILITY."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        # Threads that wait must not burn the cores that others need.
        "OMP_WAIT_POLICY": "passive",
    }
    if capability:
        environment["ATEN_CPU_CAPABILITY"] = capability
    command = [sys.executable, "-m", "support_same_bits", str(batch), str(path)]
    subprocess.run(command, check=True, env=environment)
    with np.load(path) as arrays:
        return dict(arrays)


def draw(batch):
    """Samples 0 to SAMPLES of seed 4 through the whole pipeline: name/index -> array."""
    import torch

    from synthforge.assembly import Rig
    from synthforge.batches import make_samples
    from synthforge.generators.mannequin import mannequin_parts
    from synthforge.labels import EXTRAS
    from synthforge.sampling import SampleId
    from synthforge.sampling_config import MANNEQUIN_SAMPLING, WEAR

    device = torch.device("cpu")
    # They wear all there is.
    sampling = replace(MANNEQUIN_SAMPLING, **dict.fromkeys(WEAR, 1.0))
    rig = Rig(device, *mannequin_parts(device), None, sampling)
    ids, arrays = [SampleId(4, i) for i in range(SAMPLES)], {}
    for first in range(0, SAMPLES, batch):
        samples, _ = make_samples(ids[first : first + batch], rig, EXTRAS)
        for sample in samples:
            for name, value in {**sample.files, **sample.annotation}.items():
                arrays[f"{name}/{sample.index}"] = value
    return arrays


if __name__ == "__main__":
    np.savez(sys.argv[2], **draw(int(sys.argv[1])))
