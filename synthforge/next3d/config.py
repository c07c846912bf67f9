"""What a Next3D checkpoint fixes besides its weights.

Defaults are those of the released `next3d_ffhq_512.pkl` (Sun et al., Next3D, CVPR 2023, training
options `--cfg=ffhq --gen_pose_cond=True --gen_exp_cond=True`); a checkpoint's own values win.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Rendering options that change the image but that no Next3D release uses: name -> the one value
# implemented here. A checkpoint that asks for another is refused rather than rendered wrong.
_FIXED_RENDERING = {
    "disparity_space_sampling": False,
    "clamp_mode": "softplus",
    "superresolution_noise_mode": "none",
    "sr_antialias": True,
    "image_resolution": 512,
    "white_back": False,
    "density_noise": 0,
}


@dataclass(frozen=True)
class Next3DConfig:
    """Sizes, camera conditioning and volume rendering of a Next3D generator.

    Sizes (StyleGAN2's rule: a layer at resolution r has min(channel_base // r, channel_max)
    channels):
        channel_base, channel_max: of the four 256-pixel networks.
        z_dim, w_dim, c_dim: latent, style and camera-vector lengths.
        neural_rendering_resolution: rays a side of the volume rendering, the trained value.

    Conditioning of the mapping network on the camera:
        c_scale: factor on the 25 camera numbers.
        c_gen_conditioning_zero: replace them by zeros.

    Volume rendering (EG3D's rendering_kwargs). Lengths are generator units:
        depth_resolution, depth_resolution_importance: coarse and fine samples of a ray.
        ray_start, ray_end: distance along the ray.
        box_warp: side of the cube that the planes cover.
        decoder_lr_mul: equalised learning rate of the decoder's layers.

    Rasterization of the neural texture, an orthographic view of the head in metres:
        orth_scale: screen half-widths a metre; orth_shift: added (m) after y is flipped.
        fill_mouth: make holes of the head's silhouette opaque.

    Super-resolution:
        sr_clamp: activations are kept in [-sr_clamp, sr_clamp], as in training with float16.
    """

    channel_base: int = 32768
    channel_max: int = 512
    neural_rendering_resolution: int = 64

    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 25

    c_scale: float = 1.0
    c_gen_conditioning_zero: bool = False

    depth_resolution: int = 48
    depth_resolution_importance: int = 48
    ray_start: float = 2.25
    ray_end: float = 3.3
    box_warp: float = 1.0
    decoder_lr_mul: float = 1.0

    orth_scale: float = 5.0
    orth_shift: tuple[float, float, float] = (0.0, -0.01, -0.01)
    fill_mouth: bool = True

    sr_clamp: float | None = 256.0

    def __post_init__(self) -> None:
        for name in ("channel_base", "channel_max", "neural_rendering_resolution"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        self._require("channel_base", self.channel_base >= 256, "at least 256 (1 channel at 256)")
        self._require("z_dim", self.z_dim >= 1, "at least 1")
        self._require("w_dim", self.w_dim >= 1, "at least 1")
        self._require("c_dim", self.c_dim == 25, "25 (a 4x4 pose and a 3x3 intrinsics matrix)")
        self._require("depth_resolution", self.depth_resolution >= 4, "at least 4")
        self._require("depth_resolution_importance", self.depth_resolution_importance >= 0, ">= 0")
        self._require("ray_start", 0 < self.ray_start < self.ray_end, "0 < ray_start < ray_end")
        self._require("box_warp", self.box_warp > 0, "above 0")
        self._require("orth_scale", self.orth_scale > 0, "above 0")
        self._require("sr_clamp", self.sr_clamp is None or self.sr_clamp > 0, "None or above 0")
        self._require("orth_shift", len(self.orth_shift) == 3, "three numbers")
        for name, value in vars(self).items():
            numbers = value if isinstance(value, tuple) else (value,)
            finite = all(math.isfinite(x) for x in numbers if isinstance(x, float))
            self._require(name, finite, "finite")

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ValueError(f"Next3DConfig.{name} is {getattr(self, name)!r}, expected {expected}")

    @classmethod
    def from_rendering_kwargs(
        cls, rendering_kwargs: Mapping[str, Any], **fields: Any
    ) -> Next3DConfig:
        """From a checkpoint's `rendering_kwargs` and any other fields by name.

        As in the released code, a missing `c_scale` counts as 0. Training's own options are
        ignored; options that this implementation lacks raise ValueError by name.
        """
        for name, value in _FIXED_RENDERING.items():
            if rendering_kwargs.get(name, value) != value:
                raise ValueError(
                    f"rendering option {name}={rendering_kwargs[name]!r} is not supported, "
                    f"only {value!r}"
                )
        kwargs = {"c_scale": 0, **rendering_kwargs}
        for name, kind in _RENDERING_FIELDS.items():
            if name in kwargs:
                try:
                    fields.setdefault(name, kind(kwargs[name]))
                except (TypeError, ValueError) as error:
                    raise ValueError(
                        f"rendering option {name}={kwargs[name]!r} is not a {kind.__name__}"
                    ) from error
        return cls(**fields)

    def channels(self, resolution: int) -> int:
        """Channels of the four 256-pixel networks at `resolution`."""
        return min(self.channel_base // resolution, self.channel_max)


# rendering_kwargs that are live at inference, and their type here.
_RENDERING_FIELDS: dict[str, Any] = {
    "c_scale": float,
    "c_gen_conditioning_zero": bool,
    "depth_resolution": int,
    "depth_resolution_importance": int,
    "ray_start": float,
    "ray_end": float,
    "box_warp": float,
    "decoder_lr_mul": float,
}
# All that `from_rendering_kwargs` reads.
RENDERING_OPTIONS = (*_FIXED_RENDERING, *_RENDERING_FIELDS)
