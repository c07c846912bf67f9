"""Which triangle does each pixel see? A z-buffer on CPU or CUDA.

`visible` finds face ids (no gradient); `resolve` turns them into depth and barycentrics, which are
differentiable in the vertices. Both follow PyTorch3D's non-blurred rasterizer rule for rule and in
the same float32 operations, so face ids are equal bit for bit (Ravi et al. 2020,
arXiv:2007.08501; `rasterize_meshes`, blur_radius 0, faces_per_pixel 1):

- NDC: x left, y up, z into the screen; the short image side spans [-1, 1].
- A pixel centre is inside a face when all three barycentrics are strictly positive.
- The nearest face wins; exact ties go to the lowest face id.
- Faces with |area| <= 1e-8, a vertex at z < 1e-8 or a coordinate that is not finite are skipped;
  culling drops negative areas.

`raster_torch` is this in plain torch. On CPU `raster_kernel`'s compiled loops give the same bits in
about a tenth of the time, where neither gradients nor work of fixed size are asked for.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from synthforge import raster_torch
from synthforge.errors import UserError
from synthforge.raster_torch import EMPTY, GAVE_UP

Backend = Literal["auto", "torch", "pytorch3d"]


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
        return self.face_ids[:, 0, 0] != GAVE_UP

    def interpolate(self, corners: Tensor) -> Tensor:
        """Attributes at face corners [F, 3, C] or [B, F, 3, C] -> [B, H, W, C]; 0 where empty."""
        if _in_compiled_loops(corners, self.barycentrics):
            from synthforge import raster_kernel

            filled = corners.new_zeros(*self.face_ids.shape, corners.shape[-1])
            corners = corners if corners.ndim == 4 else corners[None]
            raster_kernel.interpolate(*_arrays(corners, self.face_ids, self.barycentrics, filled))
            return filled
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
        eighth as many as those face pixels, plus six a face). An image that needs more is NaN
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

    max_layers: as in `rasterize`; an image that needs more is -2 throughout.
    """
    columns, rows = _pixel_grid(height, width, vertices_ndc.device)
    if max_layers is not None or not _in_compiled_loops(vertices_ndc):
        return raster_torch.visible(
            vertices_ndc,
            faces,
            columns,
            rows,
            perspective_correct=perspective_correct,
            cull_backfaces=cull_backfaces,
            max_layers=max_layers,
        )
    from synthforge import raster_kernel

    _check_faces(faces, vertices_ndc)
    face_ids = torch.full((len(vertices_ndc), height, width), EMPTY)
    raster_kernel.find_visible(
        *_arrays(vertices_ndc, faces, columns, rows),
        perspective_correct,
        cull_backfaces,
        *_arrays(face_ids),
    )
    return face_ids


def resolve(
    vertices_ndc: Tensor, faces: Tensor, face_ids: Tensor, *, perspective_correct: bool
) -> Fragments:
    """Depth and barycentrics at the pixels of `face_ids` [B, H, W], differentiable in vertices."""
    height, width = face_ids.shape[1:]
    columns, rows = _pixel_grid(height, width, vertices_ndc.device)
    if not _in_compiled_loops(vertices_ndc):
        z, barycentrics = raster_torch.resolve(
            vertices_ndc, faces, face_ids, columns, rows, perspective_correct=perspective_correct
        )
        return Fragments(face_ids, z, barycentrics)
    from synthforge import raster_kernel

    _check_faces(faces, vertices_ndc)
    largest = face_ids.numpy().max(initial=EMPTY)
    if largest >= len(faces):
        raise IndexError(f"face_ids holds {largest}, and there are {len(faces)} faces")
    z = torch.empty(face_ids.shape)
    barycentrics = torch.empty(*face_ids.shape, 3)
    raster_kernel.find_fragments(
        *_arrays(vertices_ndc, faces, columns, rows),
        perspective_correct,
        *_arrays(face_ids, z, barycentrics),
    )
    return Fragments(face_ids, z, barycentrics)


def _pixel_grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """NDC of the columns [W] and rows [H]."""
    return pixel_centers(width, height, device), pixel_centers(height, width, device)


def _check_faces(faces: Tensor, vertices: Tensor) -> None:
    """Compiled loops would read whatever memory an index points to."""
    count, indices = vertices.shape[1], faces.numpy()
    low, high = indices.min(initial=0), indices.max(initial=-1)
    if low < 0 or high >= count:
        raise IndexError(f"faces hold {low}..{high}, and there are {count} vertices")


def _in_compiled_loops(*tensors: Tensor) -> bool:
    differentiable = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return not differentiable and all(
        t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors
    )


def _arrays(*tensors: Tensor) -> list[NDArray[Any]]:
    """The tensors' memory as the compiled loops take it; a copy where it is not contiguous."""
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


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
