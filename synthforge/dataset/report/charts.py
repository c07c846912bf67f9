"""Charts as SVG text: bars in the page's own colour."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _BASE = 260, 110, 92
_ROW = 18
_LABEL = 130


def histogram(values: NDArray[np.floating], title: str, unit: str, bins: int = 24) -> str:
    """A figure: how often values fall into each bin, with lowest, median and highest named."""
    counts, edges = np.histogram(values, bins)
    step = _WIDTH / bins
    most = max(1, counts.max())
    bars = "".join(
        f'<rect x="{k * step:.1f}" y="{_BASE - _BASE * n / most:.1f}" width="{step - 1:.1f}" '
        f'height="{_BASE * n / most:.1f}"><title>{edges[k]:.4g} to {edges[k + 1]:.4g}: {n}'
        "</title></rect>"
        for k, n in enumerate(counts)
        if n
    )
    places = ((0, "start", edges[0]), (_WIDTH, "end", edges[-1]))
    ends = "".join(
        f'<text x="{x}" y="{_HEIGHT - 4}" text-anchor="{anchor}">{value:.4g}</text>'
        for x, anchor, value in places
    )
    middle = f"median {np.median(values):.4g}"
    ends += f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{middle}</text>'
    caption = escape(f"{title} ({unit})" if unit else title)
    return (
        f'<figure class="chart"><figcaption>{caption}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{caption}">{bars}{ends}'
        "</svg></figure>"
    )


def shares(values: Mapping[str, float], title: str) -> str:
    """A figure: a bar for each name, whose length is its share, 0 to 1."""
    most = max([*values.values(), 1e-9])
    room = _WIDTH - _LABEL - 44
    rows = "".join(
        f'<text x="{_LABEL - 6}" y="{k * _ROW + 13}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{_LABEL}" y="{k * _ROW + 3}" width="{room * share / most:.1f}" '
        f'height="{_ROW - 6}"/>'
        f'<text x="{_LABEL + room * share / most + 4:.1f}" y="{k * _ROW + 13}">{share:.1%}</text>'
        for k, (name, share) in enumerate(values.items())
    )
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_ROW * len(values) + 4}" role="img" '
        f'aria-label="{escape(title)}">{rows}</svg></figure>'
    )
