import re
from xml.etree import ElementTree

import numpy as np
import pytest

from synthforge.dataset.report import charts


def bars(figure):
    return [float(height) for height in re.findall(r'<rect[^>]*height="([\d.]+)"', figure)]


def test_a_bar_is_as_high_as_its_count():
    figure = charts.histogram(np.array([0.0, 0.1, 0.1, 1.0]), "yaw <b>", "deg", bins=2)
    ElementTree.fromstring(figure)  # well-formed, so the title is escaped
    high, low = bars(figure)
    assert high == pytest.approx(3 * low, abs=0.2)
    assert "median 0.1" in figure and "&lt;b&gt; (deg)" in figure


def test_equal_values_are_one_bar():
    assert len(bars(charts.histogram(np.full(5, 24.0), "fov", "deg"))) == 1


def test_shares_are_to_scale():
    figure = charts.shares({"nose": 0.5, "a&b": 0.25, "none": 0.0}, "regions")
    ElementTree.fromstring(figure)
    widths = [float(w) for w in re.findall(r'<rect[^>]*width="([\d.]+)"', figure)]
    assert widths[0] == 2 * widths[1] and widths[2] == 0
    assert "50.0%" in figure and "a&amp;b" in figure


def test_other_values_are_outlined_to_the_same_scale():
    values = np.array([0.0, 0.0, 1.0, 1.0])
    figure = charts.histogram(values, "yaw", "deg", bins=2, beside=np.array([1.0]))
    ElementTree.fromstring(figure)
    (outline,) = re.findall(r'class="beside" d="([^"]*)"', figure)
    heights = [float(y) for y in re.findall(r"L[\d.]+ ([\d.]+)", outline)]
    assert heights[:4] == [92, 92, 0, 0] and bars(figure) == [46, 46]
    both = charts.shares({"smile": 0.25, "wink": 0.1}, "actions", {"smile": 0.5})
    ElementTree.fromstring(both)
    widths = re.findall(r'<rect( class="beside")?[^>]*width="([\d.]+)"', both)
    assert [float(w) for _, w in widths][1] == 2 * float(widths[0][1]) and len(widths) == 3
