"""Convolutional encoder of the paper, with the options of the VQGAN family."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from openmagvit2.errors import check_choice
from openmagvit2.models.encoders.base import BaseEncoder
from openmagvit2.models.layers.arguments import check_levels, num_resamplers, per_level
from openmagvit2.models.layers.attention import AttnBlock
from openmagvit2.models.layers.conv import Level, middle_blocks
from openmagvit2.models.layers.norm import norm_silu_conv
from openmagvit2.models.layers.patches import Patches
from openmagvit2.models.layers.resample import DOWNSAMPLERS
from openmagvit2.models.layers.residual import ResidualBlock, group_norm
from openmagvit2.registry import ENCODERS
from openmagvit2.signatures import Count, Fraction


@ENCODERS.register_module()
class CnnEncoder(BaseEncoder):
    """Residual encoder; parameter names are the official ones, and ``down`` is indexed by level.

    The defaults are the paper's network, without attention. ``middle='attention'`` with
    ``bias=True``, ``out_kernel=3`` and ``downsample='padded_conv'`` is taming's VQGAN.

    Args:
        out_channels: Number of channels of ``z``; set by the tokenizer.
        channels: Width of the first level.
        channel_multipliers: Width of each level in units of ``channels``, from full to lowest
            resolution.
        num_res_blocks: Residual blocks per level: one number for all levels, or one per level.
        downsample: 'strided_conv' (the paper's), 'avg_pool', or 'padded_conv' (taming's).
        num_downsamples: How many levels, from the first, halve the resolution; by default all but
            the last.
        patch_size: Side in pixels of the patches that the first convolution reads as channels; 1 in
            the paper, 2 is about 4 times cheaper.
        patch: 'pixels', or 'haar' for their Haar transform (Cosmos).
        bias: Whether all convolutions have biases, not only downsamplers and output.
        middle: Blocks between the last level and the output: 'blocks' is as many residual blocks as
            in the last level, 'attention' is a residual, an attention and a residual block, 'plain'
            is two residual blocks.
        attention_levels: Levels with an attention block after each residual block.
        out_kernel: Kernel size of the last convolution, odd.
        shortcut: 'input', or 'branch' (MaskGIT); see :class:`ResidualBlock`.
        qkv: 'separate' or 'joint'; see :class:`AttnBlock`.
        dropout: Dropout rate in residual blocks.
    """

    def __init__(
        self,
        *,
        out_channels: Count,
        channels: Count = 128,
        channel_multipliers: Sequence[Count] = (1, 1, 2, 2, 4),
        num_res_blocks: Count | Sequence[Count] = 4,
        downsample: str = 'strided_conv',
        num_downsamples: int | None = None,
        patch_size: Count = 1,
        patch: str = 'pixels',
        bias: bool = False,
        middle: str = 'blocks',
        attention_levels: Sequence[int] = (),
        out_kernel: Count = 1,
        shortcut: str = 'input',
        qkv: str = 'separate',
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        check_choice('model.encoder.downsample', downsample, DOWNSAMPLERS)
        levels = len(channel_multipliers)
        halved = num_resamplers('model.encoder.num_downsamples', num_downsamples, levels)
        self.stride = (patch_size * 2**halved,) * 2
        numbers = per_level('model.encoder.num_res_blocks', num_res_blocks, levels)
        attended = check_levels('model.encoder.attention_levels', attention_levels, levels)
        residual = partial(ResidualBlock, bias=bias, shortcut=shortcut, dropout=dropout)
        attention = partial(AttnBlock, qkv=qkv)
        widths = [channels] + [channels * m for m in channel_multipliers]

        self.patches = Patches(patch_size, patch)
        self.conv_in = nn.Conv2d(3 * patch_size**2, channels, 3, padding=1, bias=bias)
        self.down = nn.ModuleList()
        for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
            down = partial(DOWNSAMPLERS[downsample], b) if i < halved else None
            attend = attention if i in attended else None
            self.down.append(Level(a, b, numbers[i], residual, attend, downsample=down))
        self.mid_block, self.mid = middle_blocks(
            middle, widths[-1], numbers[-1], residual, attention
        )
        self.norm_out = group_norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], out_channels, out_kernel, padding=out_kernel // 2)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) in [-1, 1] to (B, out_channels, *grid)."""
        self.check_size(image.shape[2:])
        x = self.conv_in(self.patches(image))
        for level in self.down:
            x = level(x)
        x = self.mid(self.mid_block(x))
        return norm_silu_conv(self.norm_out, self.conv_out, x)
