"""Components of the convolutional encoder and decoder: levels and middle blocks."""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from openmagvit2.errors import check_choice

# Build a residual block from its two widths, and an attention block from its width.
Residual = Callable[[int, int], nn.Module]
Attention = Callable[[int], nn.Module]


def middle_blocks(
    kind: str, width: int, number: int, residual: Residual, attention: Attention
) -> tuple[nn.Sequential, nn.Sequential]:
    """Build the blocks between encoder levels and output, or between decoder input and levels.

    Args:
        kind: 'blocks' is ``number`` residual blocks, 'attention' is residual, attention, residual,
            and 'plain' is residual, residual.
        width: Number of channels.
        number: Number of residual blocks for 'blocks'.
        residual, attention: Functions that build a block.

    Returns:
        The modules ``mid_block`` and ``mid``, one of them empty, so that state dicts have the
        official names of both families.
    """
    check_choice('middle', kind, ('blocks', 'attention', 'plain'))
    if kind == 'attention':
        first, between, last = residual(width, width), attention(width), residual(width, width)
        parts = OrderedDict(block_1=first, attn_1=between, block_2=last)
        return nn.Sequential(), nn.Sequential(parts)
    number = 2 if kind == 'plain' else number
    return nn.Sequential(*(residual(width, width) for _ in range(number))), nn.Sequential()


class Level(nn.Module):
    """Residual blocks at one resolution, each optionally followed by an attention block, and then
    the resampling layer to the next resolution, if any.

    Args:
        in_channels, out_channels: Widths; the first block changes the width.
        number: Number of residual blocks.
        residual: Builds a residual block.
        attention: Builds an attention block; None for no attention.
        downsample, upsample: Builds the resampling layer; at most one may be given. It is built
            after the blocks, which determines the order of random initial weights.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        number: int,
        residual: Residual,
        attention: Attention | None,
        *,
        downsample: Callable[[], nn.Module] | None = None,
        upsample: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            residual(out_channels if i else in_channels, out_channels) for i in range(number)
        )
        self.attn = nn.ModuleList(attention(out_channels) for _ in range(number) if attention)
        self.downsample = downsample() if downsample else None
        self.upsample = upsample() if upsample else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, *size)."""
        for i, block in enumerate(self.block):
            x = block(x)
            if self.attn:
                x = self.attn[i](x)
        resample = self.downsample or self.upsample
        return x if resample is None else resample(x)
