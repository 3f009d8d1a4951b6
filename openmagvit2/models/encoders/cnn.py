"""Convolutional encoder of the paper (spec §2.2)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.layers.resample import DOWNSAMPLERS, build_sampler
from openmagvit2.models.layers.residual import ResidualBlock, group_norm
from openmagvit2.registry import ENCODERS


class _Level(nn.Module):
    """Residual blocks at one resolution, then a downsampler on all levels but the last."""

    def __init__(
        self, in_channels: int, out_channels: int, num_blocks: int, downsample: str | None
    ) -> None:
        super().__init__()
        widths = [in_channels] + [out_channels] * num_blocks
        self.block = nn.ModuleList(
            ResidualBlock(a, b) for a, b in zip(widths, widths[1:], strict=False)
        )
        if downsample is not None:
            self.downsample = build_sampler(
                'model.encoder.downsample', downsample, DOWNSAMPLERS, out_channels
            )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return self.downsample(x) if hasattr(self, 'downsample') else x


@ENCODERS.register_module()
class CnnEncoder(BaseEncoder):
    """Attention-free residual encoder; parameter names are the official ones.

    Args:
        out_channels: Channels of ``z``; set by the tokenizer.
        channels: Width of the first level.
        channel_multipliers: Width of each level in units of ``channels``; each level but the last
            halves the image.
        num_res_blocks: Residual blocks a level, and at the end.
        downsample: 'strided_conv' (the paper's), 'avg_pool', or 'padded_conv' (taming's).
        patch_size: Pixels of a square that the first convolution takes as channels; 1 is the
            paper's, 2 is about 4 times cheaper.
    """

    def __init__(
        self,
        *,
        out_channels: int,
        channels: int = 128,
        channel_multipliers: Sequence[int] = (1, 1, 2, 2, 4),
        num_res_blocks: int = 4,
        downsample: str = 'strided_conv',
        patch_size: int = 1,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.patch_size = patch_size
        self.stride = (patch_size * 2 ** (len(channel_multipliers) - 1),) * 2
        widths = [channels] + [channels * m for m in channel_multipliers]
        last = len(channel_multipliers) - 1
        self.conv_in = nn.Conv2d(3 * patch_size**2, channels, 3, padding=1, bias=False)
        self.down = nn.ModuleList(
            _Level(widths[i], widths[i + 1], num_res_blocks, downsample if i < last else None)
            for i in range(last + 1)
        )
        self.mid_block = nn.ModuleList(
            ResidualBlock(widths[-1], widths[-1]) for _ in range(num_res_blocks)
        )
        self.norm_out = group_norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] to (B, out_channels, *grid).

        Raises:
            UserError: H or W is not divisible by ``stride``.
        """
        self.check_size(image.shape[2:])
        x = self.conv_in(F.pixel_unshuffle(image, self.patch_size))
        for level in self.down:
            x = level(x)
        for block in self.mid_block:
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x)))
