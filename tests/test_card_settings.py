"""The settings of a run, out of the card that it wrote."""

import json
from dataclasses import asdict

import pytest
from support_fake_generator import fake_rig

from synthforge.card_settings import settings_of
from synthforge.config import AssetPaths, PartsConfig, RunConfig
from synthforge.dataset.card import dataset_card
from synthforge.distributions import Choice, Normal, Range
from synthforge.errors import ConfigError
from synthforge.generators.known import GENERATORS
from synthforge.grid import Grid

OVERRIDES = [
    {"hair": ("crop", "bob"), "hair_color": ("red",)},
    {},
    {"yaw_rad": Range(-0.2, 0.3), "age_years": Normal(20, 5, 3, 85), "fov_deg": Choice((18, 20))},
    {"shape": Range(-1, 1), "expression": Range(0, 1)},
    {"grid": Grid(identities=3, expressions=("smile", {"jawOpen": 0.5}), lights=2)},
    {"grid": Grid(views=({"yaw_rad": -0.5}, {"yaw_rad": 0.5}), order="random")},
]


def card_of(sampling):
    recipe = {"generator": "mannequin", "seed": 3, "sampling": asdict(sampling), "detector": "none"}
    return json.loads(json.dumps({"recipe": recipe}))


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_settings_come_back(overrides):
    sampling = GENERATORS["mannequin"].sampling_with(overrides)
    parts = settings_of(card_of(sampling), AssetPaths())
    assert isinstance(parts, PartsConfig)
    assert GENERATORS["mannequin"].sampling_with(parts.sampling_overrides) == sampling
    assert (parts.generator, parts.detector) == ("mannequin", "none")


def test_settings_of_other_generators_are_passed_over():
    card = card_of(GENERATORS["mannequin"].sampling)
    card["recipe"] |= {"precision": "fp16", "truncation_psi": 0.5, "variant": "original"}
    assert settings_of(card, AssetPaths()).precision is None


BROKEN = {
    "another generator": {"generator": "other"},
    "no sampling": {"sampling": None},
    "another field": {"sampling": {"nose": None}},
    "text for a range": {"sampling": {"yaw_rad": "wide"}},
    "no seed": {"seed": None},
    "text for a number": {"reject_px": "far"},
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_card_of_another_hand_is_told(case):
    card = card_of(GENERATORS["mannequin"].sampling)
    with pytest.raises(ConfigError, match=r"dataset\.json "):
        settings_of({"recipe": card["recipe"] | BROKEN[case]}, AssetPaths())


def test_the_card_names_what_a_run_was_asked_for():
    run = RunConfig("faces", 5, start_index=2)
    rig = fake_rig()
    rig.generator.name = "mannequin"
    card = dataset_card(run, rig)
    assert card["planned"] == [[2, 7]] and card["format_version"] == 1
