"""Labels of what the image shows, from layers made by hand and from a volume."""

import pytest
import torch

from synthforge import annotate_visible
from synthforge.annotate import DEPTH16_STEP_M, Keypoints
from synthforge.camera import Camera
from synthforge.generator import GeneratorOutput, Layers
from synthforge.parsing import PARSINGS
from synthforge.rasterizer import Fragments
from synthforge.regions import BACKGROUND, REGION_ID
from synthforge.visible import CLOTHES, HAIR, OTHER_PERSON, UNKNOWN

UNITS_PER_METRE = 2.5
FACE = 0


def row(*values, dtype=torch.float32):
    """An image of one row."""
    return torch.tensor([[values]], dtype=dtype)


def fragments(z):
    covered = z > 0
    return Fragments(torch.where(covered, 0, -1), torch.where(covered, z, -1.0), z[..., None])


def test_what_covers_wins_and_the_rest_is_the_bare_label():
    regions = row(FACE, FACE, BACKGROUND, BACKGROUND, dtype=torch.uint8)
    ids = row(3, HAIR, CLOTHES, 5, dtype=torch.uint8)
    layers = Layers(ids, row(0, 0.7, 0.6, 0), row(1, 1, 1, 0), row(1, 1, 1, 0))
    seen = annotate_visible.visible_ids(layers, regions)
    assert seen.dtype == torch.uint8
    assert seen.tolist() == [[[FACE, HAIR, CLOTHES, BACKGROUND]]]


def test_the_matte_is_rounded_to_255ths():
    layers = Layers(*(row(0, 0.25, 0.5, 1) for _ in range(4)))
    assert annotate_visible.alpha8(layers).tolist() == [[[0, 64, 128, 255]]]


def test_depth_of_what_is_seen():
    """Bare head; hair before it; hair beside it; nothing; somebody behind, at an unknown depth."""
    layers = Layers(
        row(FACE, HAIR, HAIR, BACKGROUND, OTHER_PERSON, dtype=torch.uint8),
        row(0, 1, 0.8, 0, 1),
        row(1, 1, 0.8, 0, 0),
        row(2.0, 1.5, 1.75, 0, 0),
    )
    stored = annotate_visible.visible_depth16(layers, fragments(row(2.5, 2.5, 0, 0, 0)))
    metres = stored * DEPTH16_STEP_M * UNITS_PER_METRE
    assert metres[0, 0].tolist() == pytest.approx([2.5, 1.5, 1.75, 0, 0], abs=1e-3)
    assert stored[0, 0, 3:].tolist() == [0, 0]


def test_parsing_looks_classes_up():
    scheme = PARSINGS["parsing_celebamask"]
    seen = row(FACE, HAIR, UNKNOWN, BACKGROUND, dtype=torch.uint8)
    parsed = annotate_visible.parsing(seen, scheme)
    assert parsed.dtype == torch.uint8 and parsed.tolist() == [[[1, 13, 255, 0]]]


@pytest.mark.parametrize(
    ("kind", "cover", "z", "hides"),
    [
        (HAIR, 0.9, 1.9, True),
        (CLOTHES, 0.51, 1.9, True),
        (HAIR, 0.49, 1.9, False),  # little of it
        (HAIR, 0.9, 2.1, False),  # behind the point
        (FACE, 0.9, 1.9, False),  # a brow's hair, on its region
        (OTHER_PERSON, 1.0, 0.0, False),  # in the background
        (UNKNOWN, 1.0, 1.95, True),  # 20 mm nearer
        (UNKNOWN, 1.0, 1.975, False),  # 10 mm: may be the head itself
    ],
)
def test_a_point_is_occluded_where_something_nearer_fills_its_pixel(kind, cover, z, hides):
    ids = torch.full((1, 4, 4), BACKGROUND, dtype=torch.uint8)
    shown, depth = torch.zeros(2, 1, 4, 4)
    ids[0, 2, 1], shown[0, 2, 1], depth[0, 2, 1] = kind, cover, z
    px = torch.tensor([[[1.5, 2.5], [2.5, 1.5], [-2.5, 2.5], [1.5, 9.5]]])
    cam = torch.tensor([[[0.0, 0.0, 2.0]]]).expand(1, 4, 3)
    points = Keypoints(px, cam, torch.ones(1, 4, dtype=torch.bool))
    layers = Layers(ids, shown, shown, depth)
    assert annotate_visible.occluded(points, layers).tolist() == [[hides, False, False, False]]


RAYS, PIXELS = 4, 16
# Pixels between the rays 0 and 2 of a row, and so round ray 1.
ROUND_RAY_1 = slice(2, 10)


def layers_of_volume(change=None, region=FACE):
    """A head before the first three columns of rays and nothing before the last; the volume has
    its surface 8 mm nearer. `change` alters depths and opacities [RAYS, RAYS] in place."""
    camera = Camera.look_at(torch.zeros(1), torch.zeros(1), torch.tensor([20.0]))
    z, opacity = torch.full((2, RAYS, RAYS), 2.0)
    opacity[:, :3], opacity[:, 3] = 0.9, 0.1
    if change is not None:
        change(z, opacity)
    image, z, opacity = torch.zeros(1, 3, PIXELS, PIXELS), z[None, None], opacity[None, None]
    output = GeneratorOutput(image, camera.ray_distance(z), opacity)
    head = torch.full((1, PIXELS, PIXELS), 2.02)
    head[..., 12:] = 0
    regions = torch.where(head > 0, region, BACKGROUND).to(torch.uint8)
    layers = annotate_visible.layers_of_volume(output, camera, fragments(head), regions)
    assert torch.equal(layers.cover > 0, layers.ids == UNKNOWN)
    return layers


def test_a_volume_proves_what_all_rays_round_a_pixel_see():
    layers = layers_of_volume()
    row = [FACE] * 10 + [UNKNOWN] * 4 + [BACKGROUND] * 2
    assert layers.ids[0].tolist() == [row] * PIXELS
    assert layers.alpha[0, 0, 0] == pytest.approx(0.9) and layers.alpha[0, 0, -1] <= 0.1
    # Columns 10 and 11 see the head; only the ray beside them does not.
    assert layers.cover[0, 0].tolist() == [0] * 10 + [0.5] * 2 + [1] * 2 + [0] * 2


@pytest.mark.parametrize(
    ("ray", "changed"),
    [
        (1, {"z": 1.8}),  # a fringe
        (1, {"z": 1.98}),  # 16 mm before the head
        (1, {"z": 2.06}),  # and behind it
        (1, {"opacity": 0.1}),  # no surface where the head has one
        (3, {"opacity": 0.9}),  # a surface beyond the outline
    ],
)
def test_one_ray_that_sees_something_else_leaves_all_round_it_unknown(ray, changed):
    def change(z, opacity):
        for name, value in changed.items():
            {"z": z, "opacity": opacity}[name][1, ray] = value

    before, after = layers_of_volume(), layers_of_volume(change)
    columns = ROUND_RAY_1 if ray == 1 else slice(10, PIXELS)
    expected = before.ids[0].clone()
    expected[ROUND_RAY_1, columns] = UNKNOWN
    assert torch.equal(after.ids[0], expected)
    assert (after.cover[0, 4:8, 4 * ray : 4 * ray + 4] == 1).all()
    seen = 0.0 if changed.get("opacity") == 0.1 else changed.get("z", 2.0)
    assert after.z[0, 5, 4 * ray + 1] == pytest.approx(seen, abs=1e-5)


def test_nobody_knows_whether_a_volumes_scalp_is_bare():
    scalp = layers_of_volume(region=REGION_ID["scalp"])
    assert (scalp.ids[..., :14] == UNKNOWN).all() and (scalp.ids[..., 14:] == BACKGROUND).all()
    assert torch.allclose(scalp.z[..., :12], torch.tensor(2.0)) and not scalp.z[..., 12:].any()


def test_layers_of_a_batch_are_taken_apart_and_put_together():
    layers = Layers(*(torch.rand(3, 4, 4) for _ in range(4)))
    parts = [layers[:1], layers[torch.tensor([1, 2])]]
    again = Layers.cat(parts)
    assert all(torch.equal(getattr(again, n), getattr(layers, n)) for n in vars(layers))
    output = GeneratorOutput(*torch.rand(3, 3, 1, 2, 2), layers=layers)
    assert torch.equal(output[1:].layers.z, layers.z[1:])
