"""From rendered features to the image: two StyleGAN2 blocks, 128 to 512 pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synthforge.next3d.config import Next3DConfig
from synthforge.next3d.layers import SynthesisBlock
from synthforge.next3d.volume import FEATURES

_IN_SIZE = 128


class SuperResolution(nn.Module):
    """EG3D's 8x hybrid, whatever its input's size."""

    def __init__(self, config: Next3DConfig):
        super().__init__()
        w_dim, clamp = config.w_dim, config.sr_clamp
        self.block0 = SynthesisBlock(FEATURES, 256, 256, 3, w_dim, noise=False, clamp=clamp)
        self.block1 = SynthesisBlock(256, 128, 512, 3, w_dim, noise=False, clamp=clamp)

    def forward(self, features: Tensor, w: Tensor, dtype: torch.dtype) -> Tensor:
        """features float32 [B, 32, R, R], w [B, w_dim] -> image float32 [B, 3, 512, 512]"""
        if features.shape[-1] != _IN_SIZE:
            features = F.interpolate(
                features, (_IN_SIZE, _IN_SIZE), mode="bilinear", antialias=True
            )
        x = features.to(dtype, memory_format=torch.channels_last)
        x, image = self.block0(x, features[:, :3], [w] * 3)
        return self.block1(x, image, [w] * 3)[1]
