"""Layers against what draws them: the image's own coverage, colours and depth."""

from dataclasses import replace

import numpy as np
import pytest
import support_mannequin
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_dilation, binary_erosion, uniform_filter

from synthforge import annotate, annotate_visible
from synthforge.frames import place_in_generator
from synthforge.mannequin import generator as generator_module
from synthforge.mannequin.generator import Mannequin
from synthforge.rasterizer import rasterize
from synthforge.regions import BACKGROUND, REGION_ID
from synthforge.visible import CLOTHES, FACIAL_HAIR, FIRST_OVER, HAIR, OTHER_PERSON

# A child with a collar; a man with buzz cut, stubble and a goatee; a woman with a fringe.
CHOSEN = torch.tensor([0, 2, 3])
SIZE = 512


def chosen(*indices):
    z, mesh, camera = support_mannequin.samples(4)
    picked = CHOSEN[list(indices or range(len(CHOSEN)))]
    return z[picked], mesh[picked], camera[picked]


class Drawn:
    """What Mannequin draws in linear light, uncompressed, and what it made layers of."""

    def __init__(self, patch, *indices, size=SIZE, **patches):
        self.made_of = []
        layers_of = generator_module.layers_of

        def recorded(*arguments):
            self.made_of.append(arguments[:4])
            return layers_of(*arguments)

        with patch.context() as patched:
            plain = {
                "layers_of": recorded,
                "tone_map": lambda scene, image: image,
                "exposure": lambda scene: 0.0,
                "_IMAGE_SIZE": size,
            }
            for name, value in (plain | patches).items():
                patched.setattr(generator_module, name, value)
            output = Mannequin().generate(*chosen(*indices))
        self.image, self.layers = output.image, output.layers


def black_strands(image, *arguments, shade=generator_module.shade_strands):
    shade(image, *arguments)
    image.zero_()


BLACK = {
    "shade": lambda head, surface, seen, *_: torch.zeros(3, len(seen)),
    "shade_strands": black_strands,
}


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as patched:
        yield patched


@pytest.fixture(scope="module")
def drawn(patch):
    """Black people before a white wall."""
    return Drawn(patch, background=lambda scene, size: torch.ones(3, size, size), **BLACK)


@pytest.fixture(scope="module")
def bare():
    """Fragments and region ids of the bare heads."""
    _, mesh, camera = chosen()
    head = support_mannequin.built_head()
    vertices = camera.to_ndc(place_in_generator(mesh.vertices))
    fragments = rasterize(vertices, mesh.topology.faces, SIZE, SIZE, perspective_correct=True)
    return fragments, annotate.region_ids(fragments, head.face_regions)


def test_the_matte_is_the_images_coverage_bit_for_bit(drawn):
    for channel in drawn.image.unbind(1):
        assert torch.equal(channel, 1 - drawn.layers.alpha)
    assert 0.01 < ((drawn.layers.alpha > 0) & (drawn.layers.alpha < 1)).float().mean() < 0.3


def shares_of(seen, kinds, covers):
    """How much of each class the pixels show, [32, S, S], the nearest z of each, and how much of
    them shows neither the bare head nor the background, [S, S]: in numpy.
    """
    samples = len(seen.of_sample)
    size = int(samples**0.5) // 2
    row, column = np.divmod(np.arange(samples), 2 * size)
    pixel = row // 2 * size + column // 2
    shares, nearest = np.zeros((32, size**2)), np.full((32, size**2), np.inf)
    through = np.ones(samples)

    def show(sample, kind, share, z):
        np.add.at(shares, (kind, pixel[sample]), share / 4)
        np.minimum.at(nearest, (kind, pixel[sample]), z)

    for cover in reversed(covers):
        sample, passed = cover.sample.numpy(), cover.passed.numpy().astype(float)
        show(sample, cover.kind.numpy(), through[sample] * (1 - passed), cover.z.numpy())
        through[sample] *= passed
    pair = seen.of_sample.numpy()
    hit, miss = np.flatnonzero(pair < len(kinds)), np.flatnonzero(pair == len(kinds))
    kind = kinds.numpy()[pair[hit]]
    show(hit, kind, through[hit], seen.z.numpy()[pair[hit]])
    show(miss, np.full(len(miss), BACKGROUND), through[miss], 0)
    through[hit[kind >= FIRST_OVER]] = 0
    bare = np.bincount(pixel, through, size**2) / 4
    return (
        shares.reshape(32, size, size),
        nearest.reshape(32, size, size),
        1 - bare.reshape(size, size),
    )


def test_each_pixel_has_the_class_that_fills_most_of_it(drawn):
    for i, (seen, kinds, covers, alpha) in enumerate(drawn.made_of):
        shares, nearest, cover = shares_of(seen, kinds, covers)
        np.testing.assert_allclose(drawn.layers.cover[i], cover, atol=1e-5)
        np.testing.assert_allclose(1 - shares[BACKGROUND], alpha, atol=1e-5)
        ids, z = drawn.layers.ids[i].numpy(), drawn.layers.z[i].numpy()
        best = shares.argmax(0)
        beard = (best < BACKGROUND) & (shares[FACIAL_HAIR] >= 0.25)
        expected = np.where(beard, FACIAL_HAIR, best)
        second = np.sort(shares, 0)[-2]
        sure = (shares.max(0) - second > 1e-5) & (abs(shares[FACIAL_HAIR] - 0.25) > 1e-5)
        np.testing.assert_array_equal(ids[sure], expected[sure])
        assert sure.mean() > 0.99
        at = np.take_along_axis(nearest, ids[None].astype(int), 0)[0]
        np.testing.assert_array_equal(z, at)


def test_labels_differ_from_the_bare_ones_only_where_a_layer_covers(drawn, bare):
    _, regions = bare
    visible = annotate_visible.visible_ids(drawn.layers, regions)
    differs = visible != regions
    assert not (differs & (drawn.layers.cover == 0)).any()
    assert differs.float().mean() > 0.05
    assert torch.equal(visible[drawn.layers.cover == 0], regions[drawn.layers.cover == 0])
    # And what shows through is the head: but for its edges, the same regions.
    seen = drawn.layers.ids < FIRST_OVER
    for i in range(len(CHOSEN)):
        same = (drawn.layers.ids[i] == regions[i]).numpy()
        flat = np.ones_like(same)
        for region in np.unique(regions[i]):
            inside = (regions[i] == region).numpy()
            flat &= ~inside | binary_erosion(inside, iterations=2, border_value=1)
        assert same[flat & seen[i].numpy()].mean() > 0.995


def test_depth_is_never_behind_what_is_seen(drawn, bare):
    fragments, regions = bare
    stored = annotate_visible.visible_depth16(drawn.layers, fragments).float()
    farthest = F.max_pool2d(torch.where(fragments.covered, fragments.z, torch.inf), 3, 1, 1)
    farthest = annotate.depth16(farthest, torch.ones_like(fragments.covered)).float()
    strands = torch.isin(drawn.layers.ids, torch.tensor([HAIR, FACIAL_HAIR]))
    assert (stored <= farthest)[strands & (drawn.layers.cover > 0.5)].all()
    # Clothes are a few millimetres thick.
    clothes = (drawn.layers.ids == CLOTHES) & fragments.covered
    assert ((farthest - stored)[clothes] > 0).float().mean() > 0.99
    nothing = annotate_visible.visible_ids(drawn.layers, regions) == BACKGROUND
    assert (stored[nothing] == 0).all() and (stored[~nothing] > 0).all()


def recoloured(patch, index, change):
    """By how much each pixel changes with the person, [S, S], and the layers."""
    person_from = generator_module.person_from
    backdrop = {"background": lambda scene, size: torch.zeros(3, size, size)}
    one = Drawn(patch, index, **backdrop)
    other = Drawn(patch, index, person_from=lambda z: change(person_from(z)), **backdrop)
    return (one.image - other.image)[0].abs().amax(0).numpy(), one


def test_clothes_are_labelled_where_their_colour_is(patch):
    def dyed(person):
        return replace(person, clothing=tuple(1 - x for x in person.clothing))

    change, one = recoloured(patch, 0, dyed)
    changed = change > 1e-7
    ids, cover = one.layers.ids[0].numpy(), one.layers.cover[0].numpy()
    assert changed[ids == CLOTHES].all()
    strands = np.zeros((2 * SIZE) ** 2, bool)
    strands[one.made_of[0][2][0].sample] = True
    strands = strands.reshape(SIZE, 2, SIZE, 2).any((1, 3))
    assert (cover[changed] > 0).all()
    inside = binary_erosion(changed) & ~binary_dilation(strands)
    assert (ids[inside] == CLOTHES).all() and inside.sum() > 10_000


def test_hair_is_labelled_where_its_colour_is(patch):
    """Strands, and the roots that the scalp's texture paints."""

    def dyed(person):
        return replace(person, hair=replace(person.hair, color=(0.5, 0.02, 0.4), grey=0.0))

    change, one = recoloured(patch, 1, dyed)
    ids = one.layers.ids[0].numpy()
    hair = np.isin(ids, [HAIR, FACIAL_HAIR])
    assert (change[hair] > 1e-4).all() and hair.sum() > 10_000
    # What scalp the cropped hair leaves: its colour hardly matters there.
    scalp = ids == REGION_ID["scalp"]
    assert scalp.sum() > 500
    assert np.median(change[scalp]) < 0.25 * np.median(change[ids == HAIR])
    face = binary_erosion(ids == REGION_ID["nose"], iterations=2)
    assert (change[face] < 1e-7).mean() > 0.95


@pytest.mark.parametrize("index", [0, 2])
def test_the_mattes_edge_is_that_of_a_render_of_twice_the_size(patch, drawn, index):
    """In each pixel where there is no hair, and on the whole round each pixel of hair."""
    white = {"background": lambda scene, size: torch.ones(3, size, size)}
    double = Drawn(patch, index, size=2 * SIZE, **white, **BLACK)
    fine = F.avg_pool2d(double.layers.alpha, 2)[0].numpy()
    coarse = drawn.layers.alpha[index].numpy()
    strands = np.zeros((2 * SIZE) ** 2, bool)
    strands[drawn.made_of[index][2][0].sample] = True
    near_hair = binary_dilation(strands.reshape(SIZE, 2, SIZE, 2).any((1, 3)), iterations=3)
    error = (fine - coarse)[~near_hair]
    assert abs(error).max() <= 0.25
    if index == 0:
        assert (error != 0).sum() > 300 and abs(error.sum()) < 0.02 * (error != 0).sum()
    # A strand is drawn one sample wide: there half as wide as here. So each 9 x 9 pixels of hair
    # are covered half as much there or more, and not more than here.
    fine_round, coarse_round = (uniform_filter(alpha, 9)[near_hair] for alpha in (fine, coarse))
    assert near_hair.sum() > 20_000
    assert (fine_round - coarse_round).max() < 0.03
    assert (coarse_round / 2 - fine_round).max() < 0.03


def test_a_person_in_the_background_is_seen_and_is_not_in_the_matte(drawn):
    seen, kinds, covers, alpha = drawn.made_of[0]
    behind = torch.full((SIZE, SIZE), BACKGROUND, dtype=torch.uint8)
    behind[:, : SIZE // 2] = OTHER_PERSON
    layers = generator_module.layers_of(seen, kinds, covers, alpha, behind)
    empty = alpha == 0
    assert (layers.ids[0][empty] == behind[empty]).all()
    assert torch.equal(layers.cover[0][empty], (behind[empty] == OTHER_PERSON).float())
    assert (layers.z[0][empty] == 0).all() and torch.equal(layers.alpha[0], alpha)


def test_what_lies_over_hair_is_seen_first(drawn):
    """A second cover, as of a lens: by how much it lets through."""
    seen, kinds, covers, alpha = drawn.made_of[0]
    samples = torch.arange(len(seen.of_sample))
    for passed, kind in ((0.2, 24), (0.9, None)):
        lens = type(covers[0])(
            samples,
            torch.full_like(samples, 24, dtype=torch.uint8),
            torch.full(samples.shape, passed),
            torch.full(samples.shape, 1.0),
        )
        layers = generator_module.layers_of(seen, kinds, [*covers, lens], alpha)
        if kind:
            assert (layers.ids == kind).all() and (layers.z == 1).all()
        else:
            same = layers.ids[0] == drawn.layers.ids[0]
            assert same.float().mean() > 0.99
        assert (layers.cover >= 1 - passed - 1e-6).all()


@pytest.mark.slow
def test_every_class_that_is_drawn_occurs_in_200_samples():
    """Also every class of the sets that people train for, but for those said not to be drawn; and
    no other. It draws until all were seen."""
    from synthforge.assembly import build_rig
    from synthforge.batches import make_samples
    from synthforge.config import PartsConfig
    from synthforge.parsing import IGNORE, PARSINGS
    from synthforge.sampling import SampleId
    from synthforge.visible import VISIBLE

    rig = build_rig(PartsConfig(generator="mannequin", device="cpu"), str)
    wanted = {"seg_visible": {visible.name for visible in VISIBLE} - {"unknown"}}
    wanted |= {name: set(scheme.classes) - {*scheme.not_drawn} for name, scheme in PARSINGS.items()}
    names = {"seg_visible": [visible.name for visible in VISIBLE]}
    names |= {name: list(scheme.classes) for name, scheme in PARSINGS.items()}
    seen = {name: set() for name in wanted}
    occluded = 0
    for first in range(0, 200, 4):
        samples, _ = make_samples([SampleId(1, first + k) for k in range(4)], rig, list(wanted))
        for sample in samples:
            occluded += sample.annotation["kps_occluded"].sum()
            for name in wanted:
                found = np.unique(sample.files[name])
                seen[name] |= {names[name][number] for number in found[found != IGNORE]}
        if seen == wanted:
            break
    assert seen == wanted and occluded
