"""The loops that shade skin, cloth and hair pixel by pixel, compiled as those of `raster_kernel`.

What they compute is stated where they are called: shading.shade, strands.shade_strands, Shadow.
"""

# mypy: disallow-untyped-defs=False

from __future__ import annotations

import numpy as np

from synthforge.frames import UNITS_PER_METRE
from synthforge.raster_kernel import compiled, inlined

# Half the width of the shadow map, generator units.
SHADOW_EXTENT = 0.72
_POISSON = np.array([
    (-0.33, -0.12), (0.42, 0.10), (0.05, 0.48), (-0.10, -0.60),
    (0.72, -0.50), (-0.80, 0.30), (-0.42, 0.82), (0.55, 0.78), (-0.70, -0.66),
], np.float32)  # fmt: skip
_BEHIND_HAIR = 5
# float32 constants: with Python's floats numba would compute in float64.
_F = np.float32
_ZERO, _ONE, _TINY = _F(0), _F(1), _F(1e-30)
_BIAS = _F(0.008 / SHADOW_EXTENT)
_REACH = _F(0.022)
_F0 = _F(0.028)
# How far light creeps round the terminator, by channel: red scatters farthest in skin
# (d'Eon & Luebke 2007, "Advanced techniques for realistic real-time skin rendering").
_SKIN_WRAP = np.array([0.42, 0.22, 0.15], np.float32)
# Shares of the fine normal in what each channel sees; the rest is the smooth one's.
_FINE = np.array([0.4, 0.8, 1.0], np.float32)
# Metres above the neckline from which nothing of it is seen.
ABOVE_CLOTH_M = 0.02
# Columns of `values`, of a texel.
_NORMAL, _AMBIENT, _IN_SHADOW, _POSITION = 0, 3, 6, 9
_BUMP_U, _BUMP_V, _OIL, _LIP, _WET = 3, 4, 5, 6, 7


@inlined
def _exp(x):
    """arithmetic.exp."""
    y = max(x * _F(1 / 64), _F(-1.25))
    power = y * _F(1 / 24)
    power = (power + _F(1 / 6)) * y
    power = (power + _F(1 / 2)) * y
    power = (power + _ONE) * y + _ONE
    for _ in range(6):
        power = power * power
    return power


@inlined
def _unit(x, y, z):
    scale = _ONE / np.sqrt(x * x + y * y + z * z + _TINY)
    return x * scale, y * scale, z * scale


@inlined
def _clamped(x):
    return min(max(x, _ZERO), _ONE)


@inlined
def _texel(place, size):
    """The index from 0 to size - 1 at a place; NaN must not become one."""
    if not place > 0:
        return 0
    # At least 0 already: LLVM does not know.
    return min(max(int(place), 0), size - 1)


@inlined
def _cell(place, size):
    """Between which cells a place lies: the first, and how far on; at a border, the border."""
    if not place > 0:
        return 0, _ZERO
    if place >= size - 1:
        return size - 2, _ONE
    first = max(int(place), 0)
    return first, place - _F(first)


@inlined
def _lit(x, y, z, solid, hair, radius):
    size, cells = len(solid), len(hair)
    half = _F(size) * _F(0.5)
    scale = radius * _F(1 / SHADOW_EXTENT) * half
    column, row = (_ONE - x) * half, (_ONE - y) * half
    total = _ZERO
    for k in range(len(_POISSON)):
        to_right = _texel(column + _POISSON[k, 0] * scale, size)
        down = _texel(row + _POISSON[k, 1] * scale, size)
        if solid[down, to_right] >= z - _BIAS:
            total += _ONE
    half = _F(cells) * _F(0.5)
    column, right = _cell((_ONE - x) * half - _F(0.5), cells)
    row, down = _cell((_ONE - y) * half - _F(0.5), cells)
    depth, density = _between(hair, row, down, column, right, 0), _ZERO
    if z > depth:
        density = min(_between(hair, row, down, column, right, 1), _F(1.1))
    if density > 0:
        total *= _exp(-density * _clamped((z - depth) * _F(SHADOW_EXTENT / 0.03)))
    return total * _F(1 / len(_POISSON))


@inlined
def _between(maps, row, down, column, right, channel):
    """Bilinear value of maps [H, W, C]."""
    above, below = maps[row, column, channel], maps[row + 1, column, channel]
    above += right * (maps[row, column + 1, channel] - above)
    below += right * (maps[row + 1, column + 1, channel] - below)
    return above + down * (below - above)


@inlined
def _transmitted(x, y, z, depth, radius):
    """Light that gets through hair to a point: it fades over 22 mm behind the first strand."""
    size = len(depth)
    half = _F(size) * _F(0.5)
    scale = max(radius, _F(0.01)) * _F(1 / SHADOW_EXTENT) * half
    column, row = (_ONE - x) * half, (_ONE - y) * half
    total = _ZERO
    for k in range(_BEHIND_HAIR):
        to_right = _texel(column + _POISSON[k, 0] * scale, size)
        down = _texel(row + _POISSON[k, 1] * scale, size)
        behind = (z - depth[down, to_right]) * _F(SHADOW_EXTENT) - _F(0.004)
        total += _exp(min(behind * (-_ONE / _REACH), _ZERO))
    return total * _F(1 / _BEHIND_HAIR)


@compiled("float32[:,::1]", "float32[:,::1]", "float32[:,:,::1]", "float32", "float32[::1]")
def lit(points, solid, hair, radius, result):
    """Shadow.lit of points [3, N]."""
    for i in range(len(result)):
        result[i] = _lit(points[0, i], points[1, i], points[2, i], solid, hair, radius)


@inlined
def _bumped(nx, ny, nz, values, uvs, corners, uv_corners, bump_u, bump_v):
    """The unit normal less the slope of a height whose derivatives by u and v are the bumps."""
    a, b, c = corners
    ta, tb, tc = uv_corners
    x1, x2 = values[b, 9] - values[a, 9], values[c, 9] - values[a, 9]
    y1, y2 = values[b, 10] - values[a, 10], values[c, 10] - values[a, 10]
    z1, z2 = values[b, 11] - values[a, 11], values[c, 11] - values[a, 11]
    fx, fy, fz = y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2
    area = fx * fx + fy * fy + fz * fz
    if not area > 0:
        return nx, ny, nz
    scale = _F(UNITS_PER_METRE) / area
    # By the barycentric coordinates that the two edges span, whose gradients are e2 x f and f x e1.
    by_b = bump_u * (uvs[tb, 0] - uvs[ta, 0]) + bump_v * (uvs[tb, 1] - uvs[ta, 1])
    by_c = bump_u * (uvs[tc, 0] - uvs[ta, 0]) + bump_v * (uvs[tc, 1] - uvs[ta, 1])
    by_b, by_c = by_b * scale, by_c * scale
    nx -= by_b * (y2 * fz - z2 * fy) + by_c * (fy * z1 - fz * y1)
    ny -= by_b * (z2 * fx - x2 * fz) + by_c * (fz * x1 - fx * z1)
    nz -= by_b * (x2 * fy - y2 * fx) + by_c * (fx * y1 - fy * x1)
    return _unit(nx, ny, nz)


@inlined
def _ggx(cosine, roughness):
    """GGX distribution over pi, for alpha = roughness squared (Walter et al. 2007)."""
    alpha = roughness * roughness
    a2 = alpha * alpha
    d = cosine * cosine * (a2 - _ONE) + _ONE
    return a2 / (d * d * _F(np.pi))


@inlined
def _highlight(cosine, gloss, softness, sharpening):
    """Key light mirrored by skin: a broad lobe and, where it is oily, a tight one.

    cosine: between the normal and halfway. sharpening: taken off the tight lobe's roughness.
    """
    broad = _ggx(cosine, _F(0.42) + _F(0.10) * softness)
    tight = _ggx(cosine, _F(0.30) + _F(0.10) * softness - sharpening)
    strength = _F(0.6) * (_F(0.30) + _F(0.75) * gloss)
    return (_F(0.60) * broad + _F(0.40) * gloss * tight) * strength


@inlined
def _bell(x, width):
    x = x / width
    return _exp(-(x * x))


@compiled(
    "int64[::1]", "float32[:,::1]", "float32[::1]", "int64[:,::1]", "int64[:,::1]",
    "float32[:,::1]", "int64[::1]", "float32[:,::1]", "float32[:,:,::1]", "float32[:,::1]",
    "float32[:,:,::1]", "float32", "float32[:,::1]", "float32[:,::1]", "float32", "float32",
    "float32", "float32[:,::1]",
)  # fmt: skip
def shade_skin(
    face, weights, above, faces, uv_faces, uvs, eye, values, texture, solid, hair, radius,
    axes, tints, softness, oiliness, lip_gloss, colors,
):  # fmt: skip
    """Set colors [3, P] of the pairs that are not of an eye.

    face, weights, above: of the pairs, [P], [P, 3] and metres above the neckline [P].
    values: [V, 12], normal, ambient light, place in the shadow map, position. texture: [S, S, 8].
    axes: towards key, viewer, halfway. tints: of the key and of cloth.
    """
    size = len(texture)
    value, texel = np.empty(9, np.float32), np.empty(8, np.float32)
    key, viewer, half = axes[0], axes[1], axes[2]
    grazing = _ONE - _clamped(half[0] * viewer[0] + half[1] * viewer[1] + half[2] * viewer[2])
    grazing2 = grazing * grazing
    fresnel = _F0 + (_ONE - _F0) * (grazing2 * grazing2) * grazing
    for pair in range(len(face)):
        f = face[pair]
        if f >= len(faces) or eye[f] > 0:
            continue
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        wa, wb, wc = weights[pair, 0], weights[pair, 1], weights[pair, 2]
        for k in range(9):
            value[k] = wa * values[a, k] + wb * values[b, k] + wc * values[c, k]
        ta, tb, tc = uv_faces[f, 0], uv_faces[f, 1], uv_faces[f, 2]
        u = wa * uvs[ta, 0] + wb * uvs[tb, 0] + wc * uvs[tc, 0]
        v = wa * uvs[ta, 1] + wb * uvs[tb, 1] + wc * uvs[tc, 1]
        column, right = _cell(u * _F(size) - _F(0.5), size)
        row, down = _cell((_ONE - v) * _F(size) - _F(0.5), size)
        left_top, right_top = texture[row, column], texture[row, column + 1]
        left_end, right_end = texture[row + 1, column], texture[row + 1, column + 1]
        for k in range(8):
            top = left_top[k] + right * (right_top[k] - left_top[k])
            end = left_end[k] + right * (right_end[k] - left_end[k])
            texel[k] = top + down * (end - top)

        height, skin, crease = above[pair], _ONE, _ONE
        if height < ABOVE_CLOTH_M:
            skin = _ZERO if height < 0 else _ONE
            crease -= _F(0.45) * _bell(height, _F(0.0035)) * skin
            crease -= _F(0.30) * _bell(height + _F(0.014), _F(0.0008))
        nx, ny, nz = _unit(value[0], value[1], value[2])
        smooth = nx * key[0] + ny * key[1] + nz * key[2]
        bump_u, bump_v = texel[_BUMP_U] * skin, texel[_BUMP_V] * skin
        if bump_u != 0 or bump_v != 0:
            nx, ny, nz = _bumped(nx, ny, nz, values, uvs, (a, b, c), (ta, tb, tc), bump_u, bump_v)
        fine = nx * key[0] + ny * key[1] + nz * key[2]
        reached = _lit(value[6], value[7], value[8], solid, hair, radius)
        root = np.sqrt(reached)

        lip = texel[_LIP]
        gloss = texel[_OIL] * skin * (_F(0.25) + _F(0.55) * oiliness) * (_ONE - _F(0.5) * lip)
        gloss += lip * skin * (lip_gloss * _F(0.9))
        cosine = max(nx * half[0] + ny * half[1] + nz * half[2], _ZERO)
        highlight = _highlight(cosine, gloss, softness, lip * (_F(0.10) * lip_gloss))
        highlight *= fresnel * reached * np.sqrt(_clamped(fine))
        grazing = _ONE - _clamped(nx * viewer[0] + ny * viewer[1] + nz * viewer[2])
        grazing = grazing * grazing
        sheen = (_F(0.02) + _F(0.30) * (grazing * grazing)) * (_F(0.25) + _F(0.6) * gloss)
        sheen += _F(0.07) * texel[_WET]
        for k in range(3):
            # Blue sees the fine normal, red mostly the smooth one. A soft key is a broad source:
            # it reaches farther round.
            facing = (_ONE - _FINE[k]) * smooth + _FINE[k] * fine
            width = (_SKIN_WRAP[k] + _F(0.35) * softness) * (_F(0.5) + _F(0.5) * skin)
            wrapped = max((facing + width) / (_ONE + width), _ZERO)
            # Close to the power 1.4.
            diffuse = wrapped * (_F(0.2) + _F(0.8) * np.sqrt(wrapped))
            # Scattered light passes into the shadow's edge, red farthest.
            passed = reached + _F(0.8) * _SKIN_WRAP[k] * (root - reached)
            ambient = value[3 + k]
            light = ambient + tints[0, k] * diffuse * passed
            albedo = (texel[k] if skin > 0 else tints[1, k]) * crease
            colors[k, pair] = albedo * light + highlight * tints[0, k] + ambient * sheen


@compiled(
    "int64[::1]", "int32[::1]", "float32[::1]", "float32[::1]", "float32[:,:,::1]",
    "float32[:,::1]", "float32[::1]", "float32", "float32[:,::1]", "float32[:,::1]",
    "float32[::1]", "float32[::1]", "float32[:,::1]", "float32[::1]", "float32[:,::1]", "float32",
    "float32[:,::1]", "float32[::1]",
)  # fmt: skip
def shade_hair(
    pixel, strand, along, passed, points, color, exposed, shine, cube, axes, key_color, center,
    to_light, light_center, depth, radius, image, covered,
):  # fmt: skip
    """Paint seen points of strands [N, T, 3] into image [3, S * S] and covered [S * S].

    pixel, strand, along, passed: of Splat. cube: lighting.ambient_cube. axes: towards key, viewer.
    to_light: [3, 3], from positions about light_center to Shadow.to_light.
    """
    spans = points.shape[1] - 1
    key, viewer = axes[0], axes[1]
    for i in range(len(pixel)):
        s, way = strand[i], along[i]
        place = way * _F(spans)
        span = min(int(place), spans - 1)
        x, y, z = points[s, span, 0], points[s, span, 1], points[s, span, 2]
        dx, dy, dz = (
            points[s, span + 1, 0] - x,
            points[s, span + 1, 1] - y,
            points[s, span + 1, 2] - z,
        )
        tx, ty, tz = _unit(dx, dy, dz)
        rest = place - _F(span)
        x, y, z = x + dx * rest, y + dy * rest, z + dz * rest
        ox, oy, oz = _unit(x - center[0], y - center[1], z - center[2])

        cos_l = tx * key[0] + ty * key[1] + tz * key[2]
        cos_v = tx * viewer[0] + ty * viewer[1] + tz * viewer[2]
        sin_l = np.sqrt(max(_ONE - cos_l * cos_l, _ZERO))
        sin_v = np.sqrt(max(_ONE - cos_v * cos_v, _ZERO))
        # The scales of a fibre are tilted: its highlight is shifted, by radians.
        white = _clamped(sin_l * sin_v - (cos_l - _F(0.10)) * cos_v)
        tinted = _clamped(sin_l * sin_v - (cos_l + _F(0.16)) * cos_v)
        for _ in range(4):
            white, tinted = white * white, tinted * tinted
        white = white * white * white
        tint = _F(0.75) * sin_l + shine * _F(0.8) * tinted
        x, y, z = x - light_center[0], y - light_center[1], z - light_center[2]
        reached = _transmitted(
            to_light[0, 0] * x + to_light[0, 1] * y + to_light[0, 2] * z,
            to_light[1, 0] * x + to_light[1, 1] * y + to_light[1, 2] * z,
            to_light[2, 0] * x + to_light[2, 1] * y + to_light[2, 2] * z + _F(2),
            depth,
            radius,
        )
        facing = _F(0.35) + _F(0.65) * (ox * key[0] + oy * key[1] + oz * key[2])
        reached *= min(max(facing, _F(0.03)), _ONE)
        shade = _F(0.38) + _F(0.62) * exposed[s] * (_F(0.45) + _F(0.55) * way)
        right, up, near = (0 if ox > 0 else 3), (1 if oy > 0 else 4), (2 if oz > 0 else 5)
        ox, oy, oz = ox * ox, oy * oy, oz * oz
        at, through = pixel[i], passed[i]
        for k in range(3):
            albedo = color[s, k]
            ambient = cube[right, k] * ox + cube[up, k] * oy + cube[near, k] * oz
            glow = tint * albedo + shine * _F(0.05) * white
            total = (glow * key_color[k] * reached + albedo * ambient * _F(1.1)) * shade
            image[k, at] = total + through * (image[k, at] - total)
        covered[at] = _ONE - through * (_ONE - covered[at])
