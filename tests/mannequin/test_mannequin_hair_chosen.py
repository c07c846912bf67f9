"""Hair that is asked for by name is what the person has, and nothing else changes."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from synthforge.errors import ConfigError
from synthforge.generators.known import GENERATORS
from synthforge.grid import Grid
from synthforge.labels import NUMBERS
from synthforge.mannequin.hair.chosen import HAIR_LATENTS, chosen_hair
from synthforge.mannequin.hair.hair_styles import STYLES
from synthforge.mannequin.people import ATTRIBUTE_LATENTS, draw_people
from synthforge.mannequin.person import _NAMED_HAIR, person_from
from synthforge.mannequin.wear.outfit import LOOK, WORN_LATENTS
from synthforge.recipe_files import recipe_overrides
from synthforge.sampling import SampleId
from synthforge.sampling_config import HAIR, MANNEQUIN_SAMPLING

IDS = [SampleId(8, i) for i in range(24)]


def people(**changes):
    return draw_people(IDS, replace(MANNEQUIN_SAMPLING, **changes))


def test_names_are_those_of_the_tables():
    assert set(HAIR["hair"]) == STYLES.keys() and set(HAIR["hair_color"]) == _NAMED_HAIR.keys()
    assert HAIR.keys() <= NUMBERS.keys()
    taken = {*range(ATTRIBUTE_LATENTS), *range(512)[WORN_LATENTS]}
    taken |= {number for look in LOOK.values() for number in range(512)[look]}
    assert not taken & set(HAIR_LATENTS.values())


def test_only_hair_changes():
    plain, asked = people(), people(hair=("bob",), hair_color=("red",))
    assert not HAIR.keys() & plain.labels.keys()
    assert (asked.labels["hair"] == HAIR["hair"].index("bob")).all()
    assert (asked.labels["hair_color"] == HAIR["hair_color"].index("red")).all()
    for drawn, wanted in zip(asked.z, plain.z, strict=True):
        before, after = person_from(wanted[:256]), person_from(drawn[:256])
        assert chosen_hair(wanted) == (None, None) and chosen_hair(drawn) == ("bob", "red")
        assert after.hair.style == "bob"
        kept = {"style": before.hair.style, "color": before.hair.color, "grey": before.hair.grey}
        assert replace(after.hair, **kept) == before.hair
        others = {name: getattr(before, name) for name in ("hair", "brow_color", "stubble")}
        assert replace(after, **others) == before
    asked.z[:, list(HAIR_LATENTS.values())] = plain.z[:, list(HAIR_LATENTS.values())]
    for name in ("z", "shape", "expression", "pose_rad", "yaw_rad", "pitch_rad", "fov_deg"):
        assert torch.equal(getattr(plain, name), getattr(asked, name)), name


def test_named_colours_are_told_apart_in_their_order():
    z = people(hair_color=HAIR["hair_color"][:5]).z
    hair = {chosen_hair(row)[1]: person_from(row[:256]).hair for row in z}
    lightness = [sum(hair[name].color) for name in HAIR["hair_color"][:5]]
    assert all(b > 1.5 * a for a, b in pairwise(lightness))
    assert not any(person.grey for person in hair.values())


def test_each_of_a_list_is_drawn_and_a_person_keeps_theirs():
    grid = Grid(identities=6, lights=4)
    drawn = people(hair=("crop", "bob", "long"), grid=grid).labels["hair"].view(6, 4)
    assert (drawn == drawn[:, :1]).all()
    counts = np.bincount(people(hair=("crop", "bob")).labels["hair"].numpy(), minlength=10)
    assert counts[HAIR["hair"].index("crop")] > 5 < counts[HAIR["hair"].index("bob")]
    assert counts.sum() == len(IDS)


def test_recipes_name_it():
    assert recipe_overrides({"sample": {"hair": "bun", "hair_color": ["red", "grey"]}}) == {
        "hair": ("bun",),
        "hair_color": ("red", "grey"),
    }
    for value in (1, [1], [], "mohawk", [["bun"]]):
        with pytest.raises(ConfigError, match="hair "):
            recipe_overrides({"sample": {"hair": value}})


def test_what_cannot_be_had_is_told():
    with pytest.raises(ConfigError, match="--hair has no 'mohawk'; choose from bald, buzz"):
        people(hair=("crop", "mohawk"))
    with pytest.raises(ConfigError, match="--hair_color names none"):
        people(hair_color=())
    with pytest.raises(ConfigError, match="--hair is of the built-in head"):
        GENERATORS["next3d"].sampling_with({"hair": ("crop",)})
