"""Convolutional decoder of the paper, with the options of the VQGAN family."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from openmagvit2.errors import check_choice
from openmagvit2.models.decoders.base import BaseDecoder
from openmagvit2.models.layers.adaptive_group_norm import AdaptiveGroupNorm
from openmagvit2.models.layers.arguments import check_levels, num_resamplers, per_level
from openmagvit2.models.layers.attention import AttnBlock
from openmagvit2.models.layers.conv import Level, middle_blocks
from openmagvit2.models.layers.norm import norm_silu_conv
from openmagvit2.models.layers.patches import Unpatches
from openmagvit2.models.layers.resample import UPSAMPLERS
from openmagvit2.models.layers.residual import ResidualBlock, group_norm
from openmagvit2.registry import DECODERS
from openmagvit2.signatures import Count, Fraction


@DECODERS.register_module()
class CnnDecoder(BaseDecoder):
    """Residual decoder with adaptive group norms conditioned on the codes; ``up`` and ``adaptive``
    are indexed by level, 0 being full resolution.

    The defaults are the paper's network. ``middle='attention'`` with ``bias=True``,
    ``upsample='nearest_conv'`` and ``adaptive_norm=False`` is taming's VQGAN, whose decoder has one
    more residual block per level than its encoder.

    Args:
        in_channels: Number of channels of the codes; set by the tokenizer.
        out_channels: Number of channels of the output; set by the tokenizer.
        channels: Width of the full-resolution level.
        channel_multipliers: Width of each level in units of ``channels``, from full to lowest
            resolution.
        num_res_blocks: Residual blocks per level: one number for all levels, or one per level.
        upsample: 'depth_to_space' (the paper's) or 'nearest_conv'.
        num_upsamples: How many levels, from the last, double the resolution; by default all but the
            first.
        adaptive_norm: Whether each level begins with an adaptive group norm; the receptive field is
            then the whole image.
        noise: Concatenate noise to the codes, as in WeTok's generative decoder; adaptive norms use
            only the codes.
        patch_size: Side in pixels of the patches that the last convolution outputs as channels; 1
            in the paper.
        patch: 'pixels', or 'haar' if the convolution outputs their Haar transform (Cosmos).
        bias: Whether convolutions in residual blocks have biases, like all others.
        middle: Blocks between the input and the last level: 'blocks' is as many residual blocks as
            in the last level, 'attention' is a residual, an attention and a residual block, 'plain'
            is two residual blocks.
        attention_levels, shortcut, qkv, dropout: See :class:`CnnEncoder`.
    """

    def __init__(
        self,
        *,
        in_channels: Count,
        out_channels: Count = 3,
        channels: Count = 128,
        channel_multipliers: Sequence[Count] = (1, 1, 2, 2, 4),
        num_res_blocks: Count | Sequence[Count] = 4,
        upsample: str = 'depth_to_space',
        num_upsamples: int | None = None,
        adaptive_norm: bool = True,
        noise: bool = False,
        patch_size: Count = 1,
        patch: str = 'pixels',
        bias: bool = False,
        middle: str = 'blocks',
        attention_levels: Sequence[int] = (),
        shortcut: str = 'input',
        qkv: str = 'separate',
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.takes_noise = in_channels, out_channels, noise
        check_choice('model.decoder.upsample', upsample, UPSAMPLERS)
        levels = len(channel_multipliers)
        doubled = num_resamplers('model.decoder.num_upsamples', num_upsamples, levels)
        self.upscale = patch_size * 2**doubled
        numbers = per_level('model.decoder.num_res_blocks', num_res_blocks, levels)
        attended = check_levels('model.decoder.attention_levels', attention_levels, levels)
        residual = partial(ResidualBlock, bias=bias, shortcut=shortcut, dropout=dropout)
        attention = partial(AttnBlock, qkv=qkv)
        out_widths = [channels * m for m in channel_multipliers]
        in_widths = out_widths[1:] + out_widths[-1:]

        self.conv_in = nn.Conv2d(in_channels * (2 if noise else 1), out_widths[-1], 3, padding=1)
        self.mid_block, self.mid = middle_blocks(
            middle, out_widths[-1], numbers[-1], residual, attention
        )
        self.up = nn.ModuleList()
        for i, (a, b) in enumerate(zip(in_widths, out_widths, strict=True)):
            up = partial(UPSAMPLERS[upsample], b) if i >= levels - doubled else None
            attend = attention if i in attended else None
            self.up.append(Level(a, b, numbers[i], residual, attend, upsample=up))
        self.adaptive = None
        if adaptive_norm:
            norms = (AdaptiveGroupNorm(width, in_channels) for width in in_widths)
            self.adaptive = nn.ModuleList(norms)
        self.norm_out = group_norm(out_widths[0])
        self.patches = Unpatches(patch_size, patch)
        self.conv_out = nn.Conv2d(out_widths[0], out_channels * patch_size**2, 3, padding=1)

    @property
    def last_layer(self) -> Tensor:
        """Weight of the output convolution."""
        return self.conv_out.weight

    def forward(
        self, codes: Tensor, size: Sequence[int] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, h * upscale, w * upscale).

        Args:
            codes: Codes of any float type.
            size: Optional, because it follows from the grid.
            noise: With ``noise=True``, normal noise of the codes' shape; see :class:`BaseDecoder`.
        """
        self.check_size(codes.shape[2:], size)
        x = codes
        if self.takes_noise:
            x = torch.cat([codes, self.noise_for(codes) if noise is None else noise], 1)
        x = self.mid(self.mid_block(self.conv_in(x)))
        for i in reversed(range(len(self.up))):
            if self.adaptive is not None:
                x = self.adaptive[i](x, codes)
            x = self.up[i](x)
        return self.patches(norm_silu_conv(self.norm_out, self.conv_out, x))
