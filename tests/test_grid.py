"""Grids: their order and numbers, and what samples of one number share."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthforge.config import PartsConfig
from synthforge.distributions import Range
from synthforge.errors import ConfigError
from synthforge.generators.mannequin import MANNEQUIN
from synthforge.generators.next3d import NEXT3D
from synthforge.grid import FACTORS, Grid
from synthforge.mannequin.head.baked import ACTIONS
from synthforge.mannequin.people import PERSON_LATENTS, draw_people
from synthforge.mannequin.wear.outfit import WORN_LATENTS
from synthforge.sampling import SampleId, draw
from synthforge.sampling_config import MANNEQUIN_SAMPLING, NEXT3D_SAMPLING, WEAR, SamplingConfig

FACES = ("neutral", {"jawOpen": 0.5, "mouthSmile": 0.25})
VIEWS = ({"yaw_rad": -0.5, "head_yaw_rad": 0.25}, {"yaw_rad": 0.5, "head_yaw_rad": 0.0})
COUNTS = st.none() | st.integers(1, 4)
PERSON = ("age_years", "sex", "weight", "ancestry")
# Entries of z that make the person; who stands behind and what is held are the sample's own.
OF_PERSON = [
    i
    for i in range(PERSON_LATENTS)
    if i - WORN_LATENTS.start not in (WEAR.index("occluders"), WEAR.index("bystanders"))
]


def people(grid, count=None, seed=3, attempt=0, **sampling):
    config = replace(MANNEQUIN_SAMPLING, grid=grid, **sampling)
    ids = [SampleId(seed, index, attempt) for index in range(count or grid.size)]
    return draw_people(ids, config)


def numbers(drawn):
    return list(zip(*(drawn.labels[name].tolist() for name in FACTORS), strict=True))


def same(a, b):
    """Names of what the two samples have in common, bit for bit."""
    parts = {
        "person": lambda p: torch.cat([p.shape, p.z[:, OF_PERSON]], 1),
        "attributes": lambda p: torch.cat([p.labels[name].view(1, -1) for name in PERSON], 1),
        "light": lambda p: p.z[:, PERSON_LATENTS:],
        "face": lambda p: torch.cat([p.expression, p.pose_rad[:, 6:9]], 1),
        "eyes": lambda p: p.pose_rad[:, 9:],
        "head": lambda p: p.pose_rad[:, 3:6],
        "yaw": lambda p: p.yaw_rad,
        "pitch": lambda p: p.pitch_rad,
        "fov": lambda p: p.fov_deg,
    }
    return {name for name, of in parts.items() if torch.equal(of(a), of(b))}


def one(drawn, index):
    return drawn[torch.tensor([index])]


# --- Order ----------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 4), min_size=4, max_size=4))
def test_a_full_grid_is_all_combinations_in_order(counts):
    grid = Grid(*counts)
    listed = [(person, *others) for person, others in map(grid.at, range(grid.size))]
    assert listed == list(product(*map(range, counts)))


@given(COUNTS, COUNTS, COUNTS, st.integers(0, 10**9))
def test_what_is_no_factor_has_no_number_and_takes_no_room(expressions, views, lights, index):
    grid = Grid(None, expressions, views, lights) if expressions else Grid(5, None, views, lights)
    person, others = grid.at(index)
    counts = grid.counts[1:]
    assert [number is None for number in others] == [count is None for count in counts]
    back = person
    for number, count in zip(others, counts, strict=True):
        back = back if count is None else back * count + number
    assert back == index


@given(st.lists(COUNTS, min_size=4, max_size=4).filter(any), st.integers(0, 10**9))
def test_random_numbers_lie_inside_their_counts(counts, seed):
    uniforms = np.random.default_rng(seed).random(4).tolist()
    for each in (uniforms, [0.0] * 4, [1 - 2**-53] * 4):
        for number, count in zip(Grid(*counts, "random").at_random(each), counts, strict=True):
            assert number is count is None or 0 <= number < count


def test_sizes():
    assert Grid(10, FACES, VIEWS, 3).size == 120
    assert Grid(10).size == 10
    assert Grid(expressions=3).size is None
    assert Grid(10, order="random").size is None


@pytest.mark.parametrize("counts", [(), (0,), (2**31 + 1,), (1, ()), (None, None, -1)])
def test_impossible_grids_are_refused(counts):
    with pytest.raises(ConfigError):
        Grid(*counts)


# --- What samples share ---------------------------------------------------------------------------


def test_without_a_grid_everything_is_the_samples_own():
    drawn = people(None, 3)
    assert numbers(drawn) == [(i, i, i, i) for i in range(3)]
    assert not same(one(drawn, 0), one(drawn, 1))


def test_samples_of_a_number_share_its_part_and_no_other():
    drawn = people(Grid(2, 2, 2, 2))
    assert numbers(drawn) == list(product(range(2), repeat=4))
    everything = same(one(drawn, 0), one(drawn, 0))
    varied = [everything - same(one(drawn, 0), one(drawn, 2**digit)) for digit in range(4)]
    assert varied[0] == {"light"}
    # Some eyes look at the camera: they are the expression's and the view's.
    assert varied[1] - {"eyes"} == {"head", "yaw", "pitch", "fov"}
    assert varied[2] == {"face", "eyes"}
    # A face is drawn as large as the view says: how near that is depends on the head.
    assert varied[3] == {"person", "attributes", "fov"}


def test_what_a_grid_does_not_vary_is_the_identitys():
    drawn = people(Grid(2, FACES, VIEWS))
    assert [row[::3] for row in numbers(drawn)] == [(i // 4, i // 4) for i in range(8)]
    everything = same(one(drawn, 0), one(drawn, 0))
    assert everything - same(one(drawn, 0), one(drawn, 1)) == {"head", "yaw"}
    assert everything - same(one(drawn, 0), one(drawn, 2)) == {"face"}
    assert same(one(drawn, 0), one(drawn, 4)) == {"face", "yaw"}
    assert torch.equal(one(drawn, 0).pose_rad[:, [3, 5]], one(drawn, 1).pose_rad[:, [3, 5]])


def test_the_first_person_of_a_grid_is_that_of_the_ordinary_samples():
    plain, drawn = people(None, 2), people(Grid(2, FACES))
    assert {"person", "attributes", "light", "head", "yaw"} <= same(one(plain, 1), one(drawn, 3))


def test_listed_values_are_set():
    drawn = people(Grid(1, FACES, VIEWS))
    assert drawn.yaw_rad.tolist() == [-0.5, 0.5] * 2
    assert drawn.pose_rad[:, 4].tolist() == [0.25, 0] * 2
    actions = drawn.labels["face_actions"]
    still = [i for i, name in enumerate(ACTIONS) if not name.startswith("eyeLook")]
    assert not actions[0, still].any()
    named = dict(zip(ACTIONS, actions[2].tolist(), strict=True))
    assert named["jawOpen"] == pytest.approx(0.5)
    assert named["mouthSmileLeft"] == named["mouthSmileRight"] == 0.25
    assert actions[2, still].sum() == pytest.approx(1.0)


def test_a_listed_face_may_set_the_gaze():
    """The labels are what was asked for, however head and camera are turned; others look freely."""
    looks = {"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.25, "eyeLookDown": 0.75}
    ahead = {"jawOpen": 0.5, "eyeLookUp": 0.0}
    drawn = people(Grid(2, (looks, ahead, {"jawOpen": 0.5})))
    named = dict(zip(ACTIONS, drawn.labels["face_actions"].T, strict=True))
    assert named["eyeLookOutLeft"].tolist()[:2] == pytest.approx([0.5, 0])
    assert named["eyeLookInRight"].tolist()[:2] == pytest.approx([0.25, 0])
    assert named["eyeLookDownLeft"].tolist()[3:5] == pytest.approx([0.75, 0])
    assert named["eyeLookDownRight"].tolist()[3:5] == pytest.approx([0.75, 0])
    assert not drawn.pose_rad[1, 9:].any() and drawn.pose_rad[2, 9:].any()


def test_eyes_keep_still_in_all_listed_views():
    views = ({"yaw_rad": -0.25}, {"yaw_rad": 0.25})
    drawn = people(Grid(40, None, views))
    assert torch.equal(drawn.pose_rad[::2, 9:], drawn.pose_rad[1::2, 9:])


def test_each_number_is_drawn_at_random_as_often():
    drawn = people(Grid(3, 2, VIEWS, order="random"), 200)
    seen = numbers(drawn)
    assert set(Counter(row[:3] for row in seen)) == set(product(range(3), range(2), range(2)))
    assert min(Counter(row[0] for row in seen).values()) > 45
    assert [row[3] for row in seen] == list(range(200))  # no factor: anew for each sample
    twins = [i for i, row in enumerate(seen) if row[:3] == (1, 1, 1)]
    shared = same(one(drawn, twins[0]), one(drawn, twins[1]))
    assert shared == {"person", "attributes", "face", "yaw"}
    assert len(drawn.fov_deg.unique()) == 200


def test_another_attempt_is_the_same_in_a_full_grid_and_another_at_random():
    full, random = Grid(4, 3), Grid(4, 3, order="random")
    first, again = people(full), people(full, attempt=1)
    everything = same(one(first, 0), one(first, 0))
    assert all(same(one(first, i), one(again, i)) == everything for i in range(12))
    first, again = people(random, 20), people(random, 20, attempt=1)
    assert numbers(first) != numbers(again)
    assert "light" not in same(one(first, 0), one(again, 0))


@pytest.mark.parametrize("order", ["grid", "random"])
def test_a_sample_is_the_same_in_any_batch(order):
    config = replace(MANNEQUIN_SAMPLING, grid=Grid(3, FACES, VIEWS, 2, order))
    ids = [SampleId(7, index) for index in (11, 4, 0, 11)]
    batched = draw_people(ids, config)
    for index, id in enumerate(ids):
        alone = draw_people([id], config)
        assert len(same(alone, one(batched, index))) == 9
        assert numbers(alone) == numbers(batched)[index : index + 1]


def test_with_flame_all_of_the_latent_is_the_identitys():
    config = replace(NEXT3D_SAMPLING, grid=Grid(2, 2, ({"yaw_rad": 0.1}, {"yaw_rad": 0.2})))
    drawn = draw([SampleId(0, index) for index in range(8)], config, 512)
    assert drawn.labels["light"].tolist() == drawn.labels["identity"].tolist() == [0] * 4 + [1] * 4
    for name in ("z", "shape"):
        values = getattr(drawn, name)
        assert (values[:4] == values[0]).all() and (values[4:] == values[4]).all()
        assert not torch.equal(values[0], values[4])
    assert torch.equal(drawn.expression[0], drawn.expression[5])
    assert not torch.equal(drawn.expression[0], drawn.expression[2])
    assert drawn.yaw_rad.tolist() == [np.float32(0.1), np.float32(0.2)] * 4
    random = replace(NEXT3D_SAMPLING, grid=Grid(2, order="random"))
    drawn = draw([SampleId(0, index) for index in range(8)], random, 512)
    assert torch.equal(drawn.labels["light"], drawn.labels["identity"])


# --- Errors ---------------------------------------------------------------------------------------


def test_a_generator_refuses_what_it_cannot_draw():
    with pytest.raises(ConfigError, match="has lights, which Next3D draws with its people"):
        NEXT3D.sampling_with({"grid": Grid(lights=2)})
    with pytest.raises(ConfigError, match="lists expressions, which Next3D has no names for"):
        NEXT3D.sampling_with({"grid": Grid(2, FACES)})
    NEXT3D.sampling_with({"grid": Grid(2, 3)})
    with pytest.raises(ConfigError, match=r"'grin'; choose from neutral, polite smile, "):
        MANNEQUIN.sampling_with({"grid": Grid(2, ("grin",))})
    for name in ("smile", "jaw", "eyeLookLeft", "mouth", "browInner"):
        with pytest.raises(ConfigError, match=rf"'{name}'; choose from browDown, .*, jawLeft, "):
            MANNEQUIN.sampling_with({"grid": Grid(2, ({name: 0.5},))})
    names = ({"jawLeft": 1.0}, {"browDown": 1.0}, {"browDownLeft": 1.0}, {"mouthRight": 1.0})
    assert MANNEQUIN.sampling_with({"grid": Grid(1, names)}).grid.size == 4


def test_a_listed_view_must_be_one_that_can_be_drawn():
    with pytest.raises(ConfigError, match="--yaw must lie inside"):
        replace(NEXT3D_SAMPLING, grid=Grid(views=({"yaw_rad": 30.0},)))


@pytest.mark.parametrize(
    ("name", "grid"), [("yaw_rad", Grid(views=VIEWS)), ("expression", Grid(2, FACES))]
)
def test_a_range_for_what_the_grid_lists_is_refused(name, grid):
    with pytest.raises(ConfigError, match=f"--{name[:3]}.* and the recipe's grid both set it"):
        PartsConfig(sampling_overrides={"grid": grid, name: Range(0, 0.1)})


def test_listed_views_may_set_every_parameter_of_a_view():
    from synthforge.grid import VIEW_FIELDS

    names = {
        name for name in SamplingConfig.__dataclass_fields__ if "yaw" in name or "pitch" in name
    }
    assert {*VIEW_FIELDS} == names | {"head_roll_rad", "fov_deg"}
    views = ({name: 0.0 if name != "fov_deg" else 30.0 for name in VIEW_FIELDS},)
    drawn = people(Grid(1, None, views))
    assert not drawn.pose_rad[:, 3:6].any() and drawn.fov_deg == 30
