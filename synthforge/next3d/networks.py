"""Next3D's networks of StyleGAN2 layers: mapping, synthesis, StyleUNet, super-resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synthforge.next3d.config import Next3DConfig
from synthforge.next3d.convolutions import halving_filter
from synthforge.next3d.layers import (
    Conv2d,
    FullyConnected,
    SynthesisBlock,
    second_moment_normalize,
)

# Channels of the neural texture, of each plane and of the rendered image.
FEATURES = 32
RESOLUTIONS = (4, 8, 16, 32, 64, 128, 256)
# w vectors of a network that ends at 256: two in the first block, two more in each further one.
NUM_WS = 2 * len(RESOLUTIONS)
# Rays a side that the super-resolution takes.
_SR_IN_SIZE = 128


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


class EncoderStage(nn.Module):
    """Features of the condition image at one resolution, and halved."""

    def __init__(self, image_channels: int, channels: int, next_channels: int):
        super().__init__()
        self.fromrgb = Conv2d(image_channels, channels, 1, bias=False)
        self.conv1 = Conv2d(channels, channels, 3, lrelu=True)
        self.conv2 = Conv2d(channels, next_channels, 3, down=True, lrelu=True)

    def forward(self, condition: Tensor, features: Tensor | None) -> Tensor:
        """condition [B, image_channels, r, r] and the last stage's output -> [..., r/2, r/2]"""
        x = self.fromrgb(condition)
        if features is not None:
            x = x.add_(features)
        return self.conv2(self.conv1(x))


class StyleUNet(nn.Module):
    """Image [B, 32, in_size, in_size] -> [B, 32, 256, 256], styled by ws.

    in_size: side of the condition image.
    bottleneck: side of the encoder's last output, where decoding starts. The decoder's blocks up
        to that resolution exist in the checkpoint but are never run, and are not built here.
    """

    def __init__(self, config: Next3DConfig, in_size: int, bottleneck: int):
        super().__init__()
        stages, inputs = [], []
        size = in_size
        while size > bottleneck:
            stages.append(EncoderStage(FEATURES, config.channels(size), config.channels(size // 2)))
            size //= 2
            inputs.append(config.channels(size))
        self.encoder = nn.ModuleList(stages)
        self.halve = halving_filter(FEATURES)

        fusions = []
        for k, width in enumerate(reversed(inputs)):
            fusions.append(Conv2d(width if k == 0 else 2 * width, width, 3))
        self.fusion = nn.ModuleList(fusions)

        self.resolutions = [r for r in RESOLUTIONS if r > bottleneck]
        for r in self.resolutions:
            block = SynthesisBlock(
                config.channels(r // 2), config.channels(r), r, FEATURES, config.w_dim
            )
            self.add_module(f"b{r}", block)

    def forward(self, condition: Tensor, ws: Tensor, dtype: torch.dtype) -> Tensor:
        """condition float32, ws [B, NUM_WS, w_dim] -> float32, computed in `dtype`"""
        condition = condition.to(dtype, memory_format=torch.channels_last)
        features: list[Tensor] = []
        for stage in self.encoder:
            if features:
                condition = self.halve(condition)
            features.append(stage(condition, features[-1] if features else None))

        x = self.fusion[0](features.pop())
        image: Tensor | None = None
        for k, resolution in enumerate(self.resolutions):
            if k and features:
                x = self.fusion[k](torch.cat([x, features.pop()], 1))
            block = self.get_submodule(f"b{resolution}")
            x, image = block(x, image, block_ws(ws, resolution))
        assert image is not None
        return image


class SuperResolution(nn.Module):
    """EG3D's 8x hybrid, whatever its input's size."""

    def __init__(self, config: Next3DConfig):
        super().__init__()
        w_dim, clamp = config.w_dim, config.sr_clamp
        self.block0 = SynthesisBlock(FEATURES, 256, 256, 3, w_dim, noise=False, clamp=clamp)
        self.block1 = SynthesisBlock(256, 128, 512, 3, w_dim, noise=False, clamp=clamp)

    def forward(self, features: Tensor, w: Tensor, dtype: torch.dtype) -> Tensor:
        """features float32 [B, 32, R, R], w [B, w_dim] -> image float32 [B, 3, 512, 512]"""
        if features.shape[-1] != _SR_IN_SIZE:
            features = F.interpolate(
                features, (_SR_IN_SIZE, _SR_IN_SIZE), mode="bilinear", antialias=True
            )
        x = features.to(dtype, memory_format=torch.channels_last)
        x, image = self.block0(x, features[:, :3], [w] * 3)
        return self.block1(x, image, [w] * 3)[1]
