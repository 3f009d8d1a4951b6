"""Convolutional decoder of the paper (spec §2.3)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.decoders.base import BaseDecoder
from openmagvit2.models.layers.adaptive_group_norm import AdaptiveGroupNorm
from openmagvit2.models.layers.resample import UPSAMPLERS, build_sampler
from openmagvit2.models.layers.residual import ResidualBlock, group_norm
from openmagvit2.registry import DECODERS


class _Level(nn.Module):
    """Residual blocks at one resolution, then an upsampler on all levels but the full
    resolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, num_blocks: int, upsample: str | None
    ) -> None:
        super().__init__()
        widths = [in_channels] + [out_channels] * num_blocks
        self.block = nn.ModuleList(
            ResidualBlock(a, b) for a, b in zip(widths, widths[1:], strict=False)
        )
        if upsample is not None:
            self.upsample = build_sampler(
                'model.decoder.upsample', upsample, UPSAMPLERS, out_channels
            )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return self.upsample(x) if hasattr(self, 'upsample') else x


@DECODERS.register_module()
class CnnDecoder(BaseDecoder):
    """Residual decoder with the codes as style; ``up`` and ``adaptive`` are indexed by level, 0
    being full resolution.

    Args:
        in_channels: Channels of the codes; set by the tokenizer.
        out_channels: Channels of the output; set by the tokenizer.
        channels: Width of the full-resolution level.
        channel_multipliers: Width of each level in units of ``channels``, from full to lowest
            resolution.
        num_res_blocks: Residual blocks a level, and at the start.
        upsample: 'depth_to_space' (the paper's) or 'nearest_conv'.
        adaptive_norm: Adaptive group norm at the entry of each level; the output then depends on
            the whole image.
        patch_size: Pixels of a square that the last convolution makes at once; 1 is the paper's.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int = 3,
        channels: int = 128,
        channel_multipliers: Sequence[int] = (1, 1, 2, 2, 4),
        num_res_blocks: int = 4,
        upsample: str = 'depth_to_space',
        adaptive_norm: bool = True,
        patch_size: int = 1,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.patch_size = patch_size
        self.upscale = patch_size * 2 ** (len(channel_multipliers) - 1)
        out_widths = [channels * m for m in channel_multipliers]
        in_widths = out_widths[1:] + out_widths[-1:]
        self.conv_in = nn.Conv2d(in_channels, out_widths[-1], 3, padding=1)
        self.mid_block = nn.ModuleList(
            ResidualBlock(out_widths[-1], out_widths[-1]) for _ in range(num_res_blocks)
        )
        self.up = nn.ModuleList(
            _Level(a, b, num_res_blocks, upsample if i else None)
            for i, (a, b) in enumerate(zip(in_widths, out_widths, strict=True))
        )
        if adaptive_norm:
            self.adaptive = nn.ModuleList(
                AdaptiveGroupNorm(width, in_channels) for width in in_widths
            )
        self.norm_out = group_norm(out_widths[0])
        self.conv_out = nn.Conv2d(out_widths[0], out_channels * patch_size**2, 3, padding=1)

    @property
    def last_layer(self) -> nn.Parameter:
        """Weight of the output convolution."""
        return self.conv_out.weight

    def forward(
        self, codes: Tensor, size: Sequence[int] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """(B, in_channels, h, w) to (B, out_channels, h * upscale, w * upscale)."""
        x = self.conv_in(codes)
        for block in self.mid_block:
            x = block(x)
        for i in reversed(range(len(self.up))):
            if hasattr(self, 'adaptive'):
                x = self.adaptive[i](x, codes)
            x = self.up[i](x)
        return F.pixel_shuffle(self.conv_out(F.silu(self.norm_out(x))), self.patch_size)
