"""Settings that cannot work are refused on construction, with the way out."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from synthforge.config import (
    ANCESTRIES,
    ConfigError,
    PartsConfig,
    Range,
    RunConfig,
    read_config_file,
)

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
        ({"sampling_overrides": {"yaw_rad": Range(-30, 30)}}, "degrees are -0.524 0.524"),
        ({"sampling_overrides": {"yaw_rad": Range(-1e300, 1e300)}}, "radians, got"),
        ({"sampling_overrides": {"fov_deg": Range(1e-300, 20)}}, "1..150 degrees"),
        ({"sampling_overrides": {"fov_deg": Range(20, 179.99)}}, "1..150 degrees"),
        ({"sampling_overrides": {"age_years": Range(2, 20)}}, "--age must lie inside 3..85"),
        ({"sampling_overrides": {"sex": Range(0, 1.5)}}, "--sex must lie inside 0..1"),
        ({"sampling_overrides": {"african": Range(0.8, 1), "asian": Range(0.3, 1)}}, "sum to 1"),
        ({"sampling_overrides": {name: Range(0, 0.3) for name in ANCESTRIES}}, "sum to 1"),
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


@pytest.mark.parametrize("pair", [(1, 0), (float("nan"), 1), (0, float("inf"))])
def test_impossible_ranges_are_refused(pair):
    with pytest.raises(ConfigError):
        Range(*pair)


def test_a_config_file_is_read_by_option_names(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("num-images = 3\nyaw = [-0.1, 0.1]\n")
    known = frozenset({"num_images", "yaw"})
    assert read_config_file(path, known) == {"num_images": 3, "yaw": [-0.1, 0.1]}


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xef\xbb\xbfseed = 3\r\nnum_images = 2\r\n")
    assert read_config_file(path, frozenset({"seed", "num_images"})) == {"seed": 3, "num_images": 2}


@pytest.mark.parametrize(
    "text",
    [
        "num_imges = 3",
        "= 3",
        "\udcff",
        "num_images = " + "[" * 16_000,
        "num_images = " + "[" * 50_000,
        "num_images = " + "{a=" * 5_000,
        "num_images = " + "9" * 10_000,
        "num_images = " + "9" * 20_000,
        ".".join("a" * 8_000) + " = 1",
    ],
    ids=lambda text: text[:20],
)
def test_a_bad_config_file_is_named(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"run\.toml"):
        read_config_file(path, frozenset({"num_images"}))


def test_a_file_too_large_for_settings_is_refused_unparsed(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("# a comment\n" * 2_000)
    with pytest.raises(ConfigError, match="larger than 16384 bytes"):
        read_config_file(path, frozenset())


def test_a_missing_config_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="not found"):
        read_config_file(tmp_path / "none.toml", frozenset())
