"""Which triangle does each pixel see? A z-buffer in plain torch, on CPU or CUDA.

`visible` finds face ids (no gradient); `resolve` turns them into depth and barycentrics, which are
differentiable in the vertices. Both follow PyTorch3D's non-blurred rasterizer rule for rule and in
the same float32 operations, so face ids are equal bit for bit (Ravi et al. 2020,
arXiv:2007.08501; `rasterize_meshes`, blur_radius 0, faces_per_pixel 1):

- NDC: x left, y up, z into the screen; the short image side spans [-1, 1].
- A pixel centre is inside a face when all three barycentrics are strictly positive.
- The nearest face wins; exact ties go to the lowest face id.
- Faces with |area| <= 1e-8, a vertex at z < 1e-8 or a coordinate that is not finite are skipped;
  culling drops negative areas.
"""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from synthforge.errors import UserError

Backend = Literal["auto", "torch", "pytorch3d"]

_EPSILON = 1e-8
_EMPTY = torch.iinfo(torch.int64).max
_GAVE_UP = -2
# Pixels by which a face's span is widened before the exact inside test.
_SLACK = 1e-2
# Candidate (face, pixel) pairs tested at once: fits the cache on CPU, fills the device on CUDA.
_CANDIDATES = {"cpu": 1 << 17, "cuda": 1 << 23}


@dataclass(frozen=True)
class Fragments:
    """What each pixel sees; every value is -1 in pixels that see nothing.

    face_ids: int64 [B, H, W]; -2 in an image that is not `complete`.
    z: [B, H, W], the vertices' own z (for camera NDC: z-depth).
    barycentrics: [B, H, W, 3], weights of the face's corners in 3D.
    """

    face_ids: Tensor
    z: Tensor
    barycentrics: Tensor

    @property
    def covered(self) -> Tensor:
        """bool [B, H, W]"""
        return self.face_ids >= 0

    @property
    def complete(self) -> Tensor:
        """bool [B]: false where `max_layers` did not suffice."""
        return self.face_ids[:, 0, 0] != _GAVE_UP

    def interpolate(self, corners: Tensor) -> Tensor:
        """Attributes at face corners [F, 3, C] or [B, F, 3, C] -> [B, H, W, C]; 0 where empty."""
        index = self.face_ids.clamp_min(0).flatten(1)
        if corners.ndim == 4:
            batch, faces = corners.shape[:2]
            index = index + torch.arange(0, batch * faces, faces, device=index.device)[:, None]
            corners = corners.flatten(0, 1)
        picked = corners.index_select(0, index.view(-1)).view(*index.shape, *corners.shape[1:])
        weights = self.barycentrics.flatten(1, 2)
        values = sum(weights[..., k, None] * picked[:, :, k] for k in range(3))
        values = torch.where(self.covered.flatten(1)[..., None], values, 0.0)
        return values.view(*self.face_ids.shape, -1)


class BackendMissingError(UserError, ImportError):
    """The rasterizer asked for is not installed; the message says the way out."""


def pytorch3d_installed() -> bool:
    return importlib.util.find_spec("pytorch3d") is not None


def check_backend(backend: Backend) -> None:
    """Raises BackendMissingError for "pytorch3d" where it is not installed."""
    if backend == "pytorch3d" and not pytorch3d_installed():
        raise BackendMissingError(
            "PyTorch3D is not installed. Use --rasterizer torch, which gives the same labels, or "
            "create the conda environment of environment.yml."
        )


def rasterize(
    vertices_ndc: Tensor,
    faces: Tensor,
    height: int,
    width: int,
    *,
    perspective_correct: bool,
    cull_backfaces: bool = False,
    backend: Backend = "torch",
    max_layers: int | None = None,
) -> Fragments:
    """Face ids, depth and barycentrics of the nearest face at every pixel centre.

    vertices_ndc: float32 [B, V, 3]. faces: int64 [F, 3], shared by the batch.
    backend: "auto" is PyTorch3D where it is installed and the vertices are on CUDA, else ours.
    max_layers: fixes the size of our work, so that CUDA needs no host sync. It bounds how many
        faces lie over a pixel, as a mean over the image, and the row spans they are cut into (an
        eighth as many as those face pixels, plus four a face). An image that needs more is NaN
        throughout; see `Fragments.complete`.

    Raises BackendMissingError if "pytorch3d" is asked for and not installed.
    """
    if backend == "auto":
        use_pytorch3d = vertices_ndc.is_cuda and pytorch3d_installed()
    else:
        use_pytorch3d = backend == "pytorch3d"
    if use_pytorch3d:
        return _rasterize_pytorch3d(
            vertices_ndc, faces, height, width, perspective_correct, cull_backfaces
        )
    face_ids = visible(
        vertices_ndc,
        faces,
        height,
        width,
        perspective_correct=perspective_correct,
        cull_backfaces=cull_backfaces,
        max_layers=max_layers,
    )
    return resolve(vertices_ndc, faces, face_ids, perspective_correct=perspective_correct)


def pixel_centers(size: int, other_size: int, device: torch.device) -> Tensor:
    """NDC coordinate of each column (or row) of an image `size` by `other_size`, left to right.

    The order of operations is PyTorch3D's: it decides the last bit.
    """
    extent = 2.0 * size / other_size if size > other_size else 2.0
    index = torch.arange(size - 1, -1, -1, device=device, dtype=torch.float32)
    return -(extent / 2) + (extent * index + extent / 2) / size


@torch.no_grad()
def visible(
    vertices_ndc: Tensor,
    faces: Tensor,
    height: int,
    width: int,
    *,
    perspective_correct: bool,
    cull_backfaces: bool = False,
    max_layers: int | None = None,
) -> Tensor:
    """The nearest face at every pixel centre: int64 [B, height, width], -1 for none.

    Each face is cut into row spans, each span into candidate pixels; candidates that pass the
    inside test race for their pixel with the key (z, face id) packed into one integer.

    max_layers: as in `rasterize`; an image that needs more is -2 throughout.
    """
    batch, device = vertices_ndc.shape[0], vertices_ndc.device
    corners = vertices_ndc[:, faces].reshape(-1, 9)
    first_row, row_count = _rows_in_view(corners, height, width, cull_backfaces)
    columns, rows = pixel_centers(width, height, device), pixel_centers(height, width, device)
    keys = torch.full((batch * height * width,), _EMPTY, dtype=torch.int64, device=device)

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
        row = (first_row.index_select(0, face) + offset).clamp_max(height - 1)
        return row, *_row_spans(corners.index_select(0, face), row, height, width)

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
            keys.scatter_reduce_(0, pixel, key, "amin")
    else:
        slots = max_layers * height * width
        face, offset, present, complete = _expand_within(
            row_count.view(batch, -1), slots // 8 + 4 * len(faces)
        )
        row, first_column, column_count = spans_of(face, offset)
        column_count = torch.where(present, column_count, 0)
        span, offset, present, fits = _expand_within(column_count.view(batch, -1), slots)
        column = (first_column.index_select(0, span) + offset).clamp_max(width - 1)
        candidates = face.index_select(0, span), row.index_select(0, span), column
        inside, z = test(*candidates)
        pixel, key = entry(*candidates, z)
        # Slots that hold nothing would all race for one pixel: spread them.
        anywhere = torch.arange(len(pixel), device=device) % len(keys)
        pixel = torch.where(present, pixel, anywhere)
        keys.scatter_reduce_(0, pixel, torch.where(inside & present, key, _EMPTY), "amin")
        complete &= fits
    ids = torch.where(keys != _EMPTY, keys & 0xFFFFFFFF, -1).view(batch, height, width)
    return torch.where(complete[:, None, None], ids, _GAVE_UP)


def resolve(
    vertices_ndc: Tensor, faces: Tensor, face_ids: Tensor, *, perspective_correct: bool
) -> Fragments:
    """Depth and barycentrics at the pixels of `face_ids` [B, H, W], differentiable in vertices."""
    batch, height, width = face_ids.shape
    device = vertices_ndc.device
    ids = face_ids.reshape(-1)
    pixel = _pixels_to_resolve(ids, differentiable=vertices_ndc.requires_grad)
    face = ids.index_select(0, pixel)
    image = torch.div(pixel, height * width, rounding_mode="floor")
    row = torch.div(pixel, width, rounding_mode="floor") % height
    vertex = faces.index_select(0, face.clamp_min(0)) + (image * vertices_ndc.shape[1])[:, None]
    corners = vertices_ndc.reshape(-1, 3).index_select(0, vertex.reshape(-1)).view(-1, 9)
    triangle = corners.t().contiguous()
    weights = _barycentrics(
        pixel_centers(width, height, device)[pixel % width],
        pixel_centers(height, width, device)[row],
        triangle,
        perspective_correct,
    )
    z = weights[0] * triangle[2] + weights[1] * triangle[5] + weights[2] * triangle[8]
    empty = torch.where(ids == _GAVE_UP, torch.nan, -1.0).to(z.dtype)[:, None].repeat(1, 4)
    seen = torch.where((face >= 0)[:, None], torch.stack([z, *weights], -1), empty[pixel])
    filled = empty.index_copy(0, pixel, seen).view(batch, height, width, 4)
    return Fragments(face_ids, filled[..., 0], filled[..., 1:])


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
    area = _edge(cx, cy, ax, ay, bx, by) + _EPSILON
    w0 = _edge(px, py, bx, by, cx, cy) / area
    w1 = _edge(px, py, cx, cy, ax, ay) / area
    w2 = _edge(px, py, ax, ay, bx, by) / area
    if perspective_correct:
        w0, w1, w2 = w0 * bz * cz, w1 * az * cz, w2 * az * bz
        total = (w0 + w1 + w2).clamp_min(_EPSILON)
        w0, w1, w2 = w0 / total, w1 / total, w2 / total
    return w0, w1, w2


def _rows_in_view(
    corners: Tensor, height: int, width: int, cull_backfaces: bool
) -> tuple[Tensor, Tensor]:
    """First image row and number of rows of each face [N, 9]; none where it cannot be seen."""
    ax, ay, az, bx, by, bz, cx, cy, cz = corners.t().contiguous().unbind(0)
    area = _edge(ax, ay, bx, by, cx, cy)
    seen = (area.abs() > _EPSILON) & torch.isfinite(area)
    if cull_backfaces:
        seen &= area >= 0
    seen &= torch.minimum(torch.minimum(az, bz), cz) >= _EPSILON
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
    return torch.where(seen, first_row, 0).long(), count.long()


def _row_spans(corners: Tensor, row: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """First column and number of columns that a face [N, 9] may cover in image row `row` [N]."""
    y = pixel_centers(height, width, corners.device)[row]
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
    return torch.where(crossed, first, 0).long(), count.long()


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

    Returns owners (indices into the flattened counts), offsets and whether the place is taken,
    [B * slots] each, and bool [B]: whether the places sufficed.
    """
    batch, length = count.shape
    end = torch.cumsum(count, 1)
    slot = torch.arange(slots, device=count.device).expand(batch, slots).contiguous()
    owner = torch.searchsorted(end, slot, right=True).clamp_max(length - 1)
    offset = slot - (end - count).gather(1, owner)
    first = torch.arange(0, batch * length, length, device=count.device)[:, None]
    taken = slot < end[:, -1:]
    return (owner + first).view(-1), offset.view(-1), taken.view(-1), end[:, -1] <= slots


def _chunks(count: Tensor, budget: int) -> list[slice]:
    """Slices of spans [N] that hold about `budget` pixels each."""
    total = torch.cumsum(count, 0)
    pieces = -(-int(total[-1]) // budget) if len(count) else 0
    if not pieces:
        return []
    marks = torch.arange(1, pieces, device=count.device) * budget
    cuts = [0, *torch.searchsorted(total, marks).tolist(), len(count)]
    return [slice(a, b) for a, b in itertools.pairwise(cuts) if b > a]


def _rasterize_pytorch3d(
    vertices_ndc: Tensor,
    faces: Tensor,
    height: int,
    width: int,
    perspective_correct: bool,
    cull_backfaces: bool,
) -> Fragments:
    check_backend("pytorch3d")
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    batch = vertices_ndc.shape[0]
    face_ids, z, barycentrics, _ = rasterize_meshes(
        Meshes(vertices_ndc, faces[None].expand(batch, *faces.shape)),
        image_size=(height, width),
        blur_radius=0.0,
        faces_per_pixel=1,
        perspective_correct=perspective_correct,
        cull_backfaces=cull_backfaces,
    )
    face_ids = face_ids[..., 0]
    offset = torch.arange(batch, device=face_ids.device)[:, None, None] * len(faces)
    face_ids = torch.where(face_ids >= 0, face_ids - offset, -1)
    return Fragments(face_ids, z[..., 0], barycentrics[..., 0, :])
