"""The settings that drew a dataset, out of its dataset.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from synthforge.config import AssetPaths, PartsConfig, RunConfig
from synthforge.dataset.folder import CARD
from synthforge.distributions import Choice, Normal, Range
from synthforge.errors import ConfigError
from synthforge.generators.known import GENERATORS
from synthforge.given_files import find_given
from synthforge.grid import Grid
from synthforge.like import Like, read_like
from synthforge.sampling_config import PoseLimit, SamplingConfig


def settings_of(
    card: Mapping[str, Any],
    assets: AssetPaths,
    like: Path | None = None,
    alignment: Path | None = None,
) -> PartsConfig:
    """The parts that drew a dataset, out of its card; the user's files are looked for in `assets`.

    like, alignment: where the files of generate's options of these names are now; None: where
    they were. Raises ConfigError if the card's recipe holds no such settings or a file is not
    found.
    """
    recipe = card["recipe"]
    known = GENERATORS.get(recipe.get("generator"))
    if known is None:
        raise ConfigError(f"{CARD} names no generator that is known: {recipe.get('generator')!r}")
    alignment = find_given(card, "alignment", alignment)
    liked = _like(card, like)
    try:
        drawn = {
            name: _setting(value) for name, value in recipe["sampling"].items() if name != "like"
        }
        sampling = SamplingConfig(**drawn | {"like": liked})
        overrides = {
            entry.name: getattr(sampling, entry.name)
            for entry in fields(SamplingConfig)
            if getattr(sampling, entry.name) != getattr(known.sampling, entry.name)
        }
        names = (*known.options, "detector", "reject_px")
        options = {name: recipe[name] for name in names if name in recipe}
        RunConfig(Path(), 1, seed=recipe["seed"], extras=tuple(recipe.get("extras", ())))
        return PartsConfig(
            generator=known.name,
            sampling_overrides=overrides,
            assets=assets,
            alignment=alignment,
            force_alignment=True,  # whether it is the dataset's own shows in the recipe
            **options,
        )
    except (KeyError, TypeError, AttributeError, ConfigError) as error:
        raise ConfigError(
            f"{CARD} holds no settings that this version can draw with: {error}"
        ) from error


def _like(card: Mapping[str, Any], path: Path | None) -> Like | None:
    """The faces that --like drew from. Raises ConfigError unless they are found."""
    sampled = card["recipe"].get("sampling")
    record = sampled.get("like") if isinstance(sampled, dict) else None
    if record is None:
        if path is not None:
            raise ConfigError("the dataset was drawn without --like; leave it out")
        return None
    found = find_given(card, "like", path)
    if found is None:
        raise ConfigError(
            "the dataset was drawn with --like; give the file of photographs' faces by --like FILE"
        )
    try:
        like = read_like(found, record["jitter"], record["identity"])
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{CARD} holds no settings of --like: {error}") from error
    if like.record != record:
        raise ConfigError(f"{found} holds other faces than the dataset was drawn with; give those")
    return like


def _setting(value: Any) -> Any:
    """A field of SamplingConfig, as dataset.json has it, as what it is: None, Range, Grid, ..."""
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, list):
        return tuple(value)
    if "roll_rad" in value:
        return PoseLimit(**value)
    if "order" in value:
        listed: dict[str, Any] = {
            name: tuple(entry) if isinstance(entry, list) else entry
            for name, entry in value.items()
        }
        return Grid(**listed)
    if "values" in value:
        return Choice(tuple(value["values"]))
    return Normal(**value) if "mean" in value else Range(**value)
