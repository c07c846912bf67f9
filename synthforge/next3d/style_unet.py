"""Next3D's conditional StyleUNet: an encoder whose features enter a StyleGAN2 decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthforge.next3d.config import Next3DConfig
from synthforge.next3d.layers import Conv2d, SynthesisBlock, downsample2d
from synthforge.next3d.synthesis import RESOLUTIONS, block_ws


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

    def __init__(self, config: Next3DConfig, in_size: int, bottleneck: int, channels: int = 32):
        super().__init__()
        stages, inputs = [], []
        size = in_size
        while size > bottleneck:
            stages.append(EncoderStage(channels, config.channels(size), config.channels(size // 2)))
            size //= 2
            inputs.append(config.channels(size))
        self.encoder = nn.ModuleList(stages)

        fusions = []
        for k, width in enumerate(reversed(inputs)):
            fusions.append(Conv2d(width if k == 0 else 2 * width, width, 3))
        self.fusion = nn.ModuleList(fusions)

        self.resolutions = [r for r in RESOLUTIONS if r > bottleneck]
        for r in self.resolutions:
            block = SynthesisBlock(
                config.channels(r // 2), config.channels(r), r, channels, config.w_dim
            )
            self.add_module(f"b{r}", block)

    def forward(self, condition: Tensor, ws: Tensor, dtype: torch.dtype) -> Tensor:
        """condition float32, ws [B, NUM_WS, w_dim] -> float32, computed in `dtype`"""
        condition = condition.to(dtype, memory_format=torch.channels_last)
        features: list[Tensor] = []
        for stage in self.encoder:
            if features:
                condition = downsample2d(condition)
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
