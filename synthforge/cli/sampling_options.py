"""Options that say what is drawn for each sample: ranges, shares, recipes, photographs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from synthforge.cli.options import PathOption, range_option, split_names, stacked
from synthforge.distributions import Distribution, Range
from synthforge.errors import ConfigError
from synthforge.generators.known import GENERATORS
from synthforge.recipe_files import read_recipe
from synthforge.sampling_config import ATTRIBUTES, FRAMING, HAIR, LIKE_JITTER, MANNEQUIN_SAMPLING

# Option -> field of SamplingConfig, and what it means.
RANGES = {
    "age": ("age_years", "Years, 3 to 85"),
    "sex": ("sex", "0 is female, 1 is male"),
    "weight": ("weight", "0 is thin, 1 heavy, for people of that age and sex"),
    "african": ("african", "Share of African ancestry, 0 to 1"),
    "asian": ("asian", "Share of Asian ancestry, 0 to 1"),
    "caucasian": ("caucasian", "Share of Caucasian ancestry, 0 to 1; the three sum to 1"),
    "shape": ("shape", "Identity coefficients, standard deviations"),
    "expression": ("expression", "Expression coefficients"),
    "jaw": ("jaw_rad", "Opening of the jaw, radians"),
    "head_yaw": ("head_yaw_rad", "Turn of the head, radians; positive is to its left"),
    "head_pitch": ("head_pitch_rad", "Nod of the head, radians; positive is down"),
    "head_roll": ("head_roll_rad", "Tilt of the head, radians; positive is to its right"),
    "yaw": ("yaw_rad", "Camera round the head, radians; positive is the subject's left"),
    "pitch": ("pitch_rad", "Camera over or under the head, radians; positive is under"),
    "fov": ("fov_deg", "Diagonal field of view, degrees"),
    "face_size": ("face_size", "Larger side of the face, image widths; instead of --fov"),
    "offset_x": ("offset_x", "Face off the image's centre, image widths; positive is right"),
    "offset_y": ("offset_y", "Face off the image's centre, image widths; positive is down"),
}
# Fields of SamplingConfig that are shares, and of what.
SHARES = {
    "glasses": "Share with glasses or sunglasses",
    "headwear": "Share with a cap, beanie, hat or headscarf",
    "mask": "Share with a medical mask",
    "earrings": "Share with earrings",
    "occluders": "Share with a microphone, phone or cup before the face",
    "bystanders": "Share with another person in the background",
}
HAIR_HELP = {
    "hair": "One of these hair styles for each person",
    "hair_color": "One of these hair colours for each person",
}


def _hair_option(name: str, meaning: str) -> Callable[..., Any]:
    text = f"{meaning}: {', '.join(HAIR[name])}.  [default: as people vary]"
    return click.option(
        f"--{name}", default=None, callback=split_names, metavar="A,B,...", help=text
    )


def _share_option(name: str, meaning: str) -> Callable[..., Any]:
    default = getattr(MANNEQUIN_SAMPLING, name)
    text = f"{meaning}, 0 to 1.  [default: {default:g}]"
    return click.option(f"--{name}", type=float, default=None, metavar="SHARE", help=text)


def _range_help(field: str, meaning: str) -> str:
    texts = {
        name: _range_text(getattr(known.sampling, field), field)
        for name, known in GENERATORS.items()
        if (known.has_attributes or field not in ATTRIBUTES)
        and (known.has_framing or field not in FRAMING)
    }
    named = [f"{name} {text}" if len(texts) > 1 else text for name, text in texts.items()]
    return f"{meaning}.  [default: {'; '.join(named)}]"


def _range_text(drawn: Distribution | None, field: str) -> str:
    if drawn is None:
        return "as people vary"
    if not field.endswith("_rad") or drawn == Range(0, 0):
        return str(drawn)
    return f"{drawn} = {math.degrees(drawn.low):.0f} {math.degrees(drawn.high):.0f} deg"


sampling_options = stacked(
    click.option(
        "--recipe",
        type=PathOption(dir_okay=False),
        default=None,
        help="TOML file of distributions, and of which images share a person or a view: see "
        "recipes/.",
    ),
    click.option(
        "--like",
        type=PathOption(dir_okay=False),
        default=None,
        help="Poses, framings, expressions and gazes like those in photographs: a file of "
        "`synthforge fit`.",
    ),
    click.option(
        "--like_jitter",
        type=float,
        default=LIKE_JITTER,
        help="How far samples stray from the photographs' faces, in their standard deviations.",
    ),
    click.option(
        "--like_identity", is_flag=True, help="Give samples the photographs' shapes as well."
    ),
    click.option(
        "--cut",
        type=float,
        default=None,
        show_default=False,
        help="Share of the images whose border cuts the face, 0 to 1; built-in head.  [default: 0]",
    ),
    *(range_option(option, _range_help(*of)) for option, of in RANGES.items()),
    *(_share_option(*share) for share in SHARES.items()),
    *(_hair_option(*hair) for hair in HAIR_HELP.items()),
)


def take_overrides(options: dict[str, Any]) -> dict[str, Any]:
    """Fields of SamplingConfig that the options set, taken out of them; a recipe's come first."""
    ranges = {field: options.pop(option) for option, (field, _) in RANGES.items()}
    recipe = options.pop("recipe")
    overrides = read_recipe(recipe) if recipe is not None else {}
    ranges["cut"] = options.pop("cut")
    shares = {name: options.pop(name) for name in (*SHARES, *HAIR)}
    like, jitter, identity = (options.pop(f"like{part}") for part in ("", "_jitter", "_identity"))
    if like is not None:
        from synthforge.like import read_like

        overrides["like"] = read_like(like, jitter, identity)
    elif identity or jitter != LIKE_JITTER:
        option = "like_identity" if identity else "like_jitter"
        raise ConfigError(f"--{option} needs --like, the file of faces that it means")
    return overrides | {
        name: drawn for name, drawn in (ranges | shares).items() if drawn is not None
    }
