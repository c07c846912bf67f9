"""Draws docs/learning_curve.svg from the table in docs/training.md.

    python tools/draw_learning_curve.py

Rows that begin with a number of samples are the curve; dashed is the detector `mesh`.
"""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
from matplotlib import pyplot

DOCS = Path(__file__).resolve().parent.parent / "docs"
matplotlib.rcParams.update({"svg.hashsalt": "synthforge", "svg.fonttype": "path"})


def main() -> None:
    page = (DOCS / "training.md").read_text().partition("## Face parsing")[0]
    rows = [
        (int(count.replace(",", "")), *map(float, numbers.replace("*", "").split("|")[:4]))
        for count, numbers in re.findall(r"^\| ([\d,]+) \|(.*)\|$", page, re.MULTILINE)
    ]
    counts, *columns = zip(*sorted(rows), strict=True)
    mesh = [float(v) for v in re.findall(r"`--detector mesh` \| ([\d.]+) \| ([\d.]+)", page)[0]]
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3.1), layout="constrained", sharey=True)
    for i, title in enumerate(("51 inner points", "all 68")):
        axes[i].plot(counts, columns[i], marker="o", color="#c2410c", label="the net")
        adapted = {"marker": "o", "color": "#1d4ed8", "label": "with label adaptation"}
        axes[i].plot(counts, columns[i + 2], **adapted)
        axes[i].axhline(mesh[i], color="#555", linestyle="--", linewidth=1, label="--detector mesh")
        axes[i].set(xscale="log", xticks=counts, xticklabels=counts, title=title, xlabel="samples")
        axes[i].minorticks_off()
        axes[i].grid(alpha=0.25)
    axes[0].set_ylabel("error, % of outer-eye distance")
    axes[1].legend(frameon=False)
    figure.savefig(DOCS / "learning_curve.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
