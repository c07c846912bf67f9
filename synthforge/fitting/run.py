"""One training run, from nothing to the files that it leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from synthforge.alignment import AlignmentMLP, trained_path
from synthforge.alignment_config import AlignmentTrainingConfig
from synthforge.alignment_weights import AlignmentOrigin, save_alignment
from synthforge.detectors import Detector
from synthforge.fitting import TrainingError
from synthforge.fitting.checkpoint import checkpoint_path, settings
from synthforge.fitting.drawing import SampleSource
from synthforge.fitting.losses import FaceSurface
from synthforge.fitting.report import (
    describe_epoch,
    describe_scores,
    write_curves,
    write_overlays,
)
from synthforge.fitting.samples import VALIDATION_START, load_samples
from synthforge.fitting.train import Fit, fit
from synthforge.generator import Generator
from synthforge.generators.known import GENERATORS
from synthforge.head import Head


def output_path(config: AlignmentTrainingConfig, generator: Generator) -> Path:
    return config.output or trained_path(config.parts.assets.pretrained_dir, generator.name)


def curves_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}.curves.png")


def overlays_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}.overlays.png")


def train_alignment(
    config: AlignmentTrainingConfig,
    head: Head,
    generator: Generator,
    detector: Detector | None,
    device: torch.device,
    say: Callable[[str], None] = tqdm.write,
) -> Fit:
    """Draw samples, train, and write the weights with their curves and overlays beside them.

    On Ctrl-C the best weights so far are written, if an epoch has passed.

    Raises TrainingError if no samples can be drawn, a loss is not finite, or the output exists
    and the run does not resume.
    """
    output = output_path(config, generator)
    if output.exists() and not config.resume:
        raise TrainingError(
            f"{output} exists. Pass --resume to go on with its training, or another --output."
        )
    source = SampleSource(
        head,
        generator,
        GENERATORS[generator.name].alignment_sampling,
        config.seed,
        device,
        detector,
        config.max_attempts,
    )
    if generator.is_aligned:
        say(
            f"The {generator.name} draws the head exactly where it is placed and needs no "
            "alignment. Training anyway, as a check."
        )
    cache_dir = config.cache_dir or output.with_name("alignment_cache")
    train = load_samples(source, range(config.num_train), cache_dir, say=say)
    first, last = VALIDATION_START, VALIDATION_START + config.num_val
    val = load_samples(source, range(first, last), cache_dir, say=say)
    say(
        f"{len(train)} samples to train on and {len(val)} to validate with, kept in "
        f"{cache_dir / source.key}"
    )
    surface = FaceSurface.of(head.topology, head.face_regions).to(device)
    result = fit(
        train,
        val,
        surface,
        config,
        checkpoint_path(output),
        lambda epoch: say(describe_epoch(epoch)),
    )
    if not result.history:
        raise KeyboardInterrupt
    origin = AlignmentOrigin(
        generator.name, generator.fingerprint, head.fingerprint, result.after, settings(config)
    )
    save_alignment(output, result.mlp, origin)
    write_curves(curves_path(output), result.before, result.history)
    captions = (
        f"Before: {describe_scores(result.before)}",
        f"After: {describe_scores(result.after)}",
    )
    write_overlays(overlays_path(output), val, surface, AlignmentMLP(), result.mlp, captions)
    if generator.is_aligned:
        say(f"Nothing to align: {describe_scores(result.before)} without training")
    else:
        for caption in captions:
            say(caption)
    return result
