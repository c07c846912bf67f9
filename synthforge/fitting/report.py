"""What training tells its user: a line an epoch, the curves, and heads before and after."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from synthforge.alignment import AlignmentMLP
from synthforge.config import IMAGE_SIZE
from synthforge.dataset.contact_sheet import draw_keypoints
from synthforge.dataset.png import encode_png
from synthforge.fitting.checkpoint import Epoch
from synthforge.fitting.losses import FaceSurface
from synthforge.fitting.samples import Samples
from synthforge.rasterizer import visible
from synthforge.whole_files import replacing, write_whole

_TILE = 320
_CAPTION = 26
_PAPER, _INK = 250, (40, 40, 40)
_HEAD_OUTLINE = (255, 210, 60)
_FACE_OUTLINE = (80, 220, 255)
_DETECTED = (255, 60, 200)

_SCORES = {
    "nme_percent": ("NME", "%"),
    "depth_error_mm": ("depth error", " mm"),
    "coverage": ("coverage", ""),
    "loss": ("loss", ""),
}


def describe_scores(scores: Mapping[str, float]) -> str:
    """ "NME 2.31%, depth error 1.20 mm, coverage 0.99, loss 0.87", of those that there are."""
    return ", ".join(
        f"{label} {scores[name]:.2f}{unit}"
        for name, (label, unit) in _SCORES.items()
        if name in scores
    )


def describe_epoch(epoch: Epoch) -> str:
    losses = ", ".join(f"{name} {value:.3g}" for name, value in epoch.losses.items())
    return f"epoch {epoch.number + 1}: {describe_scores(epoch.scores)} (losses: {losses})"


def write_curves(path: Path, before: Mapping[str, float], history: Sequence[Epoch]) -> None:
    """Plot the losses and the validation scores over the epochs, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    shown = [name for name in ("loss", "nme_percent", "depth_error_mm") if name in before]
    figure = Figure(figsize=(4.2 * (1 + len(shown)), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + len(shown))
    epochs = [epoch.number + 1 for epoch in history]
    for name in history[0].losses if history else ():
        axes[0].plot(epochs, [epoch.losses[name] for epoch in history], label=name)
    axes[0].set(title="Training losses, weighted", xlabel="epoch", yscale="log")
    if history:
        axes[0].legend(frameon=False, loc="upper right")
    for axis, name in zip(axes[1:], shown, strict=True):
        label, unit = _SCORES[name]
        values = [before[name], *(epoch.scores[name] for epoch in history)]
        axis.plot([0, *epochs], values, color="tab:red", marker=".")
        in_unit = f" [{unit.strip()}]" if unit else ""
        axis.set(title=f"Validation {label}{in_unit}", xlabel="epoch")
        axis.set_ylim(bottom=0)
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=120)


def write_overlays(
    path: Path,
    samples: Samples,
    surface: FaceSurface,
    before: AlignmentMLP,
    after: AlignmentMLP,
    captions: tuple[str, str],
    columns: int = 5,
) -> None:
    """Two rows of the same generated faces, the head drawn over them before and after, as PNG.

    Yellow: outline of the head. Blue: of the skin of the face. Green: its keypoints. Pink: the
    detector's.
    """
    chosen = samples.select(torch.arange(min(columns, len(samples))))
    rows = []
    for mlp, caption in zip((before, after), captions, strict=True):
        tiles = _overlays(chosen, surface, mlp)
        row = np.concatenate(tiles, axis=1)
        title = np.full((_CAPTION, row.shape[1], 3), _PAPER, np.uint8)
        cv2.putText(title, caption, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
        rows += [title, row]
    write_whole(path, encode_png(np.concatenate(rows)))


@torch.no_grad()
def _overlays(samples: Samples, surface: FaceSurface, mlp: AlignmentMLP) -> list[NDArray[np.uint8]]:
    mlp = copy.deepcopy(mlp).to(samples.vertices_gen.device)
    ndc = samples.camera.to_ndc(mlp(samples.vertices_gen))
    face_ids = visible(ndc, surface.faces, IMAGE_SIZE, IMAGE_SIZE, perspective_correct=True)
    face = (face_ids >= 0) & surface.is_face[face_ids.clamp_min(0)]
    keypoints_px, _ = samples.camera.project(mlp(samples.landmarks_gen), IMAGE_SIZE)
    tiles = []
    for i in range(len(samples)):
        canvas = np.ascontiguousarray(samples.image(i).numpy())
        _draw_outline(canvas, (face_ids[i] >= 0).cpu().numpy(), _HEAD_OUTLINE)
        _draw_outline(canvas, face[i].cpu().numpy(), _FACE_OUTLINE)
        if samples.keypoints_px is not None:
            for x, y in samples.keypoints_px[i].tolist():
                cv2.circle(canvas, (round(x - 0.5), round(y - 0.5)), 4, _DETECTED, 1, cv2.LINE_AA)
        canvas = draw_keypoints(canvas, keypoints_px[i].cpu().numpy(), np.ones(68, bool))
        tile = cv2.resize(canvas, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
        tiles.append(tile.astype(np.uint8))
    return tiles


def _draw_outline(canvas: NDArray[Any], mask: NDArray[np.bool_], color: tuple[int, ...]) -> None:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.polylines(canvas, outlines, True, color, 2, cv2.LINE_AA)
