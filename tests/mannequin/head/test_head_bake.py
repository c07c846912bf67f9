"""Baking again gives the package's head; needs the extra [bake]."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("anny") is None, reason="needs the extra [bake]")
def test_baking_again_gives_the_same_head(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    import bake_head

    arrays, metadata = bake_head.bake()
    with np.load(bake_head.OUT, allow_pickle=False) as file:
        kept = {name: file[name] for name in file.files if name != "metadata"}
        stored = json.loads(str(file["metadata"]))
    assert stored == metadata and kept.keys() == arrays.keys()
    for name in ("static", "contour"):
        # A point on an edge is on either triangle.
        now, then = (_points(found, name) for found in (arrays, kept))
        assert np.abs(now - then).max() < 5e-5, name
    for name, array in arrays.items():
        assert kept[name].dtype == array.dtype and kept[name].shape == array.shape, name
        if name.startswith(("static", "contour")):
            continue
        if array.dtype == np.int16:
            # Sums in another order: a hundredth of a millimetre either way.
            assert np.abs(kept[name].astype(int) - array).max() <= 1, name
        elif np.issubdtype(array.dtype, np.integer):
            assert np.array_equal(kept[name], array), name
        else:
            # 0.02 mm, or a fiftieth of a standard deviation.
            off = np.abs(kept[name].astype(float) - array).max()
            assert off < (0.02 if name.startswith(("cells", "local", "estimate")) else 2e-5), name


def _points(arrays, name):
    corners = arrays["adult"][arrays["faces"][arrays[f"{name}_faces"]]]
    return (corners * arrays[f"{name}_bary"][..., None]).sum(-2)
