"""Settings that cannot work are refused on construction, with the way out."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from synthforge.config import PartsConfig, RunConfig
from synthforge.distributions import Range
from synthforge.errors import ConfigError

RUN = RunConfig(Path("out"), 1)


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"num_images": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"seed": -1}, "at least 0"),
        ({"seed": 2**63}, "at most"),
        ({"start_index": -1}, "at least 0"),
        ({"start_index": 2**63}, "--start_index must be at most"),
        ({"num_images": 2**63}, "at most"),
        ({"batch_size": 10**9}, "at most"),
        ({"max_attempts": 10**30}, "at most"),
        ({"device": "abacus"}, "auto, cpu or cuda:0"),
        ({"device": "cuda:-1"}, "auto, cpu or cuda:0"),
        ({"device": "cuda:0\ud800"}, "auto, cpu or cuda:0"),
        ({"device": "cuda:99999999999999999999"}, "auto, cpu or cuda:0"),
        ({"max_attempts": 0}, "at least 1"),
        ({"reject_px": 0.0}, "positive"),
        ({"extras": ("teeth",)}, "choose from"),
        (
            {"sampling_overrides": {"age_years": Range(3, 9), "shape": Range(-1, 1)}},
            "--shape and --age",
        ),
    ],
)
def test_impossible_settings_are_refused(settings, hint):
    of_run = settings.keys() <= vars(RUN).keys()
    with pytest.raises(ConfigError, match=hint):
        replace(RUN, **settings) if of_run else PartsConfig(**settings)


def test_what_builds_parts_and_what_is_run_reaches_another_process():
    parts = PartsConfig(sampling_overrides={"yaw_rad": Range(0, 1)}, alignment=Path("a.pth"))
    run = replace(RUN, extras=("uv",))
    assert pickle.loads(pickle.dumps((parts, run))) == (parts, run)
