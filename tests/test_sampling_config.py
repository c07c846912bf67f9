"""Ranges and shares that cannot work are refused, in the command line's words and units."""

from dataclasses import replace

import pytest

from synthforge.distributions import Range
from synthforge.errors import ConfigError
from synthforge.sampling_config import ANCESTRIES, MANNEQUIN_SAMPLING


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"yaw_rad": Range(-30, 30)}, "degrees are -0.524 0.524"),
        ({"yaw_rad": Range(-1e300, 1e300)}, "radians, got"),
        ({"fov_deg": Range(1e-300, 20)}, "degrees and must lie inside 1..150"),
        ({"fov_deg": Range(20, 179.99)}, "degrees and must lie inside 1..150"),
        ({"age_years": Range(2, 20)}, "--age is in years and must lie inside 3..85"),
        ({"sex": Range(0, 1.5)}, "--sex must lie inside 0..1"),
        ({"african": Range(0.8, 1), "asian": Range(0.3, 1)}, "sum to 1"),
        ({name: Range(0, 0.3) for name in ANCESTRIES}, "sum to 1"),
        ({"shape": Range(0, 11)}, "--shape is in standard deviations and must lie inside -10..10"),
        ({"face_size": Range(0.01, 0.5)}, "--face_size is in image widths"),
        ({"offset_y": Range(-2, 0)}, "--offset_y is in image widths"),
        ({"glasses": 1.5}, "--glasses is a share of the samples"),
        ({"cut": -0.1}, "--cut is a share of the samples"),
    ],
)
def test_impossible_settings_are_refused(settings, hint):
    with pytest.raises(ConfigError, match=hint):
        replace(MANNEQUIN_SAMPLING, **settings)
