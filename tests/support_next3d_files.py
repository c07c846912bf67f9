"""Writes Next3D checkpoints in the released file's format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support_pickles import (
    Made,
    Name,
    Shared,
    dump,
    parameter_record,
    scalar_record,
    tensor_record,
)
from torch import Tensor

RENDERING_KWARGS = {
    "image_resolution": 512,
    "disparity_space_sampling": False,
    "clamp_mode": "softplus",
    "superresolution_module": "training_avatar_texture.superresolution.SuperresolutionHybrid8XDC",
    "c_gen_conditioning_zero": False,
    "gpc_reg_prob": 0.5,
    "c_scale": 1,
    "superresolution_noise_mode": "none",
    "sr_antialias": True,
    "depth_resolution": 48,
    "depth_resolution_importance": 48,
    "ray_start": 2.25,
    "ray_end": 3.3,
    "box_warp": 1,
    "avg_camera_radius": 2.7,
    "avg_camera_pivot": [0, 0, 0.2],
}
_BUFFERS = {
    "resample_filter",
    "noise_const",
    "w_avg",
    "faces",
    "dense_faces",
    "raw_uvcoords",
    "uvcoords",
    "uvfaces",
    "face_uvcoords",
    "dataset_label_std",
}
_PACKAGE = "training_avatar_texture"
_MODULE_SOURCE = "raise SystemExit('the source code in the file was executed')\n"


def write_checkpoint(
    path: Path,
    tensors: Mapping[str, Tensor],
    uv_face_mask: Tensor,
    channel_base: int = 1024,
    channel_max: int = 32,
    neural_rendering_resolution: int = 32,
    rendering_kwargs: Mapping[str, Any] | None = None,
    **format: Any,
) -> None:
    """A file as training wrote it: G and D are left out, G_ema holds `tensors`.

    format: see `checkpoint_record` and `support_pickles.dump`.
    """
    protocol = format.pop("protocol", 4)
    record = checkpoint_record(
        tensors,
        uv_face_mask,
        {"channel_base": channel_base, "channel_max": channel_max},
        neural_rendering_resolution,
        {**RENDERING_KWARGS, **(rendering_kwargs or {})},
        **format,
    )
    path.write_bytes(dump(record, protocol))


def checkpoint_record(
    tensors: Mapping[str, Tensor],
    uv_face_mask: Tensor,
    init_kwargs: Mapping[str, Any],
    neural_rendering_resolution: int,
    rendering_kwargs: Mapping[str, Any],
    numpy_core: str = "numpy.core",
    generator_module: str = "triplane_next3d",
    others: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """numpy_core: which numpy wrote it. others: top-level entries such as D."""
    mapping = {"lr_multiplier": scalar_record(np.float64(1), numpy_core)}
    arguments = {
        **init_kwargs,
        "rendering_kwargs": dict(rendering_kwargs),
        "mapping_kwargs": Made("dnnlib.util.EasyDict", mapping=mapping, by_class=True),
    }
    attributes = {
        "z_dim": 512,
        "c_dim": 25,
        "w_dim": 512,
        "img_resolution": 512,
        "neural_rendering_resolution": neural_rendering_resolution,
        "rendering_kwargs": dict(rendering_kwargs),
        "_last_planes": None,
        "uv_face_mask": tensor_record(uv_face_mask),
        "fill_mouth": True,
        "orth_scale": tensor_record(torch.tensor([[5.0]])),
        "orth_shift": tensor_record(torch.tensor([[0, -0.01, -0.01]])),
        "_init_args": (),
        "_init_kwargs": Made("dnnlib.util.EasyDict", mapping=arguments, by_class=True),
    }
    classes = {
        "": "TriPlaneGenerator",
        "decoder": f"{_PACKAGE}.{generator_module}.OSGDecoder",
        "decoder.net": "torch.nn.modules.container.Sequential",
        "renderer": f"{_PACKAGE}.volumetric_rendering.renderer.ImportanceRenderer",
    }
    return {
        "training_set_kwargs": Made("dnnlib.util.EasyDict", mapping={"path": "x"}, by_class=True),
        "G": None,
        "D": None,
        "augment_pipe": None,
        "G_ema": _module("", _tree(tensors), classes, attributes),
        **(others or {}),
    }


def persistent(class_name: str, state: object) -> Made:
    """A class that pickles itself with its source code."""
    meta = {
        "type": "class",
        "version": 6,
        "module_src": Shared(1, _MODULE_SOURCE),
        "class_name": class_name,
        "state": state,
    }
    return Made("torch_utils.persistence._reconstruct_persistent_obj", (meta,))


def discriminator(weight: Tensor) -> Made:
    """A network of classes that the reader has never heard of."""
    state = {
        "_parameters": {"weight": parameter_record(weight)},
        "augment": Made(
            "training.augment.Unheard", (Name("torch.float32"), 3), state={"a": {1, 2}}
        ),
        "ranges": [Made("builtins.slice", (0, 1, None)), Made("builtins.range", (0, 3, 1))],
        "queue": Made("collections.deque", (), items=[1, 2]),
    }
    return persistent("DualDiscriminator", state)


def _tree(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, tensor in tensors.items():
        *modules, leaf = name.split(".")
        node = tree
        for module in modules:
            node = node.setdefault(module, {})
        node[leaf] = tensor
    return tree


def _module(
    name: str, tree: Mapping[str, Any], classes: Mapping[str, str], attributes: Mapping[str, Any]
) -> Made:
    leaves = {key: value for key, value in tree.items() if isinstance(value, Tensor)}
    prefix = f"{name}." if name else ""
    buffers = {key: tensor_record(t) for key, t in leaves.items() if key in _BUFFERS}
    weights = {key: parameter_record(t) for key, t in leaves.items() if key not in _BUFFERS}
    children: dict[str, object] = {
        key: _module(prefix + key, value, classes, {})
        for key, value in tree.items()
        if key not in leaves
    }
    if not name:
        children["renderer"] = _module("renderer", {}, classes, {})
    state = {
        "training": False,
        "_parameters": Made("collections.OrderedDict", mapping={**weights, "unused": None}),
        "_buffers": buffers,
        "_non_persistent_buffers_set": set(),
        "_forward_hooks": Made("collections.OrderedDict"),
        "_modules": Made("collections.OrderedDict", mapping=children),
        **attributes,
    }
    class_name = classes.get(name, "Module")
    if "." in class_name:
        return Made(class_name, (), state, by_class=True)
    return persistent(class_name, state)
