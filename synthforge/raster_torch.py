"""The rasterizer in plain torch, for CUDA, gradients and work of fixed size.

What it computes and its arguments are those of `synthforge.rasterizer`; columns [W] and rows [H]
are the pixel centres.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

EMPTY, GAVE_UP = -1, -2
EPSILON = 1e-8

# Pixels by which a face's span is widened before the exact inside test.
_SLACK = 1e-2
_NO_KEY = torch.iinfo(torch.int64).max
# Candidate (face, pixel) pairs tested at once: fits the cache on CPU, fills the device on CUDA.
_CANDIDATES = {"cpu": 1 << 17, "cuda": 1 << 23}


def visible(
    vertices_ndc: Tensor,
    faces: Tensor,
    columns: Tensor,
    rows: Tensor,
    *,
    perspective_correct: bool,
    cull_backfaces: bool,
    max_layers: int | None = None,
) -> Tensor:
    """The nearest face at every pixel centre.

    Each face is cut into row spans, each span into candidate pixels; candidates that pass the
    inside test race for their pixel with the key (z, face id) packed into one integer.
    """
    batch, device = vertices_ndc.shape[0], vertices_ndc.device
    height, width = len(rows), len(columns)
    corners = vertices_ndc[:, faces].reshape(-1, 9)
    first_row, row_count = _rows_in_view(corners, height, width, cull_backfaces)
    keys = torch.full((batch * height * width,), _NO_KEY, dtype=torch.int64, device=device)

    def test(face: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
        """Of candidates [N]: which are inside their faces, and z."""
        triangle = corners.index_select(0, face).t().contiguous()
        px, py = columns.index_select(0, column), rows.index_select(0, row)
        w0, w1, w2 = _barycentrics(px, py, triangle, perspective_correct)
        z = w0 * triangle[2] + w1 * triangle[5] + w2 * triangle[8]
        return (w0 > 0) & (w1 > 0) & (w2 > 0) & (z >= 0), z

    def entry(face: Tensor, row: Tensor, column: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels and keys."""
        image = torch.div(face, len(faces), rounding_mode="floor")
        # Non-negative floats order like their bit patterns.
        key = (z.view(torch.int32).long() << 32) | (face % len(faces))
        return (image * height + row) * width + column, key

    def spans_of(face: Tensor, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        row = (first_row.index_select(0, face) + offset).clamp(0, height - 1)
        return row, *_row_spans(corners.index_select(0, face), row, rows, width)

    complete = torch.ones(batch, dtype=torch.bool, device=device)
    if max_layers is None:
        face, offset = _expand(row_count)
        row, first_column, column_count = spans_of(face, offset)
        for part in _chunks(column_count, _CANDIDATES.get(device.type, 1 << 20)):
            span, offset = _expand(column_count[part])
            span = span + part.start
            column = first_column.index_select(0, span) + offset
            candidates = face.index_select(0, span), row.index_select(0, span), column
            inside, z = test(*candidates)
            inside = torch.nonzero(inside).squeeze(1)
            pixel, key = entry(*(t.index_select(0, inside) for t in (*candidates, z)))
            keys.scatter_reduce_(0, pixel.long(), key, "amin")
    else:
        slots = max_layers * height * width
        face, offset, present, complete = _expand_within(
            row_count.view(batch, -1), slots // 8 + 6 * len(faces)
        )
        row, first_column, column_count = spans_of(face, offset)
        column_count = torch.where(present, column_count, 0)
        span, offset, present, fits = _expand_within(column_count.view(batch, -1), slots)
        column = (first_column.index_select(0, span) + offset).clamp(0, width - 1)
        candidates = face.index_select(0, span), row.index_select(0, span), column
        inside, z = test(*candidates)
        pixel, key = entry(*candidates, z)
        # Slots that hold nothing would all race for one pixel: spread them.
        anywhere = torch.arange(len(pixel), dtype=torch.int32, device=device) % len(keys)
        pixel = torch.where(present, pixel, anywhere)
        keys.scatter_reduce_(0, pixel.long(), torch.where(inside & present, key, _NO_KEY), "amin")
        complete &= fits
    ids = torch.where(keys != _NO_KEY, keys & 0xFFFFFFFF, EMPTY).view(batch, height, width)
    return torch.where(complete[:, None, None], ids, GAVE_UP)


def resolve(
    vertices_ndc: Tensor,
    faces: Tensor,
    face_ids: Tensor,
    columns: Tensor,
    rows: Tensor,
    *,
    perspective_correct: bool,
) -> tuple[Tensor, Tensor]:
    """z and barycentrics at the pixels of `face_ids`, differentiable in vertices."""
    batch, height, width = face_ids.shape
    ids = face_ids.reshape(-1)
    pixel = _pixels_to_resolve(ids, differentiable=vertices_ndc.requires_grad)
    face = ids.index_select(0, pixel)
    image = torch.div(pixel, height * width, rounding_mode="floor")
    row = torch.div(pixel, width, rounding_mode="floor") % height
    vertex = faces.index_select(0, face.clamp_min(0)) + (image * vertices_ndc.shape[1])[:, None]
    corners = vertices_ndc.reshape(-1, 3).index_select(0, vertex.reshape(-1)).view(-1, 9)
    triangle = corners.t().contiguous()
    weights = _barycentrics(
        columns[pixel % width],
        rows[row],
        triangle,
        perspective_correct,
    )
    z = weights[0] * triangle[2] + weights[1] * triangle[5] + weights[2] * triangle[8]
    empty = torch.where(ids == GAVE_UP, torch.nan, -1.0).to(z.dtype)[:, None].repeat(1, 4)
    seen = torch.where((face >= 0)[:, None], torch.stack([z, *weights], -1), empty[pixel])
    filled = empty.index_copy(0, pixel, seen).view(batch, height, width, 4)
    return filled[..., 0], filled[..., 1:]


def _pixels_to_resolve(ids: Tensor, *, differentiable: bool) -> Tensor:
    """Those that see a face; on a GPU all, since finding those takes a host sync.

    With gradients only those: an empty pixel's could be infinite or NaN.
    """
    if ids.device.type == "cpu" or differentiable:
        return torch.nonzero(ids >= 0).squeeze(1)
    return torch.arange(len(ids), device=ids.device)


def _edge(px: Tensor, py: Tensor, ax: Tensor, ay: Tensor, bx: Tensor, by: Tensor) -> Tensor:
    """Twice the signed area of (p, a, b)."""
    return (px - ax) * (by - ay) - (py - ay) * (bx - ax)


def _barycentrics(
    px: Tensor, py: Tensor, triangle: Tensor, perspective_correct: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights at points [N] of triangles given as nine rows [9, N]: x, y, z of each corner."""
    ax, ay, az, bx, by, bz, cx, cy, cz = triangle.unbind(0)
    area = _edge(cx, cy, ax, ay, bx, by) + EPSILON
    w0 = _edge(px, py, bx, by, cx, cy) / area
    w1 = _edge(px, py, cx, cy, ax, ay) / area
    w2 = _edge(px, py, ax, ay, bx, by) / area
    if perspective_correct:
        w0, w1, w2 = w0 * bz * cz, w1 * az * cz, w2 * az * bz
        total = (w0 + w1 + w2).clamp_min(EPSILON)
        w0, w1, w2 = w0 / total, w1 / total, w2 / total
    return w0, w1, w2


def _rows_in_view(
    corners: Tensor, height: int, width: int, cull_backfaces: bool
) -> tuple[Tensor, Tensor]:
    """First image row and number of rows of each face [N, 9]; none where it cannot be seen."""
    ax, ay, az, bx, by, bz, cx, cy, cz = corners.t().contiguous().unbind(0)
    area = _edge(ax, ay, bx, by, cx, cy)
    seen = (area.abs() > EPSILON) & torch.isfinite(area)
    if cull_backfaces:
        seen &= area >= 0
    seen &= torch.minimum(torch.minimum(az, bz), cz) >= EPSILON
    seen &= torch.maximum(torch.maximum(az, bz), cz) < torch.inf
    top = _to_pixels(torch.maximum(torch.maximum(ay, by), cy), height, width)
    bottom = _to_pixels(torch.minimum(torch.minimum(ay, by), cy), height, width)
    left = _to_pixels(torch.maximum(torch.maximum(ax, bx), cx), width, height)
    right = _to_pixels(torch.minimum(torch.minimum(ax, bx), cx), width, height)
    first_row = torch.ceil(top - _SLACK).clamp(0, height)
    last_row = torch.floor(bottom + _SLACK).clamp(-1, height - 1)
    seen &= torch.ceil(left - _SLACK) <= torch.floor(right + _SLACK)
    seen &= (right >= -_SLACK) & (left <= width - 1 + _SLACK)
    count = torch.where(seen, last_row - first_row + 1, 0).clamp_min(0)
    # NaN has no row: an index made of one could lie outside the image.
    return torch.where(seen, first_row, 0).int(), count.int()


def _row_spans(corners: Tensor, row: Tensor, rows: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """First column and number of columns that a face [N, 9] may cover in image row `row` [N]."""
    y, height = rows.index_select(0, row), len(rows)
    low = torch.full_like(y, float("inf"))
    high = torch.full_like(y, -float("inf"))
    for start, end in ((0, 3), (3, 6), (6, 0)):
        xa, ya = corners[:, start], corners[:, start + 1]
        xb, yb = corners[:, end], corners[:, end + 1]
        crosses = (torch.minimum(ya, yb) <= y) & (torch.maximum(ya, yb) >= y) & (ya != yb)
        x = xa + ((y - ya) / (yb - ya)).clamp(0, 1) * (xb - xa)
        low = torch.where(crosses, torch.minimum(low, x), low)
        high = torch.where(crosses, torch.maximum(high, x), high)
    first = torch.ceil(_to_pixels(high, width, height) - _SLACK).clamp(0, width)
    last = torch.floor(_to_pixels(low, width, height) + _SLACK).clamp(-1, width - 1)
    crossed = high >= low
    count = torch.where(crossed, last - first + 1, 0).clamp_min(0)
    return torch.where(crossed, first, 0).int(), count.int()


def _to_pixels(ndc: Tensor, size: int, other_size: int) -> Tensor:
    """NDC coordinate -> fractional column (or row) index, pixel centres at whole numbers."""
    half = max(size / other_size, 1.0)
    return (half - ndc) * (size / (2 * half)) - 0.5


def _expand(count: Tensor) -> tuple[Tensor, Tensor]:
    """[2, 3] -> owners [0, 0, 1, 1, 1] and offsets [0, 1, 0, 1, 2]."""
    owner = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    start = torch.cumsum(count, 0) - count
    return owner, torch.arange(len(owner), device=count.device) - start.index_select(0, owner)


def _expand_within(count: Tensor, slots: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`_expand` of each row of [B, N] into `slots` places, of which the last may stay empty.

    Returns owners (indices into the flattened counts) and offsets, int32, and whether the place is
    taken, [B * slots] each, and bool [B]: whether the places sufficed.
    """
    batch, length = count.shape
    whole: dict[str, Any] = {"dtype": torch.int32, "device": count.device}
    end = torch.cumsum(count, 1, dtype=torch.int32)
    slot = torch.arange(slots, **whole).expand(batch, slots).contiguous()
    owner = torch.searchsorted(end, slot, right=True, out_int32=True).clamp_max(length - 1)
    owner = (owner + torch.arange(0, batch * length, length, **whole)[:, None]).view(-1)
    offset = slot.view(-1) - (end - count).view(-1).index_select(0, owner)
    return owner, offset, (slot < end[:, -1:]).view(-1), count.sum(1) <= slots


def _chunks(count: Tensor, budget: int) -> list[slice]:
    """Slices of spans [N] that hold about `budget` pixels each."""
    total = torch.cumsum(count, 0)
    pieces = -(-int(total[-1]) // budget) if len(count) else 0
    if not pieces:
        return []
    marks = torch.arange(1, pieces, device=count.device) * budget
    cuts = [0, *torch.searchsorted(total, marks).tolist(), len(count)]
    return [slice(a, b) for a, b in itertools.pairwise(cuts) if b > a]
