"""The compiled loops compute what plain torch does."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from support_mannequin import Dome, depths_round, latent, rotation, samples, transmitted

from synthforge.frames import UNITS_PER_METRE
from synthforge.mannequin.hair import scalp
from synthforge.mannequin.hair.strands import Splat, Strands, shade_strands
from synthforge.mannequin.kernels import filled
from synthforge.mannequin.kernels.maps import keep_off_head, read_around
from synthforge.mannequin.kernels.shading import SHADOW_EXTENT
from synthforge.mannequin.kernels.strands import gather_seen, lay_along
from synthforge.mannequin.kernels.vertices import sum_normals
from synthforge.mannequin.person import person_from
from synthforge.mannequin.render import lighting
from synthforge.mannequin.render.albedo import pigments, skin_texture
from synthforge.mannequin.render.lighting import Light, Shadow, ambient_cube
from synthforge.mannequin.render.occlusion import neighbour_mean, visibility
from synthforge.mannequin.render.pixel_faces import PixelFaces, averaged, on_samples
from synthforge.mannequin.render.scene import scene_from
from synthforge.mannequin.render.shading import shade
from synthforge.mannequin.render.skin_maps import PIGMENT_MAPS, skin_maps
from synthforge.mannequin.render.template import template
from synthforge.mannequin.render.tone_mapping import exposure, tone_map
from synthforge.mesh import unit, vertex_normals

WRAP = torch.tensor([[0.42], [0.22], [0.15]])
KEY = Light((0.48, 0.36, 0.8), (1.3, 1.1, 0.9), 0.4)


@pytest.fixture
def draws():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def scene():
    return replace(scene_from(latent(4)), key=KEY, fills=(), surroundings=Dome((0.2, 0.3, 0.4)))


@pytest.fixture
def shadow(draws):
    """Surfaces and hair at random depths from the light."""
    solid, depth = 1.5 + torch.rand(2, 40, 40, generator=draws)
    hair = torch.stack([1.5 + torch.rand(16, 16, generator=draws), torch.rand(16, 16)], -1)
    return Shadow(rotation(5), torch.tensor([0.1, -0.1, 0.0]), depth, 0.03, solid, hair)


def test_a_tensor_that_a_loop_would_read_wrongly_is_refused(draws):
    """Transposed, or of another type: nothing is copied, or a result would be lost."""
    vertices, faces = torch.rand(3, 3, generator=draws), torch.tensor([[0, 1, 2]])
    normals = filled(sum_normals, (3, 3), vertices, faces)
    a, b, c = vertices
    assert torch.allclose(normals, torch.linalg.cross(b - a, c - a).expand(3, 3), atol=1e-6)
    for wrong in (vertices.T, vertices.double()):
        with pytest.raises(TypeError, match="No matching definition"):
            filled(sum_normals, (3, 3), wrong, faces)


def sampled(maps, x, y):
    """Maps [C, H, W] at columns x and rows y, whole at the cells' centres: [C, N]."""
    _, height, width = maps.shape
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)[None, None]
    return F.grid_sample(maps[None], grid, align_corners=True, padding_mode="border")[0, :, 0]


def plain_lit(shadow, points):
    x, y, z = points
    near = depths_round(shadow.solid_depth, x, y, shadow.radius, 9)
    open_ = sum((depth >= z - 0.008 / SHADOW_EXTENT).float() for depth in near) / 9
    depth, density = sampled(shadow.hair.permute(2, 0, 1), (1 - x) * 8 - 0.5, (1 - y) * 8 - 0.5)
    behind = ((z - depth) * (SHADOW_EXTENT / 0.03)).clamp(0, 1)
    return open_ * torch.exp(-behind * density.clamp(max=1.1))


def test_shadows_on_skin(draws, shadow):
    points = torch.rand(3, 4000, generator=draws) * torch.tensor([[2.2], [2.2], [1.0]])
    points += torch.tensor([[-1.1], [-1.1], [1.5]])
    lit = shadow.lit(points)
    # A point at a texel's border may be looked up on either side.
    assert ((lit - plain_lit(shadow, points)).abs() < 1e-3).float().mean() > 0.998
    assert 0.1 < lit.mean() < 0.9
    assert shadow.lit(torch.full((3, 1), torch.nan)).shape == (1,)


def plain_skin(head, values, seen, texture, person, scene, shadow, above):
    """Linear RGB [3, P] of skin, from the formulas that kernels/shading.py names."""
    corners, w = head.faces[seen.face], seen.weights.T[..., None]
    value = (values[corners] * w).sum(1).T
    normal, ambient, in_shadow = unit(value[:3], 0), value[3:6], value[6:9]
    u, v = (head.uvs[head.uv_faces[seen.face]] * w).sum(1).T
    size = texture.shape[-1]
    texel = sampled(texture, u * size - 0.5, (1 - v) * size - 0.5)
    cloth = (above < 0).float()
    skin = 1 - cloth
    crease = 1 - 0.45 * torch.exp(-((above / 0.0035) ** 2)) * skin
    crease -= 0.30 * torch.exp(-(((above + 0.014) / 0.0008) ** 2))
    a, b, c = (values[corners[:, k], 9:] / UNITS_PER_METRE for k in range(3))
    # Gradients by solving for the plane: e . g = difference along both edges, none across.
    edges = torch.stack([b - a, c - a, torch.linalg.cross(b - a, c - a)], 1).double()
    duv = head.uvs[head.uv_faces[seen.face]].double()
    steps = torch.cat([duv[:, 1:] - duv[:, :1], torch.zeros(len(duv), 1, 2)], 1)
    slope = (torch.linalg.solve(edges, steps) @ (texel[3:5] * skin).T.double()[..., None])[..., 0]
    detailed = unit(normal - slope.T.float(), 0)
    key, viewer = torch.tensor(KEY.direction)[:, None], torch.tensor([[0.0], [0.0], [1.0]])
    half = unit(key + viewer, 0)
    smooth, fine = (normal * key).sum(0), (detailed * key).sum(0)
    cosine = torch.stack([0.6 * smooth + 0.4 * fine, 0.2 * smooth + 0.8 * fine, fine])
    width = (WRAP + 0.35 * KEY.softness) * (1 - 0.5 * cloth)
    wrapped = ((cosine + width) / (1 + width)).clamp(0)
    diffuse = wrapped * (0.2 + 0.8 * wrapped.sqrt())
    lit = shadow.lit(in_shadow)
    key_color = torch.tensor(KEY.color)[:, None]
    light = ambient + key_color * diffuse * (lit + 0.8 * WRAP * (lit.sqrt() - lit))
    oil, lip, wet = texel[5] * skin, texel[6], texel[7]
    gloss = oil * (0.25 + 0.55 * person.oiliness) * (1 - 0.5 * lip)
    gloss += lip * skin * 0.9 * person.lip_gloss

    def ggx(roughness):
        a2 = roughness**4
        return a2 / (math.pi * ((detailed * half).sum(0).clamp(0) ** 2 * (a2 - 1) + 1) ** 2)

    broad, tight = ggx(0.46), ggx(0.34 - lip * 0.10 * person.lip_gloss)
    shine = 0.6 * (0.6 * broad + 0.4 * gloss * tight) * (0.30 + 0.75 * gloss)
    shine *= (0.028 + 0.972 * (1 - (half * viewer).sum()) ** 5) * lit * fine.clamp(0, 1).sqrt()
    grazing = (1 - (detailed * viewer).sum(0).clamp(0, 1)) ** 4
    sheen = (0.02 + 0.30 * grazing) * (0.25 + 0.6 * gloss) + 0.07 * wet
    albedo = (texel[:3] * skin + torch.tensor(person.clothing)[:, None] * cloth) * crease
    return albedo * light + shine * key_color + ambient * sheen


def test_skin_and_cloth(draws, scene, shadow, monkeypatch):
    """On random faces, lit from all sides, above the neckline, at it and below."""
    head, person = template(), replace(person_from(latent(3)), lip_gloss=0.7)
    face = torch.nonzero(head.eye == 0).squeeze(1)[::7].contiguous()
    weights = torch.rand(3, len(face), generator=draws)
    seen = PixelFaces(face, weights / weights.sum(0), face.float(), face)
    values = torch.cat([head.normals, head.normals.abs(), head.normals + 0.9, head.vertices * 4], 1)
    values[:, 8] += 0.8
    texture = torch.rand(8, 64, 64, generator=draws)
    above = 0.03 * torch.rand(len(face), generator=draws) - 0.01
    monkeypatch.setattr(
        "synthforge.mannequin.render.shading._above_neckline", lambda *arguments: above
    )
    got = shade(head, values, seen, texture, person, scene, shadow, torch.eye(3), ())
    expected = plain_skin(head, values, seen, texture, person, scene, shadow, above)
    close = torch.isclose(got, expected, atol=2e-3, rtol=2e-3).all(0)
    assert close.float().mean() > 0.999 and got.std() > 0.1


def test_what_is_not_the_head_and_eyes_without_eyeballs_stay_black(scene, shadow):
    head = template()
    face = torch.tensor([len(head.faces), int(head.eye.argmax())])
    seen = PixelFaces(face, torch.full((3, 2), 1 / 3), face.float(), face)
    values, texture = torch.ones(len(head.vertices), 12), torch.ones(8, 64, 64)
    person = person_from(latent(3))
    colors = shade(head, values, seen, texture, person, scene, shadow, torch.eye(3), ())
    assert (colors == 0).all()


def test_hair(draws, scene, shadow):
    """Points along bent strands, over an image that is there already."""
    count, spans, center = 500, 4, torch.tensor([0.0, 0.1, 0.0])
    points = torch.randn(count, spans + 1, 3, generator=draws) * 0.3
    color, exposed = torch.rand(count, 3, generator=draws), torch.rand(count, generator=draws)
    group = Strands(points, color, exposed, 8.0, (1.0, 1.0))
    strand = torch.randperm(count, generator=draws).int()
    along, passed = torch.rand(2, count, generator=draws)
    image, covered = torch.rand(3, count, generator=draws), torch.rand(count, generator=draws)
    seen = Splat(torch.randperm(count, generator=draws), strand, along, passed, along)
    span = (along * spans).long()
    start, end = points[strand.long(), span].T, points[strand.long(), span + 1].T
    position, tangent = torch.lerp(start, end, along * spans - span), unit(end - start, 0)
    outward = unit(position - center[:, None], 0)
    key = torch.tensor(KEY.direction)
    cos_l, cos_v = key @ tangent, tangent[2]
    sines = ((1 - cos_l**2) * (1 - cos_v**2)).clamp(0).sqrt()
    white = (sines - (cos_l - 0.10) * cos_v).clamp(0, 1) ** 48
    tinted = (sines - (cos_l + 0.16) * cos_v).clamp(0, 1) ** 16
    color, exposed = color[strand.long()].T, exposed[strand.long()]
    glow = (0.75 * (1 - cos_l**2).clamp(0).sqrt() + 6.4 * tinted) * color + 0.4 * white
    lit = transmitted(shadow, shadow.to_light(position))
    lit = lit * (0.35 + 0.65 * (key @ outward)).clamp(0.03, 1)
    faces = torch.cat([outward.clamp(min=0), outward.clamp(max=0)]) ** 2
    ambient = ambient_cube(scene, torch.eye(3)).T @ faces
    total = glow * torch.tensor(KEY.color)[:, None] * lit + 1.1 * color * ambient
    total = total * (0.38 + 0.62 * exposed * (0.45 + 0.55 * along))
    expected, full = image.clone(), covered.clone()
    expected[:, seen.pixel] = torch.lerp(total, image[:, seen.pixel], passed)
    full[seen.pixel] = 1 - passed * (1 - covered[seen.pixel])
    shade_strands(image, covered, group, seen, scene, shadow, torch.eye(3), center)
    close = torch.isclose(image, expected, atol=1e-3, rtol=1e-3).all(0)
    assert close.float().mean() > 0.995
    assert torch.allclose(covered, full, atol=1e-6)


def test_strands_run_along_their_guides(draws):
    curves = torch.randn(5, 9, 3, generator=draws)
    guide, rank = torch.randint(5, (40,), generator=draws), torch.randint(2, (40,), generator=draws)
    place = torch.stack([torch.linspace(0, 8, 12), torch.linspace(0, 5, 12)])
    first = place.long().clamp(max=7)
    amounts, shapes = torch.randn(40, 4, 3, generator=draws), torch.randn(4, 12, generator=draws)
    points = torch.empty(40, 12, 3)
    arrays = (curves, guide, first, place - first, rank, amounts, shapes, points)
    lay_along(*(array.numpy() for array in arrays))
    at, part = first[rank], (place - first)[rank][..., None]
    own = curves[guide[:, None], at], curves[guide[:, None], at + 1]
    expected = torch.lerp(*own, part) + torch.einsum("nkc,kt->ntc", amounts, shapes)
    assert torch.allclose(points, expected, atol=1e-5)


def test_seen_strands_are_gathered_group_by_group(draws):
    size, ends = 8, torch.tensor([3, 3, 10])
    strands = torch.randint(-1, 10, (size, size), generator=draws, dtype=torch.int32)
    along, z = torch.rand(2, size, size, generator=draws)
    layers = torch.rand(2, 2, generator=draws)
    counts, pixel = torch.zeros(3, dtype=torch.int64), torch.zeros(64, dtype=torch.int64)
    strand, numbers = torch.zeros(64, dtype=torch.int32), torch.zeros(3, 64)
    arrays = (strands, along, z, layers, ends, counts, pixel, strand, numbers)
    gather_seen(*(array.numpy() for array in arrays))
    flat = strands.flatten()
    own = [torch.nonzero((flat >= a) & (flat < b)).squeeze(1) for a, b in ((0, 3), (3, 3), (3, 10))]
    where = torch.cat(own)
    assert counts.tolist() == [len(part) for part in own]
    assert torch.equal(pixel[: len(where)], where)
    expected = torch.cat([flat[own[0]], flat[own[2]] - 3])
    assert torch.equal(strand[: len(where)], expected)
    over = layers.repeat_interleave(4, 0).repeat_interleave(4, 1)
    columns = torch.stack([along.flatten()[where], z.flatten()[where], over.flatten()[where]])
    assert torch.equal(numbers[:, : len(where)], columns)


@pytest.mark.parametrize("style", ["crop", "buzz", "bald"])
def test_skin_is_mixed_of_pigments(style):
    person = person_from(latent(6))
    person = replace(person, hair=replace(person.hair, style=style, hairline=0.3, thinning=0.2))
    maps, texture = skin_maps(), skin_texture(person).flatten(1)
    table = pigments(person)
    amounts = torch.tensor([tuple(table[name]) for name in PIGMENT_MAPS]).float()
    bare = maps.hairline[0] < -0.03
    log = (amounts.T @ maps.pigments).clamp(-6, -0.08)
    assert torch.allclose(texture[:3, bare], log[:, bare].exp(), rtol=1e-3, atol=1e-5)
    # The roots show: less of them on a bald head, which has but a rim.
    above = maps.hairline[0] > 0.04
    darker = (texture[:3, above].log() - log[:, above]).mean()
    assert abs(darker) < 1e-3 if style == "bald" else abs(darker) > 0.1
    heights = torch.tensor([person.wrinkles, person.pores, 1.0])
    assert torch.allclose(texture[3:5], (heights[:, None, None] * maps.bumps).sum(0), atol=1e-6)
    assert torch.equal(texture[5:], maps.gloss)


def test_what_is_seen_of_the_skin_is_that_of_all():
    """Every texel that a pixel of the seen faces reads is mixed."""
    head, person = template(), person_from(latent(6))
    face = torch.arange(0, len(head.faces), 50)
    w = torch.full((3, len(face)), 1 / 3)
    whole = skin_texture(person)
    size = whole.shape[-1]
    for weights in (w, torch.eye(3)[:, :1].expand(3, len(face)), torch.eye(3)[:, 2:]):
        seen = PixelFaces(face, w, face.float(), face)
        some = skin_texture(person, seen)
        corners = head.uvs[head.uv_faces[face]]
        u, v = (corners * weights.expand(3, len(face)).T[..., None]).sum(1).T
        at = u * size - 0.5, (1 - v) * size - 0.5
        assert torch.equal(sampled(some, *at), sampled(whole, *at))


def test_light_at_the_vertices():
    """The sum over directions, normals and neighbours."""
    head, scene = template(), scene_from(latent(2))
    scene = replace(scene, surroundings=Dome((0.5, 0.4, 0.3)), fills=(replace(KEY),))
    turn = rotation(1)
    got = lighting.irradiance(scene, (0.6, 0.4, 0.3), head.normals, torch.eye(3), turn)
    around = lighting.directions()
    light = lighting.radiance(scene, around @ turn.T)
    cosine = (around @ turn.T @ head.normals.T).clamp(min=0) * visibility()
    bare = cosine.T @ light * (4 / len(around))
    blocked = (1 - cosine.sum(0) * (4 / len(around))).clamp(min=0)[:, None]
    round_it = bare.mean(0) + 0.35 * torch.tensor(scene.key.color)
    bare = bare + blocked * torch.tensor([0.6, 0.4, 0.3]) * round_it
    a, b, c = (bare[corner] for corner in head.faces.T)
    others = torch.stack([b + c, c + a, a + b], 1).flatten(0, 1)
    sums = head.topology.sum_at_vertices(others)
    near = sums / (2 * head.topology.corner_count[:, None])
    assert torch.allclose(neighbour_mean(bare), near, atol=1e-5)
    far = neighbour_mean(near)
    expected = bare + torch.tensor([0.75, 0.45, 0.25]) * (0.5 * near + 0.5 * far - bare)
    assert torch.allclose(got, expected, atol=1e-4)
    normals = torch.zeros_like(head.vertices)
    sum_normals(head.vertices.numpy(), head.faces.numpy(), normals.numpy())
    assert torch.allclose(unit(normals), vertex_normals(head.vertices, head.topology), atol=1e-6)


def test_samples_and_pixels(draws):
    colors, z = torch.rand(3, 9, generator=draws), torch.rand(9, generator=draws)
    of_sample = torch.randint(10, (64,), generator=draws)
    image, covered, depth = on_samples(PixelFaces(of_sample[:9], colors, z, of_sample), colors)
    assert torch.equal(image, F.pad(colors, (0, 1))[:, of_sample])
    assert torch.equal(depth, F.pad(z, (0, 1), value=99.0)[of_sample])
    assert torch.equal(covered, (of_sample < 9).float())
    layers = torch.cat([image, covered[None]]).view(4, 8, 8)
    assert torch.allclose(averaged(image, covered), F.avg_pool2d(layers, 2), atol=1e-6)


def test_distance_of_hair_from_head_and_trunk(draws):
    radius = 0.1 + 0.02 * torch.rand(6, 13, generator=draws)
    p = torch.randn(300, 3, generator=draws) * 0.1
    x, y, z = p.T
    column = (torch.atan2(x, z) / math.pi + 1) * 6
    values = torch.empty(300)
    read_around(radius.numpy(), p.numpy(), values.numpy())
    row = torch.atan2(torch.hypot(x, z), y) / math.pi * 5
    assert torch.allclose(values, sampled(radius[None], column, row)[0], atol=1e-5)
    layer, off = 0.01 * torch.rand(300, generator=draws), torch.empty(300)
    moved, center = p.clone(), torch.tensor([0.0, 0.0, 0.0, -0.05])
    keep_off_head(radius.numpy(), center.numpy(), moved.numpy(), layer.numpy(), off.numpy())
    distance = p.norm(dim=1)
    assert torch.allclose(off, distance - values - layer, atol=1e-5)
    inside = (off < 0) & (y > -0.05)
    expected = torch.where(inside[:, None], p * ((values + layer) / distance)[:, None], p)
    assert torch.allclose(moved, expected, atol=1e-5) and 20 < inside.sum() < 280

    part = scalp.Frame(rotation(3), torch.tensor([0.1, 0.2, 0.3]), p[0], torch.tensor(2.0))
    shoulders = scalp.Shoulders(part, radius[None], torch.tensor(0.05))
    posed = part.from_local(p)
    local = part.to_local(shoulders.keep_out(posed, layer))
    x, z = p[:, 0], p[:, 2] - scalp._AXIS_Z
    row = (0.05 - y) / (0.05 - scalp._LOWEST_Y) * 5
    column = (torch.atan2(x, z) / math.pi + 1) * 6
    floor = sampled(radius[None], column, row)[0] + layer
    grown = torch.where(y < 0.05, (floor / torch.hypot(x, z)).clamp(min=1), 1.0)
    expected = torch.stack([x * grown, y, z * grown + scalp._AXIS_Z], 1)
    assert torch.allclose(local, expected, atol=1e-4) and 20 < (grown > 1).sum() < 280


def test_tone_mapping(draws):
    """Flat colours, where neither blur nor sharpening changes anything."""
    z, _, _ = samples(1)
    scene = replace(scene_from(z[0, 256:]), grain=0.0, small=False, vignette=0.3, blur=0.5)
    color = torch.rand(3, generator=draws)
    got = tone_map(scene, color[:, None, None].expand(3, 64, 64).contiguous())
    for row, column in ((32, 32), (0, 0), (50, 7)):
        x, y = (2 * place / 63 - 1 for place in (column, row))
        light = color * torch.tensor(scene.white_balance) * exposure(scene)
        light = light * (1 - 0.15 * (x * x + y * y))
        curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
        curve = curve.clamp(0, 1).double()
        srgb = torch.where(curve < 0.0031308, 12.92 * curve, 1.055 * curve ** (1 / 2.4) - 0.055)
        luma = srgb @ torch.tensor([0.30, 0.59, 0.11], dtype=torch.float64)
        image = (luma + (srgb - luma) * scene.saturation - 0.45) * scene.contrast + 0.45
        expected = (2 * image - 1).clamp(-1, 1).float()
        assert torch.allclose(got[:, row, column], expected, atol=0.01)
