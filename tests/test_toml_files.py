"""Files of settings: what is read, and what is refused by name."""

import pytest

from synthforge.errors import ConfigError
from synthforge.toml_files import read_config_file


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
