"""Charts as SVG text: bars in the page's own colour."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _BASE = 260, 110, 92
_ROW = 18
_LABEL = 130


def histogram(
    values: NDArray[np.floating],
    title: str,
    unit: str,
    bins: int = 24,
    beside: NDArray[np.floating] | None = None,
) -> str:
    """A figure: how often values fall into each bin, with lowest, median and highest named.

    beside: other values, drawn as an outline, scaled as if there were as many.
    """
    others = values[:0] if beside is None else beside
    edges = np.histogram_bin_edges(np.concatenate([values, others]), bins)
    counts, _ = np.histogram(values, edges)
    heights = np.histogram(others, edges)[0] * (len(values) / max(len(others), 1))
    step = _WIDTH / bins
    most = max(1, counts.max(), heights.max())
    bars = "".join(
        f'<rect x="{k * step:.1f}" y="{_BASE - _BASE * n / most:.1f}" width="{step - 1:.1f}" '
        f'height="{_BASE * n / most:.1f}"><title>{edges[k]:.4g} to {edges[k + 1]:.4g}: {n}'
        "</title></rect>"
        for k, n in enumerate(counts)
        if n
    )
    if len(others):
        tops = _BASE - _BASE * heights / most
        line = "".join(
            f"L{k * step:.1f} {y:.1f}L{(k + 1) * step:.1f} {y:.1f}" for k, y in enumerate(tops)
        )
        bars += f'<path class="beside" d="M0 {_BASE}{line}L{_WIDTH} {_BASE}"/>'
    middle, width = float(np.median(values)), float(edges[-1] - edges[0])
    # As many decimals as tell a hundredth of the width.
    decimals = max(0, math.ceil(-math.log10(width / 100))) if width > 0 else 2
    places = ((0, "start", edges[0]), (_WIDTH, "end", edges[-1]))
    ends = "".join(
        f'<text x="{x}" y="{_HEIGHT - 4}" text-anchor="{anchor}">{_number(value, decimals)}</text>'
        for x, anchor, value in places
    )
    at = _WIDTH * (middle - edges[0]) / max(width, 1e-9)
    bars += f'<path class="median" d="M{at:.1f} 0V{_BASE}"/>'
    middle_text = f"median {_number(middle, decimals)}"
    ends += f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{middle_text}</text>'
    caption = escape(f"{title} ({unit})" if unit else title)
    return (
        f'<figure class="chart"><figcaption>{caption}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{caption}">{bars}{ends}'
        "</svg></figure>"
    )


def _number(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # never -0


def _fill(color: str | None) -> str:
    return "" if color is None else f' style="fill: {escape(color)}"'


def shares(
    values: Mapping[str, float],
    title: str,
    beside: Mapping[str, float] | None = None,
    colors: Mapping[str, str] | None = None,
) -> str:
    """A figure: a bar for each name, whose length is its share, 0 to 1.

    beside: other shares of the names, drawn as outlines. colors: of bars, as CSS; else the page's.
    """
    others = beside or {}
    most = max([*values.values(), *(others.get(name, 0.0) for name in values), 1e-9])
    room = _WIDTH - _LABEL - 44
    rows = ""
    for k, (name, share) in enumerate(values.items()):
        top, width = k * _ROW, room * share / most
        rows += (
            f'<text x="{_LABEL - 6}" y="{top + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LABEL}" y="{top + 3}" width="{width:.1f}" height="{_ROW - 6}"'
            f"{_fill((colors or {}).get(name))}/>"
            f'<text x="{_LABEL + width + 4:.1f}" y="{top + 13}">{share:.1%}</text>'
        )
        if name in others:
            rows += (
                f'<rect class="beside" x="{_LABEL}" y="{top + 2}" '
                f'width="{room * others[name] / most:.1f}" height="{_ROW - 4}"/>'
            )
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_ROW * len(values) + 4}" role="img" '
        f'aria-label="{escape(title)}">{rows}</svg></figure>'
    )
