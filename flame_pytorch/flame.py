"""The FLAME layer: parameters -> posed vertices and landmarks, in metres."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from flame_pytorch import lbs
from flame_pytorch.config import FlameConfig
from flame_pytorch.files import read_head_model, read_landmark_embedding
from flame_pytorch.model import FloatArray, HeadModel, LandmarkEmbedding

_N_JOINTS = 5
_GLOBAL, _NECK = 0, 1
# Contour rows: yaw 0 ... 39 degrees, then -1 ... -39.
_MAX_CONTOUR_DEG = 39


class FlameSettings(Protocol):
    """The attributes that `FLAME` reads of its config; see `FlameConfig`."""

    flame_model_path: str
    static_landmark_embedding_path: str
    dynamic_landmark_embedding_path: str
    shape_params: int
    expression_params: int
    pose_params: int
    use_face_contour: bool
    use_3D_translation: bool


def contour_row(R_view_head: Tensor) -> Tensor:
    """Row of the contour embedding for heads turned by R [B, 3, 3] against the viewer, int64 [B].

    Viewer axes are x right, y up, z towards the viewer. Positive yaw turns the face towards +x.
    """
    R = R_view_head.double()
    yaw = torch.atan2(-R[:, 2, 0], torch.sqrt(R[:, 0, 0] ** 2 + R[:, 1, 0] ** 2))
    degrees = torch.round(yaw * (180 / math.pi)).clamp(-_MAX_CONTOUR_DEG, _MAX_CONTOUR_DEG)
    return torch.where(degrees >= 0, degrees, _MAX_CONTOUR_DEG - degrees).long()


def _regressed(J_regressor: FloatArray, vertices: FloatArray) -> FloatArray:
    """J_regressor (J, V) @ vertices (V, ...), summed in order: a matrix product's last bits, which
    would reach the joints, depend on the CPU."""
    joints = []
    for row in np.asarray(J_regressor, np.float64):
        used = row.nonzero()[0]
        terms = np.moveaxis(vertices[used], 0, -1) * row[used]
        joints.append(np.cumsum(terms, -1)[..., -1] if len(used) else np.zeros(terms.shape[:-1]))
    return np.stack(joints)


def _by_component(directions: Tensor) -> Tensor:
    """The same [N, 3, K], lying in memory as `lbs.blend` reads it fastest."""
    return directions.movedim(-1, 0).contiguous().movedim(0, -1)


class FLAME(nn.Module):
    """Li et al. 2017, with FLAME_PyTorch's call. Works on any `HeadModel`, whatever its size.

    Frame: metres, x to the subject's left, y up, z out of the face. Computes in `dtype`, to which
    parameters are cast; differentiable with respect to all of them. `faces` is int64 [F, 3].
    """

    faces: Tensor
    v_template: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    joint_template: Tensor
    joint_dirs: Tensor
    weights: Tensor
    static_faces: Tensor
    static_bary: Tensor
    contour_faces: Tensor
    contour_bary: Tensor

    def __init__(
        self,
        config: FlameSettings,
        model: HeadModel | None = None,
        embedding: LandmarkEmbedding | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Reads config's files; where `model` or `embedding` is given, it stands for its file.

        Raises FileNotFoundError or `flame_pytorch.errors.FileFormatError`, naming the file, and
        ValueError for parameter counts that the model doesn't have.
        """
        super().__init__()
        self.n_shape = config.shape_params
        self.n_expression = config.expression_params
        if config.pose_params != 6:
            raise ValueError(f"pose_params is {config.pose_params}; it is 6: global 3 and jaw 3")
        self.use_face_contour = config.use_face_contour
        self.use_translation = config.use_3D_translation
        model = model or read_head_model(config.flame_model_path)
        self._set_model(model, dtype)
        self._set_embedding(
            embedding
            or read_landmark_embedding(
                config.static_landmark_embedding_path,
                config.dynamic_landmark_embedding_path,
                model,
            ),
            dtype,
        )

    @classmethod
    def from_arrays(
        cls,
        model: HeadModel,
        embedding: LandmarkEmbedding,
        n_shape: int = 100,
        n_expression: int = 50,
        dtype: torch.dtype = torch.float32,
    ) -> FLAME:
        """A layer without files."""
        config = FlameConfig(shape_params=n_shape, expression_params=n_expression)
        return cls(config, model, embedding, dtype)

    def _set_model(self, model: HeadModel, dtype: torch.dtype) -> None:
        n_expression = model.shapedirs.shape[2] - model.n_identity
        for name, count, there in (
            ("shape_params", self.n_shape, model.n_identity),
            ("expression_params", self.n_expression, n_expression),
        ):
            if not 0 <= count <= there:
                raise ValueError(f"{name} is {count}; the model has 0 to {there}")
        expression = range(model.n_identity, model.n_identity + self.n_expression)
        used = [*range(self.n_shape), *expression]
        self.parents = tuple(int(parent) for parent in model.parents)
        arrays = {
            "v_template": model.v_template,
            "shapedirs": model.shapedirs[:, :, used],
            "posedirs": model.posedirs,
            "weights": model.weights,
        }
        for name, array in arrays.items():
            tensor = torch.tensor(np.ascontiguousarray(array), dtype=dtype)
            self.register_buffer(name, _by_component(tensor) if name.endswith("dirs") else tensor)
        # Joints are linear in the vertices, which are linear in the coefficients.
        for name, vertices in (
            ("joint_template", self.v_template),
            ("joint_dirs", self.shapedirs),
        ):
            joints = _regressed(model.J_regressor, vertices.double().numpy())
            tensor = torch.tensor(joints, dtype=dtype)
            self.register_buffer(name, _by_component(tensor) if name.endswith("dirs") else tensor)
        self.register_buffer("faces", torch.tensor(model.faces, dtype=torch.int64))

    def _set_embedding(self, embedding: LandmarkEmbedding, dtype: torch.dtype) -> None:
        for name in ("static", "contour"):
            faces = getattr(embedding, f"{name}_faces")
            if faces.max() >= len(self.faces):
                raise ValueError(
                    f"the landmark embedding is for another head: it refers to triangle "
                    f"{faces.max()}, but the model has {len(self.faces)}"
                )
            bary = getattr(embedding, f"{name}_bary")
            self.register_buffer(f"{name}_faces", torch.tensor(faces, dtype=torch.int64))
            self.register_buffer(f"{name}_bary", torch.tensor(bary, dtype=dtype))

    def forward(
        self,
        shape_params: Tensor,
        expression_params: Tensor,
        pose_params: Tensor,
        neck_pose: Tensor | None = None,
        eye_pose: Tensor | None = None,
        transl: Tensor | None = None,
        R_view_flame: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Vertices [B, V, 3] and landmarks [B, 68, 3], metres, FLAME frame.

        shape_params, expression_params: [B, n_shape], [B, n_expression].
        pose_params: [B, 6], radians, axis-angle: global, then jaw.
        neck_pose [B, 3], eye_pose [B, 6] (left, right), transl [B, 3]: zero if None.
        R_view_flame: [B, 3, 3], the FLAME frame to the viewer's axes (x right, y up, z towards the
            viewer); it says which side of the head the jaw line is on. None: a viewer at +z.

        Any of them may have batch 1. Landmarks are 17 contour points, then 51 inner ones (iBUG
        order), or the 51 alone without `use_face_contour`. Raises ValueError on wrong shapes.
        """
        given = {
            "shape_params": (shape_params, (self.n_shape,)),
            "expression_params": (expression_params, (self.n_expression,)),
            "pose_params": (pose_params, (6,)),
            "neck_pose": (neck_pose, (3,)),
            "eye_pose": (eye_pose, (6,)),
            "transl": (transl, (3,)),
            "R_view_flame": (R_view_flame, (3, 3)),
        }
        batch = max(len(value) for value, _ in given.values() if value is not None)
        shape, expression, pose, neck, eyes, shift, R_view = (
            self._batched(name, value, size, batch) for name, (value, size) in given.items()
        )
        coefficients = torch.cat([shape, expression], 1)
        R = lbs.rotation_matrix(
            torch.cat([pose[:, :3], neck, pose[:, 3:], eyes], 1).unflatten(1, (_N_JOINTS, 3))
        )
        identity = torch.eye(3, dtype=R.dtype, device=R.device)
        vertices = (
            self.v_template
            + lbs.blend(self.shapedirs, coefficients)
            + lbs.blend(self.posedirs, (R[:, 1:] - identity).flatten(1))
        )
        R_joint, t_joint = self._pose_joints(coefficients, R)
        vertices = lbs.skin(vertices, self.weights, R_joint, t_joint)
        if self.use_translation and transl is not None:
            vertices = vertices + shift[:, None]
        R_head = lbs.compose(R[:, _GLOBAL], R[:, _NECK])
        if R_view_flame is not None:
            R_head = lbs.compose(R_view, R_head)
        return vertices, self._landmarks(vertices, R_head)

    def joints(
        self, shape_params: Tensor, expression_params: Tensor, full_pose: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The posed joints: rotations [B, 5, 3, 3] and positions [B, 5, 3], metres, FLAME frame.

        Root, neck, jaw, left eye, right eye; a rotation maps from the rest pose.
        full_pose: [B, 15], axis-angles of the joints in that order, radians.
        """
        coefficients = torch.cat([shape_params, expression_params], 1).to(self.v_template)
        R = lbs.rotation_matrix(full_pose.to(self.v_template).unflatten(1, (_N_JOINTS, 3)))
        R_joint, t_joint = self._pose_joints(coefficients, R)
        rest = self.joint_template + lbs.blend(self.joint_dirs, coefficients)
        return R_joint, lbs.apply(R_joint, rest) + t_joint

    def _pose_joints(self, coefficients: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
        joints = self.joint_template + lbs.blend(self.joint_dirs, coefficients)
        return lbs.pose_joints(R, joints, self.parents)

    def _batched(
        self, name: str, value: Tensor | None, size: tuple[int, ...], batch: int
    ) -> Tensor:
        if value is None:
            return self.v_template.new_zeros(batch, *size)
        if value.shape[1:] != size or value.shape[0] not in (1, batch):
            wanted = ", ".join(map(str, size))
            raise ValueError(
                f"{name} is [{batch} or 1, {wanted}] in this call, got {list(value.shape)}"
            )
        return value.to(self.v_template).expand(batch, *size)

    def _landmarks(self, vertices: Tensor, R_view_head: Tensor) -> Tensor:
        batch = len(vertices)
        faces = self.static_faces.expand(batch, -1)
        bary = self.static_bary.expand(batch, -1, -1)
        if self.use_face_contour:
            row = contour_row(R_view_head)
            faces = torch.cat([self.contour_faces[row], faces], 1)
            bary = torch.cat([self.contour_bary[row], bary], 1)
        sample = torch.arange(batch, device=vertices.device)[:, None, None]
        corners = vertices[sample, self.faces[faces]]
        a, b, c = corners.unbind(2)
        return bary[..., 0:1] * a + bary[..., 1:2] * b + bary[..., 2:3] * c
