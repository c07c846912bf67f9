"""The table of generators: names agree, own options exist, and a third is one descriptor."""

import json
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support_fake_generator import FakeGenerator, FakeHead

from synthforge.alignment import AlignmentMLP
from synthforge.assembly import build_rig
from synthforge.config import AssetPaths, PartsConfig, RunConfig
from synthforge.dataset.card import dataset_card
from synthforge.distributions import Range
from synthforge.errors import ConfigError
from synthforge.generators import known
from synthforge.generators.descriptor import Descriptor
from synthforge.generators.known import GENERATORS, pick
from synthforge.generators.mannequin import MANNEQUIN
from synthforge.generators.next3d import NEXT3D
from synthforge.mannequin import Mannequin
from synthforge.next3d import Next3DGenerator
from synthforge.sampling_config import MANNEQUIN_SAMPLING, NEXT3D_SAMPLING


def test_each_is_in_the_table_under_the_name_of_what_it_builds():
    assert {Next3DGenerator.name: NEXT3D, Mannequin.name: MANNEQUIN} == GENERATORS


@pytest.mark.parametrize("generator", GENERATORS.values(), ids=GENERATORS)
def test_its_own_options_are_settings_of_parts(generator):
    names = {entry.name for entry in fields(PartsConfig)}
    assert names >= {*generator.options, *generator.speed_options}
    assert not {*generator.options} & {*generator.speed_options}
    json.dumps(generator.expression(), allow_nan=False)


def test_attributes_are_the_built_in_heads():
    ages = {"age_years": Range(18, 80)}
    assert MANNEQUIN.sampling_with(ages) == replace(MANNEQUIN_SAMPLING, **ages)
    with pytest.raises(ConfigError, match=r"--age .* --generator mannequin"):
        NEXT3D.sampling_with(ages)


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match=r"'clay' is not known; choose from auto, next3d, manne"):
        pick(PartsConfig(generator="clay"))


A, B = torch.eye(3), torch.tensor([0.01, 0.0, 0.0])
CLAY = Descriptor(
    name="clay",
    title="Clay",
    is_there=lambda paths: paths.model_dir == Path("clay"),
    build=lambda parts, device, tell: (FakeHead(16), clay(), AlignmentMLP.from_affine(A, B)),
    sampling=NEXT3D_SAMPLING,
    sampling_source="a potter",
    alignment_sampling=NEXT3D_SAMPLING,
    has_attributes=False,
    expression=lambda: {"flame_exp": "grams"},
    licence_spdx="CC0-1.0",
    licence="Free.",
    options=("variant",),
)


def clay():
    generator = FakeGenerator(A, B, 32)
    generator.name = "clay"
    return generator


def test_a_third_generator_is_one_descriptor(monkeypatch):
    monkeypatch.setitem(GENERATORS, "clay", CLAY)
    parts = PartsConfig(
        generator="clay",
        device="cpu",
        detector="none",
        sampling_overrides={"yaw_rad": Range(0, 0.1)},
    )
    rig = build_rig(parts, tell=lambda _: None)
    assert rig.parts.precision == "fp32"
    assert rig.sampling == replace(NEXT3D_SAMPLING, yaw_rad=Range(0, 0.1))
    torch.testing.assert_close(rig.alignment.as_affine(), (A, B))
    card = dataset_card(RunConfig(Path(), 1), replace(rig, head=SimpleNamespace(fingerprint="h")))
    assert card["recipe"]["generator"] == "clay"
    assert card["recipe"]["variant"] == "front" and "precision" not in card["recipe"]
    assert (card["licence_spdx"], card["flame_exp"]) == ("CC0-1.0", "grams")


def test_settings_of_other_generators_are_told(monkeypatch):
    monkeypatch.setitem(GENERATORS, "clay", CLAY)
    told = []
    build_rig(PartsConfig(generator="clay", device="cpu", variant="original"), told.append)
    assert told == []
    parts = PartsConfig(generator="clay", device="cpu", truncation_psi=0.5, compile=True)
    build_rig(parts, told.append)
    assert told == ["Without effect on Clay: --truncation_psi, --compile"]


def test_auto_takes_the_first_whose_files_are_there(monkeypatch):
    monkeypatch.setattr(known, "GENERATORS", {"clay": CLAY, "mannequin": MANNEQUIN})
    assert pick(PartsConfig(assets=AssetPaths(model_dir=Path("clay")))) is CLAY
    assert pick(PartsConfig()) is MANNEQUIN
