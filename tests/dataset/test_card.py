"""Which settings must agree to continue a dataset."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from synthforge.alignment import published_alignment
from synthforge.config import DEFAULT_SAMPLING, GenerateConfig
from synthforge.dataset.card import dataset_card

CONFIG = GenerateConfig(output_dir=Path(), num_images=1)


def recipe(config, generator="next3d", detector=None):
    part = SimpleNamespace(name=generator, fingerprint="f")
    rig = SimpleNamespace(
        generator=part,
        head=part,
        alignment=published_alignment(),
        sampling=DEFAULT_SAMPLING[generator],
        detector=detector,
    )
    return dataset_card(config, rig)["recipe"]


def test_what_changes_no_sample_may_differ():
    other = replace(CONFIG, max_attempts=3, batch_size=1, num_images=9, start_index=2)
    assert recipe(other) == recipe(CONFIG)


@pytest.mark.parametrize(
    "setting", [{"precision": "bf16"}, {"variant": "original"}, {"truncation_psi": 0.5}]
)
def test_settings_of_next3d_count_for_next3d_only(setting):
    other = replace(CONFIG, **setting)
    assert recipe(other, "mannequin") == recipe(CONFIG, "mannequin")
    assert recipe(other).items() >= setting.items()


def test_the_gates_threshold_counts_with_a_detector_only():
    other = replace(CONFIG, reject_px=3.0)
    assert recipe(other) == recipe(CONFIG)
    assert recipe(other, detector=print)["reject_px"] == 3.0
