"""StyleGAN2's mapping and synthesis networks, as Next3D uses them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthforge.next3d.config import Next3DConfig
from synthforge.next3d.layers import FullyConnected, SynthesisBlock, second_moment_normalize

RESOLUTIONS = (4, 8, 16, 32, 64, 128, 256)
# w vectors of a network that ends at 256: two in the first block, two more in each further one.
NUM_WS = 2 * len(RESOLUTIONS)


def block_ws(ws: Tensor, resolution: int) -> list[Tensor]:
    """The w vectors of conv0 (absent in the first block), conv1 and torgb at `resolution`.

    ws: [B, NUM_WS, w_dim]. A block's torgb shares its w with the next block's conv0.
    """
    k = RESOLUTIONS.index(resolution)
    return list(ws[:, max(2 * k - 1, 0) : 2 * k + 2].unbind(1))


class MappingNetwork(nn.Module):
    """Latent and camera to style vectors."""

    w_avg: Tensor

    def __init__(self, config: Next3DConfig):
        super().__init__()
        self.embed = FullyConnected(config.c_dim, config.w_dim)
        self.fc0 = FullyConnected(
            config.z_dim + config.w_dim, config.w_dim, lr_mul=0.01, lrelu=True
        )
        self.fc1 = FullyConnected(config.w_dim, config.w_dim, lr_mul=0.01, lrelu=True)
        self.register_buffer("w_avg", torch.empty(config.w_dim))

    def forward(self, z: Tensor, camera25: Tensor) -> Tensor:
        """z [B, z_dim] and conditioning [B, 25] -> w [B, w_dim]"""
        conditioning = second_moment_normalize(self.embed(camera25))
        x = torch.cat([second_moment_normalize(z), conditioning], 1)
        return self.fc1(self.fc0(x))


class SynthesisNetwork(nn.Module):
    """Style vectors to an image of any channel count, 256 a side."""

    def __init__(self, config: Next3DConfig, image_channels: int):
        super().__init__()
        inputs = None
        for resolution in RESOLUTIONS:
            channels = config.channels(resolution)
            block = SynthesisBlock(inputs, channels, resolution, image_channels, config.w_dim)
            self.add_module(f"b{resolution}", block)
            inputs = channels

    def forward(self, ws: Tensor, dtype: torch.dtype) -> Tensor:
        """ws [B, NUM_WS, w_dim] -> float32 [B, image_channels, 256, 256], computed in `dtype`"""
        const = self.get_parameter("b4.const").to(dtype)
        x = const.expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        image: Tensor | None = None
        for resolution in RESOLUTIONS:
            block = self.get_submodule(f"b{resolution}")
            x, image = block(x, image, block_ws(ws, resolution))
        assert image is not None
        return image
