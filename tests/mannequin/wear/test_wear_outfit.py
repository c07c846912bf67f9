"""What is worn: shares as asked for, carried by z, told by labels, seen in image and layers."""

from dataclasses import replace

import pytest
import torch
from support_mannequin import built_head
from support_worn import BARE

from synthforge.errors import ConfigError
from synthforge.generators.known import GENERATORS
from synthforge.grid import Grid
from synthforge.labels import NUMBERS
from synthforge.mannequin.generator import Mannequin
from synthforge.mannequin.people import draw_people
from synthforge.mannequin.wear.outfit import WORN_LATENTS, Outfit, draw_outfit, outfit_of
from synthforge.sampling import SampleId
from synthforge.sampling_config import MANNEQUIN_SAMPLING, NEXT3D_SAMPLING, WEAR
from synthforge.visible import VISIBLE_ID


def outfits(config, count=3000):
    streams = [SampleId(4, i).stream("wear") for i in range(2 * count)]
    return [
        draw_outfit(*pair, config, 0.5)
        for pair in zip(streams[:count], streams[count:], strict=True)
    ]


def test_shares_are_those_of_the_config():
    drawn = outfits(MANNEQUIN_SAMPLING)
    for name in WEAR:
        share = getattr(MANNEQUIN_SAMPLING, name)
        seen = sum(getattr(outfit, name) > 0 for outfit in drawn) / len(drawn)
        assert abs(seen - share) < 4 * (share * (1 - share) / len(drawn)) ** 0.5, name
    assert {outfit.headwear for outfit in drawn} == {0, 1, 2, 3, 4}
    assert {outfit.glasses for outfit in drawn} == {0, 1, 2}
    assert {outfit.occluders for outfit in drawn} == {0, 1, 2, 3}
    assert {outfit.earrings for outfit in drawn} == {0, 1, 2, 3}


def test_a_share_of_none_and_of_all():
    assert set(outfits(BARE, 200)) == {Outfit()}
    for outfit in outfits(replace(BARE, **dict.fromkeys(WEAR, 1.0)), 200):
        assert all(vars(outfit).values())


def test_what_is_worn_changes_nothing_else_that_is_drawn():
    ids = [SampleId(8, i) for i in range(40)]
    bare = draw_people(ids, BARE)
    dressed = draw_people(ids, replace(BARE, **dict.fromkeys(WEAR, 1.0)))
    assert not bare.z[:, WORN_LATENTS].any() and dressed.z[:, WORN_LATENTS].all()
    for i, name in enumerate(WEAR):
        assert torch.equal(dressed.labels[name], dressed.z[:, WORN_LATENTS][:, i])
        assert name in NUMBERS
    dressed.z[:, WORN_LATENTS] = 0
    for name in ("z", "shape", "expression", "pose_rad", "yaw_rad", "pitch_rad", "fov_deg"):
        assert torch.equal(getattr(bare, name), getattr(dressed, name)), name


def test_a_person_keeps_glasses_and_a_scene_its_mask():
    config = replace(MANNEQUIN_SAMPLING, glasses=0.5, mask=0.5, grid=Grid(identities=6, lights=4))
    people = draw_people([SampleId(2, i) for i in range(24)], config)
    glasses, masks = people.labels["glasses"].view(6, 4), people.labels["mask"].view(6, 4)
    assert (glasses == glasses[:, :1]).all() and glasses.unique().numel() > 1
    assert (masks == masks[:1]).all() and masks.unique().numel() > 1


def test_a_latent_that_nobody_dressed_wears_nothing():
    z = torch.randn(100, 512, generator=torch.Generator().manual_seed(1))
    assert {outfit_of(row) for row in z} == {Outfit()}


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_lies_between_0_and_1(share):
    with pytest.raises(ConfigError, match="--glasses is a share"):
        replace(MANNEQUIN_SAMPLING, glasses=share)


def test_next3d_wears_nothing():
    assert not any(getattr(NEXT3D_SAMPLING, name) for name in WEAR)
    with pytest.raises(ConfigError, match="--mask dresses the built-in head"):
        GENERATORS["next3d"].sampling_with({"mask": 0.1})
    assert GENERATORS["next3d"].sampling_with({"mask": 0.0}) == NEXT3D_SAMPLING


WORN = {
    (2, 1, 0, 2, 0, 0): {"glasses", "lens", "headwear"},
    (1, 0, 1, 0, 0, 0): {"glasses", "mask"},
    (0, 4, 0, 0, 2, 1): {"headwear", "object", "hand", "other_person"},
}


@pytest.mark.parametrize(("numbers", "kinds"), WORN.items())
def test_image_and_layers_show_it(numbers, kinds):
    """And the bare head's depth does not."""
    people = draw_people([SampleId(3, 1)], BARE)
    mesh, z = built_head().mesh(people, people.camera), people.z.clone()
    z[0, WORN_LATENTS] = torch.tensor(numbers, dtype=torch.float32)
    bare, worn, again = (
        Mannequin().generate(latent, mesh, people.camera) for latent in (people.z, z, z)
    )
    assert torch.equal(worn.image, again.image) and torch.equal(worn.layers.ids, again.layers.ids)
    assert torch.equal(bare.ray_distance, worn.ray_distance)
    ids, before = worn.layers.ids, bare.layers.ids
    for kind in kinds:
        assert (ids == VISIBLE_ID[kind]).sum() > 150, kind
        assert not (before == VISIBLE_ID[kind]).any()
    changed = (worn.image - bare.image).abs().amax(1) > 0.1
    for kind in kinds - {"lens"}:
        assert changed[ids == VISIBLE_ID[kind]].float().mean() > 0.5, kind
    if "lens" in kinds:
        inside = (ids == VISIBLE_ID["lens"])[0]
        assert worn.image[0][:, inside].mean() < bare.image[0][:, inside].mean() - 0.1
